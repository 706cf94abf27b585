"""The cache of strings: what its users' programs send, and what they expect to hear."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.sharing import MAX_VALUE
from orchestr8_index.tokens import estimate_tokens

from ..serve.mcp.meeting import ERAS, Era
from .meeting import Told, Town, Work, agent, holder, in_town, tool, visiting

Run = Callable[[Work], Any]
VALID = [
    *("task:7", "task:7.2", "status:impl-3:7.2", "lock:src/api/user.py", "lock:pkg/mod.rs"),
    *("msg:ada:bob:1712345678", "progress:all", "agent:ada-1:state", "plain", "under_score"),
    *("hy-phen", "do.t", "co:lon", "sla/sh"),
]
INVALID = [f"a{sign}b" for sign in " @#$%^&*()[]{}|\\;'\"<>?!~`+=,é\n\t"]
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def run(tmp_path: Path, shipped_index: Index) -> Run:
    return functools.partial(in_town, tmp_path, shipped_index, "cache?all")


def asked(run: Run, name: str, **given: Any) -> Told:
    async def work(here: Town) -> Told:
        return await here.ask(agent("ada"), name, **given)

    told: Told = run(work)
    return told


@pytest.mark.parametrize("era", ERAS)
@visiting
async def test_a_value_is_set_got_and_deleted(here: Town, era: Era) -> None:
    async with here.client("ada", era=era) as ada:
        told = await tool(ada, "setStorage", key="task:1", value="now")
        assert told.keys() == {"success", "key", "timestamp"} and ISO.fullmatch(told["timestamp"])
        told = await tool(ada, "getStorage", key="task:1")
        assert (told["value"], told["exists"]) == ("now", True)
        assert (await tool(ada, "deleteStorage", key="task:1"))["deleted"] is True
        assert (await tool(ada, "deleteStorage", key="task:1"))["deleted"] is False
        told = await tool(ada, "getStorage", key="task:1")
        assert (told["value"], told["exists"], told["success"]) == (None, False, True)
        assert await tool(ada, "fly") == {"success": False, "error": "Unknown tool: fly"}


@pytest.mark.parametrize("key", VALID)
def test_a_good_key_is_taken(run: Run, key: str) -> None:
    assert asked(run, "setStorage", key=key, value="")["key"] == key


@pytest.mark.parametrize("key", INVALID)
def test_a_bad_key_is_refused(run: Run, key: str) -> None:
    for name in ("setStorage", "getStorage", "deleteStorage"):
        told = asked(run, name, key=key, value="v")
        assert told["success"] is False and told["error"].startswith("Invalid key format. Use only")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"key": "", "value": "v"}, "Key must be a non-empty string"),
        ({"key": 5, "value": "v"}, "Key must be a non-empty string"),
        ({"value": "v"}, "Key must be a non-empty string"),
        ({"key": "k" * 256, "value": "v"}, "Key exceeds 255 characters"),
        ({"key": "k"}, "Value required"),
        ({"key": "k", "value": None}, "Value required"),
        ({"key": "k", "value": 5}, "Value must be a string"),
        ({"key": "k", "value": "v", "ttl": 0}, "TTL must be 1-86400 seconds"),
        ({"key": "k", "value": "v", "ttl": -1}, "TTL must be 1-86400 seconds"),
        ({"key": "k", "value": "v", "ttl": 86401}, "TTL must be 1-86400 seconds"),
        ({"key": "k", "value": "v", "ttl": "60"}, "TTL must be 1-86400 seconds"),
        ({"key": "k", "value": "v", "ttl": True}, "TTL must be 1-86400 seconds"),
        ({"key": "k", "value": "x" * (MAX_VALUE + 1)}, "Value exceeds 10MB limit"),
        ({"key": "k", "value": "é" * (MAX_VALUE // 2 + 1)}, "Value exceeds 10MB limit"),
    ],
)
def test_what_cannot_be_set_is_told(run: Run, given: Told, error: str) -> None:
    assert asked(run, "setStorage", **given) == {"success": False, "error": error}


@visiting
async def test_the_largest_value_and_the_longest_key_are_taken(here: Town) -> None:
    key, value = "k" * 255, "x\n" * (MAX_VALUE // 2)
    assert (await here.ask(agent("ada"), "setStorage", key=key, value=value, ttl=86400))["key"]
    assert (await here.ask(agent("bob"), "getStorage", key=key))["value"] == value


@visiting
async def test_what_another_face_wrote_is_read_as_its_json(here: Town) -> None:
    from orchestr8_index.serve.faces import ServedCore

    await ServedCore(here.state).call("writeShared", ops=[{"key": "k", "value": {"a": [1]}}])
    assert (await here.ask(agent("ada"), "getStorage", key="k"))["value"] == '{"a": [1]}'


# --- locks -------------------------------------------------------------------------------------


def lock_of(name: str) -> str:
    return json.dumps({"lockedBy": name})


@pytest.mark.parametrize("kind", ["by name", "of one program", "of one value"])
@visiting
async def test_the_race_of_get_then_set_has_one_winner(here: Town, kind: str) -> None:
    """Twelve see the key free, and only then does each of them set it."""
    names = [f"agent-{n}" for n in range(12)]
    for turn in range(5):
        key = f"lock:file-{turn}"
        values = [n if kind == "of one value" else lock_of(n) for n in names]
        callers = [agent(n if kind == "by name" else "host") for n in names]
        seen = [await here.ask(each, "getStorage", key=key) for each in callers]
        assert not any(each["exists"] for each in seen)
        sets = [
            here.ask(each, "setStorage", key=key, value=value)
            for each, value in zip(callers, values, strict=True)
        ]
        told = await asyncio.gather(*sets)
        (winner,) = (n for n, each in enumerate(told) if each["success"])
        assert told[winner]["acquired"] is True and told[winner]["holder"] == names[winner]
        for lost in (each for each in told if not each["success"]):
            assert lost["error"] == f"Locked by {names[winner]}"
            assert (lost["acquired"], lost["holder"]) == (False, names[winner])
            assert lost["revision"] == told[winner]["revision"]
        got = await here.ask(agent("x"), "getStorage", key=key)
        assert got["value"] == values[winner]


@visiting
async def test_anothers_release_frees_nothing(here: Town) -> None:
    key, free = "lock:a", json.dumps({"released": True})
    await here.ask(agent("ada"), "setStorage", key=key, value=lock_of("ada"))
    told = await here.ask(agent("bob"), "setStorage", key=key, value=free)
    assert told["error"] == "Locked by ada"
    assert (await here.ask(agent("bob"), "deleteStorage", key=key))["deleted"] is False
    assert (await here.ask(agent("bob"), "getStorage", key=key))["value"] == lock_of("ada")
    told = await here.ask(agent("ada"), "setStorage", key=key, value=free)
    assert (told["success"], told["acquired"], told["holder"]) == (True, False, None)
    assert (await here.ask(agent("bob"), "getStorage", key=key))["exists"] is False
    told = await here.ask(agent("bob"), "setStorage", key=key, value=lock_of("bob"))
    assert told["acquired"] is True
    assert (await here.ask(agent("bob"), "deleteStorage", key=key))["deleted"] is True


@visiting
async def test_of_agents_on_one_connection_each_frees_what_it_names(here: Town) -> None:
    host, key = agent("host"), "lock:a"
    await here.ask(host, "setStorage", key=key, value=lock_of("ada"))
    free = json.dumps({"released": True, "lockedBy": "bob"})
    told = await here.ask(host, "setStorage", key=key, value=free)
    assert told["error"] == "Locked by ada"
    free = json.dumps({"released": True, "lockedBy": "ada"})
    assert (await here.ask(host, "setStorage", key=key, value=free))["success"]


@visiting
async def test_a_holder_renews_its_lock(here: Town) -> None:
    value = json.dumps({"lockedBy": "ada", "at": 1})
    first = await here.ask(agent("ada"), "setStorage", key="lock:a", value=value, ttl=5)
    value = json.dumps({"lockedBy": "ada", "at": 2})
    again = await here.ask(agent("ada"), "setStorage", key="lock:a", value=value, ttl=900)
    assert again["acquired"] and again["revision"] > first["revision"]


@visiting
async def test_only_keys_below_lock_are_locks(here: Town) -> None:
    for key in ("locks:a", "clock:a", "task:lock:a"):
        for name in ("ada", "bob"):
            told = await here.ask(agent(name), "setStorage", key=key, value=name)
            assert told["success"] and "acquired" not in told


def test_the_three_tools_are_within_their_budget(tmp_path: Path, shipped_index: Index) -> None:
    async def work(here: Town) -> Any:
        async with here.client("ada") as ada:
            return (await ada.list_tools()).tools

    tools = in_town(tmp_path, shipped_index, "cache", work)
    assert [each.name for each in tools] == ["setStorage", "getStorage", "deleteStorage"]
    sent = [each.model_dump(by_alias=True, exclude_none=True) for each in tools]
    assert estimate_tokens(json.dumps(sent, separators=(",", ":"))) <= 450


# --- what it had planned -----------------------------------------------------------------------


@visiting
async def test_many_keys_are_set_listed_and_got(here: Town) -> None:
    ada = agent("ada")
    entries = [{"key": f"task:{n}", "value": str(n)} for n in range(100)]
    assert (await here.ask(ada, "setMany", entries=entries))["count"] == 100
    listed = await here.ask(ada, "listKeys", pattern="task:1*")
    assert listed["keys"] == ["task:1", *(f"task:{n}" for n in range(10, 20))]
    got = (await here.ask(ada, "getMany", keys=["task:1", "none"]))["entries"]
    assert got.keys() == {"task:1"} and got["task:1"]["value"] == "1"
    large = [{"key": f"big:{n}", "value": "x" * 9_000_000} for n in range(3)]
    for each in large:
        await here.ask(ada, "setStorage", **each)
    told = await here.ask(ada, "getMany", keys=[each["key"] for each in large])
    assert told["more"] is True and 0 < len(told["entries"]) < 3
    for bad in ([], entries + entries[:1], [entries[0]] * 2, [{"key": "a b", "value": ""}]):
        assert not (await here.ask(ada, "setMany", entries=bad))["success"]


@visiting
async def test_a_set_over_another_revision_is_refused(here: Town) -> None:
    ada = agent("ada")
    first = await here.ask(ada, "compareAndSet", key="k", value="1", ifRevision=0)
    told = await here.ask(ada, "compareAndSet", key="k", value="2", ifRevision=0)
    assert (told["success"], told["revision"]) == (False, first["revision"])
    rev = told["revision"]
    assert (await here.ask(ada, "compareAndSet", key="k", value="2", ifRevision=rev))["success"]
    assert not (await here.ask(ada, "compareAndSet", key="k", value="3"))["success"]
    told = await here.ask(ada, "keyHistory", key="k")
    assert [each["value"] for each in told["history"]] == ["2", "1"]


@visiting
async def test_no_way_around_a_lock(here: Town) -> None:
    bob = agent("bob")
    held = await here.ask(agent("ada"), "lockKeys", keys=["a", "b"], ttl=60)
    assert held["acquired"] and held["holder"] == "ada"
    assert not (await here.ask(bob, "lockKeys", keys=["c", "b"]))["success"]
    assert not (await here.ask(bob, "getStorage", key="lock:c"))["exists"]
    one = {"key": "lock:a", "value": "bob"}
    assert not (await here.ask(bob, "setStorage", **one))["success"]
    assert not (await here.ask(bob, "setMany", entries=[{"key": "x", "value": "1"}, one]))[
        "success"
    ]
    assert not (await here.ask(bob, "getStorage", key="x"))["exists"]
    rev = held["revision"]
    assert not (await here.ask(bob, "compareAndSet", **one, ifRevision=rev))["success"]
    assert (await here.ask(agent("ada"), "deleteStorage", key="lock:a"))["deleted"]
    assert (await here.ask(bob, "lockKeys", keys=["a"]))["acquired"]


@visiting
async def test_a_watch_hears_the_next_change(here: Town) -> None:
    ada, bob = agent("ada"), agent("bob")
    await here.ask(ada, "setStorage", key="task:1", value="old")
    rev = (await here.ask(ada, "watchKeys", pattern="task:*"))["revision"]
    asked = here.ask(ada, "watchKeys", pattern="task:*", afterRevision=rev, waitMs=20_000)
    waiting = asyncio.create_task(asked)
    await asyncio.sleep(0)
    await here.ask(bob, "setStorage", key="else", value="x")
    await here.ask(bob, "setStorage", key="task:1", value="new")
    (change,) = (await waiting)["changes"]
    assert (change["key"], change["value"], change["by"]) == ("task:1", "new", "bob")
    await here.ask(bob, "deleteStorage", key="task:1")
    told = await here.ask(ada, "watchKeys", afterRevision=change["revision"])
    assert [each["value"] for each in told["changes"]] == [None]


@visiting
async def test_a_queue_gives_the_most_urgent_task_to_one(here: Town) -> None:
    for value, priority in (("later", 0), ("now", 3), ("soon", 2)):
        await here.ask(agent("boss"), "queuePush", queue="q", value=value, priority=priority)
    names = ("ada", "bob", "cy", "dan")
    pulled = [await here.ask(agent(name), "queuePull", queue="q") for name in names]
    values = [each["item"] and each["item"]["value"] for each in pulled]
    assert values == ["now", "soon", "later", None]
    ended = await here.ask(agent("ada"), "queuePull", queue="q", ack=[pulled[0]["item"]["id"]])
    assert ended["item"] is None
    assert not (await here.ask(agent("a"), "queuePush", queue="q", value="", priority=9))["success"]


@visiting
async def test_a_snapshot_is_put_back(here: Town) -> None:
    ada = agent("ada")
    await here.ask(ada, "setMany", entries=[{"key": f"p/{n}", "value": "1"} for n in range(3)])
    kept = await here.ask(ada, "snapshot", prefix="p/")
    await here.ask(ada, "setStorage", key="p/1", value="2")
    await here.ask(ada, "setStorage", key="p/9", value="2")
    await here.ask(ada, "restore", items=kept["items"], prefix="p/")
    assert (await here.ask(ada, "listKeys", pattern="p/*"))["count"] == 3
    assert (await here.ask(ada, "getStorage", key="p/1"))["value"] == "1"
    told = await here.ask(holder("ci", "report"), "snapshot", prefix="p/")
    assert told == {
        "success": False,
        "error": "This key may report; that needs the scope admin.",
    }
    assert (await here.ask(ada, "stats"))["keys"] == 3


@visiting
async def test_a_key_that_may_only_read_writes_nothing(here: Town) -> None:
    guest = holder("guest", "read")
    for name, given in (
        ("setStorage", {"key": "k", "value": "v"}),
        ("setMany", {"entries": [{"key": "k", "value": "v"}]}),
        ("lockKeys", {"keys": ["k"]}),
        ("queuePush", {"queue": "q", "value": "v"}),
    ):
        told = await here.ask(guest, name, **given)
        assert told["error"] == "This key may read; that needs the scope report."
    assert (await here.ask(guest, "getStorage", key="k"))["exists"] is False


def test_what_was_planned_is_shown_to_the_curious_alone(
    tmp_path: Path, shipped_index: Index
) -> None:
    async def work(here: Town) -> Any:
        async with here.client("ada") as ada:
            told = await ada.call_tool("stats", {})
            return len((await ada.list_tools()).tools), bool(told.is_error)

    assert in_town(tmp_path / "a", shipped_index, "cache", work) == (3, True)
    assert in_town(tmp_path / "b", shipped_index, "cache?all", work) == (15, False)
