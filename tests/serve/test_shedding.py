"""What does a congested server say to those whom it does not let in, and how cheaply?"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestr8_index.errors import Overloaded
from orchestr8_index.serve.congestion import SENTENCE
from orchestr8_index.serve.logs import JsonLines
from orchestr8_index.serve.send import error_body
from orchestr8_index.serve.state import State

from ..processes import wait_for
from .lines import Line, served, with_limits
from .test_protocol import CALL, HEALTH, POST, statuses

ASK = POST + b"Content-Length: %d\r\n\r\n%s" % (len(CALL), CALL)
LAST = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(CALL), CALL)


class Door:
    """Whether the server takes requests, and how many it was asked about."""

    def __init__(self) -> None:
        self.is_open, self.asked = False, 0

    def admits(self, soon: Callable[[Callable[[], Any]], Any]) -> bool:
        self.asked += 1
        return self.is_open


@pytest.fixture
def state(module_state: State) -> State:
    return with_limits(module_state)


@pytest.fixture
def door(state: State, monkeypatch: pytest.MonkeyPatch) -> Door:
    door = Door()
    monkeypatch.setattr(state.gate.congestion, "admits", door.admits)
    return door


@pytest.fixture
def port(state: State, door: Door) -> Iterator[int]:
    with served(state) as port:
        yield port


def test_it_is_told_in_the_words_of_the_family_and_the_connection_stays(
    port: int, door: Door
) -> None:
    line = Line(port)
    said = line.send(ASK).read_one()
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in head and b"x-correlation-id: " in head
    assert body == error_body(b"null", Overloaded(SENTENCE))
    door.is_open = True
    assert statuses(line.send(LAST).read()) == [200]


def test_who_asks_for_the_end_gets_it(port: int) -> None:
    assert statuses(Line(port).send(LAST).read()) == [503]


def test_a_body_that_has_not_come_is_not_waited_for(port: int) -> None:
    head = POST + b"Content-Length: 900000\r\n\r\n"
    said = Line(port).send(head).read()
    assert statuses(said) == [503] and b"connection: close" in said


def test_looks_at_its_health_are_answered(port: int, door: Door) -> None:
    line = Line(port)
    assert statuses(line.send(HEALTH).read_one()) == [200]
    line.close()
    assert door.asked == 0


def test_what_comes_in_one_piece_is_answered_in_its_order(port: int, door: Door) -> None:
    said = Line(port).send(ASK + ASK + LAST).read()
    assert statuses(said) == [503, 503, 503]
    door.is_open = True
    said = Line(port).send(ASK + LAST).read()
    assert statuses(said) == [200, 200]


def test_an_old_client_is_not_left_waiting(port: int) -> None:
    head = b"POST / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
    said = Line(port).send(head + b"Content-Length: 2\r\n\r\n{}").read()
    assert statuses(said) == [503] and b"connection: close" in said


def test_they_are_counted_and_told_in_one_line(
    port: int, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.INFO, "orchestr8.http"):
        assert statuses(Line(port).send(ASK + ASK + LAST).read()) == [503, 503, 503]
        wait_for(lambda: "can be answered" in caplog.text)
    (line,) = caplog.text.splitlines()
    assert json.loads(line)["refused"] == 3
    assert state.metrics.errors[Overloaded.code] == 3
