"""The replay: every past task is ranked again in time order, with and without experience.

The server does it in a child process, as it may take many seconds and much memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from ..catalog.index import Index, Segment, open_index
from ..catalog.snapshot import Generations
from ..config import REPOSITORY, inherited_environment
from ..errors import StoreUnavailable
from ..learn.credit import WON, credits
from ..learn.experience import Memory
from ..records import Decision, Experience, Kind
from ..search.rank import rank
from ..store.database import NAME, connect_to_read
from ..store.ledger import count_decisions, decisions
from ..text import Terms
from ..views import Week, Weeks

POINTS = 40
LAST = 5_000  # the newest decisions, whose tasks the child ranks
FRESH_SECONDS = 60.0
_START = (
    "import sys; sys.path.append(sys.argv[1]);"
    "from orchestr8_index.serve.replay import main; main(*sys.argv[2:])"
)


class Point(Struct, frozen=True):
    """Hit@1 over the first `tasks` tasks."""

    tasks: int
    without: float
    with_experience: float


class Curve(Struct, frozen=True):
    """Hit@1 over `tasks` successes with an entry in the index, each ranked before it is learnt."""

    tasks: int
    hit1_without: float
    hit1_with: float
    points: list[Point]
    weeks: list[Week] = []


def replayed(index: Index, past: Iterable[Decision], skip: int = 0) -> Curve:
    """Replay decisions in time order; the first `skip` are learnt, but not ranked."""
    memory, terms = Memory(Terms()), Terms()
    asked: list[tuple[str, bool, bool]] = []
    for number, decision in enumerate(past):
        winners = _winners(decision).items() if number >= skip else ()
        for kind, entries in winners:
            segment = index.segments[kind]
            places = {p for entry in entries if (p := segment.position.get(entry)) is not None}
            if places:
                text = decision.task_description[:500]
                plain = _first(segment, text, terms, None) in places
                learnt = _first(segment, text, terms, memory.experience) in places
                asked.append((decision.timestamp, plain, learnt))
        memory.add(decision)
    return _curve(asked)


def _winners(decision: Decision) -> dict[Kind, set[str]]:
    winners: dict[Kind, set[str]] = {}
    for kind, entry, points in credits(decision):
        if points == WON:
            winners.setdefault(kind, set()).add(entry)
    return winners


def _first(segment: Segment, text: str, terms: Terms, known: Experience | None) -> int | None:
    hits = rank(segment, text, terms, known, 1).hits
    return hits[0].place if hits else None


def _curve(asked: list[tuple[str, bool, bool]]) -> Curve:
    if not asked:
        return Curve(0, 0.0, 0.0, [])
    total = len(asked)
    step = max(1, total // POINTS)
    points = [Point(n, *_shares(asked[:n])) for n in sorted({*range(step, total + 1, step), total})]
    return Curve(total, points[-1].without, points[-1].with_experience, points, _weeks(asked))


def _shares(asked: list[tuple[str, bool, bool]]) -> tuple[float, float]:
    """Hit@1 without experience and with it."""
    plain, learnt = sum(row[1] for row in asked), sum(row[2] for row in asked)
    return round(plain / len(asked), 4), round(learnt / len(asked), 4)


def _weeks(asked: list[tuple[str, bool, bool]]) -> list[Week]:
    weeks: dict[str, list[tuple[str, bool, bool]]] = {}
    for row in asked:
        day = date.fromisoformat(row[0][:10])
        weeks.setdefault(str(day - timedelta(days=day.weekday())), []).append(row)
    return [Week(week, len(rows), *_shares(rows)) for week, rows in sorted(weeks.items())]


def main(data_dir: str, generation: str, project: str) -> None:
    """The child process: prints a Weeks as JSON. `generation` is the folder of the index."""
    if hasattr(os, "nice"):
        os.nice(10)
    folder = Path(generation)
    generations = Generations(folder.parents[2], folder.parent.name)
    index = open_index(generations, int(folder.name))
    with contextlib.closing(connect_to_read(Path(data_dir, NAME))) as reading:
        skip = max(0, count_decisions(reading, project) - LAST)
        curve = replayed(index, decisions(reading, 0, project), skip)
    weeks = Weeks(curve.tasks, curve.hit1_without, curve.hit1_with, curve.weeks)
    sys.stdout.buffer.write(msgspec.json.encode(weeks))


class Replays:
    """The last replay, shared by all callers; renewed at most once in FRESH_SECONDS."""

    def __init__(self) -> None:
        self._running: asyncio.Task[Weeks] | None = None
        self._stamp: object = None
        self._began = 0.0

    async def weeks(self, data_dir: Path, generation: Path, project: str, stamp: object) -> Weeks:
        """The replay by weeks; `stamp` identifies index and experience. Raises StoreUnavailable if
        the child fails."""
        old = stamp != self._stamp and time.monotonic() - self._began > FRESH_SECONDS
        if self._running is None or (self._running.done() and (old or self._running.exception())):
            self._stamp, self._began = stamp, time.monotonic()
            self._running = asyncio.create_task(_run(str(data_dir), str(generation), project))
        return await asyncio.shield(self._running)


async def _run(*arguments: str) -> Weeks:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _START, str(REPOSITORY), *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=inherited_environment(),
    )
    try:
        output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise StoreUnavailable(
            "The past could not be replayed.", "`orchestr8-index replay` says why."
        )
    return msgspec.json.decode(output, type=Weeks)
