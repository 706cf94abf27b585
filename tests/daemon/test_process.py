"""Is nothing ever signalled but a process that is proven to be ours?

No test here sends a signal: each way to send one is replaced by a list.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.cli import cli
from orchestr8_index.daemon import process, supervise
from orchestr8_index.daemon.pidfile import PidFile
from orchestr8_index.daemon.process import own_facts, proven
from orchestr8_index.errors import NotOurs

from ..serve.asking import settings_of

OURS = "# from orchestr8_index.daemon"
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""
IDLE = "import sys; print(flush=True); sys.stdin.read()"
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
Start = Callable[..., int]


@pytest.fixture
def starting() -> Iterator[Start]:
    """Start Python with that code; the process ends when its standard input does."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(code: str, *arguments: object) -> int:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        begun.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert begun[-1].stdout
        begun[-1].stdout.readline()
        return begun[-1].pid

    yield start
    for each in begun:
        each.communicate()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been signalled."""
    told: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *what: told.append(what))
    monkeypatch.setattr(os, "killpg", lambda *what: told.append(what))
    if hasattr(signal, "pidfd_send_signal"):
        monkeypatch.setattr(signal, "pidfd_send_signal", lambda *what: told.append(what))
    monkeypatch.setattr(supervise, "STOP_SECONDS", 0.0)
    monkeypatch.setattr(supervise, "KILL_SECONDS", 0.0)
    return told


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[PidFile]:
    """`mcp.pid`, held by this process, which is no server."""
    held = PidFile(tmp_path / "mcp.pid")
    assert held.acquire()
    yield held
    held.release()


def named(path: Path, **facts: Any) -> PidFile:
    """What stands in a file that another process has locked."""
    written = PidFile(path)
    written._fd = os.open(path, os.O_RDWR | os.O_CREAT)
    written.write(**facts)
    written.release()
    return PidFile(path)


@pytest.mark.parametrize("pid", [-1, 0, 1, True, False, -4711, 2**31, 2**70, 1.5, "1", [2], {}])
def test_what_is_no_process_of_a_server_is_not_signalled(
    tmp_path: Path, lock: PidFile, sent: list[Any], pid: object
) -> None:
    """-1 ended every process that the user had, 0 the group of `down` itself."""
    lock.write(pid=pid, port=3700)
    with pytest.raises(NotOurs, match=r"Nothing was ended: .*mcp\.pid"):
        supervise.stop(settings_of(tmp_path))
    assert sent == []


def test_a_bystander_whose_number_stands_there_is_not_signalled(
    tmp_path: Path, lock: PidFile, sent: list[Any], starting: Start
) -> None:
    lock.write(pid=starting(IDLE), port=3700)
    with pytest.raises(NotOurs, match="runs another program"):
        supervise.stop(settings_of(tmp_path))
    assert sent == []


@linux
def test_another_server_of_ours_that_does_not_hold_the_lock_is_not_signalled(
    tmp_path: Path, lock: PidFile, sent: list[Any], starting: Start
) -> None:
    lock.write(pid=starting(IDLE + OURS), port=3700)
    with pytest.raises(NotOurs, match="does not hold the file's lock"):
        supervise.stop(settings_of(tmp_path))
    assert sent == []


def test_another_program_that_holds_the_lock_is_not_signalled(
    tmp_path: Path, sent: list[Any], starting: Start
) -> None:
    path = tmp_path / "mcp.pid"
    named(path, pid=starting(HOLD, path), port=3700)
    with pytest.raises(NotOurs, match="runs another program"):
        supervise.stop(settings_of(tmp_path))
    assert sent == []


def test_a_number_that_another_process_has_by_now_is_not_signalled(
    tmp_path: Path, sent: list[Any], starting: Start
) -> None:
    path = tmp_path / "mcp.pid"
    named(path, pid=starting(HOLD + OURS, path), started=1, port=3700)
    with pytest.raises(NotOurs, match="started at another time"):
        supervise.stop(settings_of(tmp_path))
    assert sent == []


def test_a_process_of_another_user_is_not_signalled(
    tmp_path: Path, sent: list[Any], starting: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcp.pid"
    lock = named(path, pid=starting(HOLD + OURS, path))
    real = process._look
    monkeypatch.setattr(process, "_look", lambda pid: real(pid)._replace(uid=1))  # type: ignore[union-attr]
    with pytest.raises(NotOurs, match="another user"), proven(lock):
        pass
    assert sent == []


def test_a_process_that_is_gone_is_not_signalled(
    tmp_path: Path, lock: PidFile, sent: list[Any]
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock.write(pid=ended.pid, port=3700)
    with pytest.raises(NotOurs):
        supervise.stop(settings_of(tmp_path))
    assert sent == []


@linux
@pytest.mark.parametrize("older", [False, True])
def test_a_server_is_signalled_through_a_handle(
    tmp_path: Path, sent: list[Any], starting: Start, older: bool
) -> None:
    """Also one of a version that did not write when it was started."""
    path = tmp_path / "mcp.pid"
    pid = starting(HOLD + OURS, path)
    seen = process._look(pid)
    assert seen
    lock = named(path, pid=pid, **({} if older else {"started": seen.started}))
    with proven(lock) as found:
        assert found and found.pid == pid and found.handle >= 0
        found.send(signal.SIGTERM)
        assert sent == [(found.handle, signal.SIGTERM)]


@linux
def test_nothing_is_signalled_where_one_of_two_is_not_proven(
    tmp_path: Path, lock: PidFile, sent: list[Any], starting: Start
) -> None:
    watch = tmp_path / "mcp.watch"
    named(watch, pid=starting(HOLD + OURS, watch))
    lock.write(pid=-1, port=3700)
    with pytest.raises(NotOurs):
        supervise.stop(settings_of(tmp_path))
    assert sent == []


def test_down_says_why_and_ends_with_1(
    tmp_path: Path, lock: PidFile, sent: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write(pid=-1, port=3700)
    with pytest.raises(NotOurs) as said:
        cli.main(["down", "--data-dir", str(tmp_path)], standalone_mode=False)
    assert said.value.exit_status == 1 and said.value.cure
    assert (sent, capsys.readouterr().out) == ([], "")


def test_a_pid_file_that_is_a_link_ends_nobody(tmp_path: Path, sent: list[Any]) -> None:
    other = PidFile(tmp_path / "other")
    other.acquire()
    other.write(pid=-1)
    (tmp_path / "mcp.pid").symlink_to(tmp_path / "other")
    with pytest.raises(NotOurs, match="is a link"):
        supervise.stop(settings_of(tmp_path))
    other.release()
    assert sent == []


def test_a_group_of_nobody_is_not_ended(sent: list[Any]) -> None:
    class Never:
        pid = 0

    process.kill_group(Never())  # type: ignore[arg-type]
    assert sent == []


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        ("/usr/bin/python3 -m orchestr8_index serve ", True),
        ("/venv/bin/python /venv/bin/orchestr8-index serve ", True),
        ("/bin/python -P -c import sys;from orchestr8_index.cli import main; main() /x ", True),
        ("vim orchestr8_index/app.py ", False),
        ("tail -f orchestr8-index.log ", False),
        ("python -m pytest tests ", False),
        ("", False),
    ],
)
def test_a_command_line_is_ours_or_not(command: str, ours: bool) -> None:
    assert bool(process._COMMAND.search(command)) == ours


def test_a_file_says_when_its_owner_was_started(starting: Start) -> None:
    seen = process._look(starting(IDLE))
    assert seen and seen.uid == os.geteuid()
    assert own_facts()["started"] <= seen.started


@pytest.mark.skipif(not Path(process._PS[0]).exists(), reason="there is no ps")
def test_where_there_is_no_proc_ps_tells(starting: Start) -> None:
    seen = process._ask_ps(starting(IDLE + OURS))
    assert process._COMMAND.search(seen.command)
    assert (seen.uid, seen.started > 1_700_000_000) == (os.geteuid(), True)
