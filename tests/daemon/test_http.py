"""Is that a server of ours? Whatever answers on the port, nothing worse than no comes out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from orchestr8_index.daemon.http import get_health, request

Speak = Callable[[bytes], int]


@pytest.fixture
def speak() -> Iterator[Speak]:
    """Answer the next connection with these bytes; returns the port."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def answer(listening: socket.socket, said: bytes) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(said)

    def start(said: bytes) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(5)
        opened.append(listening)
        threads.append(threading.Thread(target=answer, args=(listening, said)))
        threads[-1].start()
        port: int = listening.getsockname()[1]
        return port

    yield start
    for thread in threads:
        thread.join()
    for listening in opened:
        listening.close()


def http(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


OURS = b'{"status":"healthy","generation":1}'


@pytest.mark.parametrize("status", [200, 503])
def test_a_server_of_ours_is_known_by_its_health(speak: Speak, status: int) -> None:
    assert get_health(speak(http(OURS, status))) == {"status": "healthy", "generation": 1}


@pytest.mark.parametrize(
    "said",
    [
        http(b"<html>"),
        http(b"[]"),
        http(b'{"status":"ok"}'),
        http(OURS, 404),
        http(b"\xff"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        b"HTTP/1.1 200 x\r\nContent-Length: 99\r\n\r\nshort",
    ],
)
def test_a_foreign_program_is_nobody(speak: Speak, said: bytes) -> None:
    assert get_health(speak(said)) is None


def test_nobody_is_nobody() -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        assert get_health(free.getsockname()[1]) is None


def test_a_request_gives_status_and_json(speak: Speak) -> None:
    assert request(speak(http(b'{"a":1}', 201)), "GET", "/") == (201, {"a": 1})


def test_what_is_not_json_is_none(speak: Speak) -> None:
    assert request(speak(http(b"text")), "GET", "/") == (200, None)
    assert request(speak(http(b"[" * 50_000)), "GET", "/") == (200, None)


def test_what_is_not_http_is_an_oserror(speak: Speak) -> None:
    with pytest.raises(OSError):
        request(speak(b"nonsense\r\n\r\n"), "GET", "/")
