"""The face of a string cache that agents share: set, get and delete by key. With `?all` also the
further tools that the original product had planned."""

from __future__ import annotations

import json

from ..errors import InvalidParams, MethodNotFound, RequestError
from .face import Arguments, Core, Declined, JsonObject, Product, now, tool
from .strings import (
    LOCK,
    MOST_KEYS,
    claimed,
    done,
    find,
    frees,
    put,
    read_entry,
    read_key,
    read_keys,
    read_ttl,
    read_value,
    refused,
    renews,
    shown,
    some,
    text_of,
)


@tool("setStorage key! value:json! ttl:ttl")
async def set_storage(core: Core, given: Arguments) -> JsonObject:
    """Store a string for other agents. Namespace keys: 'task:1', 'status:ada'. A 'lock:' key that
    another holds is refused; the value {"released":true} frees yours."""
    key, entry = read_entry(given)
    rev = await put(core, {key: entry})
    if not key.startswith(LOCK):
        return done(key)
    holder = None if frees(entry["value"]) else claimed(entry["value"])[:100]
    return done(key, acquired=holder is not None, revision=rev, holder=holder)


@tool("getStorage key!", reads=True)
async def get_storage(core: Core, given: Arguments) -> JsonObject:
    """The value of a key."""
    key = read_key(given.get("key"))
    item = (await find(core, [key])).get(key)
    return done(key, value=text_of(item["value"]) if item else None, exists=item is not None)


@tool("deleteStorage key!")
async def delete_storage(core: Core, given: Arguments) -> JsonObject:
    """Delete a key; one that is not there is no error."""
    key = read_key(given.get("key"))
    item = (await find(core, [key])).get(key)
    if item is None or (key.startswith(LOCK) and not renews(core, item, None)):
        return done(key, deleted=False)
    rev = {"if_rev": item["rev"]} if key.startswith(LOCK) else {}
    try:
        await put(core, {key: {"value": None, **rev}})
    except Declined:  # another agent took the lock meanwhile
        return done(key, deleted=False)
    return done(key, deleted=True)


# --- further tools: with `?all` ---------------------------------------------------------------


@tool("listKeys pattern limit:int", extra=True)
async def list_keys(core: Core, given: Arguments) -> JsonObject:
    """Keys like 'task:*'."""
    answer = await core.call(
        "readShared", pattern=given.get("pattern") or "*", **some(given, "limit")
    )
    keys = [item["key"] for item in answer["items"]]
    return {"success": True, "keys": keys, "count": len(keys), "more": answer.get("more", False)}


@tool("getMany keys:strings!", extra=True)
async def get_many(core: Core, given: Arguments) -> JsonObject:
    """Up to 100 keys at once."""
    answer = await core.call("readShared", keys=read_keys(given))
    entries = {item["key"]: shown(item) for item in answer["items"]}
    return {"success": True, "entries": entries, "more": answer.get("more", False)}


@tool("setMany entries:objects!", extra=True)
async def set_many(core: Core, given: Arguments) -> JsonObject:
    """Up to 100 {key, value, ttl}, all or none."""
    listed = given.get("entries")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS:
        raise refused(f"Entries must be 1-{MOST_KEYS}")
    entries = dict(read_entry(each if isinstance(each, dict) else {}) for each in listed)
    if len(entries) < len(listed):
        raise refused("A key is set twice")
    rev = await put(core, entries)
    return {"success": True, "count": len(entries), "revision": rev, "timestamp": now()}


@tool("compareAndSet key! value! ifRevision:int! ttl:ttl", extra=True)
async def compare_and_set(core: Core, given: Arguments) -> JsonObject:
    """Set a key only over that revision; 0: only if new."""
    (key, entry), expected = read_entry(given), given.get("ifRevision")
    if expected is None:
        raise refused("ifRevision required")
    rev = await put(core, {key: {**entry, "if_rev": expected}})
    return done(key, revision=rev)


