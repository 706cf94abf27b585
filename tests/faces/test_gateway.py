"""The gateway: what agents of one task do with its files, and hear of each other."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.faces import gateway
from orchestr8_index.serve import faces
from orchestr8_index.serve.callers import Principal, caller

from .meeting import Told, Town, Work, agent, holder, in_town, tool, visiting

Run = Callable[[Work], Any]
ADA, BOB = agent("ada"), agent("bob")
FILE = {"task_id": "t", "path": "a/f.py"}


@pytest.fixture
def run(tmp_path: Path, shipped_index: Index) -> Run:
    work = tmp_path / "work"
    (work / "t/a").mkdir(parents=True)
    (work / "t/a/f.py").write_text("one\n")
    return functools.partial(in_town, tmp_path, shipped_index, "gateway", workspace=str(work))


async def post(here: Town, who: Principal, name: str, **given: Any) -> tuple[int, Told]:
    """A tool over plain HTTP."""
    return await http(here, who, "POST", f"/tools/{name}", msgspec.json.encode(given))


async def get(here: Town, path: str, who: Principal = ADA) -> tuple[int, Told]:
    return await http(here, who, "GET", f"/resources/{path}", b"")


async def http(here: Town, who: Principal, verb: str, path: str, body: bytes) -> tuple[int, Told]:
    token = caller.set(who)
    try:
        with faces.named(here.face):
            status, told = await gateway.http(faces.ServedCore(here.state), verb, path, body)
    finally:
        caller.reset(token)
    return status, json.loads(msgspec.json.encode(told))


@visiting
async def test_a_file_is_read_written_and_edited(here: Town) -> None:
    status, told = await post(here, ADA, "file_read", **FILE)
    assert (status, told) == (
        200,
        {"success": True, **FILE, "content": "one\n", "revision": told["revision"]},
    )
    status, told = await post(here, ADA, "file_write", **FILE, content="zwö\n")
    assert (status, told["success"], told["bytes"]) == (200, True, 5)
    status, told = await post(
        here, ADA, "file_edit", **FILE, old_content="zwö", new_content="three"
    )
    assert "-zwö\n+three\n" in told["diff"]
    status, told = await post(here, ADA, "file_write", **FILE, content="x", if_revision="gone")
    assert status == 409 and told["revision"]
    assert (await post(here, ADA, "file_read", **FILE))[1]["content"] == "three\n"


@visiting
async def test_a_contested_claim_is_409(here: Town) -> None:
    status, told = await post(here, ADA, "claim_file", **FILE)
    assert (status, told["locked"]) == (200, True)
    for name, more in (("claim_file", {}), ("file_write", {"content": "theirs"})):
        status, told = await post(here, BOB, name, **FILE, **more)
        assert status == 409 and "ada" in json.dumps(told) and "until" in json.dumps(told)
    assert (await post(here, ADA, "file_write", **FILE, content="mine"))[0] == 200
    assert (await post(here, BOB, "release_file", **FILE))[0] == 409
    assert (await post(here, ADA, "release_file", **FILE))[1]["locked"] is False
    assert (await post(here, BOB, "claim_file", **FILE))[0] == 200


@visiting
async def test_one_who_claims_again_with_the_token_goes_on(here: Town) -> None:
    token = (await post(here, ADA, "claim_file", **FILE, timeout_sec=5))[1]["token"]
    status, told = await post(here, ADA, "claim_file", **FILE, timeout_sec=600, token=token)
    assert status == 200 and told["token"] == token
    assert (await post(here, ADA, "claim_file", **FILE))[0] == 409


@visiting
async def test_a_write_after_the_lease_is_refused(here: Town) -> None:
    token = (await post(here, ADA, "claim_file", **FILE, timeout_sec=5))[1]["token"]
    shared = await here.state.shared.state()
    shared.clock.base += 6000
    assert (await post(here, ADA, "file_write", **FILE, content="late", token=token))[0] == 409
    assert (await post(here, ADA, "file_write", **FILE, content="late"))[0] == 409
    assert (await post(here, ADA, "file_read", **FILE))[1]["content"] == "one\n"
    assert (await post(here, ADA, "claim_file", **FILE))[0] == 200
    assert (await post(here, ADA, "file_write", **FILE, content="again"))[0] == 200


@visiting
async def test_a_claim_on_another_file_opens_no_file(here: Town) -> None:
    """Any token that was valid let its holder write what another had claimed."""
    await post(here, ADA, "claim_file", **FILE)
    token = (await post(here, BOB, "claim_file", task_id="t", path="b"))[1]["token"]
    for name, more in {
        "file_write": {"content": "theirs"},
        "file_edit": {"old_content": "one", "new_content": "theirs"},
    }.items():
        assert (await post(here, BOB, name, **FILE, **more, token=token))[0] == 422
    await post(here, BOB, "release_file", **FILE, token=token)
    assert (await post(here, ADA, "file_read", **FILE))[1]["content"] == "one\n"
    assert (await post(here, ADA, "claim_file", task_id="t", path="b"))[0] == 409


@visiting
async def test_who_takes_the_name_of_a_key_has_none_of_its_claims(here: Town) -> None:
    key = holder("ada", "report")
    assert (await post(here, key, "claim_file", **FILE))[0] == 200
    assert (await post(here, ADA, "file_write", **FILE, content="theirs"))[0] == 409
    assert (await post(here, ADA, "release_file", **FILE))[0] == 409
    assert (await post(here, key, "file_write", **FILE, content="mine"))[0] == 200


@visiting
async def test_a_key_whose_writes_are_others_changes_no_file(here: Town) -> None:
    """It was refused after the file was written, as the note of it is a shared value."""
    key = msgspec.structs.replace(holder("ci", "report"), writes=("other/*",))
    assert (await post(here, key, "file_write", **FILE, content="theirs"))[0] == 403
    edit = {"old_content": "one", "new_content": "theirs"}
    assert (await post(here, key, "file_edit", **FILE, **edit))[0] == 403
    assert (await post(here, ADA, "file_read", **FILE))[1]["content"] == "one\n"


@visiting
async def test_a_missing_task_is_404(here: Town) -> None:
    assert (await post(here, ADA, "file_read", task_id="no", path="f"))[0] == 404
    assert (await post(here, ADA, "file_read", task_id="t", path="f"))[0] == 404
    assert (
        await post(here, ADA, "file_edit", task_id="no", path="f", old_content="a", new_content="b")
    )[0] == 404
    assert (await get(here, "tasks/no/state"))[0] == 404
    assert (await get(here, "nothing"))[0] == 404
    assert (await post(here, ADA, "fly"))[0] == 404


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("file_read", {"task_id": "t"}),
        ("file_read", {"task_id": 1, "path": "f"}),
        ("file_read", {"task_id": "t", "path": "../secret"}),
        ("file_read", {"task_id": "..", "path": "f"}),
        ("file_write", {**FILE}),
        ("file_write", {**FILE, "content": 1}),
        ("claim_file", {**FILE, "timeout_sec": 0}),
        ("claim_file", {**FILE, "timeout_sec": "60"}),
        ("claim_file", {**FILE, "timeout_sec": True}),
        ("log_step", {"task_id": "t", "step": "text"}),
        ("join_collab", {"task_id": "t", "agent_id": "a b"}),
        ("claim_file", {**FILE, "token": 1}),
    ],
)
def test_bad_input_is_422_with_its_sentence(run: Run, name: str, given: Told) -> None:
    async def work(here: Town) -> None:
        status, told = await post(here, ADA, name, **given)
        assert status == 422 and len(told["detail"]) > 10

    run(work)


@visiting
async def test_a_body_that_is_no_object_is_422(here: Town) -> None:
    for body in (b"", b"[]", b"{", b"\xff", b"[" * 10_000):
        assert (await http(here, ADA, "POST", "/tools/file_read", body))[0] == 422


@visiting
async def test_steps_and_agents_are_seen_by_all(here: Town) -> None:
    for number in range(3):
        status, told = await post(here, ADA, "log_step", task_id="t", step={"action": str(number)})
        assert status == 200 and told["step"]["agent_id"] == "ada"
    logs = (await get(here, "tasks/t/logs"))[1]["logs"]
    assert [step["action"] for step in logs] == ["0", "1", "2"]
    for name in ("join_collab", "join_collaboration"):
        assert (await post(here, BOB, name, task_id="t", agent_id="bob"))[0] == 200
    told = {"success": True, "task_id": "t", "agents": ["bob"]}
    assert (await get(here, "collaboration/t"))[1] == told
    state = (await get(here, "tasks/t/state"))[1]
    assert state["agents"] == ["bob"] and state["files"] == ["a/f.py"]
    assert state["last_step"]["action"] == "2"
    assert (await post(here, BOB, "leave_collaboration", task_id="t", agent_id="bob"))[0] == 200
    assert (await get(here, "collaboration/t"))[1]["agents"] == []
    assert (await post(here, ADA, "subscribe_logs", task_id="t"))[1]["channel"] == "logs:t:stream"


@visiting
async def test_a_key_that_may_only_read_changes_nothing(here: Town) -> None:
    reader = holder("reader", "read")
    assert (await post(here, reader, "file_read", **FILE))[0] == 200
    for name, more in (
        ("file_write", {"content": "x"}),
        ("file_edit", {"old_content": "one", "new_content": "x"}),
    ):
        assert (await post(here, reader, name, **FILE, **more))[0] == 403
    assert (await post(here, reader, "log_step", task_id="t", step={}))[0] == 403
    assert (await post(here, reader, "file_read", **FILE))[1]["content"] == "one\n"


@pytest.mark.filterwarnings("ignore:resources.subscribe is removed")
@visiting
async def test_resources_of_mcp_are_the_same_and_subscribers_hear(here: Town) -> None:
    heard: list[str] = []
    async with here.client("ada", heard) as ada:
        await ada.session.subscribe_resource("logs://t")
        await tool(ada, "log_step", task_id="t", step={"action": "a"})
        while "logs://t" not in heard:
            await asyncio.sleep(0)
        read = await ada.read_resource("workspace://t/a/f.py")
        assert json.loads(read.contents[0].text)["content"] == "one\n"  # type: ignore[union-attr]
        told = await tool(ada, "file_read", task_id="t", path="../x")
        assert told["success"] is False and told["error"]


def test_without_a_workspace_files_are_off_and_it_says_how_to_have_them(
    tmp_path: Path, shipped_index: Index
) -> None:
    async def work(here: Town) -> None:
        status, told = await post(here, ADA, "file_read", **FILE)
        assert status == 501 and "--workspace" in told["detail"]
        assert (await post(here, ADA, "log_step", task_id="t", step={}))[0] == 200

    in_town(tmp_path, shipped_index, "gateway", work)
