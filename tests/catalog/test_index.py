"""How is a generation read? Terms looked up, postings fetched, entries found by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orchestr8_index.catalog.index import Index, Segment, open_index, open_newest
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import digest_of_roots
from orchestr8_index.errors import SnapshotUnreadable

from ..trees import Files, MakeTree, agent, build_tree

TREE = {
    "plugins/one/agents/x.md": agent("Code Reviewer", "Reads database code.", "alpha beta"),
    "plugins/two/agents/code-reviewer.md": agent("code-reviewer", "Reads code.", "gamma"),
}


@pytest.fixture
def segment(make_index: Callable[[Files], Index]) -> Segment:
    return make_index(TREE).segments["agent"]


@pytest.fixture
def generations(make_tree: MakeTree, tmp_path: Path) -> Generations:
    """Two good generations of one tree."""
    root = make_tree(TREE)
    for _ in range(2):
        build_tree(root, data_dir=tmp_path / "data")
    return Generations(tmp_path / "data", digest_of_roots((str(root),)))


def test_terms_are_found(segment: Segment) -> None:
    place = segment.find_term("databas")
    assert place is not None
    entries, sats = segment.terms.arrays(place)
    assert (list(entries), len(sats)) == ([0], 1)


@pytest.mark.parametrize("term", ["", "a", "zzz", "data", "\ud800"])
def test_other_terms_are_not(segment: Segment, term: str) -> None:
    assert segment.find_term(term) is None


def test_terms_that_begin_alike_can_be_listed(segment: Segment) -> None:
    assert segment.terms_like("cobe", 1) == ["code"]
    assert segment.terms_like("zebra", 1) == []


def test_pairs_are_found_in_their_order(segment: Segment) -> None:
    code, review = segment.find_term("code"), segment.find_term("review")
    assert code is not None and review is not None
    assert segment.find_pair(code, review) is not None
    assert segment.find_pair(review, code) is None


def test_what_a_word_says_about_an_entry_is_found(segment: Segment) -> None:
    place = segment.find_term("databas")
    assert place is not None
    assert segment.sat("databas", 0) == segment.terms.arrays(place)[1][0] > 0
    assert segment.sat("code review", 0) > 0
    assert [segment.sat(word, 1) for word in ("databas", "zebra", "code zebra", "review code")] == [
        0
    ] * 4


def test_entries_have_positions_and_norms(segment: Segment) -> None:
    assert segment.position == {"one:Code Reviewer": 0, "two:code-reviewer": 1}
    assert len(segment.norms) == 2 and min(segment.norms) > 0


@pytest.mark.parametrize(
    ("plugin", "name", "place"),
    [
        ("one", "Code Reviewer", 0),
        ("two", "code-reviewer", 1),
        ("ONE", "code_reviewer", 0),
        ("one", "x", 0),
        ("three", "code-reviewer", None),
    ],
)
def test_entries_are_found_by_name(
    segment: Segment, plugin: str, name: str, place: int | None
) -> None:
    assert segment.find(plugin, name) == place


def test_an_exact_name_comes_before_a_folded_one(make_index: Callable[[Files], Index]) -> None:
    files = {f"agents/{n}.md": agent(name) for n, name in enumerate(["A B", "a-b", "a_b"])}
    segment = make_index(files).segments["agent"]
    for name in ("A B", "a-b", "a_b"):
        place = segment.find("tree", name)
        assert place is not None and segment.entry(place).name == name


def test_the_text_of_an_entry_is_kept(segment: Segment) -> None:
    assert segment.text(1).strip() == "gamma"


def test_the_newest_generation_is_opened(generations: Generations) -> None:
    newest = open_newest(generations)
    assert newest and newest.generation == 2


def test_a_damaged_generation_is_passed_over(generations: Generations) -> None:
    (generations.path(2) / "agent.segment").write_bytes(b"short")
    newest = open_newest(generations)
    assert newest and newest.generation == 1


def test_a_manifest_that_lacks_a_part_is_unreadable(generations: Generations) -> None:
    # it ended the server's start in a KeyError
    for number, segments in (
        (1, {}),
        (2, {"agent": {"entries": 0, "wide": False, "sections": {}}}),
    ):
        path = generations.path(number) / "manifest.json"
        said = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode({**said, "segments": segments}))
        with pytest.raises(SnapshotUnreadable):
            open_index(generations, number)
    assert open_newest(generations) is None


def test_without_generations_there_is_no_index(tmp_path: Path) -> None:
    assert open_newest(Generations(tmp_path, "none")) is None


def test_an_empty_tree_gives_an_empty_index(make_index: Callable[[Files], Index]) -> None:
    index = make_index({})
    assert index.manifest.counts == {"agent": 0, "skill": 0, "workflow": 0}
    assert index.segments["agent"].find_term("x") is None


def test_one_posting_of_a_very_common_term_is_found(
    monkeypatch: pytest.MonkeyPatch, make_index: Callable[[Files], Index]
) -> None:
    files = {
        f"agents/e{n:03d}.md": agent(f"e{n:03d}", "even" if n % 2 else "odd") for n in range(90)
    }
    segment = make_index(files).segments["agent"]
    place = segment.find_term("even")
    assert place is not None
    wanted = dict(zip(*segment.terms.arrays(place), strict=True))
    monkeypatch.setattr("orchestr8_index.catalog.index.STRETCH", 4)
    assert {n: segment.terms.sat(place, n) for n in range(90)} == {
        n: wanted.get(n, 0) for n in range(90)
    }