@tool("lockKeys keys:strings! ttl:ttl holder", extra=True)
async def lock_keys(core: Core, given: Arguments) -> JsonObject:
    """Lock keys, all or none."""
    keys, holder = read_keys(given), str(given.get("holder") or core.who.label)[:100]
    value = json.dumps({"lockedBy": holder})
    entry = {"value": value, "ttl_s": read_ttl(given.get("ttl"))}
    rev = await put(core, {read_key(LOCK + key.removeprefix(LOCK)): entry for key in keys})
    return {"success": True, "keys": keys, "acquired": True, "revision": rev, "holder": holder}


@tool("watchKeys pattern afterRevision:int waitMs:int", extra=True)
async def watch_keys(core: Core, given: Arguments) -> JsonObject:
    """What changed after a revision; waits for it up to 45,000 ms."""
    since = {"changed_after": given.get("afterRevision") or 0, "wait_ms": given.get("waitMs") or 0}
    answer = await core.call("readShared", pattern=given.get("pattern") or "*", **since)
    wanted = [event for event in answer["events"] if event["kind"] in ("put", "delete")]
    changes = [{"key": each["key"], **shown(each)} for each in wanted]
    return {"success": True, "changes": changes, "revision": answer["rev"]}


@tool("keyHistory key! limit:int", extra=True)
async def key_history(core: Core, given: Arguments) -> JsonObject:
    """What a key was."""
    key = read_key(given.get("key"))
    answer = await core.call("readShared", keys=[key], history=True, **some(given, "limit"))
    return done(key, history=[shown(item) for item in answer["items"]])


@tool("queuePush queue! value! priority:int", extra=True)
async def queue_push(core: Core, given: Arguments) -> JsonObject:
    """Put a task into a queue, for one taker; priority 0-3."""
    queue, value = read_key(given.get("queue")), read_value(given.get("value"))
    params = {"to": [f"queue:{queue}"], "body": value, **some(given, "priority")}
    return {"success": True, "queue": queue, "id": (await core.call("sendMessage", **params))["id"]}


@tool("queuePull queue! ack:strings waitMs:int", extra=True)
async def queue_pull(core: Core, given: Arguments) -> JsonObject:
    """Take a task. It comes again after 5 minutes unless its id is in the next ack."""
    queue = read_key(given.get("queue"))
    params = {"ack": given.get("ack") or [], "wait_ms": given.get("waitMs") or 0}
    answer = await core.call("readInbox", queue=queue, limit=1, **params)
    items = [
        {"id": each["id"], "value": each["body"], "priority": each["priority"]}
        for each in answer["messages"]
    ]
    return {"success": True, "queue": queue, "item": items[0] if items else None}


@tool("stats", extra=True)
async def stats(core: Core, given: Arguments) -> JsonObject:
    """Counts and sizes."""
    answer = await core.call("coordination")
    return {"success": True, **{k: answer[k] for k in ("keys", "locks", "rev", "size_mb", "calls")}}


@tool("snapshot prefix", extra=True)
async def snapshot(core: Core, given: Arguments) -> JsonObject:
    """All values below a prefix (admin)."""
    return {"success": True, **await core.call("snapshotShared", **some(given, "prefix"))}


@tool("restore items:objects! prefix", extra=True)
async def restore(core: Core, given: Arguments) -> JsonObject:
    """Put a snapshot back (admin)."""
    items = {"items": given.get("items"), **some(given, "prefix")}
    return {"success": True, **await core.call("restoreShared", **items)}


# --- the face ----------------------------------------------------------------------------------


def failed(error: RequestError) -> JsonObject:
    """The body for an error of a method, in the format of the original product."""
    message = error.sentence
    if isinstance(error, InvalidParams):
        message = "; ".join(error.problems.values())
    if isinstance(error, MethodNotFound):
        message = f"Unknown tool: {message}"
    return {"success": False, "error": message}


FACE = Product(
    tools=(
        set_storage,
        get_storage,
        delete_storage,
        list_keys,
        get_many,
        set_many,
        compare_and_set,
        lock_keys,
        watch_keys,
        key_history,
        queue_push,
        queue_pull,
        stats,
        snapshot,
        restore,
    ),
    instructions="Strings that agents share, by key, until their ttl ends.",
    failed=failed,
    by_session=True,
)
