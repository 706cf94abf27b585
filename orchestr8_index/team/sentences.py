"""Why PostgreSQL cannot be used: a sentence with its cure, without a password."""

from __future__ import annotations

from typing import Any

import psycopg

from ..errors import StoreUnavailable

_STATES = {
    "28P01": "PostgreSQL refuses the password: see MCP_DATABASE_URL, PGPASSWORD or ~/.pgpass.",
    "28000": "PostgreSQL lets this role not in from here: see the role and pg_hba.conf.",
    "3D000": "There is no such database: create it with `createdb`, or mend its name.",
    "42501": "The role may not do that: grant it CREATE on the database, or the rights of its owner"
    " on the schema.",
    "3F000": "The schema is gone: run `orchestr8-index database init`.",
    "42P01": "The tables are gone: run `orchestr8-index database init`.",
    "25006": "PostgreSQL is read-only here: name its primary, or several hosts with"
    " target_session_attrs=read-write.",
    "53100": "The disk of PostgreSQL is full: free space there.",
    "53300": "PostgreSQL has no connection left: raise its max_connections.",
    "57P01": "PostgreSQL is shutting down.",
    "57P02": "PostgreSQL has crashed and comes back by itself.",
    "57P03": "PostgreSQL is starting: it comes back by itself.",
    "55P03": "Another server holds the project for too long: see `orchestr8-index servers`.",
    "25P03": "This server stood still within a transaction, which PostgreSQL took back.",
}  # fmt: skip
_WORDS = (
    ("password authentication failed", _STATES["28P01"]),
    ("no password supplied", _STATES["28P01"]),
    ("no pg_hba.conf entry", _STATES["28000"]),
    ("role", "There is no such role in PostgreSQL: create it with `createuser`, or mend its name."),
    ("does not exist", _STATES["3D000"]),
    ('missing "="', "That is no address of a database: say postgresql://ROLE@HOST/DATABASE."),
    ("resolve host", "PostgreSQL's host has no address: mend its name in MCP_DATABASE_URL."),
    ("translate host name", "PostgreSQL's host has no address: mend its name in MCP_DATABASE_URL."),
    ("session is read-only", _STATES["25006"]),
    ("starting up", _STATES["57P03"]),
    ("too many clients", _STATES["53300"]),
    ("certificate", "PostgreSQL's certificate is not trusted: see sslrootcert and sslmode."),
    ("SSL", "PostgreSQL and this server cannot agree on TLS: see sslmode in MCP_DATABASE_URL."),
    ("timeout", "PostgreSQL does not answer: see its host, its port and the firewall between."),
    ("refused", "PostgreSQL is not running there: start it, or mend host and port."),
    ("No such file", "PostgreSQL is not running there: start it, or mend host and port."),
)
AWAY = "PostgreSQL does not answer."
_PASSING_WORDS = ("timeout", "refused", "No such file", "starting up", "too many clients")
PASSING = {
    AWAY,
    *(_STATES[each] for each in ("53300", "57P01", "57P02", "57P03")),
    *(sentence for sign, sentence in _WORDS if sign in _PASSING_WORDS),
}
"""What may pass by itself; the rest is for somebody to repair."""


def explain(error: Any) -> str:
    """The sentence and its cure for an error of psycopg."""
    state = getattr(error, "sqlstate", None)
    if state in _STATES:
        return _STATES[state]
    message = str(error).strip()
    if state is None:
        return next((sentence for sign, sentence in _WORDS if sign in message), AWAY)
    first = message.partition("\n")[0]
    return f"PostgreSQL refuses it: {first[:1].upper()}{first[1:]}."


def unavailable(error: psycopg.Error) -> StoreUnavailable:
    """The error for a caller, with its cure."""
    sentence, _, cure = explain(error).partition(": ")
    refusal = StoreUnavailable(f"{sentence.rstrip('.')}.", cure[:1].upper() + cure[1:])
    refusal.is_passing = explain(error) in PASSING
    return refusal
