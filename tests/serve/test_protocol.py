"""Can one connection, or many, keep the others from being answered? Spoken byte by byte."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator

import pytest

from orchestr8_index.config import Limits
from orchestr8_index.serve import protocol
from orchestr8_index.serve.logs import JsonLines
from orchestr8_index.serve.protocol import SPARE, Lines, Together
from orchestr8_index.serve.state import State

from ..processes import wait_for
from .lines import Line, served, with_limits

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CALL = b'{"jsonrpc":"2.0","id":1,"method":"querySkills","params":{"context":"notes"}}'


@pytest.fixture(scope="module")
def port(module_state: State) -> Iterator[int]:
    with served(module_state) as port:
        yield port


def statuses(said: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", said)]


def spoken(port: int, *parts: bytes) -> list[int]:
    """The statuses of all answers until the server ends the connection."""
    line = Line(port)
    for part in parts:
        line.send(part)
    return statuses(line.read())


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: +2\r\n\r\n{}",
        b"Content-Length: 0x2\r\n\r\n{}",
        b"Content-Length: 2, 2\r\n\r\n{}",
        b"Content-Length : 2\r\n\r\n{}",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
        b"Bad Name: 1\r\n\r\n",
        b"X: a\x00b\r\n\r\n",
        b"X: a\rb\r\n\r\n",
        b" Folded: 1\r\n\r\n",
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused(port: int, head: bytes) -> None:
    assert spoken(port, POST + head) == [400]


@pytest.mark.parametrize(
    "bytes_", [b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n", b"GET\r\n\r\n", b"\x00" * 64]
)
def test_what_is_not_http_is_refused(port: int, bytes_: bytes) -> None:
    assert spoken(port, bytes_) == [400]


def test_a_refusal_below_http_is_json_of_the_family(port: int) -> None:
    said = Line(port).send(b"nonsense\r\n\r\n").read()
    assert said.endswith(b'method\\":\\"\xe2\x80\xa6\\",\\"params\\":{\xe2\x80\xa6}}."}}}')
    assert b'"code":-32600' in said and b"content-type: application/json" in said


def test_a_refusal_below_http_is_found_in_the_log(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.INFO, "orchestr8.http"):
        said = Line(port).send(b"nonsense\r\n\r\n").read()
    told = json.loads(caplog.text.splitlines()[-1])
    assert (told["message"], told["status"]) == ("refused", 400)
    assert f"x-correlation-id: {told['correlation_id']}\r\n".encode() in said


class Writes(asyncio.Transport):
    """What was written, call by call, and None for the end."""

    def __init__(self) -> None:
        self.calls: list[bytes | None] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.calls.append(b"".join(list_of_data))

    def close(self) -> None:
        self.calls.append(None)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("written", "calls"),
    [
        ([HEAD, b"{}"], [HEAD + b"{}"]),
        ([HEAD, b"x" * 100_000], [HEAD + b"x" * 100_000]),
        ([HEAD, HEAD], [HEAD + HEAD]),
        ([HEAD, b""], [HEAD]),
        ([STREAM, b"2\r\n{}\r\n"], [STREAM, b"2\r\n{}\r\n"]),
        (
            [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, b"{}"],
            [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"{}"],
        ),
        ([HEAD], [HEAD]),
    ],
)
def test_a_head_is_written_with_its_body(written: list[bytes], calls: list[bytes]) -> None:
    writes = Writes()
    together = Together(writes)
    for each in written:
        together.write(each)
    together.close()
    assert writes.calls == [*calls, None]


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    call = POST + b"Content-Length: %d\r\n\r\n" % len(CALL) + CALL
    last = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    said = Line(port).send(call + HEALTH + call + last).read()
    assert statuses(said) == [200] * 4
    assert said.index(b"skills") < said.index(b"uptime_ms") < said.rindex(b"skills")


def test_nonsense_behind_a_request_does_not_take_its_answer(port: int) -> None:
    said = Line(port).send(HEALTH + b"nonsense\r\n\r\n").read()
    assert statuses(said)[0] == 200


def test_many_headers_are_refused(port: int) -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(200))
    assert spoken(port, HEALTH[:-2] + many + b"\r\n") == [431]


def test_long_headers_are_refused(port: int) -> None:
    assert spoken(port, HEALTH[:-2] + b"X: " + b"x" * 40_000 + b"\r\n\r\n") == [431]


def test_a_head_without_end_is_refused_before_its_end(port: int) -> None:
    line = Line(port).send(HEALTH[:-2])
    with pytest.raises(OSError):
        for _ in range(100_000):
            line.send(b"X: " + b"x" * 10_000)
    line.close()


def test_what_stands_behind_a_body_is_no_header(port: int) -> None:
    """Nor is any of it kept, which could be without end."""
    head = POST.replace(b"Host: localhost\r\n", b"Connection: close\r\n")
    behind = b"Host: localhost\r\n" + b"X: y\r\n" * 1000
    body = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + behind + b"\r\n"
    assert spoken(port, head + body) == [421]


def test_a_huge_announced_body_is_refused_unread(port: int) -> None:
    assert spoken(port, POST + b"Content-Length: 1073741824\r\n\r\n") == [413]


@pytest.mark.parametrize("path", [b"/", b"/health", b"/reindex", b"/nowhere"])
def test_a_huge_chunked_body_ends_the_connection(port: int, path: bytes) -> None:
    """Whether the route reads it (413) or answers without it."""
    line = Line(port)
    line.send(POST.replace(b" / ", b" " + path + b" ") + b"Transfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(OSError):
        for _ in range(16_384):
            line.send(b"10000\r\n" + b" " * 65_536 + b"\r\n")
    line.close()


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"deflate, gzip", b"zstd"])
def test_a_compressed_body_is_never_unpacked(port: int, encoding: bytes) -> None:
    sent = POST + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 2\r\n\r\n\x1f\x8b"
    assert spoken(port, sent) == [415]


def test_a_slow_head_is_cut_off(module_state: State) -> None:
    with served(with_limits(module_state, head_seconds=1)) as port:
        assert spoken(port, HEALTH[:10]) == [408]
        assert spoken(port) == [408]


def test_the_second_head_of_a_connection_is_due_too(module_state: State) -> None:
    with served(with_limits(module_state, head_seconds=1)) as port:
        line = Line(port).send(HEALTH)
        assert statuses(line.read_one()) == [200]
        assert statuses(line.send(b"\r\n").read()) == [408]


def test_a_slow_body_is_cut_off(module_state: State) -> None:
    with served(with_limits(module_state, body_seconds=1)) as port:
        assert spoken(port, POST + b"Content-Length: 9\r\n\r\n{") == [408]


def test_an_idle_connection_is_ended_after_its_answer(module_state: State) -> None:
    with served(with_limits(module_state, idle_seconds=1)) as port:
        assert spoken(port, HEALTH) == [200]


def test_the_connection_that_idles_longest_makes_way(module_state: State) -> None:
    with served(with_limits(module_state, max_connections=8)) as port:
        idle = [Line(port) for _ in range(30)]
        idle.append(Line(port).send(HEALTH))
        assert statuses(idle[-1].read_one()) == [200]
        assert idle[0].read() == b""
        for line in idle:
            line.close()


@pytest.mark.skipif(sys.platform != "linux", reason="loopback has one address elsewhere")
@pytest.mark.parametrize("said", [b"", b"GET /health HTTP/1.1\r\nHost: "])
def test_a_peer_beyond_loopback_has_half_of_the_connections(
    module_state: State, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """However many it opens, those of others stay; and what it asks itself is answered."""
    far = {"127.0.0.2": "192.0.2.2", "127.0.0.3": "192.0.2.3"}
    monkeypatch.setattr(protocol, "peer_of", lambda address: far.get(address, ""))
    with served(with_limits(module_state, max_connections=8)) as port:
        others = [Line(port, own) for own in ("127.0.0.1", "127.0.0.3", "127.0.0.3")]
        greedy = [Line(port, "127.0.0.2").send(said) for _ in range(30)]
        greedy.append(Line(port, "127.0.0.2").send(HEALTH))
        assert statuses(greedy[-1].read_one()) == [200]
        for line in others:
            assert statuses(line.send(HEALTH).read_one()) == [200]
        assert greedy[0].read() == b""
        for line in (*others, *greedy):
            line.close()


def test_half_a_head_makes_way_too(module_state: State) -> None:
    with served(with_limits(module_state, max_connections=8)) as port:
        half = [Line(port).send(b"GET /health HTTP/1.1\r\nHost: ") for _ in range(30)]
        line = Line(port).send(HEALTH)
        assert statuses(line.read_one()) == [200]
        assert statuses(half[0].read()) == []
        for each in (*half, line):
            each.close()


def test_a_reader_that_never_reads_is_cut_off(module_state: State) -> None:
    with served(with_limits(module_state, send_seconds=1)) as port:
        entry = {"kind": "agent", "plugin": "studio", "name": "docs-writer"}
        call = {"jsonrpc": "2.0", "id": 1, "method": "getEntry", "params": entry}
        body = json.dumps([call] * 100).encode()
        line = Line(port)
        for _ in range(60):
            line.send(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        with pytest.raises(OSError):
            wait_for(lambda: line.send(b"\r\n") and None)
        line.close()


def test_a_flood_of_pipelined_requests_is_cut_off(port: int) -> None:
    """Each would be held in memory until its turn comes."""
    line = Line(port)
    with pytest.raises(OSError):
        for _ in range(10_000):
            line.send(HEALTH * 100)
    line.close()


def test_refusals_are_counted(module_state: State) -> None:
    state = with_limits(module_state)
    with served(state) as port:
        spoken(port, b"nonsense\r\n\r\n")
        spoken(port, POST + b"Content-Length: 1073741824\r\n\r\n")
        wait_for(lambda: state.metrics.errors[-32600] == 2)


def test_there_are_no_more_connections_than_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: raised.append(given))
    assert Lines(Limits(max_connections=2000)).most == 256 - SPARE
    assert raised == [(512, 512)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    assert Lines(Limits(max_connections=2000)).most == 8
