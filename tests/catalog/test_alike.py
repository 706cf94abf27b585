"""Do both kernels give the same answers? Names, filters, roles, meaning and experience included."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index, Segment
from orchestr8_index.catalog.kind_data import Embedder
from orchestr8_index.catalog.sections import Sections
from orchestr8_index.catalog.segment import write_segment
from orchestr8_index.catalog.snapshot import FORMAT, Manifest
from orchestr8_index.catalog.word_vectors import Words
from orchestr8_index.learn.experience import Memory
from orchestr8_index.queries import AgentQuery, Answer, SkillQuery, WorkflowQuery
from orchestr8_index.records import KINDS, Decision, Entry, Experience, Kind, ResolvedRole, Role
from orchestr8_index.search.answer import answer_agents, answer_skills, answer_workflows
from orchestr8_index.search.rank import rank
from orchestr8_index.text import Terms

from ..drawn import COSTLY
from .small import filled

WORDS = "postgres query kubernetes deploy review python test security c++ naïve 文章 zzgy".split()
WORD = st.sampled_from([*WORDS, "postgrse", "kubernets", "unheard", "the"])
SAID = st.lists(WORD, max_size=8).map(" ".join)
NAME = st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map("-".join)
SOME = st.lists(st.sampled_from(WORDS[:4]), max_size=2)
ROW = st.tuples(st.sampled_from("pq"), NAME, SAID, SAID, SOME, st.sampled_from(["", "opus"]))
FEW = st.lists(ROW, min_size=1, max_size=10, unique_by=lambda row: row[:2])
ROWS = st.tuples(FEW, st.sampled_from([1, 5])).map(
    lambda drawn: [(p, f"{n}-{i}", *rest) for p, n, *rest in drawn[0] for i in range(drawn[1])]
)  # with more of a kind than are compared in meaning
TASK = st.tuples(SAID, st.integers(0, 9), st.sampled_from(["success", "failure"]))
CHOICE = st.fixed_dictionaries(
    {"limit": st.integers(1, 20), "explain": st.booleans()},
    optional={
        "plugins": st.just(["p"]),
        "tags": st.just([WORDS[0]]),
        "models": st.just(["opus"]),
        "min_confidence": st.sampled_from([0.0, 0.3]),
        "detail": st.just("full"),
    },
)
ASKED = st.text(min_size=1, max_size=20) | NAME | SAID.filter(bool)
Pair = tuple[Index, Index]
Rows = list[tuple[Entry, str]]


@cache
def embedder() -> Embedder:
    return Embedder(Words())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    with tempfile.TemporaryDirectory() as home:
        yield (Path(home, str(number)) for number in count())


def rows_of(kind: Kind, drawn: list[tuple[Any, ...]]) -> Rows:
    made = []
    for plugin, name, description, body, tags, model in drawn:
        more = {"tags": tuple(tags), "model": model}
        entry = Entry(kind, plugin, name, name, description, 0, f"{name}.md", "", **more)
        made.append((entry, body))
    return sorted(made, key=lambda row: row[0].qualified)


def both(folder: Path, drawn: list[tuple[Any, ...]]) -> Pair:
    """The same catalogue twice, to be asked with plain Python and with numpy."""
    folder.mkdir()
    infos = {}
    for kind in KINDS:
        holding = filled(folder, rows_of(kind, drawn), embedder())
        infos[kind] = write_segment(folder, kind, holding)
    role = ResolvedRole(Role("keeper", "x", model="opus"), (len(drawn) - 1,), ("gone",))
    manifest = Manifest(FORMAT, "", (), "", 0.0, 0, {}, infos, "", (role,))

    def opened(uses_numpy: bool) -> Iterator[Segment]:
        for kind, info in infos.items():
            sections = Sections(folder / f"{kind}.segment", info.sections)
            segment = Segment(kind, sections, info, Words())
            segment.uses_numpy = uses_numpy
            yield segment

    return Index(manifest, opened(False)), Index(manifest, opened(True))


def taught(drawn: list[tuple[Any, ...]], tasks: list[tuple[str, int, Any]]) -> Experience | None:
    memory = Memory(Terms())
    for number, (text, who, result) in enumerate(tasks):
        plugin, name = drawn[who % len(drawn)][:2]
        used = (f"{plugin}:{name}",)
        memory.add(
            Decision(
                task_id=str(number),
                task_description=text or "deploy",
                agents_used=used,
                skills_used=used,
                workflows_used=used,
                result=result,
                duration_ms=None,
                tokens_saved=None,
                timestamp="",
            )
        )
    return memory.experience if tasks else None


def told(ask: Callable[[Index], Answer], pair: Pair) -> Answer:
    plain, fast = (ask(index) for index in pair)
    assert plain == fast
    return plain


def ask_agents(query: AgentQuery, terms: Terms, past: Experience | None, index: Index) -> Answer:
    return answer_agents(index, query, terms, past)


@COSTLY
@given(ROWS, ASKED, CHOICE, st.lists(TASK, max_size=12))
def test_texts_are_answered_alike(
    folders: Iterator[Path],
    rows: list[Any],
    text: str,
    choice: dict[str, Any],
    tasks: list[Any],
) -> None:
    pair, past, terms = both(next(folders), rows), taught(rows, tasks), Terms()
    plain, fast = (rank(ix.segments["skill"], text, terms, past, 99) for ix in pair)
    assert (plain.hits, plain.meant) == (fast.hits, fast.meant)
    told(lambda ix: answer_skills(ix, SkillQuery(context=text, **choice), terms, past), pair)
    told(lambda ix: answer_workflows(ix, WorkflowQuery(goal=text, **choice), terms, past), pair)


@COSTLY
@given(ROWS, ASKED, st.sampled_from(["keeper", "nobody"]), CHOICE, st.lists(TASK, max_size=12))
def test_roles_and_capabilities_are_answered_alike(
    folders: Iterator[Path],
    rows: list[Any],
    text: str,
    role: str,
    choice: dict[str, Any],
    tasks: list[Any],
) -> None:
    pair, past, terms = both(next(folders), rows), taught(rows, tasks), Terms()
    for asked in ({"role": role}, {"capability": text}, {"role": role, "capability": text}):
        query = msgspec.convert({"context": text, **asked, **choice}, AgentQuery)
        told(partial(ask_agents, query, terms, past), pair)


def test_the_numpy_side_is_numpy_and_has_meaning(folders: Iterator[Path]) -> None:
    rows: list[tuple[Any, ...]] = [
        ("p", "postgres", "postgres query", "", [], ""),
        ("p", "pod", "kubernetes", "", [], ""),
    ]
    pair = both(next(folders), rows)
    asked = AgentQuery(context="deploy postgres", explain=True, min_confidence=0)
    answer = told(lambda index: answer_agents(index, asked, Terms()), pair)
    assert any(line.term == "near in meaning" for line in answer.rows[0].explanation)
    assert [index.segments["agent"].uses_numpy for index in pair] == [False, True]
