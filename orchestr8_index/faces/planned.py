"""What the cache had planned beside its three tools: seen at its address with `?all`."""

from __future__ import annotations

import json

from .face import Answer, Arguments, Core, Run, Tool, now, tool
from .strings import (
    LOCK,
    MOST_KEYS,
    done,
    put,
    read_entry,
    read_key,
    read_keys,
    read_ttl,
    read_value,
    refused,
    shown,
    some,
)

LIVES = {"type": "number", "description": "Seconds, 1-86400; 3600 if not given."}


async def list_keys(core: Core, given: Arguments) -> Answer:
    answer = await core.call(
        "readShared", pattern=given.get("pattern") or "*", **some(given, "limit")
    )
    keys = [item["key"] for item in answer["items"]]
    return {"success": True, "keys": keys, "count": len(keys), "more": answer.get("more", False)}


async def get_many(core: Core, given: Arguments) -> Answer:
    answer = await core.call("readShared", keys=read_keys(given))
    entries = {item["key"]: shown(item) for item in answer["items"]}
    return {"success": True, "entries": entries, "more": answer.get("more", False)}


async def set_many(core: Core, given: Arguments) -> Answer:
    listed = given.get("entries")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS:
        raise refused(f"Entries must be 1-{MOST_KEYS}")
    entries = dict(read_entry(each if isinstance(each, dict) else {}) for each in listed)
    if len(entries) < len(listed):
        raise refused("A key is set twice")
    rev = await put(core, entries)
    return {"success": True, "count": len(entries), "revision": rev, "timestamp": now()}


async def compare_and_set(core: Core, given: Arguments) -> Answer:
    (key, entry), expected = read_entry(given), given.get("ifRevision")
    if expected is None:
        raise refused("ifRevision required")
    rev = await put(core, {key: {**entry, "if_rev": expected}})
    return done(key, revision=rev)


async def lock_keys(core: Core, given: Arguments) -> Answer:
    """The same locks as those that are set one by one, all or none."""
    keys, holder = read_keys(given), str(given.get("holder") or core.who.label)[:100]
    value = json.dumps({"lockedBy": holder})
    entry = {"value": value, "ttl_s": read_ttl(given.get("ttl"))}
    rev = await put(core, {read_key(LOCK + key.removeprefix(LOCK)): entry for key in keys})
    return {"success": True, "keys": keys, "acquired": True, "revision": rev, "holder": holder}


async def watch_keys(core: Core, given: Arguments) -> Answer:
    asked = {"changed_after": given.get("afterRevision") or 0, "wait_ms": given.get("waitMs") or 0}
    answer = await core.call("readShared", pattern=given.get("pattern") or "*", **asked)
    wanted = [event for event in answer["events"] if event["kind"] in ("put", "delete")]
    changes = [{"key": each["key"], **shown(each)} for each in wanted]
    return {"success": True, "changes": changes, "revision": answer["rev"]}


async def key_history(core: Core, given: Arguments) -> Answer:
    key = read_key(given.get("key"))
    answer = await core.call("readShared", keys=[key], history=True, **some(given, "limit"))
    return done(key, history=[shown(item) for item in answer["items"]])


async def queue_push(core: Core, given: Arguments) -> Answer:
    queue, value = read_key(given.get("queue")), read_value(given.get("value"))
    sent = {"to": [f"queue:{queue}"], "body": value, **some(given, "priority")}
    return {"success": True, "queue": queue, "id": (await core.call("sendMessage", **sent))["id"]}


async def queue_pull(core: Core, given: Arguments) -> Answer:
    queue = read_key(given.get("queue"))
    asked = {"ack": given.get("ack") or [], "wait_ms": given.get("waitMs") or 0}
    answer = await core.call("readInbox", queue=queue, limit=1, **asked)
    items = [
        {"id": each["id"], "value": each["body"], "priority": each["priority"]}
        for each in answer["messages"]
    ]
    return {"success": True, "queue": queue, "item": items[0] if items else None}


async def stats(core: Core, given: Arguments) -> Answer:
    answer = await core.call("coordination")
    return {"success": True, **{k: answer[k] for k in ("keys", "locks", "rev", "size_mb", "calls")}}


async def snapshot(core: Core, given: Arguments) -> Answer:
    return {"success": True, **await core.call("snapshotShared", **some(given, "prefix"))}


async def restore(core: Core, given: Arguments) -> Answer:
    items = {"items": given.get("items"), **some(given, "prefix")}
    return {"success": True, **await core.call("restoreShared", **items)}


def planned(signature: str, description: str, run: Run) -> Tool:
    return tool(signature, description, run, extra=True, ttl=LIVES)


PLANNED = (
    planned("listKeys pattern limit:int", "Keys like 'task:*'.", list_keys),
    planned("getMany keys:strings!", "Up to 100 keys at once.", get_many),
    planned("setMany entries:objects!", "Up to 100 {key, value, ttl}, all or none.", set_many),
    planned(
        "compareAndSet key! value! ifRevision:int! ttl:ttl",
        "Set a key only over that revision; 0: only if new.",
        compare_and_set,
    ),
    planned("lockKeys keys:strings! ttl:ttl holder", "Lock keys, all or none.", lock_keys),
    planned(
        "watchKeys pattern afterRevision:int waitMs:int",
        "What changed after a revision; waits for it up to 45,000 ms.",
        watch_keys,
    ),
    planned("keyHistory key! limit:int", "What a key was.", key_history),
    planned(
        "queuePush queue! value! priority:int",
        "Put a task into a queue, for one taker; priority 0-3.",
        queue_push,
    ),
    planned(
        "queuePull queue! ack:strings waitMs:int",
        "Take a task. It comes again after 5 minutes unless its id is in the next ack.",
        queue_pull,
    ),
    planned("stats", "Counts and sizes.", stats),
    planned("snapshot prefix", "All values below a prefix (admin).", snapshot),
    planned("restore items:objects! prefix", "Put a snapshot back (admin).", restore),
)
