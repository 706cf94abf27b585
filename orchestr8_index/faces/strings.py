"""The string cache's keys, values and locks (keys that begin with `lock:`)."""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import Conflict
from ..sharing import MAX_VALUE
from .face import Arguments, Core, Declined, JsonObject, now

TTL, MOST_TTL = 3600, 86_400
LOCK = "lock:"
TRIES, MOST_KEYS = 20, 100
NAMES = ("lockedBy", "agentId", "agent", "owner", "holder")
"""The fields of a lock's value that may name its holder."""
_KEY = re.compile(r"[a-zA-Z0-9:_./-]+")
BAD_KEY = (
    "Invalid key format. Use only alphanumeric characters, colons, underscores, dots, slashes,"
    " and hyphens"
)


def refused(error: str, **more: Any) -> Declined:
    """The exception with which a tool refuses a call."""
    return Declined({"success": False, "error": error, **more})


def read_key(key: Any) -> str:
    """A valid key. Raises Declined, as the other `read_…` functions do."""
    if not isinstance(key, str) or not key:
        raise refused("Key must be a non-empty string")
    if len(key) > 255:
        raise refused("Key exceeds 255 characters")
    if not _KEY.fullmatch(key):
        raise refused(BAD_KEY)
    return key


def read_value(value: Any) -> str:
    """A string of at most 10 MB."""
    if value is None:
        raise refused("Value required")
    if not isinstance(value, str):
        raise refused("Value must be a string")
    if len(value) > MAX_VALUE or len(value.encode("utf-8", "replace")) > MAX_VALUE:
        raise refused("Value exceeds 10MB limit")
    return value


def read_ttl(ttl: Any) -> int:
    """Seconds, by default an hour."""
    if ttl is None:
        return TTL
    is_number = isinstance(ttl, (int, float)) and not isinstance(ttl, bool)
    if not is_number or not 1 <= ttl <= MOST_TTL:
        raise refused("TTL must be 1-86400 seconds")
    return int(ttl)


def done(key: str, **more: Any) -> JsonObject:
    """A tool's answer about a key after success."""
    return {"success": True, "key": key, **more, "timestamp": now()}


def text_of(value: Any) -> str:
    """A value as text: a string as it is, any other (another face may have written it) as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_entry(given: Arguments) -> tuple[str, JsonObject]:
    """(key, entry for `put`) of a tool's arguments."""
    entry = {"value": read_value(given.get("value")), "ttl_s": read_ttl(given.get("ttl"))}
    return read_key(given.get("key")), entry


def read_keys(given: Arguments) -> list[str]:
    """1 to 100 valid keys."""
    keys = given.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise refused(f"Keys must be 1-{MOST_KEYS}")
    return [read_key(key) for key in keys]


def some(given: Arguments, *names: str) -> JsonObject:
    """The arguments of these names that are given and not null."""
    return {name: given[name] for name in names if given.get(name) is not None}


def shown(item: JsonObject) -> JsonObject:
    """A value or a change of one, with its revision, as the tools answer it."""
    value = None if item["value"] is None else text_of(item["value"])
    return {"value": value, "revision": item["rev"], "by": item["by"], "at": item["at"]}


# --- writing: a key below `lock:` is a lock -----------------------------------------------------


async def put(core: Core, entries: dict[str, JsonObject]) -> int:
    """Write all entries or none; gives the revision. An entry has `value` (None deletes), and
    perhaps `ttl_s` and `if_rev`. Raises Declined when another wrote meanwhile, or holds a lock."""
    locks = [key for key in entries if key.startswith(LOCK)]
    for _ in range(TRIES):
        held = await find(core, locks) if locks else {}
        ops = [{"key": k, **e, **guard(core, k, e, held.get(k))} for k, e in entries.items()]
        try:
            return int((await core.call("writeShared", ops=ops))["rev"])
        except Conflict as conflict:
            if not locks or any("if_rev" in entry for entry in entries.values()):
                raise changed(conflict) from None
    raise refused("Locked by others in turn", acquired=False)


def guard(core: Core, key: str, entry: JsonObject, item: JsonObject | None) -> JsonObject:
    """What a lock's write adds: the revision that was read. Raises Declined if another holds it."""
    if not key.startswith(LOCK):
        return {}
    value = entry["value"]
    if item is not None and not renews(core, item, value):
        holder = holder_of(item)
        more = {"acquired": False, "revision": item["rev"], "holder": holder}
        raise refused(f"Locked by {holder}", key=key, **more)
    added: JsonObject = {"if_rev": entry.get("if_rev", item["rev"] if item else 0)}
    return added | {"value": None, "ttl_s": None} if value is None or frees(value) else added


def changed(conflict: Conflict) -> Declined:
    return refused(conflict.sentence, key=conflict.facts["key"], revision=conflict.facts["rev"])


def renews(core: Core, item: JsonObject, value: str | None) -> bool:
    """Whether the writer holds the lock: the caller is the same, and so is the name in the value,
    as agents of one host share a connection."""
    if value is None or item["by"] != core.who.label:
        return bool(item["by"] == core.who.label)
    holder = claimed(text_of(item["value"]))
    return name_in(value) in ("", holder) if frees(value) else claimed(value) == holder


def frees(value: str) -> bool:
    """Whether the value of a lock says that it is released."""
    return fields_of(value).get("released") is True


def holder_of(item: JsonObject) -> str:
    return claimed(text_of(item["value"]))[:100] or str(item["by"])


def claimed(value: str) -> str:
    """The holder that a lock's value names; the whole value when it names none."""
    return name_in(value) or value


def name_in(value: str) -> str:
    fields = fields_of(value)
    return next((str(fields[name]) for name in NAMES if fields.get(name)), "")


def fields_of(value: str) -> JsonObject:
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


async def find(core: Core, keys: list[str]) -> dict[str, JsonObject]:
    """The existing items of these keys, by key."""
    items = (await core.call("readShared", keys=keys))["items"]
    return {item["key"]: item for item in items}
