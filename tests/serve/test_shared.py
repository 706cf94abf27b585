"""The shared state through the server: JSON-RPC, headers, keys, waiting and the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.config import Door
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
    key = KeyFile(tmp_path / "data").add("team", "report")

    async def work(site: Site) -> None:
        ops = [{"key": "x", "value": 1}]
        await site.reply("writeShared", "boss", key, ops=ops)
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
