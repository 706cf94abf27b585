"""In which order do waiting outcomes go, and what becomes of those that the server refuses?"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestr8_index.client.delivery import Delivery
from orchestr8_index.client.spool import Spool
from orchestr8_index.daemon.http import HttpClient, HttpResponse, NoAnswer
from orchestr8_index.daemon.locate import Address

from .test_spool import waiting

ADDRESS = Address(1, "h")


class Receiver(HttpClient):
    """A server's end: `says` maps a report's task to the error that it gets."""

    def __init__(self, address: Address = ADDRESS) -> None:
        super().__init__(address)
        self.tasks: list[str] = []
        self.batches = 0
        self.says: dict[str, int] = {}
        self.trouble: NoAnswer | None = None
        self.closed = 0

    def send(
        self, verb: str, path: str, body: bytes | None = None, waits: float = 0.0
    ) -> HttpResponse:
        self.batches += 1
        if self.trouble:
            raise self.trouble
        calls = msgspec.json.decode(body or b"")
        return HttpResponse(200, msgspec.json.encode([self._one(call) for call in calls]))

    def close(self) -> None:
        self.closed += 1

    def _one(self, call: dict[str, Any]) -> dict[str, Any]:
        task = call["params"]["task"]
        told = {"jsonrpc": "2.0", "id": call["id"]}
        if code := self.says.get(task):
            return {**told, "error": {"code": code, "message": f"No {task}."}}
        self.tasks.append(task)
        return {**told, "result": {"stored": True}}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def delivery(spool: Spool, receiver: Receiver) -> Delivery:
    return Delivery(spool, lambda address: receiver)


def fill(spool: Spool, *tasks: str) -> None:
    for task in tasks:
        spool.append(msgspec.json.encode({"task": task}))


def deliver(delivery: Delivery) -> bool:
    delivery.start(ADDRESS, at_once=True)
    return delivery.wait(30)


def test_all_go_in_their_order(spool: Spool, receiver: Receiver, delivery: Delivery) -> None:
    tasks = [f"t{number}" for number in range(250)]
    fill(spool, *tasks)
    assert deliver(delivery)
    assert receiver.tasks == tasks
    assert (receiver.batches, receiver.closed) == (3, 1)
    assert spool.path.read_bytes() == b""


def test_a_refused_report_is_put_aside_and_holds_up_nobody(
    spool: Spool, receiver: Receiver, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    fill(spool, "a", "bad", "c")
    receiver.says = {"bad": -32602}
    with caplog.at_level(logging.WARNING, "orchestr8.client"):
        assert deliver(delivery)
    assert receiver.tasks == ["a", "c"]
    (line,) = spool.refused.read_bytes().splitlines()
    refused = msgspec.json.decode(line)
    assert msgspec.json.decode(refused["report"]) == {"task": "bad"}
    assert "spool.refused.jsonl" in caplog.text


def test_what_alone_meets_a_defect_is_put_aside_too(
    spool: Spool, receiver: Receiver, delivery: Delivery
) -> None:
    fill(spool, "bad", "b")
    receiver.says = {"bad": -32603}
    assert deliver(delivery)
    assert receiver.tasks == ["b"]


@pytest.mark.parametrize("code", [-32001, -32002, -32029, -32603])
def test_a_server_that_is_ill_gets_them_later(
    spool: Spool, receiver: Receiver, delivery: Delivery, code: int
) -> None:
    fill(spool, "a", "b")
    receiver.says = {"a": code, "b": code}
    assert not deliver(delivery)
    receiver.says = {}
    assert deliver(delivery)
    assert receiver.tasks == ["a", "b"]


def test_from_the_first_that_must_wait_on_all_go_again(
    spool: Spool, receiver: Receiver, delivery: Delivery
) -> None:
    """A later report may amend that one: the order counts more than sending twice."""
    fill(spool, "a", "b", "c")
    receiver.says = {"b": -32002}
    assert not deliver(delivery)
    receiver.says = {}
    assert deliver(delivery)
    assert receiver.tasks == ["a", "c", "b", "c"]


@pytest.mark.parametrize("nonsense", [b"{}", b"[]", b"<html>", b'[{"jsonrpc":"2.0","id":7}]'])
def test_nonsense_delivers_nothing(spool: Spool, nonsense: bytes) -> None:
    class Nonsense(Receiver):
        def send(
            self, verb: str, path: str, body: bytes | None = None, waits: float = 0.0
        ) -> HttpResponse:
            return HttpResponse(200, nonsense)

    fill(spool, "a")
    assert not deliver(Delivery(spool, Nonsense))
    assert len(waiting(spool)) == 1


@pytest.mark.parametrize("line", [b"no JSON", b"[1]", b"7", b'{"a":"\xff"}', b"[" * 10_000])
def test_what_is_no_report_is_put_aside(
    spool: Spool, receiver: Receiver, delivery: Delivery, line: bytes
) -> None:
    fill(spool, "a")
    spool.append(line)
    fill(spool, "b")
    assert deliver(delivery)
    assert receiver.tasks == ["a", "b"]
    assert spool.refused.exists()


def test_a_line_too_long_for_the_server_is_put_aside(
    spool: Spool, receiver: Receiver, delivery: Delivery
) -> None:
    spool.append(b'{"task":"%s"}' % (b"x" * 600_000))
    fill(spool, "b")
    assert deliver(delivery)
    assert receiver.tasks == ["b"]


def test_after_a_failure_it_rests(spool: Spool, receiver: Receiver, delivery: Delivery) -> None:
    fill(spool, "a")
    receiver.trouble = NoAnswer("it is too slow")
    assert delivery.start(ADDRESS)
    delivery.wait(30)
    assert not delivery.start(ADDRESS)


def test_while_another_delivers_it_keeps_out(
    spool: Spool, receiver: Receiver, delivery: Delivery
) -> None:
    fill(spool, "a")
    with spool.delivering():
        assert not deliver(delivery)
    assert receiver.batches == 0
    assert deliver(delivery)


def test_what_comes_while_it_delivers_goes_too(spool: Spool) -> None:
    class Late(Receiver):
        def send(
            self, verb: str, path: str, body: bytes | None = None, waits: float = 0.0
        ) -> HttpResponse:
            if not self.batches:
                fill(spool, "late")
            return super().send(verb, path, body)

    receiver = Late()
    fill(spool, "a")
    assert deliver(Delivery(spool, lambda address: receiver))
    assert receiver.tasks == ["a", "late"]


def test_what_was_crossed_out_before_a_crash_does_not_go_again(
    spool: Spool, receiver: Receiver, delivery: Delivery
) -> None:
    fill(spool, "a", "b")
    spool.cross_out(spool.read().lines[0])
    assert deliver(delivery)
    assert receiver.tasks == ["b"]


def test_a_spool_that_cannot_be_read_is_said(
    spool: Spool, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    spool.path.mkdir()
    with caplog.at_level(logging.WARNING, "orchestr8.client"):
        assert not deliver(delivery)
    assert "outcomes wait" in caplog.text


class Picky(Receiver):
    """Takes batches of at most `most` calls, and none in which a word stands."""

    most, hated = 100, b"never"

    def send(
        self, verb: str, path: str, body: bytes | None = None, waits: float = 0.0
    ) -> HttpResponse:
        assert body
        if len(msgspec.json.decode(body)) > self.most:
            return HttpResponse(413, b'{"error":{}}')
        if self.hated in body:
            return HttpResponse(400, b'{"error":{}}')
        return super().send(verb, path, body)


def test_a_batch_that_is_refused_as_a_whole_goes_in_halves(spool: Spool) -> None:
    receiver, tasks = Picky(), [f"t{number}" for number in range(30)]
    receiver.most = 10
    fill(spool, *tasks)
    assert deliver(Delivery(spool, lambda address: receiver))
    assert receiver.tasks == tasks


def test_one_line_that_spoils_every_batch_is_put_aside(spool: Spool) -> None:
    receiver = Picky()
    fill(spool, "a", "b", "never", "c")
    assert deliver(Delivery(spool, lambda address: receiver))
    assert receiver.tasks == ["a", "b", "c"]
    assert b"never" in spool.refused.read_bytes()


@pytest.mark.parametrize("how", ["removed", "emptied", "replaced by a longer one"])
def test_a_spool_that_another_takes_the_place_of_is_begun_anew(spool: Spool, how: str) -> None:
    """The delivery ran on without end, and passed over what came to stand before its place."""

    class Meanwhile(Receiver):
        def send(self, *given: Any, **more: Any) -> HttpResponse:
            if not self.batches:
                if how == "emptied":
                    spool.path.write_bytes(b"")
                else:
                    spool.path.rename(spool.path.with_name("aside"))
                fill(spool, *["later"] * (3 if how[-1] == "e" else 1))
            return super().send(*given, **more)

    receiver = Meanwhile()
    fill(spool, "before", "with more")
    delivering = Delivery(spool, lambda address: receiver)
    delivering.start(ADDRESS, at_once=True)
    done = delivering.wait(5)
    delivering.stop(0)
    assert done and set(receiver.tasks) == {"before", "with more", "later"}
    assert not spool.count_refused() and spool.path.read_bytes() == b""


HOSTILE = [b"null", b"7", b"[]", b'"%s"' % (b"/x" * 3000)]


@pytest.mark.parametrize("project", HOSTILE)
def test_a_line_of_what_is_no_project_holds_up_nobody(
    spool: Spool, receiver: Receiver, delivery: Delivery, project: bytes
) -> None:
    spool.append(b'{"task":"bad","project":%s}' % project)
    fill(spool, "good")
    assert deliver(delivery)
    assert receiver.tasks == ["good"] and spool.count_refused() == 1


CHANGES = ("flip", "feed", "cross", "zero", "drop", "add", "end")


def changed(raw: bytes, place: int, how: str) -> bytes:
    """The file with one byte changed, taken out or put in, or cut off there."""
    if how == "end":
        return raw[:place]
    byte = {"flip": raw[place] ^ 1, "feed": 10, "cross": 126, "zero": 0}.get(how, raw[place])
    return raw[:place] + bytes([byte] * {"drop": 0, "add": 2}.get(how, 1)) + raw[place + 1 :]


@pytest.mark.parametrize("how", CHANGES)
def test_whatever_becomes_of_a_byte_an_outcome_is_delivered_or_put_aside_and_told(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A last line feed that flipped took the outcome before it, and nobody was told."""
    monkeypatch.setattr("os.fsync", lambda fd: None)
    tasks = ["a" * 9, "b", 'c"~']
    made = Spool(tmp_path)
    fill(made, *tasks)
    raw = made.path.read_bytes()
    for place in range(len(raw)):
        made.path.write_bytes(changed(raw, place, how))
        made.refused.unlink(missing_ok=True)
        receiver = Receiver()
        fill(made, "after")
        Delivery(made, lambda address: receiver)._run(ADDRESS)  # noqa: B023
        assert set(receiver.tasks) <= {*tasks, "after"} and receiver.tasks[-1] == "after"
        missing = set(tasks) - set(receiver.tasks)
        whole = how == "end" and raw[: place + 1].count(b"\n") >= len(tasks) - len(missing)
        assert not missing or made.count_refused() or whole, (place, missing)
        assert made.path.read_bytes() == b""
