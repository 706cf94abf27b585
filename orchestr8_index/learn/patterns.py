"""Sequences of agents that worked for a goal: they grow out of the decisions.

The rule: decisions with the same sequence of agents belong together. In the order of their numbers,
each joins the pattern of its sequence whose goal is most alike (similarity >= JOIN), or, being a
success, founds one with its own task as the goal; a sequence has at most PER_SEQUENCE patterns,
after which a strange task founds none. Patterns that were stored on purpose are there from the
start: storing one counts its sequence again. A pattern is returned once it has MIN_WINS successes,
or when it was stored on purpose, and as long as it is not retired: under RETIRE_UNDER success after
at least RETIRE_AFTER uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from ..records import Decision, Pattern
from .tasks import Task, similarity

JOIN = 0.45
PER_SEQUENCE = 64
MIN_WINS = 2
RETIRE_UNDER, RETIRE_AFTER = 0.3, 5
NEAREST, VOTE_PRIOR, LEAST_VOTE = 20, 0.5, 0.2
CANDIDATES = 200
Names = tuple[str, ...]


def is_retired(pattern: Pattern) -> bool:
    """Whether a pattern failed too often to be offered."""
    return pattern.uses >= RETIRE_AFTER and pattern.success_rate < RETIRE_UNDER


def is_offered(pattern: Pattern) -> bool:
    """Whether a pattern may be offered: stored on purpose or won often enough, and not retired."""
    known = pattern.stored or pattern.success_count >= MIN_WINS
    return known and not is_retired(pattern)


@dataclass(slots=True)
class Patterns:
    """All patterns, with an index of their goals' terms. `read` turns a goal into its terms."""

    read: Callable[[str], Task]
    project: str = ""
    by_id: dict[int, Pattern] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    kept: int = 0
    _reserved: dict[tuple[Names, str], int] = field(default_factory=dict)
    _groups: dict[Names, list[int]] = field(default_factory=dict)
    _terms: dict[str, list[int]] = field(default_factory=dict)
    _goals: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _next: int = 1

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self.by_id.values())

    def load(self, patterns: Iterable[Pattern]) -> None:
        for pattern in patterns:
            self._keep(pattern)

    def reset(self) -> None:
        """Forget all records, to count again. Stored ones stay, others keep their numbers."""
        patterns = list(self)
        for table in (self.by_id, self._groups, self._terms, self._goals, self.changed):
            table.clear()
        self.load(fresh(pattern) for pattern in patterns if pattern.stored)
        for pattern in patterns:
            if not pattern.stored:
                self._reserved[pattern.agent_sequence, pattern.goal] = pattern.id
                self._next = max(self._next, pattern.id + 1)

    def of_sequence(self, sequence: Names) -> list[Pattern]:
        return [self.by_id[number] for number in self._groups.get(sequence, ())]

    def add(self, decision: Decision) -> tuple[Pattern, bool] | None:
        """The pattern that the decision counts for, and whether it founded it."""
        if decision.result == "partial" or not decision.agents_used:
            return None
        sequence, founded = decision.agents_used, False
        pattern = self._alike(sequence, decision.task_description)
        if pattern is None:
            if decision.result != "success" or len(self._groups.get(sequence, ())) >= PER_SEQUENCE:
                return None
            pattern, founded = self._found(decision), True
        count(pattern, decision)
        self.changed.add(pattern.id)
        return pattern, founded

    def recount(self, sequence: Names, decisions: Iterable[Decision]) -> list[int]:
        """Derive a sequence's patterns again from all its decisions; returns the numbers that went.

        Patterns that were stored on purpose stay; numbers of the same goals are kept.
        """
        old = self.of_sequence(sequence)
        for pattern in old:
            self._drop(pattern)
        for pattern in old:
            if pattern.stored:
                self._keep(fresh(pattern))
            else:
                self._reserved[sequence, pattern.goal] = pattern.id
        for decision in decisions:
            self.add(decision)
        for pattern in old:
            self._reserved.pop((sequence, pattern.goal), None)
        kept = {pattern.id for pattern in self.of_sequence(sequence)}
        self.changed |= kept
        return [pattern.id for pattern in old if pattern.id not in kept]

    def draft(self, goal: str, sequence: Names, moment: str) -> tuple[Pattern, bool]:
        """A pattern to be stored on purpose, not yet kept: a known one, or (true) a new."""
        same = [pattern for pattern in self.of_sequence(sequence) if pattern.goal == goal]
        if same:
            return msgspec.structs.replace(same[0], stored=True, updated_at=moment), False
        self._next += 1
        return _new(self._next - 1, goal, sequence, moment, stored=True), True

    def keep(self, drafted: Pattern) -> None:
        """Take a drafted pattern in; what was counted meanwhile stays counted."""
        self.kept += 1
        known = self.by_id.get(drafted.id)
        if known is None:
            self._keep(fresh(drafted))
            return
        known.dependencies = drafted.dependencies
        known.parallel_groups = drafted.parallel_groups
        known.stored, known.updated_at = True, drafted.updated_at

    def near(self, text: str, most: int = 50) -> list[tuple[Pattern, float]]:
        """Offered patterns that share a term with the text, most alike first."""
        task = self.read(text)
        cosines = self._cosines(task)
        offered = [number for number in cosines if is_offered(self.by_id[number])]
        closest = sorted(offered, key=lambda number: (-cosines[number], number))[:most]
        found = [(self.by_id[number], self._similarity(number, text, task)) for number in closest]
        return sorted(found, key=lambda pair: (-pair[1], pair[0].id))

    def vote(self, text: str) -> tuple[Pattern, float] | None:
        """The offered pattern of the sequence that the NEAREST goals of all patterns speak for."""
        cosines = self._cosines(self.read(text))
        nearest = sorted(cosines, key=lambda number: (-cosines[number], number))[:NEAREST]
        weight = VOTE_PRIOR + sum(cosines[number] ** 2 for number in nearest)
        votes: dict[Names, float] = {}
        for number in nearest:
            pattern = self.by_id[number]
            share = cosines[number] ** 2 * pattern.success_rate / weight
            votes[pattern.agent_sequence] = votes.get(pattern.agent_sequence, 0.0) + share
        for sequence in sorted(votes, key=lambda names: (-votes[names], names)):
            offered = [p for p in self.of_sequence(sequence) if is_offered(p) and p.id in cosines]
            if votes[sequence] >= LEAST_VOTE and offered:
                return max(offered, key=lambda p: (cosines[p.id], -p.id)), votes[sequence]
        return None

    def _cosines(self, task: Task) -> dict[int, float]:
        """Cosine of idf weights between the task and each goal that shares a term with it."""
        total, dots = len(self.by_id), dict[int, float]()
        weights = {term: self._idf(term, total) for term in task.terms}
        for term, weight in weights.items():
            for number in self._terms.get(term, ()):
                dots[number] = dots.get(number, 0.0) + weight**2
        mine = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        most = sorted(dots, key=lambda number: (-dots[number], number))[:CANDIDATES]
        return {number: dots[number] / (mine * self._length(number, total)) for number in most}

    def _length(self, number: int, total: int) -> float:
        return math.sqrt(sum(self._idf(term, total) ** 2 for term in self._goals[number])) or 1.0

    def _idf(self, term: str, total: int) -> float:
        having = len(self._terms.get(term, ()))
        return math.log((1 + total) / (1 + having)) + 1

    def _alike(self, sequence: Names, text: str) -> Pattern | None:
        """The pattern with this goal, or the one most alike; equal ones by their goals."""
        task, found = self.read(text), list[tuple[float, str, Pattern]]()
        for number in self._groups.get(sequence, ()):
            pattern = self.by_id[number]
            if pattern.goal == text:
                return pattern
            if task.terms.isdisjoint(self._goals[number]):
                continue
            likeness = self._similarity(number, text, task, JOIN)
            if likeness >= JOIN:
                found.append((-likeness, pattern.goal, pattern))
        return min(found, key=lambda each: each[:2])[2] if found else None

    def _similarity(self, number: int, text: str, task: Task, least: float = 0.0) -> float:
        goal = self.by_id[number].goal
        if goal == text:
            return 1.0
        return similarity(text, goal, task.terms, self._goals[number], least)

    def _found(self, decision: Decision) -> Pattern:
        goal, sequence = decision.task_description, decision.agents_used
        number = self._reserved.pop((sequence, goal), self._next)
        pattern = _new(number, goal, sequence, decision.timestamp)
        self._keep(pattern)
        return pattern

    def _keep(self, pattern: Pattern) -> None:
        pattern.project = self.project
        self.by_id[pattern.id] = pattern
        self._groups.setdefault(pattern.agent_sequence, []).append(pattern.id)
        self._goals[pattern.id] = tuple(sorted(self.read(pattern.goal).terms))
        for term in self._goals[pattern.id]:
            self._terms.setdefault(term, []).append(pattern.id)
        self._next = max(self._next, pattern.id + 1)

    def _drop(self, pattern: Pattern) -> None:
        del self.by_id[pattern.id]
        self.changed.discard(pattern.id)
        self._groups[pattern.agent_sequence].remove(pattern.id)
        for term in self._goals.pop(pattern.id):
            self._terms[term].remove(pattern.id)
            if not self._terms[term]:
                del self._terms[term]


