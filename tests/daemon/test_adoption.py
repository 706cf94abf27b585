"""Does a server whose watcher was killed start another one, and only then?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr8_index.daemon import adoption as watched
from orchestr8_index.daemon.adoption import AGAIN_SECONDS, UNWATCHED, Watched
from orchestr8_index.daemon.pidfile import SERVER_NAME, PidFile
from orchestr8_index.daemon.watcher import ADOPT, LOCK_NAME

from ..serve.asking import settings_of
from ..serve.test_rate import Clock


class Child:
    """A watcher that was started."""

    def __init__(self) -> None:
        self.looked = 0

    def poll(self) -> None:
        self.looked += 1


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are started from now on, none of them in earnest."""
    commands: list[list[str]] = []

    def start(command: list[str]) -> Child:
        commands.append(command)
        return Child()

    monkeypatch.setattr(watched, "detached", start)
    return commands


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[PidFile]:
    """The watcher of this process, which is the server of the directory."""
    lock, server = PidFile(tmp_path / LOCK_NAME), PidFile(tmp_path / SERVER_NAME)
    assert lock.acquire() and server.acquire()
    lock.write(pid=os.getppid())
    server.write(pid=os.getpid())
    yield lock
    lock.release()
    server.release()


def test_while_it_is_watched_nothing_is_started(
    tmp_path: Path, watcher: PidFile, started: list[list[str]]
) -> None:
    Watched(settings_of(tmp_path)).look()
    assert started == []


def test_a_watcher_that_is_gone_has_a_successor(
    tmp_path: Path, watcher: PidFile, started: list[list[str]]
) -> None:
    looking = Watched(settings_of(tmp_path, tmp_path, port=4711))
    watcher.release()
    looking.look()
    (command,) = started
    assert command[command.index(ADOPT) + 1] == str(tmp_path)
    assert {"serve", str(tmp_path), "4711"} <= {*command}
    assert looking.reasons == []


def test_where_the_data_directory_was_removed_no_successor_would_help(
    tmp_path: Path, watcher: PidFile, started: list[list[str]]
) -> None:
    """It took the server, whose mcp.pid was gone, for dead, and started another on its port."""
    looking = Watched(settings_of(tmp_path))
    for name in (LOCK_NAME, SERVER_NAME):
        (tmp_path / name).unlink()
    looking.look()
    assert started == []


def test_one_that_does_not_come_is_started_again_after_a_while_and_told(
    tmp_path: Path, watcher: PidFile, started: list[list[str]]
) -> None:
    clock = Clock()
    looking = Watched(settings_of(tmp_path), clock)
    watcher.release()
    for _ in range(3):
        looking.look()
    assert (len(started), looking.reasons) == (1, [])
    clock.now += AGAIN_SECONDS
    looking.look()
    assert (len(started), looking.reasons) == (2, [UNWATCHED])
    assert watcher.acquire()
    looking.look()
    assert looking.reasons == []


def test_one_that_cannot_be_started_is_told(
    tmp_path: Path,
    watcher: PidFile,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(command: list[str]) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(watched, "detached", refuse)
    looking = Watched(settings_of(tmp_path))
    watcher.release()
    looking.look()
    assert "no watcher can be started" in caplog.text


@pytest.mark.parametrize("pid", [None, 2**22 + 1])
def test_who_was_not_started_by_a_watcher_gets_none(
    tmp_path: Path, started: list[list[str]], pid: int | None
) -> None:
    """In the foreground, or under the machine's own service manager."""
    lock = PidFile(tmp_path / LOCK_NAME)
    assert lock.acquire()
    lock.write(pid=pid)
    looking = Watched(settings_of(tmp_path))
    lock.release()
    looking.look()
    assert started == []
