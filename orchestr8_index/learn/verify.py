"""Recounts what was learnt from the decisions, compares it, and lists it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Struct

from ..errors import InvalidParams
from ..records import Decision
from ..reports import ForgetQuery
from ..store import chain, ledger, schema
from ..store.store import Store
from ..text import Terms
from ..views import EntryRecord, Lessons
from .experience import Memory
from .outcomes import Outcomes
from .patterns import Patterns, differing, is_offered, is_retired


class VerifyResult(Struct, frozen=True):
    """`altered` are numbers of decisions whose digest does not fit; `differences` are sentences."""

    decisions: int
    patterns: int
    altered: list[int]
    differences: list[str]

    @property
    def sound(self) -> bool:
        return not self.altered and not self.differences


def verify(outcomes: Outcomes) -> VerifyResult:
    """Compare everything derived with a recount from scratch. `outcomes` has been opened."""
    memory, patterns, altered, counted = _recount(outcomes.store.reader, outcomes)
    reader = outcomes.store.reader
    findings = schema.strangers(reader)
    if schema.version(reader) == len(schema.MIGRATIONS) and not findings:
        findings += chain.breaks(reader)
    differences = findings + outcomes.counts.bent + _differences(outcomes, memory, patterns)
    return VerifyResult(counted, len(list(patterns)), altered, differences)


def _recount(
    reader: sqlite3.Connection, outcomes: Outcomes
) -> tuple[Memory, Patterns, list[int], int]:
    memory = Memory(Terms())
    patterns = Patterns(memory.task, outcomes.project)
    patterns.load(outcomes.patterns)
    patterns.reset()
    altered, counted = [], 0
    for decision, intact in ledger.checked_decisions(reader, project=outcomes.project):
        counted += 1
        if not intact:
            altered.append(decision.id)
        memory.add(decision)
        patterns.add(decision if decision.pattern is not None else patterns.assign(decision))
    return memory, patterns, altered, counted


def _differences(outcomes: Outcomes, memory: Memory, patterns: Patterns) -> list[str]:
    kept, again = outcomes.memory.counted(), memory.counted()
    found = [f"the {name} differ from a recount" for name in kept if kept[name] != again[name]]
    return found + differing(outcomes.patterns, patterns)


def lessons(outcomes: Outcomes) -> Lessons:
    """What was learnt: entries by wins and failures, patterns by use."""
    memory, patterns = outcomes.memory, list(outcomes.patterns)
    records = [
        EntryRecord(kind, entry, wins.get(entry, 0), memory.losses[kind].get(entry, 0))
        for kind, wins in memory.wins.items()
        for entry in {**wins, **memory.losses[kind]}
    ]
    records.sort(key=lambda record: (-record.wins, record.failures, record.entry))
    offered = sorted(filter(is_offered, patterns), key=lambda p: (-p.uses, p.id))
    retired = [pattern for pattern in patterns if is_retired(pattern)]
    return Lessons(
        ledger.count_decisions(outcomes.store.reader, outcomes.project), records, offered, retired
    )


def read_only(store: Store, project: str = "") -> Outcomes:
    """What a server would learn from this store; nothing is written. `project` is its key."""
    outcomes = Outcomes(store, Terms(), ledger.name_of_project(store.reader, project))
    outcomes.load()
    return outcomes


def reported_by(outcomes: Outcomes, key: str) -> list[Decision]:
    """The decisions that a key reported, by its name or its id."""
    return list(ledger.decisions(outcomes.store.reader, among=ledger.among(None, None, key)))


def in_time_order(outcomes: Outcomes) -> Iterator[Decision]:
    """Every decision in the order of reports, without its project, for another store."""
    every = ledger.decisions(outcomes.store.reader, 0, outcomes.project)
    return (msgspec.structs.replace(decision, project=UNSET) for decision in every)


def chooser(chosen: ForgetQuery) -> tuple[Callable[[Decision], bool], ledger.Where]:
    """(whether a decision is to be forgotten, SQL condition of where to look). Raises InvalidParams
    for a wrong date."""
    moment = None if chosen.before is None else _moment(chosen.before)
    among = ledger.among(chosen.task_id, moment, chosen.by)
    if chosen.agent is None:
        return lambda decision: True, among
    agent = chosen.agent
    return lambda decision: _names(agent, (*decision.agents_used, decision.resolved_by)), among


def _names(agent: str, used: Iterable[str]) -> bool:
    """Whether the name, bare or qualified, is among those used."""
    return any(agent in (name, name.rpartition(":")[2]) for name in used)


def _moment(text: str) -> str:
    """The moment as decisions carry it: ISO 8601 in UTC with milliseconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParams({"before": f"{text} is not a date like 2026-01-31"}) from None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return zoned.astimezone(UTC).isoformat(timespec="milliseconds")
    except OverflowError:
        raise InvalidParams({"before": f"{text} is out of the range of dates"}) from None
