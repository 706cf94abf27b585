"""A cache of strings that agents share: set, get and delete by key, and what it had planned."""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import Conflict, InvalidParams, MethodNotFound, RequestError
from ..sharing import MAX_VALUE
from .face import Answer, Arguments, Core, Declined, Product, Tool, now

TTL, MOST_TTL = 3600, 86_400
LOCK = "lock:"
TRIES = 20
NAMES = ("lockedBy", "agentId", "agent", "owner", "holder")
"""Where the value of a lock says who has it."""
_KEY = re.compile(r"[a-zA-Z0-9:_./-]+")
BAD_KEY = (
    "Invalid key format. Use only alphanumeric characters, colons, underscores, dots, slashes,"
    " and hyphens"
)


def refused(error: str, **more: Any) -> Declined:
    return Declined({"success": False, "error": error, **more})


def read_key(key: Any) -> str:
    if not isinstance(key, str) or not key:
        raise refused("Key must be a non-empty string")
    if len(key) > 255:
        raise refused("Key exceeds 255 characters")
    if not _KEY.fullmatch(key):
        raise refused(BAD_KEY)
    return key


def read_value(value: Any) -> str:
    if value is None:
        raise refused("Value required")
    if not isinstance(value, str):
        raise refused("Value must be a string")
    if len(value) > MAX_VALUE or len(value.encode("utf-8", "replace")) > MAX_VALUE:
        raise refused("Value exceeds 10MB limit")
    return value


def read_ttl(ttl: Any) -> int:
    if ttl is None:
        return TTL
    is_number = isinstance(ttl, (int, float)) and not isinstance(ttl, bool)
    if not is_number or not 1 <= ttl <= MOST_TTL:
        raise refused("TTL must be 1-86400 seconds")
    return int(ttl)


def done(key: str, **more: Any) -> Answer:
    return {"success": True, "key": key, **more, "timestamp": now()}


def text_of(value: Any) -> str:
    """What another face wrote may be no string: then its JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- the three tools ---------------------------------------------------------------------------


async def set_storage(core: Core, given: Arguments) -> Answer:
    key, value = read_key(given.get("key")), read_value(given.get("value"))
    ttl = read_ttl(given.get("ttl"))
    if key.startswith(LOCK):
        return await set_lock(core, key, value, ttl)
    await core.call("writeShared", ops=[{"key": key, "value": value, "ttl_s": ttl}])
    return done(key)


async def get_storage(core: Core, given: Arguments) -> Answer:
    key = read_key(given.get("key"))
    item = await find(core, key)
    return done(key, value=text_of(item["value"]) if item else None, exists=item is not None)


async def delete_storage(core: Core, given: Arguments) -> Answer:
    key = read_key(given.get("key"))
    for _ in range(TRIES):
        item = await find(core, key)
        if item is None or (key.startswith(LOCK) and item["by"] != core.who.label):
            break
        try:
            await core.call("writeShared", ops=[{"key": key, "value": None, "if_rev": item["rev"]}])
            return done(key, deleted=True)
        except Conflict:
            continue
    return done(key, deleted=False)


async def find(core: Core, key: str) -> Answer | None:
    items = (await core.call("readShared", keys=[key]))["items"]
    return items[0] if items else None


# --- locks: keys below `lock:` -----------------------------------------------------------------


async def set_lock(core: Core, key: str, value: str, ttl: int) -> Answer:
    """One who looked and then sets may find that another was faster, and is refused."""
    for _ in range(TRIES):
        item = await find(core, key)
        if item is not None and not renews(core, item, value):
            holder = holder_of(item)
            more = {"acquired": False, "revision": item["rev"], "holder": holder}
            raise refused(f"Locked by {holder}", key=key, **more)
        is_release = frees(value)
        if is_release and item is None:
            return done(key, acquired=False, revision=0, holder=None)
        op: Answer = {"key": key, "if_rev": item["rev"] if item else 0}
        op |= {"value": None} if is_release else {"value": value, "ttl_s": ttl}
        try:
            rev = (await core.call("writeShared", ops=[op]))["rev"]
        except Conflict:
            continue
        has_it = None if is_release else claimed(value)[:100]
        return done(key, acquired=not is_release, revision=rev, holder=has_it)
    raise refused("Locked by others in turn", key=key, acquired=False)


def renews(core: Core, item: Answer, value: str) -> bool:
    """Whether it is the holder who sets: the same caller, and the same name in the value, as
    agents of one host share its connection."""
    if item["by"] != core.who.label:
        return False
    return frees(value) or claimed(value) == claimed(text_of(item["value"]))


def frees(value: str) -> bool:
    return fields_of(value).get("released") is True


def holder_of(item: Answer) -> str:
    return claimed(text_of(item["value"]))[:100] or str(item["by"])


def claimed(value: str) -> str:
    """Whom a lock's value names; where it names nobody, the value itself."""
    fields = fields_of(value)
    return next((str(fields[name]) for name in NAMES if fields.get(name)), value)


def fields_of(value: str) -> Answer:
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


# --- the face ----------------------------------------------------------------------------------


def failed(error: RequestError) -> Answer:
    """In the words that this product's callers know."""
    said = error.sentence
    if isinstance(error, InvalidParams):
        said = "; ".join(error.problems.values())
    if isinstance(error, MethodNotFound):
        said = f"Unknown tool: {said}"
    return {"success": False, "error": said}


KEY = {"type": "string"}
FACE = Product(
    tools=(
        Tool(
            "setStorage",
            "Store a string for other agents. Namespace keys: 'task:1', 'status:ada'. A 'lock:' key"
            ' that another holds is refused; the value {"released":true} frees yours.',
            {
                "key": KEY,
                "value": {"type": "string", "description": "Often JSON."},
                "ttl": {"type": "number", "description": "Seconds, 1-86400; 3600 if not given."},
            },
            ("key", "value"),
            set_storage,
        ),
        Tool(
            "getStorage", "The value of a key, or null.", {"key": KEY}, ("key",), get_storage, True
        ),
        Tool(
            "deleteStorage",
            "Delete a key; one that is not there is no error.",
            {"key": KEY},
            ("key",),
            delete_storage,
        ),
    ),
    instructions="Strings that agents share, by key, until their ttl ends.",
    failed=failed,
    by_session=True,
)
