"""Who restarts a server that crashed, and leaves alone one that ended by itself?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.config import REPOSITORY
from orchestr8_index.daemon import watcher as watch
from orchestr8_index.daemon.pidfile import PidFile
from orchestr8_index.daemon.watcher import (
    CHANGED,
    LOCK_NAME,
    LOOK_SECONDS,
    UNWATCHED,
    Watched,
    Watcher,
    main,
)

from ..processes import wait_for


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short pauses, and this process's signals and umask as they were."""
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(watch, "NAP", 0.001)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    mask = os.umask(0o022)
    (tmp_path / "logs").mkdir()
    yield
    os.umask(mask)
    for number, handler in before.items():
        signal.signal(number, handler)


def shell(tmp_path: Path, script: str) -> Watcher:
    return Watcher(tmp_path, ["/bin/sh", "-c", f"cd '{tmp_path}'; echo x >> runs; {script}"])


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text().splitlines())


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_chosen_end_is_left(tmp_path: Path, status: int) -> None:
    assert shell(tmp_path, f"exit {status}").run() == status
    assert runs(tmp_path) == 1


@pytest.mark.parametrize("end", ["exit 70", "kill -9 $$", "kill -SEGV $$"])
def test_a_crash_is_started_again(tmp_path: Path, end: str) -> None:
    script = f"[ $(wc -l < runs) -lt 3 ] || exit 0; {end}"
    assert shell(tmp_path, script).run() == 0
    assert runs(tmp_path) == 3


def test_a_crash_is_logged_with_its_last_words(tmp_path: Path) -> None:
    shell(tmp_path, "[ $(wc -l < runs) -lt 2 ] || exit 0; echo 'no memory' >&2; exit 70").run()
    (told,) = map(json.loads, (tmp_path / "logs" / "mcp.log").read_text().splitlines())
    assert (told["level"], told["said"]) == ("error", "no memory")
    assert "status 70" in told["message"]


def test_pauses_double_up_to_the_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.004)
    monkeypatch.setattr(Watcher, "_rest", lambda self, seconds: paused.append(seconds))
    shell(tmp_path, "[ $(wc -l < runs) -lt 6 ] || exit 0; exit 70").run()
    assert paused == [0.001, 0.002, 0.004, 0.004, 0.004]


def test_after_a_calm_run_the_pause_is_short_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(watch, "CALM_SECONDS", 0.0)
    monkeypatch.setattr(Watcher, "_rest", lambda self, seconds: paused.append(seconds))
    shell(tmp_path, "[ $(wc -l < runs) -lt 4 ] || exit 0; exit 70").run()
    assert paused == [0.001] * 3


def test_a_stop_while_it_rests_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = shell(tmp_path, "exit 70")
    monkeypatch.setattr(watch, "FIRST_PAUSE", 60.0)
    monkeypatch.setattr(time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert watcher.run() == 0
    assert runs(tmp_path) == 1


def test_a_stop_while_a_child_is_being_started_ends_that_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal raised SystemExit inside Popen, and the new child was left behind."""
    started: list[subprocess.Popen[bytes]] = []

    def popen(*given: Any, **named: Any) -> subprocess.Popen[bytes]:
        started.append(real(*given, **named))
        if len(started) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return started[-1]

    real: type[subprocess.Popen[bytes]] = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    shell(tmp_path, "[ $(wc -l < runs) -lt 2 ] && exit 70; exec sleep 60").run()
    assert [child.returncode for child in started] == [70, -signal.SIGTERM]


# --- seen from the server ----------------------------------------------------------------------


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[PidFile]:
    """The lock of a watcher which is the parent of this process."""
    lock = PidFile(tmp_path / LOCK_NAME)
    assert lock.acquire()
    lock.write(pid=os.getppid())
    yield lock
    lock.release()


def test_a_server_says_that_its_watcher_was_ended(
    tmp_path: Path, watching: PidFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    assert watched.reasons == []
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert watched.reasons == [UNWATCHED]


@pytest.mark.parametrize("pid", [None, 2**22 + 1])
def test_a_server_that_no_watcher_started_misses_none(
    tmp_path: Path, watching: PidFile, monkeypatch: pytest.MonkeyPatch, pid: int | None
) -> None:
    """In the foreground, or under the machine's own service manager."""
    watching.write(pid=pid)
    watched = Watched(tmp_path)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert watched.reasons == []


def test_a_server_says_that_its_program_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, package = [0.0], tmp_path / "package"
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    (package / "__pycache__").mkdir(parents=True)
    (package / "a.py").write_text("1")
    (package / ".#b.py").symlink_to("nowhere")
    watched = Watched(tmp_path, package)
    (package / "__pycache__" / "a.pyc").write_text("1")
    now[0] = LOOK_SECONDS
    assert watched.reasons == []
    (package / "a.py").write_text("22")
    assert watched.reasons == []  # looked at a moment ago
    now[0] *= 2
    assert watched.reasons == [CHANGED]
    (package / "a.py").unlink()
    now[0] *= 2
    assert watched.reasons == [CHANGED]


# --- as a process ------------------------------------------------------------------------------

CODE = "import sys; sys.path.append(sys.argv.pop(1));"
CODE += "from orchestr8_index.daemon.watcher import main; sys.exit(main())"


def start(data_dir: Path, *command: str) -> subprocess.Popen[bytes]:
    named = [str(REPOSITORY), str(data_dir), *command]
    return subprocess.Popen([sys.executable, "-c", CODE, *named])


def test_a_stop_is_passed_on_and_the_childs_end_is_its_own(tmp_path: Path) -> None:
    script = f"trap 'exit 0' TERM; echo > '{tmp_path}/ready'; while :; do sleep 0.01; done"
    watching = start(tmp_path, "/bin/sh", "-c", script)
    try:
        wait_for((tmp_path / "ready").exists)
        watching.terminate()
        assert watching.wait(timeout=20) == 0
    finally:
        watching.kill()
        watching.wait()


def test_it_says_who_it_is_while_it_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["watch", str(tmp_path), "/bin/sh", "-c", "exit 1"])
    monkeypatch.setattr(Watcher, "_run_once", lambda self: _told(tmp_path)["pid"] != os.getpid())
    assert main() == 0
    assert PidFile(tmp_path / LOCK_NAME).owner() is None


def _told(data_dir: Path) -> dict[str, int]:
    return PidFile(data_dir / LOCK_NAME).owner() or {}


def test_a_second_watcher_leaves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = PidFile(tmp_path / LOCK_NAME)
    first.acquire()
    monkeypatch.setattr(sys, "argv", ["watch", str(tmp_path), "/bin/sh", "-c", "exit 1"])
    assert main() == 0
    first.release()
