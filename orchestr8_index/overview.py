"""More methods of the page: usage by day, tool and caller, and the servers of a team."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from .errors import StoreUnavailable
from .queries import NoParams
from .table import Example, Method
from .validate import Params


class UsageQuery(Params, frozen=True, kw_only=True):
    """How many days, in UTC, with today as the last."""

    days: Annotated[int, Meta(ge=1, le=90)] = 30


class UsageCount(Struct, kw_only=True, omit_defaults=True):
    """What was counted of a day, a tool or a caller; `errors` of the `calls` failed. Of a day also
    the sum of `tokens_saved` in its reports, and how many said it."""

    name: str
    calls: int
    errors: int = 0
    tokens: int = 0
    reports: int = 0


class ErrorCount(Struct, frozen=True):
    """How often calls ended with that error."""

    name: str
    times: int


class UsageAnswer(Struct, kw_only=True):
    """Days in order; the rest by how often."""

    days: list[UsageCount]
    tools: list[UsageCount]
    callers: list[UsageCount]
    errors: list[ErrorCount]


class ServerList(Struct, kw_only=True):
    """Each server's name, version, start, generation, `lag_ms`, waiters and `stores`; `own` names
    the one that answers. One that was not heard of for five seconds is not `here`."""

    servers: list[dict[str, Any]]
    own: str


OVERVIEW = (
    Method(
        "getUsage",
        "get_usage",
        UsageQuery,
        UsageAnswer,
        "How much was asked of all servers, of which tools, by whom, and what failed, by day.",
        scope="admin",
        face="page",
        errors=(StoreUnavailable,),
        example=Example(
            '{"days": 1}',
            '{"days": [{"name": "2026-11-28", "calls": 9, "errors": 1, "tokens": 2400, '
            '"reports": 1}], "tools": [{"name": "queryAgents", "calls": 9, "errors": 1}], '
            '"callers": [{"name": "ci", "calls": 9, "errors": 1}], "errors": [{"name": '
            '"InvalidParams", "times": 1}]}',
        ),
    ),
    Method(
        "listServers",
        "list_servers",
        NoParams,
        ServerList,
        "The servers that share one memory: version, generation, lag, waiters and stores.",
        scope="admin",
        face="page",
        example=Example(
            "{}",
            '{"servers": [{"server": "desk-1f", "version": "1.0", "started": '
            '"2026-11-28T08:53:45.778Z", "here": true, "silent_ms": 120, "generation": 3, '
            '"lag_ms": 2, "waiters": 1, "project": "shop", "stores": {"postgres": '
            '"connected"}}], "own": "desk-1f"}',
        ),
    ),
)