def _new(number: int, goal: str, sequence: Names, moment: str, stored: bool = False) -> Pattern:
    return Pattern(
        id=number,
        goal=goal,
        agent_sequence=sequence,
        parallel_groups=[[agent] for agent in dict.fromkeys(sequence)],
        created_at=moment,
        updated_at=moment,
        stored=stored,
    )


def count(pattern: Pattern, decision: Decision) -> None:
    """Add one use to the pattern's record."""
    if decision.result == "success":
        pattern.success_count += 1
    else:
        pattern.failure_count += 1
    if decision.duration_ms is not None:
        pattern.duration_total += decision.duration_ms
        pattern.duration_count += 1
    if decision.tokens_saved is not None:
        pattern.tokens_total += decision.tokens_saved
        pattern.tokens_count += 1
    pattern.updated_at = max(pattern.updated_at, decision.timestamp)


def fresh(pattern: Pattern) -> Pattern:
    """The same pattern without a record."""
    return Pattern(
        id=pattern.id,
        goal=pattern.goal,
        agent_sequence=pattern.agent_sequence,
        dependencies=pattern.dependencies,
        parallel_groups=pattern.parallel_groups,
        created_at=pattern.created_at,
        updated_at=pattern.created_at,
        stored=pattern.stored,
        project=pattern.project,
    )


def missing_agents(pattern: Pattern, exists: Callable[[str], bool]) -> list[str]:
    """Agents of the sequence that are no longer there."""
    return [agent for agent in dict.fromkeys(pattern.agent_sequence) if not exists(agent)]


def best(found: Sequence[tuple[Pattern, float]]) -> list[tuple[Pattern, float]]:
    """Ranked by similarity times success rate; without uses, even odds."""
    return sorted(found, key=lambda pair: (-pair[1] * _rate(pair[0]), pair[0].id))


def _rate(pattern: Pattern) -> float:
    return pattern.success_rate if pattern.uses else 0.5
