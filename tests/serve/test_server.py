"""Does the loop end with status 0, and leave nothing behind?"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from orchestr8_index.config import Limits
from orchestr8_index.daemon.claim import listen
from orchestr8_index.daemon.pidfile import PidFile
from orchestr8_index.serve import server as run
from orchestr8_index.serve.protocol import Lines
from orchestr8_index.serve.server import HttpServer, serve


@pytest.fixture
def pidfile(tmp_path: Path) -> PidFile:
    file = PidFile(tmp_path / "mcp.pid")
    file.acquire()
    return file


async def ends_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that asks to be stopped as soon as it has started."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    os.kill(os.getpid(), signal.SIGTERM)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def test_a_signal_ends_it_without_being_raised_again(pidfile: PidFile, tmp_path: Path) -> None:
    listening = listen(0)
    serve(ends_at_once, pidfile, listening)
    assert listening.fileno() == -1
    assert PidFile(tmp_path / "mcp.pid").owner() is None


def test_a_defect_releases_the_lock_too(
    pidfile: PidFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(HttpServer, "run", broken)
    with pytest.raises(RuntimeError):
        serve(ends_at_once, pidfile, listen(0))
    assert PidFile(tmp_path / "mcp.pid").owner() is None


def test_where_the_loop_takes_no_signals_the_process_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Windows."""
    taken: list[int] = []

    async def capture() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "add_signal_handler", refuse, raising=False)
        with HttpServer(uvicorn.Config(ends_at_once), Lines(Limits())).capture_signals():
            pass

    monkeypatch.setattr(signal, "signal", lambda number, handler: taken.append(number))
    asyncio.run(capture())
    assert {signal.SIGTERM, signal.SIGINT} <= set(taken)


def refuse(*_: Any) -> None:
    raise NotImplementedError


def test_the_last_moment_does_not_come_after_the_end(
    pidfile: PidFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer of the stop ended whatever ran in the process ten seconds later."""
    ended: list[int] = []
    monkeypatch.setattr(run, "LAST_SECONDS", 0.3)
    monkeypatch.setattr(os, "_exit", ended.append)
    serve(ends_at_once, pidfile, listen(0))
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()
    assert ended == []


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGTERM, []), (signal.SIGINT, [1])])
def test_only_a_person_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch, number: int, ends: list[int]
) -> None:
    """`down` signals the server and its watcher, which passes it on: under load a second later."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    server = HttpServer(uvicorn.Config(ends_at_once), Lines(Limits()))
    server.handle_exit(signal.SIGTERM, None)
    vars(server)["_signalled_at"] = -60.0  # a minute later
    server.handle_exit(number, None)
    server._last.cancel()
    assert ended == ends


def test_it_rests_a_second_and_a_signal_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    server, rests = HttpServer(uvicorn.Config(ends_at_once), Lines(Limits())), list[float]()
    waiting = asyncio.wait_for

    async def wait_for(what: Any, rest: float) -> None:
        rests.append(rest)
        asyncio.get_running_loop().call_soon(server.end)
        await waiting(what, 60)

    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    asyncio.run(server.main_loop())
    assert len(rests) == 1 and 0 < rests[0] <= 1.0
