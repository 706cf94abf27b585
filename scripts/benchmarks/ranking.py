"""Hit@1, Hit@3 and nDCG@10 of sets of questions, and what each ingredient gives, or learning.

A folder of --set holds corpus.jsonl[.gz] and queries.jsonl with the right entries; a question that
names a context is asked with it, too. --ablate asks again with each ingredient off alone, and
--learn after so many past tasks for each entry, of the set's train.jsonl[.gz], of which a share
of --wrong names another entry. --keep is a folder for indexes that the next run finds again.
"""

import math
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from orchestr8_index.catalog import bm25f
from orchestr8_index.catalog.index import Index, open_newest
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import digest_of_roots
from orchestr8_index.learn.experience import Memory
from orchestr8_index.queries import Answer
from orchestr8_index.records import KINDS, Decision, Experience
from orchestr8_index.search import answer, boost, query, reading, semantic
from orchestr8_index.text import Terms

from .harness import Run
from .prompts import state_of, write_tree
from .texts import lines

DEPTH, LONGEST, BINS = 10, 500, 10
OFF: dict[str, list[tuple[Any, str, Any]]] = {
    "words only": [(semantic, "MEANING_WEIGHT", 0.0)],
    "no lexicon": [(reading, "meanings", lambda *_: [])],
    "no languages": [(reading, "_translated", lambda *_: [])],
    "no prior of rarity": [(bm25f, "PRIOR_ENTRIES", 0)],
    "no naming": [(bm25f, "NAMING_POWER", 0.0)],
    "no pairs": [(query, "PAIR_WEIGHT", 0.0), (boost, "PAIR_WEIGHT", 0.0)],
}


class RankedSet:
    """A set's questions over its index; `ids` are the entries' ids by their plugin's number."""

    def __init__(self, folder: Path, home: Path) -> None:
        tree = home / "tree"
        if not tree.exists():
            write_tree(folder, tree)
            state_of(str(tree), str(home / "data"))
        self.ids = [entry["id"] for entry in lines(folder / "corpus.jsonl")]
        self.kind = next(lines(folder / "corpus.jsonl")).get("kind", "agent")
        roots = (str(tree),)
        self.index: Index = open_newest(Generations(home / "data", digest_of_roots(roots)))
        self.terms, self.questions = Terms(), list(lines(folder / "queries.jsonl"))
        self.folder = folder

    def ask(self, text: str, experience: Experience | None = None) -> Answer:
        known = self.terms, experience
        return answer.answer_task(self.index, self.kind, text[-LONGEST:], *known, limit=DEPTH)

    def found(self, answered: Answer, relevant: list[str]) -> list[str]:
        """The ids of the rows; that of a near-clone which shares the place, if it is right."""
        rows = []
        for row in answered.rows:
            names = [f"{row.plugin}:", *map(str, row.also[:3])]
            numbers = [re.search(r"p(\d{6}):", name) for name in names]
            ids = [self.ids[int(number[1])] for number in numbers if number]
            rows.append(next((each for each in ids if each in relevant), ids[0]))
        return rows

    def taught(self, per_entry: int, wrong: float) -> Experience:
        segment = self.index.segments[self.kind]
        names = {
            self.ids[int(entry.plugin[1:])]: entry.qualified
            for entry in map(segment.entry, range(segment.size))
        }
        memory, draw, used = Memory(self.terms), random.Random(1), Counter[str]()
        rows = list(lines(self.folder / "train.jsonl"))
        draw.shuffle(rows)
        for number, row in enumerate(rows):
            if row["entry"] in names and used[row["entry"]] < per_entry:
                used[row["entry"]] += 1
                right = draw.random() >= wrong
                name = names[row["entry"] if right else draw.choice(list(names))]
                memory.add(decision(number, row["task"], name))
        return memory.experience


def decision(number: int, task: str, name: str) -> Decision:
    return Decision(
        task_id=str(number),
        task_description=task[:1000],
        agents_used=(name,),
        result="success",
        duration_ms=None,
        tokens_saved=None,
        timestamp="",
    )


class Figures:
    """Of the answers to a set's questions."""

    def __init__(self, of: RankedSet, with_context: bool, known: Experience | None = None) -> None:
        self.sure, self.right, self.gains, self.third = [], [], [], []
        for question in of.questions:
            text, relevant = question["query"], question["relevant"]
            if with_context:
                if not question.get("context"):
                    continue
                text = f"{question['context']} {text}"
            answered = of.ask(text, known)
            found = of.found(answered, relevant)
            self.sure.append(answered.confidence)
            self.right.append(bool(found) and found[0] in relevant)
            self.third.append(any(each in relevant for each in found[:3]))
            self.gains.append(_ndcg(found, question.get("grades") or dict.fromkeys(relevant, 1.0)))

    def mean(self) -> dict[str, float]:
        columns = {"hit1": self.right, "hit3": self.third, "ndcg10": self.gains}
        count = max(1, len(self.right))
        return {name: sum(of) / count for name, of in columns.items()} | {"error": self._error()}

    def _error(self) -> float:
        """Of the confidence, in BINS bins."""
        gaps = [0.0] * BINS
        for sure, right in zip(self.sure, self.right, strict=True):
            gaps[min(BINS - 1, int(sure * BINS))] += sure - right
        return sum(map(abs, gaps)) / max(1, len(self.right))


def _ndcg(found: list[str], grades: dict[str, float]) -> float:
    def gained(of: list[float]) -> float:
        return sum((2**grade - 1) / math.log2(at + 2) for at, grade in enumerate(of[:DEPTH]))

    best = gained(sorted(grades.values(), reverse=True))
    return gained([grades.get(each, 0.0) for each in found]) / best if best else 0.0


@contextmanager
def without(changes: list[tuple[Any, str, Any]], of: RankedSet) -> Iterator[None]:
    """With the ingredient off; what a segment remembers of words holds no longer."""
    with ExitStack() as stack:
        stack.callback(_forget, of)
        for change in changes:
            stack.enter_context(mock.patch.object(*change))
        _forget(of)
        yield


def _forget(of: RankedSet) -> None:
    for kind in KINDS:
        of.index.segments[kind].asked.clear()


def main(arguments: list[str]) -> None:
    options = {"set": [], "ablate": False, "learn": 0, "wrong": 0.0, "keep": None}
    with Run(__doc__, arguments, **options) as run, tempfile.TemporaryDirectory() as scratch:
        given = run.given
        for folder in map(Path, given.set):
            of = RankedSet(folder, Path(given.keep or scratch, folder.name))
            asked = [False, True] if any(q.get("context") for q in of.questions) else [False]
            for with_context in asked:
                name = folder.name + ", with context" * with_context
                run.row(name, **Figures(of, with_context).mean())
                for off, changes in OFF.items() if given.ablate else ():
                    with without(changes, of):
                        run.row(f"  {off}", **Figures(of, with_context).mean())
            if given.learn:
                known = of.taught(given.learn, given.wrong)
                run.row("  after the past tasks", **Figures(of, False, known).mean())
