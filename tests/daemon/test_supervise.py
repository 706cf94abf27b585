"""How is a server put into the background, and what is said when that fails?"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.config import REPOSITORY, Settings
from orchestr8_index.daemon import supervise
from orchestr8_index.daemon.locate import Address
from orchestr8_index.daemon.pidfile import PidFile
from orchestr8_index.daemon.supervise import running_port, start, stop
from orchestr8_index.errors import BuildFailed, PortTaken, StartFailed

from ..processes import alive, wait_for
from ..serve.asking import settings_of

HEALTHY = {"status": "healthy", "generation": 1, "reasons": []}
HOLD = """
import signal, sys, time
sys.path.append(sys.argv[1])
from pathlib import Path
from orchestr8_index.daemon.pidfile import PidFile
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[3] == "deaf" else signal.SIG_DFL)
lock = PidFile(Path(sys.argv[2]) / "mcp.pid")
lock.acquire()
import os
lock.write(pid=os.getpid(), port=1)
while True: time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path / "data", port=0)


@pytest.fixture
def holding(settings: Settings, request: pytest.FixtureRequest) -> Iterator[None]:
    """A process that owns the data directory and may not listen to SIGTERM."""
    named = [str(REPOSITORY), str(settings.data_dir), request.param]
    process = subprocess.Popen([sys.executable, "-c", HOLD, *named])
    try:
        wait_for(lambda: running_port(settings))
        yield
    finally:
        process.kill()
        process.wait()


def ignore(health: dict[str, Any]) -> None:
    pass


def test_a_disk_that_takes_nothing_more_is_told_before_a_server_is_started(
    settings: Settings,
) -> None:
    """The server could not even say why it ended."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        with pytest.raises(StartFailed, match="The data directory .* be used: File too large"):
            start(settings, ignore)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_with_nothing_running_there_is_nothing_to_stop(settings: Settings) -> None:
    assert (stop(settings), running_port(settings)) == ("nothing", None)


@pytest.mark.parametrize("holding", ["listens"], indirect=True)
def test_a_stop_is_a_sigterm(settings: Settings, holding: None) -> None:
    assert stop(settings) == "stopped"


@pytest.mark.parametrize("holding", ["deaf"], indirect=True)
def test_who_does_not_listen_is_killed(
    settings: Settings, holding: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "STOP_SECONDS", 0.1)
    assert stop(settings) == "killed"
    assert running_port(settings) is None


def test_a_port_that_is_no_number_is_no_port(settings: Settings) -> None:
    owner = PidFile(settings.data_dir / "mcp.pid")
    owner.acquire()
    owner.write(port="3700")
    assert running_port(settings) is None
    owner.release()


def test_a_port_of_a_server_with_another_data_directory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "get_health", lambda port: HEALTHY)
    with pytest.raises(PortTaken, match="Port 4711 is taken by a server with another data"):
        start(settings_of(tmp_path, port=4711), ignore)


def test_a_data_directory_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartFailed, match="cannot be used: Not a directory"):
        start(settings_of(tmp_path / "file", port=0), ignore)


# --- a start, with a stand-in for the server ---------------------------------------------------


class Process:
    """One that was started, and has ended with `status` or still runs."""

    def __init__(self, status: int | None = None) -> None:
        self.status = status

    def poll(self) -> int | None:
        return self.status

    def wait(self, seconds: float) -> int | None:
        return self.status

    @property
    def pid(self) -> int:
        """Nobody's: `killpg` finds no such group."""
        return 2**22 + 1


def stand_in(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(supervise, "own_command", lambda *_, **__: ["/bin/sh", "-c", script])


def test_the_last_words_of_a_failed_start_are_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "echo noise >&2; echo 'Error: The port is taken.' >&2; exit 1")
    with pytest.raises(StartFailed, match="^The port is taken.$"):
        start(settings, ignore)


def test_a_start_that_ends_without_a_word_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "exit 0")
    with pytest.raises(StartFailed, match="ended at once"):
        start(settings, ignore)


def test_a_start_whose_last_words_are_gone_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_spawn", lambda settings: Process(status=1))
    with pytest.raises(StartFailed, match="ended at once"):
        start(settings, ignore)


def test_a_start_that_is_given_up_leaves_no_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither who never came as far as the lock, nor what it had started."""
    told = settings.data_dir / "pids"
    stand_in(monkeypatch, f"sleep 600 & echo $$ $! > '{told}'; wait")
    monkeypatch.setattr(supervise, "START_SECONDS", 0.3)
    with pytest.raises(StartFailed, match="did not answer within"):
        start(settings, ignore)
    assert len(pids := told.read_text().split()) == 2
    wait_for(lambda: not any(alive(int(pid)) for pid in pids))


@pytest.fixture
def owner(settings: Settings) -> Iterator[None]:
    """A lock that says that a server listens."""
    lock = PidFile(settings.data_dir / "mcp.pid")
    lock.acquire()
    lock.write(pid=None, port=4711)
    yield
    lock.release()


def healths(monkeypatch: pytest.MonkeyPatch, *told: dict[str, Any] | None) -> None:
    left = list(told)
    monkeypatch.setattr(supervise, "get_health", lambda port: left.pop(0))


def test_progress_is_told_until_it_serves(
    settings: Settings, owner: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(supervise, "_spawn", lambda settings: Process())
    starting = {"status": "starting", "generation": 0, "reasons": []}
    healths(monkeypatch, None, starting, HEALTHY)
    assert start(settings, seen.append) == HEALTHY
    assert seen == [starting]


def test_a_failed_first_build_is_told_and_stopped(
    settings: Settings, owner: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[Settings] = []
    monkeypatch.setattr(supervise, "_spawn", lambda settings: Process())
    monkeypatch.setattr(supervise, "stop", stopped.append)
    healths(monkeypatch, {"status": "starting", "generation": 0, "reasons": ["No space."]})
    with pytest.raises(BuildFailed, match="No space. Nothing was left running"):
        start(settings, ignore)
    assert stopped == [settings]


def test_who_meets_another_start_waits_for_that_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second watcher ends at once, and its `up` failed though the first was just starting."""
    monkeypatch.setattr(supervise, "_spawn", lambda settings: Process(status=0))
    watcher = PidFile(settings.data_dir / "mcp.watch")
    watcher.acquire()
    watcher.write(pid=1)
    found = [None, None, None, Address(4711)]
    monkeypatch.setattr(supervise, "owner_address", lambda *_: found.pop(0))
    healths(monkeypatch, HEALTHY)
    assert start(settings, ignore) == HEALTHY
    watcher.release()
