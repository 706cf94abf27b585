"""Evaluate the ranking by the user's golden questions: Hit@1, R@5 and MRR."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from ..catalog.index import Index
from ..errors import InvalidParams, OperationError
from ..private import make_folder, open_private
from ..queries import Row, StandingQuery
from ..records import Kind
from ..search.answer import answer_task
from ..search.explain import standing_of
from ..text import Terms, clean
from ..validate import UNDECODABLE, describe_error
from .show import NOT_THERE

DEPTH, LONGEST_TEXT = 10, 500
LAST_RUN = "eval-last.json"
LINE = 'Write it as {"query": "…", "expect": ["name"], "kind": "agent"}.'
BEGIN = "`orchestr8-index eval --suggest > golden.jsonl` writes some: edit them, and name it."


class Question(Struct, frozen=True):
    """One line of golden.jsonl: right if the first hit is one of `expect` (name or plugin:name)."""

    query: str
    expect: list[str]
    kind: Kind = "agent"


class Miss(Struct, frozen=True):
    """A question with a wrong first hit; `lacking` are its words that the expected entry lacks."""

    query: str
    kind: Kind
    expected: str
    path: str
    place: int
    first: str
    lacking: list[str]


class Score(Struct, frozen=True):
    """The shares of all questions; `hits` are those that were answered right."""

    questions: int
    hit1: float
    r5: float
    mrr: float
    hits: list[str]
    misses: list[Miss]
    file: str = ""


def read_questions(path: Path) -> list[Question]:
    """The questions of a file. Raises OperationError with the line that cannot be read."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise OperationError(f"There are no questions: {path} does not exist.", BEGIN) from None
    except UnicodeDecodeError:
        raise OperationError(f"{path} is not UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise OperationError(f"{path} cannot be read: {error.strerror}.", BEGIN) from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    questions = [_question(path, number, line) for number, line in numbered]
    if not questions:
        raise OperationError(f"There are no questions: {path} has no line.", BEGIN)
    return questions


def _question(path: Path, number: int, line: str) -> Question:
    try:
        question = msgspec.json.decode(line, type=Question)
    except UNDECODABLE as error:
        raise OperationError(f"{path}:{number}: {describe_error(error, 'it')}.", LINE) from None
    if not question.query.strip() or not question.expect:
        raise OperationError(f"{path}:{number}: query and expect must not be empty.", LINE)
    return question


def evaluate(index: Index, questions: Sequence[Question]) -> Score:
    terms = Terms()
    asked = [
        (each, answer_task(index, each.kind, each.query[:LONGEST_TEXT], terms, limit=DEPTH).rows)
        for each in questions
    ]
    places = [_place(question, rows) for question, rows in asked]
    answered = list(zip(asked, places, strict=True))
    total = len(questions) or 1
    return Score(
        questions=len(questions),
        hit1=round(sum(place == 1 for place in places) / total, 4),
        r5=round(sum(0 < place <= 5 for place in places) / total, 4),
        mrr=round(sum(1 / place for place in places if place) / total, 4),
        hits=[question.query for (question, _), place in answered if place == 1],
        misses=[_miss(index, *each, place, terms) for each, place in answered if place != 1],
    )


def _place(question: Question, rows: Iterable[Row]) -> int:
    """The place of the first expected entry, from 1; 0 when it is not among the first DEPTH."""
    for place, row in enumerate(rows, 1):
        names = {row.name, f"{row.plugin}:{row.name}", *row.also}
        names |= {name.partition(":")[2] for name in row.also}
        if not names.isdisjoint(question.expect):
            return place
    return 0


def _miss(index: Index, question: Question, rows: list[Row], place: int, terms: Terms) -> Miss:
    first = f"{rows[0].plugin}:{rows[0].name}" if rows else ""
    of = question.query, question.kind
    for name in question.expect:
        with contextlib.suppress(InvalidParams):  # no entry has that name
            query = StandingQuery(task=question.query[:LONGEST_TEXT], kind=question.kind, name=name)
            standing = standing_of(index, query, terms)
            return Miss(*of, standing.entry, standing.path, place, first, standing.lacking)
    return Miss(*of, question.expect[0], NOT_THERE, 0, first, [])


# --- the last run, and suggestions -------------------------------------------------------------


class ScoreChange(Struct, frozen=True):
    gained: list[str]
    lost: list[str]
    hit1_before: float | None


def compare(score: Score, last: Path) -> ScoreChange:
    """The change since the saved run; empty without one, or if it had another file."""
    try:
        before = msgspec.json.decode(last.read_bytes(), type=Score)
    except (OSError, *UNDECODABLE):
        return ScoreChange([], [], None)
    if before.file != score.file:
        return ScoreChange([], [], None)  # other questions: nothing to compare
    now, then = set(score.hits), set(before.hits)
    asked = now | {miss.query for miss in score.misses}
    return ScoreChange(sorted(now - then), sorted((then - now) & asked), before.hit1)


def save(score: Score, last: Path) -> None:
    make_folder(last.parent)
    with open(last, "wb", opener=open_private) as file:
        file.write(msgspec.json.encode(score))


def suggest(index: Index, most: int = 20) -> Iterable[str]:
    """Candidate lines for golden.jsonl from the catalogue's own examples, for a person to edit."""
    candidates: list[tuple[str, str, Kind]] = []
    for kind, segment in index.segments.items():
        for place in range(segment.size):
            entry = segment.entry(place)
            examples = examples_of(f"{entry.description}\n{segment.text(place)}", entry.name)
            candidates += [(examples[0], entry.qualified, kind)] if examples else []
    for number in range(min(most, len(candidates))):  # spread over the whole catalogue
        query, name, kind = candidates[number * len(candidates) // min(most, len(candidates))]
        yield json.dumps({"query": query, "expect": [name], "kind": kind}, ensure_ascii=False)


# --- the requests that authors wrote down as examples ------------------------------------------

SHORTEST, LONGEST = 15, 300
_PATTERNS = (
    re.compile(r"\buser:\s*[\"“']([^\"”]{15,300})[\"”']", re.IGNORECASE),
    re.compile(r"^[ \t]*[-*]\s*[\"“]([^\"”\n]{15,300})[\"”]\s*$", re.MULTILINE),
    re.compile(
        r"\bwhen (?:the )?users? (?:asks?|says?|wants?)(?: to)?[:,]?\s*[\"“]([^\"”]{15,300})[\"”]"
    ),
)


def examples_of(text: str, name: str) -> list[str]:
    """Distinct requests in the order of the text, without those that name the entry itself."""
    requests: dict[str, None] = {}
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            request = clean(match[1])
            if SHORTEST <= len(request) <= LONGEST and name.casefold() not in request.casefold():
                requests[request] = None
    return list(requests)
