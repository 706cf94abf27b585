"""How does a generation lie on disk? Written beside its place, renamed when whole."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from orchestr8_index.catalog.map import NAME, read_places
from orchestr8_index.catalog.sections import Table
from orchestr8_index.catalog.snapshot import FORMAT, Files, Generations, Manifest, SegmentInfo
from orchestr8_index.errors import SnapshotUnreadable
from orchestr8_index.records import KINDS, FileReport

NOTHING: Table = {}
MANIFEST = Manifest(
    format=FORMAT,
    version="1",
    roots=("/r",),
    digest="d",
    built_at=1.0,
    build_ms=2,
    files={},
    segments={kind: SegmentInfo(3, False, NOTHING, ()) for kind in KINDS},
    words="w",
)
FILES = Files((FileReport("/r", "a.md", "indexed"),), ())


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path, "roots")


def publish(generations: Generations, manifest: Manifest = MANIFEST) -> int:
    return generations.publish(generations.prepare(), manifest, FILES).generation


def test_generations_count_from_one(generations: Generations) -> None:
    assert (generations.newest(), generations.numbers()) == (0, [])
    assert [publish(generations), publish(generations)] == [1, 2]
    assert (generations.newest(), generations.numbers()) == (2, [1, 2])


def test_what_is_published_is_read(generations: Generations) -> None:
    publish(generations)
    read = generations.manifest(1)
    assert msgspec.structs.replace(read, sums={}) == msgspec.structs.replace(MANIFEST, generation=1)
    assert read.sums.keys() == {"files.msgpack"}
    assert generations.files(1) == FILES
    assert generations.manifest(1).counts == {"agent": 3, "skill": 3, "workflow": 3}


def test_files_and_folders_are_the_users_own(generations: Generations) -> None:
    publish(generations)
    assert generations.path(1).stat().st_mode & 0o777 == 0o700
    modes = {path.stat().st_mode & 0o777 for path in generations.path(1).iterdir()}
    assert modes == {0o600}


def test_two_that_publish_at_once_both_succeed(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(generations)
    stale = iter([0])  # as if the other had published between the look and the rename
    newest = generations.newest
    monkeypatch.setattr(Generations, "newest", lambda self: next(stale, newest()))
    assert publish(generations) == 2


def test_a_place_that_cannot_be_renamed_to_is_an_error(generations: Generations) -> None:
    made = generations.prepare()
    with pytest.raises(OSError):
        generations.publish(made / "gone", MANIFEST, FILES)


def test_a_failed_rename_is_an_error(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="full"):
        publish(generations)


@pytest.mark.parametrize("name", ["manifest.json", "files.msgpack"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b'{"version":"\xff"}', b"[" * 99_999])
def test_a_damaged_generation_cannot_be_read(
    generations: Generations, name: str, damage: bytes
) -> None:
    (generations.path(publish(generations)) / name).write_bytes(damage)
    with pytest.raises(SnapshotUnreadable, match="cannot be read"):
        generations.manifest(1)
        generations.files(1)


def test_a_pipe_in_the_place_of_a_file_is_waited_for_by_nobody(generations: Generations) -> None:
    for name in ("manifest.json", "files.msgpack"):
        path = generations.path(publish(generations)) / name
        path.unlink()
        os.mkfifo(path)
    for read in (generations.manifest, generations.files):
        with pytest.raises(SnapshotUnreadable, match="cannot be read"):
            read(generations.newest() - (read == generations.manifest))


@pytest.mark.parametrize("bytes_", [b"x", b"1234", b""])
def test_a_bent_map_is_none(tmp_path: Path, bytes_: bytes) -> None:
    (tmp_path / NAME).write_bytes(bytes_)
    assert read_places(tmp_path, [2, 0, 1]) == [[], [], []]


def test_another_format_cannot_be_read(generations: Generations) -> None:
    publish(generations, msgspec.structs.replace(MANIFEST, format=FORMAT + 1))
    with pytest.raises(SnapshotUnreadable, match="another version"):
        generations.manifest(1)


def test_old_generations_are_pruned(generations: Generations) -> None:
    for _ in range(4):
        publish(generations)
    generations.prune()
    assert generations.numbers() == [3, 4]


def test_leftovers_go_when_nobody_can_be_using_them(generations: Generations) -> None:
    old, young = generations.prepare(), generations.prepare()
    os.utime(old, (1, 1))
    generations.remove_leftovers()
    assert (old.exists(), young.exists()) == (False, True)


def test_a_leftover_that_vanishes_meanwhile_is_passed(generations: Generations) -> None:
    generations.prepare()
    (generations.folder / "build-dangling").symlink_to("gone")
    generations.remove_leftovers(older_than=1e9)
    assert generations.numbers() == []


def test_other_files_are_no_generations(generations: Generations) -> None:
    publish(generations)
    for name in ("notes", "-1", "²"):
        (generations.folder / name).mkdir()
    assert generations.numbers() == [1]


def test_a_changed_byte_is_damage(generations: Generations) -> None:
    path = generations.path(publish(generations)) / "files.msgpack"
    assert generations.damage(1) == ""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\x00")
    assert generations.damage(1) == "files.msgpack"
    path.write_bytes(data[:-1])
    assert generations.damage(1) == "files.msgpack"


def test_a_generation_that_another_process_pruned_is_no_damage(generations: Generations) -> None:
    (generations.path(publish(generations)) / "files.msgpack").unlink()
    assert generations.damage(1) == ""


def test_what_cannot_be_read_names_no_path(generations: Generations, tmp_path: Path) -> None:
    with pytest.raises(SnapshotUnreadable) as said:
        generations.manifest(7)
    assert str(tmp_path) not in str(said.value)


def test_what_a_dead_process_was_building_is_removed_at_once(tmp_path: Path) -> None:
    generations = Generations(tmp_path, "roots")
    mine = generations.prepare()
    (generations.folder / "build-999999999-x").mkdir()
    (generations.folder / "build-odd").mkdir()
    generations.remove_leftovers()
    assert list(generations.folder.iterdir()) == [mine]


def test_what_lies_behind_a_link_is_neither_read_nor_removed(tmp_path: Path) -> None:
    """Folders with numbers for names, as of photographs by year, were pruned as generations."""
    years = [tmp_path / "photographs" / year for year in ("2019", "2020", "2021", "build-1-x")]
    for year in years:
        year.mkdir(parents=True)
    (tmp_path / "data" / "snapshots").mkdir(parents=True)
    (tmp_path / "data" / "snapshots" / "digest").symlink_to(tmp_path / "photographs")
    generations = Generations(tmp_path / "data", "digest")
    generations.prune()
    generations.remove_leftovers(older_than=-1)
    assert generations.numbers() == [] and all(year.is_dir() for year in years)
    with pytest.raises(OSError, match="is a link"):
        generations.prepare()
