"""Is one running already? The lock says so, and nothing that an owner left behind."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr8_index import private
from orchestr8_index.daemon import pidfile
from orchestr8_index.daemon.pidfile import PidFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mcp.pid"


@pytest.fixture
def owned(path: Path) -> Iterator[PidFile]:
    file = PidFile(path)
    assert file.acquire()
    yield file
    file.release()


def test_without_a_file_there_is_no_owner(path: Path) -> None:
    assert PidFile(path).owner() is None


def test_the_owner_says_who_it_is(path: Path, owned: PidFile) -> None:
    owned.write(pid=1, port=3700)
    assert PidFile(path).owner() == {"pid": 1, "port": 3700}


def test_an_owner_of_many_roots_is_read_whole(path: Path, owned: PidFile) -> None:
    roots = [f"/home/me/.claude/plugins/cache/market/plugin-{n}/1.0.0" for n in range(2000)]
    owned.write(pid=1, port=3700, roots=roots)
    assert PidFile(path).owner() == {"pid": 1, "port": 3700, "roots": roots}


def test_an_owner_takes_its_place_again_when_the_folder_was_removed(
    path: Path, owned: PidFile
) -> None:
    """It could neither be found nor ended any more."""
    owned.write(pid=1, port=3700)
    shutil.rmtree(path.parent)
    owned.hold()
    assert PidFile(path).owner() == {"pid": 1, "port": 3700}
    assert not PidFile(path).acquire()


@pytest.mark.parametrize("bent", [b"", b"nonsense", b'{"port": 1}\n', b"{" * 9000])
def test_an_owner_says_again_what_somebody_wrote_over(
    path: Path, owned: PidFile, bent: bytes
) -> None:
    """Nobody found the server any more until it was started anew."""
    owned.write(pid=1, port=3700)
    said = path.read_bytes()
    path.write_bytes(bent)
    owned.hold()
    assert path.read_bytes() == said


def test_who_came_meanwhile_keeps_the_place(path: Path, owned: PidFile) -> None:
    owned.write(pid=1)
    path.unlink()
    other = PidFile(path)
    assert other.acquire()
    other.write(pid=2)
    owned.hold()
    assert PidFile(path).owner() == {"pid": 2}
    other.release()


def test_a_place_that_cannot_be_taken_is_left(path: Path, owned: PidFile) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("in the way")
    owned.hold()
    assert PidFile(path).owner() is None


def test_an_owner_that_has_not_written_yet_is_an_owner(path: Path, owned: PidFile) -> None:
    assert PidFile(path).owner() == {}


@pytest.mark.parametrize("written", [b"{half", b"[1]", b"\xff", b"5", b"[" * 60_000])
def test_a_damaged_file_still_has_its_owner(path: Path, owned: PidFile, written: bytes) -> None:
    path.write_bytes(written)
    assert PidFile(path).owner() == {}


def test_there_is_one_owner(path: Path, owned: PidFile) -> None:
    assert not PidFile(path).acquire()


def test_what_a_dead_owner_left_means_nothing(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"pid":1,"port":3700}')
    assert PidFile(path).owner() is None


def test_after_release_it_is_free_and_says_who_was_last(path: Path) -> None:
    file = PidFile(path)
    file.acquire()
    file.write(pid=1)
    file.release()
    assert (PidFile(path).owner(), PidFile(path).last()) == (None, {"pid": 1})


def test_a_shorter_text_replaces_a_longer_one(path: Path, owned: PidFile) -> None:
    owned.write(pid=123456, roots=["a" * 100])
    owned.write(pid=1)
    assert PidFile(path).owner() == {"pid": 1}


def test_asking_does_not_take_it(path: Path, owned: PidFile) -> None:
    PidFile(path).owner()
    owned.release()
    PidFile(path).owner()
    assert owned.acquire()


def test_one_who_asks_at_that_moment_does_not_keep_an_owner_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` and `status` look every 50 ms; a look is a lock, and a start that met one failed."""
    answers = [False, True]
    monkeypatch.setattr(pidfile, "lock_file", lambda fd, alone=True: answers.pop(0))
    file = PidFile(path)
    assert file.acquire()
    file.release()


def test_two_who_ask_at_once_are_no_owners(path: Path) -> None:
    """Each would take the other for one, and `down` would signal whoever has the number now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"pid": 1}')
    with path.open("r+") as asking:
        assert private.lock_file(asking.fileno(), alone=False)
        assert PidFile(path).owner() is None


def test_folder_and_file_are_their_owners_alone(path: Path, owned: PidFile) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_without_locks_it_runs_without_the_guarantee(
    path: Path, owned: PidFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "fcntl", None)
    second = PidFile(path)
    assert second.acquire()
    second.release()


def test_a_new_owner_takes_over_nothing_that_the_last_one_wrote(path: Path) -> None:
    last, now = PidFile(path), PidFile(path)
    last.acquire()
    last.write(pid=1)
    last.release()
    now.acquire()
    assert PidFile(path).owner() == {}
    now.release()


def test_without_a_file_nobody_was_last(path: Path) -> None:
    assert PidFile(path).last() == {}
