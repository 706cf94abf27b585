"""An agent's private memory: values by key, in a session or global."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any

import msgspec

from ..errors import Conflict
from .explained import declined, flag, metadata, number, text
from .face import Arguments, Core, JsonObject, now, tool

YEAR, DAY = 31_536_000, 86_400
MOST_KEY, MOST_STORED, MOST_READ = 255, 120, 5_000
EVERY, GLOBAL = "all", "-"
_STRANGE = re.compile(r"[^A-Za-z0-9:./-]")


@tool("set_memory key! value:any! session_id expires_in:seconds metadata:object overwrite:bool")
async def set_memory(core: Core, given: Arguments) -> JsonObject:
    """Remember a value for yourself, in a session or without one."""
    key, scope, value = read_key(given), await read_scope(core, given), given.get("value")
    if "value" not in given:
        raise declined("INVALID_INPUT", "A value is needed.", field="value")
    seconds, overwrite = read_expiry(given.get("expires_in")), flag(given, "overwrite", True)
    place = place_of(core, scope, key)
    row = await row_at(core, place)
    before = live(row)
    if before and not overwrite:
        raise exists(key)
    stamp, ends = now(), until(seconds)
    stored = {"key": key, "value": value, "metadata": metadata(given), "updated_at": stamp}
    stored |= {"created_at": before["created_at"] if before else stamp, "expires_at": ends}
    op: JsonObject = {"key": place, "value": stored}
    op |= {"ttl_s": seconds} if seconds and seconds <= DAY else {}
    if not overwrite:
        op["if_rev"] = row["rev"] if row else 0
    try:
        await core.call("writeShared", ops=[op])
    except Conflict:
        raise exists(key) from None
    answer = {"key": key, "scope": named(scope), "session_scoped": scope != GLOBAL}
    return {"success": True, **answer, "expires_at": ends, "stored_at": stamp}


@tool("get_memory key! session_id", reads=True)
async def get_memory(core: Core, given: Arguments) -> JsonObject:
    """A value you set."""
    key, scope = read_key(given), await read_scope(core, given)
    if (stored := live(await row_at(core, place_of(core, scope, key)))) is None:
        raise missing(key, scope)
    return {"success": True, **stored, "scope": named(scope)}


@tool("delete_memory key! session_id")
async def delete_memory(core: Core, given: Arguments) -> JsonObject:
    """Forget a value."""
    key, scope = read_key(given), await read_scope(core, given)
    place = place_of(core, scope, key)
    if live(await row_at(core, place)) is None:
        raise missing(key, scope)
    await core.call("writeShared", ops=[{"key": place, "value": None}])
    return {"success": True, "key": key, "deleted": True, "scope": named(scope)}


@tool("list_memory session_id pattern prefix limit:int", reads=True)
async def list_memory(core: Core, given: Arguments) -> JsonObject:
    """Keys of yours in a scope; session_id 'all' for every scope."""
    every = given.get("session_id") == EVERY
    scope = "" if every else await read_scope(core, given)
    limit = number(given, "limit", 50, 1, 200)
    prefix, pattern = text(given, "prefix", 255, ""), text(given, "pattern", 255, "*")
    rows = [
        {**{name: stored[name] for name in _LISTED}, **where(at), "value_size": size}
        async for at, stored, size in entries(core, scope)
        if stored["key"].startswith(prefix) and fnmatchcase(stored["key"], pattern)
    ]
    rows.sort(key=lambda entry: entry["updated_at"], reverse=True)
    answer = {"count": len(rows[:limit]), "total_count": len(rows)}
    return {"success": True, "entries": rows[:limit], **answer, "scope_filter": scope or EVERY}


async def remembered(core: Core) -> JsonObject:
    """The caller's whole memory by scope, for its resource."""
    answer: JsonObject = {"global": {}, "sessions": {}}
    async for at, stored, _ in entries(core, ""):
        rest = {name: value for name, value in stored.items() if name != "key"}
        of = answer["global"] if at == GLOBAL else answer["sessions"].setdefault(at, {})
        of[stored["key"]] = rest
    return {"agent_id": core.who.label, "memory": answer}


_LISTED = ("key", "created_at", "updated_at", "expires_at")


def place_of(core: Core, scope: str, key: str) -> str:
    """The shared key of a memory: characters that shared keys lack are escaped, and the end of a
    long key is replaced by its hash."""
    plain = _STRANGE.sub(lambda sign: "__" if sign[0] == "_" else f"_{ord(sign[0]):x}.", key)
    if len(plain) > MOST_STORED:
        digest = blake2b(key.encode(), digest_size=16).hexdigest()
        plain = f"{plain[: MOST_STORED - 40]}_h.{digest}"
    return f"{core.who.own}m/{scope}/{plain}"


async def entries(core: Core, scope: str) -> AsyncIterator[tuple[str, JsonObject, int]]:
    """(scope, stored object, bytes of its value) of one scope, or of all for ""."""
    start = f"{core.who.own}m/"
    prefix = f"{start}{scope}/" if scope else start
    after = ""
    for _ in range(MOST_READ // 100):
        answer = await core.call("readShared", prefix=prefix, after=after, limit=100)
        for item in answer["items"]:
            stored, after = item["value"], item["key"]
            if is_live(stored):
                size = len(msgspec.json.encode(stored["value"]))
                yield after[len(start) :].partition("/")[0], stored, size
        if not answer.get("more"):
            return


async def row_at(core: Core, place: str) -> JsonObject | None:
    items: list[JsonObject] = (await core.call("readShared", keys=[place]))["items"]
    return items[0] if items else None


def live(row: JsonObject | None) -> JsonObject | None:
    """The stored object of a row; None without one, or when it has expired."""
    return row["value"] if row and is_live(row["value"]) else None


def is_live(stored: JsonObject) -> bool:
    return stored["expires_at"] is None or stored["expires_at"] > now()


def until(seconds: int) -> str | None:
    if not seconds:
        return None
    ends = datetime.fromtimestamp(time.time() + seconds, UTC)
    return ends.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_key(given: Arguments) -> str:
    key = given.get("key")
    stripped = key.strip() if isinstance(key, str) else ""
    if not 0 < len(stripped) <= MOST_KEY:
        raise declined("INVALID_KEY", "A key has 1 to 255 characters.", field="key")
    if any(sign.isspace() or not sign.isprintable() for sign in stripped):
        raise declined("INVALID_KEY", "A key has no blanks and no control signs.", field="key")
    return stripped


async def read_scope(core: Core, given: Arguments) -> str:
    ident = given.get("session_id")
    if ident is None:
        return GLOBAL
    answer = await core.call("session", action="get", id=ident)
    return str(answer["session"]["id"])


def read_expiry(given: Any) -> int:
    try:
        seconds = -1 if isinstance(given, bool) else int(given or 0)
    except (TypeError, ValueError):
        seconds = -1
    if not 0 <= seconds <= YEAR:
        sentence = "expires_in is a number of seconds, a year at most."
        raise declined("INVALID_TTL_VALUE", sentence, field="expires_in")
    return seconds


def named(scope: str) -> str:
    return "global" if scope == GLOBAL else "session"


def where(scope: str) -> JsonObject:
    return {"scope": named(scope), "session_id": None if scope == GLOBAL else scope}


def missing(key: str, scope: str) -> Exception:
    sentence = f"There is no memory {key} in this scope."
    return declined("MEMORY_NOT_FOUND", sentence, key=key, scope=named(scope))


def exists(key: str) -> Exception:
    return declined("KEY_EXISTS", f"There is a memory {key} already.", key=key)
