"""What a server says to a request that comes while as many run as may."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from orchestr8_index.errors import Overloaded
from orchestr8_index.serve.body import error_body
from orchestr8_index.serve.logs import JsonLines
from orchestr8_index.serve.state import State

from ..processes import wait_for
from .lines import Line, served, with_limits
from .test_protocol import CALL, HEALTH, POST, statuses

ASK = POST + b"Content-Length: %d\r\n\r\n%s" % (len(CALL), CALL)
LAST = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(CALL), CALL)


@pytest.fixture
def state(module_state: State) -> State:
    return with_limits(module_state, max_running=1)


@pytest.fixture
def port(state: State) -> Iterator[int]:
    with served(state) as port:
        yield port


@pytest.fixture
def running(port: int) -> Iterator[Line]:
    """A request that runs until the rest of its body comes."""
    line = Line(port).send(POST + b"Content-Length: %d\r\n\r\n{" % len(CALL))
    wait_for(lambda: statuses(Line(port).send(LAST).read()) == [503])
    yield line
    line.close()


def test_it_is_refused_in_the_words_of_the_family_and_the_connection_stays(
    port: int, running: Line
) -> None:
    line = Line(port)
    head, _, body = line.send(ASK).read_one().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in head and b"x-correlation-id: " in head
    assert body == error_body(b"null", Overloaded("Too many requests are running."))
    assert statuses(running.send(CALL[1:]).read_one()) == [200]
    wait_for(lambda: statuses(line.send(ASK).read_one()) == [200])
    line.close()


def test_who_asks_for_the_end_gets_it(port: int, running: Line) -> None:
    assert statuses(Line(port).send(LAST).read()) == [503]


def test_a_body_that_has_not_come_is_not_waited_for(port: int, running: Line) -> None:
    assert statuses(Line(port).send(POST + b"Content-Length: 900000\r\n\r\n").read()) == [503]


def test_health_is_answered_all_the_same(port: int, running: Line) -> None:
    line = Line(port)
    assert statuses(line.send(HEALTH).read_one()) == [200]
    line.close()


def test_the_requests_of_one_connection_follow_each_other(port: int) -> None:
    assert statuses(Line(port).send(ASK + ASK + LAST).read()) == [200] * 3


def test_refusals_are_counted_and_told_in_one_line(
    port: int, running: Line, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.INFO, "orchestr8.http"):
        for _ in range(3):
            assert statuses(Line(port).send(LAST).read()) == [503]
        wait_for(lambda: "are running" in caplog.text)
    refused = sum(json.loads(line).get("refused", 0) for line in caplog.text.splitlines())
    assert 3 <= refused <= state.metrics.errors[Overloaded.code]
