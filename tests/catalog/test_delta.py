"""Does it make a difference whether a file was read now or before? It must not."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog import collect as module
from orchestr8_index.catalog.build import build
from orchestr8_index.catalog.build_lines import BuildLine, BuildRequest
from orchestr8_index.catalog.collect import read_file
from orchestr8_index.catalog.index import open_index
from orchestr8_index.catalog.scan import Source
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import digest_of_roots
from orchestr8_index.records import KINDS, FileReport

from ..drawn import COSTLY
from ..trees import agent

CHANGED = "not the digest of any tree"
CLOCK = itertools.count(1_600_000_000)

NAMES = st.sampled_from(["sql-tuner", "SQL_Tuner", "a-sql-tuner", "code-reviewer", "x"])
WORDS = st.lists(
    st.sampled_from(
        ["index", "tuner", "tuned", "queryPlan", "the", "日本語", "b:sql-tuner", "code-reviewer"]
    ),
    max_size=7,
).map(" ".join)
HEADERS = st.sampled_from(["", "tags: [SQL, data]\n", "capabilities: plans\nmodel: opus\n"])


@st.composite
def documents(draw: st.DrawFn) -> str:
    name, said, more, body = draw(NAMES), draw(WORDS), draw(HEADERS), draw(WORDS)
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["", "Plain text.", "---\nname: [\n---\nBroken: {"]))
    return f"---\nname: {name}\ndescription: {said!r}\n{more}---\n\n{body}\n"


REGISTRIES = st.builds(
    "roles:\n  tuner:\n    primary: {}\n    fallbacks: [x]\n    use_when: {}\n".format,
    NAMES,
    st.sampled_from(["plans are slow", "the index grows", "''"]),
)
PATHS = [
    f"plugins/{plugin}/{folder}/{name}"
    for plugin in "ab"
    for folder, name in [
        ("agents", "one.md"),
        ("agents", "two.md"),
        ("skills", "x/SKILL.md"),
        ("commands", "run.md"),
    ]
]
REGISTRY = ".claude/agent-registry.yml"
MANIFEST = "plugins/a/.claude-plugin/plugin.json"
Step = dict[str, "str | None"]
STEP = st.fixed_dictionaries(
    {},
    optional={
        **{path: st.none() | documents() for path in PATHS},
        REGISTRY: st.none() | REGISTRIES,
        MANIFEST: st.sampled_from([None, '{"name": "b"}', '{"name": "z"}', "{"]),
    },
)


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are taken for what they are, though the files are new: `save` sets them apart."""
    monkeypatch.setattr(module, "JUST_NOW", -(10**19))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are opened from now on."""
    paths: list[str] = []

    def noting(
        source: Source, roots: tuple[str, ...], most: int
    ) -> tuple[bytes, FileReport | None]:
        paths.append(source.path)
        return read_file(source, roots, most)

    monkeypatch.setattr(module, "read_file", noting)
    return paths


def save(root: Path, files: dict[str, str | None]) -> None:
    """None is a deletion. Every file gets a time of its own."""
    for path, text in files.items():
        place = root / path
        if text is None:
            place.unlink(missing_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        os.utime(place, (next(CLOCK),) * 2)


def made(root: Path, data: Path, unless: str = CHANGED, *named: str) -> BuildLine:
    return build(BuildRequest((str(root),), str(data), (), unless, named), lambda line: None)


def served(root: Path, data: Path, generation: int, *more: str) -> dict[str, object]:
    """All that a server can read of a generation, but for when it was built."""
    generations = Generations(data, digest_of_roots((str(root), *more)))
    manifest, folder = generations.manifest(generation), generations.path(generation)
    told = msgspec.structs.asdict(manifest)
    for name in ("built_at", "build_ms", "generation", "segments"):
        del told[name]
    for kind, info in manifest.segments.items():
        data_of = (folder / f"{kind}.segment").read_bytes()
        for name, (start, length) in info.sections.items():
            told[f"{kind} {name}"] = data_of[start : start + length]
        segment = open_index(generations, generation).segments[kind]
        told[f"{kind} whole texts"] = [segment.text(place) for place in range(segment.size)]
        told[f"{kind} facts"] = (info.entries, info.wide, info.lengths, info.tokens)
    return {**told, "files": (folder / "files.msgpack").read_bytes()}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree", tmp_path / "data"


@COSTLY
@given(st.lists(STEP, min_size=2, max_size=4))
def test_a_delta_is_what_a_full_build_would_be(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("delta")
    root = folder / "tree"
    root.mkdir()
    for number, step in enumerate(steps):
        save(root, step)
        delta = made(root, folder / "data").generation
        full = made(root, folder / f"full{number}", "").generation
        assert served(root, folder / "data", delta) == served(root, folder / f"full{number}", full)


@COSTLY
@given(st.lists(st.tuples(STEP, STEP), min_size=1, max_size=4), st.booleans())
def test_what_is_shared_is_lent_as_if_it_were_ones_own(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Step, Step]], leads: bool
) -> None:
    folder = tmp_path_factory.mktemp("lent")
    own, shared = folder / "tree", folder / "shared"
    roots = (str(shared), str(own)) if leads else (str(own), str(shared))
    for number, (of_own, of_shared) in enumerate(steps):
        for root, files in ((own, of_own), (shared, of_shared)):
            root.mkdir(exist_ok=True)
            save(root, files)
        lent = building(roots, folder / "data", CHANGED, str(shared))
        full = building(roots, folder / f"full{number}", "")
        told = [
            served(Path(roots[0]), data, line.generation, roots[1])
            for data, line in ((folder / "data", lent), (folder / f"full{number}", full))
        ]
        for each in told:
            del each["sums"]
            for kind in KINDS:
                for where in ("texts", "text_starts", "text_spans"):
                    del each[f"{kind} {where}"]
        assert told[0] == told[1]


def building(roots: tuple[str, ...], data: Path, unless: str, *shared: str) -> BuildLine:
    return build(BuildRequest(roots, str(data), (), unless, shared=shared), lambda line: None)


def test_a_shared_part_is_read_and_kept_once(tmp_path: Path, opened: list[str]) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    save(shared, {f"agents/a{n}.md": agent(f"a{n}", body="A long text. " * 500) for n in range(9)})
    sizes: list[int] = []
    for name in "xyz":
        (tmp_path / name).mkdir()
        save(tmp_path / name, {f"agents/{name}.md": agent(name)})
        roots = (str(tmp_path / name), str(shared))
        building(roots, tmp_path / "data", "", str(shared))
        folder = Generations(tmp_path / "data", digest_of_roots(roots)).path(1)
        assert (folder / "agent.shared").stat().st_nlink == 2 + len(sizes)
        sizes.append((folder / "agent.segment").stat().st_size)
    assert sorted(opened) == sorted([*(f"agents/a{n}.md" for n in range(9)), *AGENTS])
    assert max(sizes) < 9 * 6_000


AGENTS = [f"agents/{name}.md" for name in "xyz"]


def test_a_change_beside_what_is_lent_leaves_the_other_kinds_as_they_are(tmp_path: Path) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    for root in (own, shared):
        root.mkdir()
        save(root, tree())
    roots = (str(own), str(shared))
    generations = Generations(tmp_path / "data", digest_of_roots(roots))
    building(roots, tmp_path / "data", CHANGED, str(shared))
    save(own, {"agents/a1.md": agent("agents-1", "Another.")})
    building(roots, tmp_path / "data", CHANGED, str(shared))
    before = open_index(generations, 1)
    after = open_index(generations, 2, before)
    same = [kind for kind in KINDS if after.segments[kind] is before.segments[kind]]
    assert same == ["skill", "workflow"]


def tree() -> dict[str, str | None]:
    folders = {"agents": "a{}.md", "commands": "c{}.md", "skills": "s{}/SKILL.md"}
    return {
        f"{folder}/{name.format(n)}": agent(f"{folder}-{n}")
        for folder, name in folders.items()
        for n in range(3)
    }


def test_only_changed_files_are_opened(folders: tuple[Path, Path], opened: list[str]) -> None:
    root, data = folders
    save(root, tree())
    made(root, data)
    opened.clear()
    save(root, {"agents/a1.md": agent("agents-1", "Another."), "agents/new.md": agent("new")})
    save(root, {"commands/c1.md": None})
    made(root, data)
    assert opened == ["agents/a1.md", "agents/new.md"]


def test_kinds_that_did_not_change_keep_their_file(folders: tuple[Path, Path]) -> None:
    root, data = folders
    save(root, tree())
    made(root, data)
    save(root, {"agents/a1.md": agent("agents-1", "Another.")})
    made(root, data)
    generations = Generations(data, digest_of_roots((str(root),)))
    before = open_index(generations, 1)
    after = open_index(generations, 2, before)
    same = [kind for kind in KINDS if after.segments[kind] is before.segments[kind]]
    assert same == ["skill", "workflow"]


def test_without_links_the_files_are_written(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, data = folders

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    save(root, tree())
    made(root, data)
    monkeypatch.setattr("os.link", refuse)
    save(root, {"agents/a1.md": None})
    delta, full = made(root, data).generation, made(root, data, "").generation
    assert served(root, data, delta) == served(root, data, full)


def pretend_nothing_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "stamp_of", lambda source: (1,))
    monkeypatch.setattr("orchestr8_index.catalog.scan._digest", lambda *_: CHANGED)


@pytest.mark.parametrize(("named", "found"), [(True, "Knows bbbb."), (False, "Knows aaaa.")])
def test_a_named_file_is_looked_into_whatever_its_times_say(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, named: bool, found: str
) -> None:
    # a write within the clock's tick, of the same size
    pretend_nothing_moved(monkeypatch)
    root, data = folders
    save(root, {"agents/a.md": agent("a", "Knows aaaa.")})
    made(root, data, "")
    save(root, {"agents/a.md": agent("a", "Knows bbbb.")})
    line = made(root, data, CHANGED, *([f"{root}/agents/a.md"] if named else []))
    assert line.fresh is not named
    generations = Generations(data, digest_of_roots((str(root),)))
    newest = open_index(generations, generations.newest())
    assert newest.segments["agent"].entry(0).description == found


def test_a_named_file_that_says_the_same_makes_no_generation(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_nothing_moved(monkeypatch)
    root, data = folders
    save(root, {"agents/a.md": agent("a")})
    made(root, data, "")
    assert made(root, data, CHANGED, f"{root}/agents/a.md").fresh
    assert Generations(data, digest_of_roots((str(root),))).numbers() == [1]


def test_a_file_that_may_change_within_the_tick_is_read_again(
    folders: tuple[Path, Path], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JUST_NOW", 10**19)
    root, data = folders
    save(root, {"agents/a.md": agent("a")})
    for _ in range(2):
        made(root, data)
    assert opened == ["agents/a.md"] * 2


def test_a_full_build_opens_everything(folders: tuple[Path, Path], opened: list[str]) -> None:
    root, data = folders
    save(root, {"agents/a.md": agent("a")})
    for _ in range(2):
        made(root, data, "")
    assert opened == ["agents/a.md"] * 2


@pytest.mark.parametrize("name", ["agent.cards", "refused.cards", "agent.segment"])
def test_damaged_cards_are_read_from_the_files(
    folders: tuple[Path, Path], opened: list[str], name: str
) -> None:
    root, data = folders
    save(root, {"agents/a.md": agent("a")})
    made(root, data)
    place = Generations(data, digest_of_roots((str(root),))).path(1) / name
    place.write_bytes(b"\xc1")
    save(root, {"agents/b.md": agent("b")})
    assert served(root, data, made(root, data).generation)["agent facts"][0] == 2  # type: ignore[index]
    assert opened == ["agents/a.md", "agents/a.md", "agents/b.md"]


def test_another_recipe_makes_all_cards_worthless(
    folders: tuple[Path, Path], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, data = folders
    save(root, {"agents/a.md": agent("a")})
    made(root, data)
    monkeypatch.setattr("orchestr8_index.catalog.reuse.recipe", lambda limits: "another")
    made(root, data)
    assert opened == ["agents/a.md"] * 2
