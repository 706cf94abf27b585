"""How is a snapshot made? The child's own work, here in process."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import msgspec
import pytest

from orchestr8_index.catalog import build as module
from orchestr8_index.catalog.build import KIND, build, main
from orchestr8_index.catalog.build_lines import BuildLine, BuildRequest, Note, read_note
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import digest_of_roots

from ..trees import MakeTree, agent


@pytest.fixture
def request_of(make_tree: MakeTree, tmp_path: Path) -> BuildRequest:
    root = make_tree({f"agents/{n}.md": agent(f"worker-{n}") for n in range(3)})
    return BuildRequest((str(root),), str(tmp_path / "data"))


def generations(request: BuildRequest) -> Generations:
    return Generations(Path(request.data_dir), digest_of_roots(request.roots))


def silent(line: BuildLine) -> None:
    pass


def test_each_build_is_the_next_generation(request_of: BuildRequest) -> None:
    assert [build(request_of, silent).generation for _ in range(2)] == [1, 2]


def test_nothing_is_built_where_nothing_changed(request_of: BuildRequest) -> None:
    build(request_of, silent)
    digest = generations(request_of).manifest(1).digest
    line = build(msgspec.structs.replace(request_of, unless=digest), silent)
    assert (line.fresh, line.generation) == (True, 0)
    assert generations(request_of).numbers() == [1]


def test_a_build_says_how_far_it_is(
    request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS_EVERY", -1.0)
    said: list[BuildLine] = []
    build(request_of, said.append)
    assert [(line.done, line.total) for line in said] == [(0, 3), (0, 3), (1, 3), (2, 3)]
    assert said[0].note


def test_the_note_tells_the_file_being_read(
    request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS_EVERY", -1.0)
    places: list[str] = []
    noted: list[Note | None] = []

    def listen(line: BuildLine) -> None:
        places.append(line.note)
        noted.append(read_note(places[0]))

    build(request_of, listen)
    assert [note and note.path for note in noted] == [None] + [f"agents/{n}.md" for n in range(3)]
    assert read_note(places[0]) is None  # it ends with the reading


def test_a_note_that_is_no_note_is_none(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"\0\0\0\5junk")
    assert read_note(str(tmp_path / "note")) is None


def test_two_builds_of_one_tree_are_the_same_bytes(request_of: BuildRequest) -> None:
    for _ in range(2):
        build(request_of, silent)
    first, second = (generations(request_of).path(number) for number in (1, 2))
    for name in ("agent.segment", "skill.segment", "workflow.segment", "files.msgpack"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_build_that_fails_leaves_nothing(
    request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr("orchestr8_index.catalog.segment.write_segment", refuse)
    with pytest.raises(OSError, match="full"):
        build(request_of, silent)
    assert list(generations(request_of).folder.iterdir()) == []


def test_the_manifest_says_what_was_built(request_of: BuildRequest) -> None:
    build(request_of, silent)
    manifest = generations(request_of).manifest(1)
    assert (manifest.roots, manifest.generation) == (request_of.roots, 1)
    assert manifest.counts == {"agent": 3, "skill": 0, "workflow": 0}


def run_main(
    request: BuildRequest, monkeypatch: pytest.MonkeyPatch, kindness: list[int] | None = None
) -> tuple[int, BuildLine]:
    """`main` between two buffers; its last line. `kindness` gets how far it steps back."""
    kindness = [] if kindness is None else kindness
    out = io.TextIOWrapper(io.BytesIO())
    sent = io.TextIOWrapper(io.BytesIO(msgspec.json.encode(request)))
    monkeypatch.setattr(sys, "stdin", sent)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr("os.umask", lambda mask: 0)
    monkeypatch.setattr("gc.disable", lambda: None)
    monkeypatch.setattr("os.nice", kindness.append)
    status = main()
    lines = out.buffer.getvalue().splitlines()
    return status, msgspec.json.decode(lines[-1], type=BuildLine)


def test_main_answers_with_a_generation(
    request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, line = run_main(request_of, monkeypatch)
    assert (status, line.generation) == (0, 1)


def test_only_a_build_that_nobody_waits_for_steps_back(
    request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    kindness: list[int] = []
    run_main(request_of, monkeypatch, kindness)
    assert kindness == []
    digest = generations(request_of).manifest(1).digest
    run_main(msgspec.structs.replace(request_of, unless=digest), monkeypatch, kindness)
    assert kindness == [KIND]


def test_main_tells_what_the_system_refused(
    request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(request_of.data_dir).write_text("a file")
    status, line = run_main(request_of, monkeypatch)
    assert status == 1
    assert "directory" in line.error and request_of.data_dir not in line.error
