"""Does it learn? Every past task asked again in time order, with experience and without."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ..catalog.index import Index, Segment
from ..errors import OperationError
from ..learn.credit import WON, credits
from ..learn.experience import Memory
from ..learn.outcomes import Outcomes
from ..learn.verify import in_time_order
from ..records import Decision, Experience, Kind
from ..search.rank import rank
from ..text import Terms

POINTS = 40


class Point(Struct, frozen=True):
    """Hit@1 over all tasks up to here."""

    tasks: int
    without: float
    with_experience: float


class Curve(Struct, frozen=True):
    """`tasks` are successes whose entry the index knows; a task is asked before it is learnt."""

    tasks: int
    hit1_without: float
    hit1_with: float
    points: list[Point]


def replayed(index: Index, outcomes: Outcomes) -> Curve:
    """Every past task asked again in time order, with what was learnt before it, and without."""
    memory, terms = Memory(Terms()), Terms()
    hits = {False: 0, True: 0}
    history: list[tuple[int, int]] = []
    for decision in in_time_order(outcomes):
        for kind, entries in _winners(decision).items():
            segment = index.segments[kind]
            places = {p for entry in entries if (p := segment.position.get(entry)) is not None}
            if places:
                text = decision.task_description[:500]
                hits[False] += _first(segment, text, terms, None) in places
                hits[True] += _first(segment, text, terms, memory.experience) in places
                history.append((hits[False], hits[True]))
        memory.add(decision)
    return _curve(history)


def _winners(decision: Decision) -> dict[Kind, set[str]]:
    found: dict[Kind, set[str]] = {}
    for kind, entry, points in credits(decision):
        if points == WON:
            found.setdefault(kind, set()).add(entry)
    return found


def _first(segment: Segment, text: str, terms: Terms, known: Experience | None) -> int | None:
    hits = rank(segment, text, terms, known, 1).hits
    return hits[0].place if hits else None


def _curve(history: list[tuple[int, int]]) -> Curve:
    total = len(history)
    if not total:
        return Curve(0, 0.0, 0.0, [])
    step = max(1, total // POINTS)
    marks = sorted({*range(step, total + 1, step), total})
    points = [
        Point(n, round(history[n - 1][0] / n, 4), round(history[n - 1][1] / n, 4)) for n in marks
    ]
    return Curve(total, points[-1].without, points[-1].with_experience, points)


def draw(curve: Curve, path: Path) -> None:
    """Write the curve as PNG or SVG, by the file's ending. Raises OperationError."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise OperationError(f"{path.name} is neither a .png nor an .svg file.", "Name one.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        cure = "Install it: pip install matplotlib."
        raise OperationError("Drawing needs matplotlib.", cure) from None
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    tasks = [point.tasks for point in curve.points]
    axes.plot(tasks, [point.with_experience for point in curve.points], label="with experience")
    axes.plot(tasks, [point.without for point in curve.points], label="without")
    axes.set(xlabel="past tasks", ylabel="Hit@1 so far", ylim=(0, 1))
    axes.legend()
    figure.savefig(path)
