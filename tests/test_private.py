"""Are files opened and folders made for this user alone, and nothing behind a link?"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr8_index import private
from orchestr8_index.private import check_data_dir, make_folder, open_private, write_private

KEPT = "somebody's text"
WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text(KEPT)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    return path


def symbolic(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard(path: Path, victim: Path) -> None:
    os.link(victim, path)


def fifo(path: Path, victim: Path) -> None:
    os.mkfifo(path)


Make = Callable[[Path, Path], None]
WAYS = [symbolic, hard, fifo]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flags", [WRITING, os.O_RDWR, os.O_RDONLY])
def test_what_is_no_file_of_ours_is_not_opened(
    data: Path, victim: Path, way: Make, flags: int
) -> None:
    way(data / "file", victim)
    with pytest.raises(OSError, match="file (is a|is no)"):
        open_private(data / "file", flags)
    assert victim.read_text() == KEPT


def test_a_link_to_nothing_makes_nothing(data: Path, tmp_path: Path) -> None:
    (data / "file").symlink_to(tmp_path / "new")
    with pytest.raises(OSError, match="is a link"):
        open_private(data / "file", WRITING)
    assert not (tmp_path / "new").exists()


def test_a_file_of_another_user_is_left(victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(OSError, match="belongs to another user"):
        open_private(victim, WRITING)
    assert victim.read_text() == KEPT


def test_our_own_file_is_opened_and_made_ours_alone(victim: Path) -> None:
    victim.chmod(0o644)
    with open(victim, "w", opener=open_private) as file:
        file.write("new")
    assert (victim.read_text(), mode(victim)) == ("new", 0o600)


def test_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_folder(tmp_path / "a" / "b", "logs")
    finally:
        os.umask(before)
    assert [mode(path) for path in (made, made.parent, made.parent.parent)] == [0o700] * 3


def test_a_folder_that_everybody_can_write_is_refused(data: Path) -> None:
    data.chmod(0o777)
    with pytest.raises(OSError, match="everybody .*chmod 700"):
        make_folder(data)


def test_a_folder_that_its_group_can_write_no_longer_is(data: Path) -> None:
    data.chmod(0o775)
    make_folder(data)
    assert mode(data) == 0o755


def test_a_folder_of_another_user_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(OSError, match="belongs to another user"):
        make_folder(data)


def test_the_way_to_the_data_directory_may_be_a_link(tmp_path: Path, data: Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path)
    (data / "again").symlink_to(data)
    assert make_folder(tmp_path / "linked" / "data", "logs").is_dir()
    assert make_folder(data / "again", "logs").is_dir()


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_below_it_may_not(tmp_path: Path, data: Path, there: bool) -> None:
    target = tmp_path / "target"
    if there:
        target.mkdir()
    (data / "logs").symlink_to(target)
    with pytest.raises(OSError, match="logs is a link"):
        make_folder(data, "logs")
    assert target.exists() == there


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name",
    ["mcp.pid", "mcp.watch", "mcp.db", "mcp.db-wal", "mcp.db.ready", "spool.jsonl", "spool.lock"]
    + ["keys.json", "warm.msgpack", ".warm.msgpack.part", "logs/mcp.log", "logs/serve.stderr"]
    + ["logs/mcp.log.2026-01-01.gz", "backups/mcp-2026-01-01T000000.000.db", "eval-last.json"],
)
def test_each_file_of_a_data_directory_is_looked_at(
    data: Path, victim: Path, name: str, way: Make
) -> None:
    (data / name).parent.mkdir(exist_ok=True)
    way(data / name, victim)
    with pytest.raises(OSError, match=f"{Path(name).name} is "):
        check_data_dir(data)
    assert victim.read_text() == KEPT


@pytest.mark.parametrize("name", private._FOLDERS)
def test_each_folder_of_a_data_directory_is_looked_at(
    data: Path, tmp_path: Path, name: str
) -> None:
    (data / name).symlink_to(tmp_path)
    with pytest.raises(OSError, match=f"{name} is a link"):
        check_data_dir(data)


def test_what_else_lies_there_is_the_users(data: Path, victim: Path) -> None:
    (data / "certificate.pem").symlink_to(victim)
    (data / "mcp.pid").write_text("{}")
    check_data_dir(data)


def test_two_processes_may_write_a_file_at_once(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each removed the other's unfinished file, or put it in place half-written."""
    replace = os.replace

    def after_another(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(os, "getpid", lambda: 4711)
        write_private(data / "file", b"theirs")
        replace(source, target)

    monkeypatch.setattr(os, "replace", after_another)
    write_private(data / "file", b"ours")
    assert [(each.name, each.read_bytes()) for each in data.iterdir()] == [("file", b"ours")]


def test_a_write_that_fails_leaves_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write_private(data / "file", b"new")
    assert list(data.iterdir()) == []
