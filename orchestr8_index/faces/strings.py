"""Strings under keys as the cache takes them: read, written, and locked below `lock:`."""

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
"""Where the value of a lock says who has it."""
_KEY = re.compile(r"[a-zA-Z0-9:_./-]+")
BAD_KEY = (
    "Invalid key format. Use only alphanumeric characters, colons, underscores, dots, slashes,"
    " and hyphens"
)


def refused(error: str, **more: Any) -> Declined:
    """What a tool says when it does not do it."""
    return Declined({"success": False, "error": error, **more})


def read_key(key: Any) -> str:
    """Raises Declined, as all that reads here does."""
    if not isinstance(key, str) or not key:
        raise refused("Key must be a non-empty string")
    if len(key) > 255:
        raise refused("Key exceeds 255 characters")
    if not _KEY.fullmatch(key):
        raise refused(BAD_KEY)
    return key


def read_value(value: Any) -> str:
    """A string that is not too long."""
    if value is None:
        raise refused("Value required")
    if not isinstance(value, str):
        raise refused("Value must be a string")
    if len(value) > MAX_VALUE or len(value.encode("utf-8", "replace")) > MAX_VALUE:
        raise refused("Value exceeds 10MB limit")
    return value


def read_ttl(ttl: Any) -> int:
    """Seconds; an hour where none are given."""
    if ttl is None:
        return TTL
    is_number = isinstance(ttl, (int, float)) and not isinstance(ttl, bool)
    if not is_number or not 1 <= ttl <= MOST_TTL:
        raise refused("TTL must be 1-86400 seconds")
    return int(ttl)


def done(key: str, **more: Any) -> JsonObject:
    """What a tool says of a key when it did it."""
    return {"success": True, "key": key, **more, "timestamp": now()}


def text_of(value: Any) -> str:
    """What another face wrote may be no string: then its JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_entry(given: Arguments) -> tuple[str, JsonObject]:
    """A key, and what `put` writes there."""
    entry = {"value": read_value(given.get("value")), "ttl_s": read_ttl(given.get("ttl"))}
    return read_key(given.get("key")), entry


def read_keys(given: Arguments) -> list[str]:
    """A list of keys that is not too long."""
    keys = given.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise refused(f"Keys must be 1-{MOST_KEYS}")
    return [read_key(key) for key in keys]


def some(given: Arguments, *names: str) -> JsonObject:
    """Those of the arguments that are given."""
    return {name: given[name] for name in names if given.get(name) is not None}


def shown(item: JsonObject) -> JsonObject:
    """A value, or what became of it, with its revision."""
    value = None if item["value"] is None else text_of(item["value"])
    return {"value": value, "revision": item["rev"], "by": item["by"], "at": item["at"]}


# --- writing: what is below `lock:` is a lock ---------------------------------------------------


async def put(core: Core, entries: dict[str, JsonObject]) -> int:
    """Write all or none; the revision. An entry has `value` (null deletes) and perhaps `ttl_s` and
    `if_rev`. One who looked and then sets may find that another was faster, and is refused."""
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
    """What a write of a lock adds: it goes over the lock as it was seen, and only its holder's."""
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
    """Whether it is the holder who writes: the same caller, and the same name in the value, as
    agents of one host share its connection."""
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
    """Whom a lock's value names; where it names nobody, the value itself."""
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
    """The items that are there, by their keys."""
    items = (await core.call("readShared", keys=keys))["items"]
    return {item["key"]: item for item in items}
