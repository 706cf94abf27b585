"""The shared state through the server: JSON-RPC, headers, keys, waiting and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.changeable import PREFIX
from orchestr8_index.config import Door
from orchestr8_index.serve.changes import NAME, ChangedSettings
from orchestr8_index.serve.events import KeyChanged
from orchestr8_index.serve.keys import KeyFile

from .sites import Run, Site


def test_values_locks_and_messages_go_over_the_wire(run: Run) -> None:
    async def work(site: Site) -> None:
        await site.call("writeShared", "ada", ops=[{"key": "x", "value": {"n": 1.50}}])
        read = await site.call("readShared", keys=["x"])
        assert read["items"][0]["value"] == {"n": 1.5} and read["items"][0]["by"] == "ada"
        held = await site.call("lockResources", "ada", action="acquire", resources=["src/a.py"])
        listed = await site.call("lockResources", action="list")
        assert listed["locks"][0]["resource"] == "/work/tree/src/a.py"
        sent = await site.call("sendMessage", "ada", to=["bob"], body="hi", metadata={"a": 1})
        inbox = await site.call("readInbox", "bob")
        assert inbox["messages"][0]["id"] == sent["id"]
        assert inbox["messages"][0]["metadata"] == {"a": 1}
        await site.call("lockResources", "ada", action="release", token=held["token"])
        told = await site.call("coordination")
        assert {each["name"] for each in told["agents"]} >= {"ada", "bob"}

    run(work)


@pytest.mark.parametrize(
    ("code", "status", "method", "params"),
    [
        (-32040, 409, "writeShared", {"ops": [{"key": "x", "value": 1, "if_rev": 7}]}),
        (-32041, 409, "lockResources", {"action": "renew", "token": "1.x"}),
        (-32042, 423, "lockResources", {"action": "acquire", "resources": ["taken:1"]}),
        (-32045, 404, "session", {"action": "get", "id": "none"}),
        (-32602, 400, "readShared", {}),
        (-32602, 400, "writeShared", {"ops": [{"key": "a b", "value": 1}]}),
        (-32602, 400, "lockResources", {"action": "acquire", "resources": ["../../x"]}),
    ],
)
def test_a_refusal_has_its_code_and_its_next_step(
    run: Run, code: int, status: int, method: str, params: dict[str, Any]
) -> None:
    async def work(site: Site) -> None:
        await site.call("lockResources", "bob", action="acquire", resources=["taken:1"])
        found, error = await site.error(method, "ada", **params)
        assert (found, error["code"]) == (status, code)
        assert error["data"]["cure"]

    run(work)


def test_a_compacted_cursor_is_410(run: Run) -> None:
    async def work(site: Site) -> None:
        await site.call("writeShared", "ada", ops=[{"key": "x", "value": 1}])
        assert site.state.shared
        shared = await site.state.shared.state()

        def forget(connection: Any) -> None:
            from orchestr8_index.coordinate.journal import set_oldest

            set_oldest(connection, 1 << 30)

        await shared.store.write(forget)
        status, error = await site.error("readShared", prefix="", changed_after=5)
        assert (status, error["code"], error["data"]["oldest"]) == (410, -32044, 1 << 30)

    run(work)


def test_nothing_is_opened_before_the_first_call(run: Run, tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        await site.call("queryAgents", context="review code")
        assert not (tmp_path / "data" / "coordinate.db").exists()
        await site.call("readShared", prefix="")
        assert (tmp_path / "data" / "coordinate.db").exists()

    run(work)


def test_a_call_that_waits_ends_when_the_server_stops(run: Run) -> None:
    async def work(site: Site) -> None:
        waiting = asyncio.ensure_future(
            site.error("readShared", prefix="", changed_after=0, wait_ms=45_000)
        )
        await site.until_waiting(1)
        site.state.ending.set()
        status, error = await waiting
        assert (status, error["code"]) == (503, -32002)

    run(work)


def test_a_caller_is_who_its_key_says(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    key = KeyFile(tmp_path / "data").add("team", "report", ("x", "task/*"))

    async def work(site: Site) -> None:
        ops = [{"key": "x", "value": 1}]
        await site.reply("writeShared", "boss", key, ops=ops)
        beside = await site.reply("writeShared", key=key, ops=[*ops, {"key": "y", "value": 1}])
        assert (beside.status_code, beside.json()["error"]["code"]) == (403, -32031)
        assert "may not write y" in beside.json()["error"]["message"]
        read = (await site.reply("readShared", key=key, keys=["x"])).json()["result"]
        assert read["items"][0]["by"] == "team/boss"
        refused = await site.reply("breakLock", "boss", key, resource="x:1", reason="mine")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, -32031)

    run(work, door=Door(require_keys=True))


def test_a_call_that_waits_ends_with_its_key(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    key = KeyFile(tmp_path / "data").add("team", "report")

    async def work(site: Site) -> None:
        waiting = asyncio.ensure_future(site.reply("readInbox", "agent", key, wait_ms=45_000))
        await site.until_waiting(1)
        site.state.events.publish(KeyChanged("team", "key revoked"))
        assert (await waiting).status_code == 401

    run(work, door=Door(require_keys=True))


@pytest.mark.parametrize("headers", [{"x-agent": "a b"}, {"x-tree": "relative/path"}])
def test_a_name_or_a_folder_that_cannot_be_one_is_refused(
    run: Run, headers: dict[str, str]
) -> None:
    async def work(site: Site) -> int:
        body = {"jsonrpc": "2.0", "id": 1, "method": "readInbox"}
        return (await site.http.post("/", json=body, headers=headers)).status_code

    assert run(work) == 400


def test_what_waits_is_told_and_kept_over_a_restart(run: Run) -> None:
    async def write(site: Site) -> None:
        await site.call("sendMessage", "ada", to=["bob"], body="kept")

    async def read(site: Site) -> str:
        return str((await site.call("readInbox", "bob"))["messages"][0]["body"])

    run(write)
    assert run(read) == "kept"


async def put(site: Site, text: str, path: str = "/shared", key: str = "", **more: Any) -> Any:
    body = {"method": "writeShared", "params": {"ops": [{"key": "big", "value": text}]}, **more}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return await site.http.post(path, json={"jsonrpc": "2.0", "id": 1, **body}, headers=headers)


def test_a_large_value_has_an_address_of_its_own(run: Run) -> None:
    async def work(site: Site) -> None:
        largest = "x" * 10_485_760
        assert (await put(site, largest)).json()["result"]["items"][0]["key"] == "big"
        read = await site.call("readShared", keys=["big"])
        assert read["items"][0]["value"] == largest
        refused = (await put(site, largest + "x")).json()["error"]
        assert refused["data"]["validation_errors"][0]["field"] == "ops.value"
        assert (await put(site, "x" * 12_000_000)).status_code == 413
        assert (await put(site, largest, path="/")).status_code == 413

    run(work)


def test_there_are_the_methods_of_the_shared_state_alone(run: Run) -> None:
    async def work(site: Site) -> None:
        refused = await put(site, "", method="queryAgents", params={"context": "review"})
        assert (
            refused.status_code == 404 and "writeShared" in refused.json()["error"]["data"]["cure"]
        )
        batch = [
            {"jsonrpc": "2.0", "id": n, "method": "readShared", "params": {"prefix": ""}}
            for n in (1, 2)
        ]
        assert len((await site.http.post("/shared", json=batch)).json()) == 2

    run(work)


def test_large_bodies_come_two_at_once_from_those_who_may_write(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    file = KeyFile(tmp_path / "data")
    writer, reader = file.add("writer", "report"), file.add("reader", "read")

    async def work(site: Site) -> None:
        large, going_on = b"x" * 1_000_001, asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield large
            await going_on.wait()

        async def send(content: Any, key: str) -> int:
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
            reply = await site.http.post("/shared", content=content, headers=headers)
            return int(reply.status_code)

        assert await send(large, reader) == 403
        held = [asyncio.ensure_future(send(slow(), writer)) for _ in range(2)]
        while await send(large, writer) != 503:
            await asyncio.sleep(0)
        assert (await put(site, "small", key=writer)).status_code == 200
        going_on.set()
        assert await asyncio.gather(*held) == [400, 400]
        assert await send(large, writer) == 400

    run(work, door=Door(require_keys=True))


def test_health_and_metrics_count_what_agents_share(run: Run) -> None:
    async def work(site: Site) -> list[Any]:
        await site.call("lockResources", "ada", action="acquire", resources=["a:1", "b:1"])
        await site.error("lockResources", "bob", action="acquire", resources=["a:1"])
        await site.call("sendMessage", "ada", to=["bob"], body="hi")
        async with site.events() as told:
            await told.status()
            found = [
                (await site.http.get(at)).json()["coordination"] for at in ("/health", "/metrics")
            ]
            text = (await site.http.get("/metrics?format=prometheus")).text
        assert (
            "orchestr8_shared_locks 2.0" in text and "orchestr8_shared_messages_total 1.0" in text
        )
        return found

    counted = {"locks": 2, "waiters": 1, "messages": 1, "expiries": 0, "refusals": 1}
    assert run(work) == [counted, counted]


BENT = [("rate", "9" * 5000), ("max_body", 10**4000), ("cache_ttl", [[1]]), ("max_running", True)]


@pytest.mark.parametrize("bent", [b"", b"\xff", b"[]", b'{"claims":'])
def test_changed_settings_hold_after_a_restart_though_their_copy_is_bent(
    run: Run, bent: bytes
) -> None:
    """They did not until somebody used what agents share."""

    async def work(site: Site) -> None:
        state = site.state
        assert state.shared is not None
        state.shared.follow_settings = ChangedSettings(state).follow
        await site.call("writeShared", ops=[{"key": f"{PREFIX}claims", "value": "deny"}])
        await until(lambda: (state.settings.data_dir / NAME).exists())
        (state.settings.data_dir / NAME).write_bytes(bent)

    async def again(site: Site) -> None:
        state = site.state
        assert state.shared is not None
        changes = ChangedSettings(state)
        state.shared.opens_early = not changes.begin()
        state.shared.follow_settings = changes.follow
        await state.shared.check()
        await until(lambda: state.claims.setting == "deny")

    run(work)
    run(again)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never held")


def test_settings_are_followed_whatever_else_stands_there(run: Run) -> None:
    """A number of five thousand digits ended the task that follows; a hundred others hid them."""

    async def work(site: Site) -> None:
        state, before = site.state, site.state.gate.limits
        assert state.shared is not None
        state.shared.follow_settings = ChangedSettings(state).follow
        junk = [{"key": f"{PREFIX}a{n}", "value": n} for n in range(95)]
        bent = [{"key": PREFIX + name, "value": value} for name, value in BENT]
        await site.call("writeShared", ops=[*junk, *bent])
        await site.call("writeShared", ops=[{"key": f"{PREFIX}claims", "value": "deny"}])
        await until(lambda: state.claims.setting == "deny")
        assert state.gate.limits == before

    run(work)
