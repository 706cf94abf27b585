"""Sequences of agents that worked for a goal, derived from the decisions.

A decision joins the pattern of the same sequence of agents whose goal is most similar (similarity
>= JOIN). Without one, a success founds a new pattern, up to PER_SEQUENCE of a sequence. A decision
keeps the number of its pattern, so that an amendment or a removal moves one decision and no other.
A pattern's record is the sum over its decisions; its goal and its groups are those of the first, or
what was stored on purpose. It is offered from MIN_WINS successes on, a stored one from one on, and
to the key that stored it at once; no longer when it is retired, with a success rate under
RETIRE_UNDER after at least RETIRE_AFTER uses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from ..records import Decision, Pattern
from .tasks import Task, similarity

JOIN = 0.45
PER_SEQUENCE = 64
MIN_WINS = 2
RETIRE_UNDER, RETIRE_AFTER = 0.3, 5
NEAREST, VOTE_PRIOR, LEAST_VOTE = 20, 0.5, 0.2
CANDIDATES, MOST_NEAR = 200, 50
EXACT = 2**50  # microseconds that the database keeps exactly: 35 years
MOST_AVERAGED = 10**12  # larger durations (ms) and numbers of tokens are ignored as errors
Names = tuple[str, ...]
Offers = Callable[[Pattern], bool]


def is_retired(pattern: Pattern) -> bool:
    """Whether a pattern failed too often to be offered."""
    return pattern.uses >= RETIRE_AFTER and pattern.success_rate < RETIRE_UNDER


def is_offered(pattern: Pattern, asker: str = "") -> bool:
    """Whether a pattern may be offered to `asker`, the id of a key ("": this machine's callers)."""
    if pattern.stored:
        known = pattern.success_count > 0 or pattern.stored_by == asker
    else:
        known = pattern.success_count >= MIN_WINS
    return known and not is_retired(pattern)


@dataclass(slots=True)
class Patterns:
    """All patterns, with an index of their goals' terms. `read` turns a goal into its terms."""

    read: Callable[[str], Task]
    project: str = ""
    by_id: dict[int, Pattern] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    kept: int = 0
    _assigned: Counter[int] = field(default_factory=Counter)
    _stored: set[int] = field(default_factory=set)
    _reserved: dict[tuple[Names, str], int] = field(default_factory=dict)
    _groups: dict[Names, list[int]] = field(default_factory=dict)
    _terms: dict[str, list[int]] = field(default_factory=dict)
    _goals: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _next: int = 1

    def __iter__(self) -> Iterator[Pattern]:
        return (pattern for pattern in self.by_id.values() if pattern.uses or pattern.stored)

    def load(self, patterns: Iterable[Pattern]) -> None:
        for pattern in patterns:
            self._keep(pattern)

    def reset(self) -> None:
        """Forget all records, to count again. Stored ones stay, others keep their numbers."""
        patterns = list(self)
        for table in (
            self.by_id,
            self._groups,
            self._terms,
            self._goals,
            self.changed,
            self._stored,
        ):
            table.clear()
        self.load(fresh(pattern) for pattern in patterns if pattern.stored)
        for pattern in patterns:
            if not pattern.stored:
                self._reserved[pattern.agent_sequence, pattern.goal] = pattern.id
                self._next = max(self._next, pattern.id + 1)

    def assign(self, decision: Decision) -> Decision:
        """The decision with its pattern, a new one where none is similar. The pattern stays until
        `release` is called for the decision, after `add` or without it."""
        number = 0
        if decision.result != "partial" and decision.agents_used:
            known = self._alike(decision.agents_used, decision.task_description)
            number = known.id if known else self._create(decision)
        self._assigned[number] += 1
        return replace(decision, pattern=number)

    def release(self, decision: Decision) -> None:
        """End what `assign` began; without uses or other assigned decisions, drop the pattern."""
        number = decision.pattern or 0
        self._assigned[number] -= 1
        if self._assigned[number] <= 0:
            del self._assigned[number]
            self._drop_if_unused(number)

    def add(self, decision: Decision) -> tuple[Pattern, bool] | None:
        """Count a decision; returns its pattern, if any, and whether it is the first of that."""
        if not decision.pattern:
            return None
        pattern = self.by_id.get(decision.pattern)
        if pattern is None:
            pattern = self._begin(decision.pattern, decision)
        founds = not pattern.uses and not pattern.stored
        if founds:
            self._name(pattern, decision)
        count(pattern, decision, 1)
        self.changed.add(pattern.id)
        return pattern, founds

    def remove(self, decision: Decision, first_of: Callable[[int], Decision | None]) -> None:
        """Take a decision out of its pattern. `first_of` finds a pattern's first decision."""
        pattern = self.by_id.get(decision.pattern or 0)
        if pattern is None:
            return
        count(pattern, decision, -1)
        self.changed.add(pattern.id)
        self._drop_if_unused(pattern.id)
        if pattern.id in self.by_id and pattern.goal == decision.task_description:
            self.rename(pattern.id, first_of)

    def rename(self, number: int, first_of: Callable[[int], Decision | None]) -> None:
        """Take goal and groups from a pattern's first decision, which may have changed."""
        pattern = self.by_id.get(number)
        if pattern and not pattern.stored and (first := first_of(number)):
            self._name(pattern, first)

    def unproven_by(self, asker: str) -> bool:
        """Whether `asker` stored plans without a success yet, which are offered to no other."""
        stored = (self.by_id[number] for number in self._stored)
        return any(p.stored_by == asker and not p.success_count for p in stored)

    def draft(self, goal: str, sequence: Names, moment: str, by: str = "") -> tuple[Pattern, bool]:
        """A pattern to store on purpose, for `keep` after the commit, and whether it is new."""
        of_sequence = (self.by_id[number] for number in self._groups.get(sequence, ()))
        same = [pattern for pattern in of_sequence if pattern.goal == goal]
        if same:
            by = same[0].stored_by if same[0].stored else by
            return replace(same[0], stored=True, stored_by=by, updated_at=moment), False
        self._next += 1
        drafted = _new(self._next - 1, goal, sequence, moment)
        return replace(drafted, stored=True, stored_by=by), True

    def keep(self, drafted: Pattern) -> None:
        """Add a drafted pattern, or update a known one, whose record stays."""
        self.kept += 1
        known = self.by_id.get(drafted.id)
        if known is None:
            self._keep(fresh(drafted))
            return
        known.dependencies = drafted.dependencies
        known.parallel_groups = drafted.parallel_groups
        known.stored, known.updated_at = True, drafted.updated_at
        known.stored_by = drafted.stored_by
        self._stored.add(known.id)

    def near(self, text: str, offers: Offers = is_offered) -> list[tuple[Pattern, float]]:
        """(pattern, similarity) of those that `offers` accepts and that share a term, sorted."""
        task = self.read(text)
        cosines = self._cosines(task)
        offered = [number for number in cosines if offers(self.by_id[number])]
        closest = sorted(offered, key=lambda number: (-cosines[number], number))[:MOST_NEAR]
        found = [(self.by_id[number], self._similarity(number, text, task)) for number in closest]
        return sorted(found, key=lambda pair: (-pair[1], pair[0].id))

    def vote(self, text: str, offers: Offers = is_offered) -> tuple[Pattern, float] | None:
        """(pattern, share of the votes) by k nearest neighbours: the NEAREST goals vote for their
        sequences by cosine² · success rate; LEAST_VOTE and a pattern that `offers` accepts win."""
        cosines = self._cosines(self.read(text))
        nearest = sorted(cosines, key=lambda number: (-cosines[number], number))[:NEAREST]
        weight = VOTE_PRIOR + sum(cosines[number] ** 2 for number in nearest)
        votes: dict[Names, float] = {}
        for number in nearest:
            pattern = self.by_id[number]
            share = cosines[number] ** 2 * pattern.success_rate / weight
            votes[pattern.agent_sequence] = votes.get(pattern.agent_sequence, 0.0) + share
        for sequence in sorted(votes, key=lambda names: (-votes[names], names)):
            ours = (self.by_id[number] for number in self._groups[sequence] if number in cosines)
            offered = list(filter(offers, ours))
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
        norm = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        most = sorted(dots, key=lambda number: (-dots[number], number))[:CANDIDATES]
        return {number: dots[number] / (norm * self._length(number, total)) for number in most}

    def _length(self, number: int, total: int) -> float:
        return math.sqrt(sum(self._idf(term, total) ** 2 for term in self._goals[number])) or 1.0

    def _idf(self, term: str, total: int) -> float:
        df = len(self._terms.get(term, ()))
        return math.log((1 + total) / (1 + df)) + 1

    def _alike(self, sequence: Names, text: str) -> Pattern | None:
        """The pattern with this goal, else the most similar one from JOIN on; ties by the goal."""
        task, found = self.read(text), list[tuple[float, str, Pattern]]()
        terms, goals = task.terms, self._goals
        for number in self._closest(sequence, task):
            if terms and terms.isdisjoint(goals[number]):
                continue
            pattern = self.by_id[number]
            if pattern.goal == text:
                return pattern
            if not terms:
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

    def _closest(self, sequence: Names, task: Task) -> list[int]:
        """The patterns of the sequence that share most terms with the task, up to PER_SEQUENCE."""
        of_sequence, terms = self._groups.get(sequence, []), task.terms
        if len(of_sequence) <= PER_SEQUENCE:
            return of_sequence
        shared = {number: len(terms.intersection(self._goals[number])) for number in of_sequence}
        return sorted(of_sequence, key=lambda number: (-shared[number], number))[:PER_SEQUENCE]

    def _create(self, decision: Decision) -> int:
        """The number of a new pattern; 0 for no success, or if the sequence has PER_SEQUENCE."""
        sequence = decision.agents_used
        if decision.result != "success" or len(self._groups.get(sequence, ())) >= PER_SEQUENCE:
            return 0
        number = self._reserved.pop((sequence, decision.task_description), self._next)
        return self._begin(number, decision).id

    def _begin(self, number: int, decision: Decision) -> Pattern:
        goal, moment = decision.task_description, decision.timestamp
        pattern = _new(number, goal, decision.agents_used, moment)
        pattern.parallel_groups = _groups(decision)
        self._keep(pattern)
        self.gone.discard(number)
        return pattern

    def _name(self, pattern: Pattern, first: Decision) -> None:
        """Give it the goal and the groups of its first decision."""
        pattern.parallel_groups = _groups(first)
        if pattern.goal != first.task_description:
            self._drop(pattern)
            pattern.goal, pattern.created_at = first.task_description, first.timestamp
            self._keep(pattern)
            self.changed.add(pattern.id)

    def _drop_if_unused(self, number: int) -> None:
        pattern = self.by_id.get(number)
        if pattern and not pattern.uses and not pattern.stored and not self._assigned.get(number):
            self._drop(pattern)
            self.gone.add(number)

    def _keep(self, pattern: Pattern) -> None:
        pattern.project = self.project
        self.by_id[pattern.id] = pattern
        self._groups.setdefault(pattern.agent_sequence, []).append(pattern.id)
        self._goals[pattern.id] = tuple(sorted(self.read(pattern.goal).terms))
        for term in self._goals[pattern.id]:
            self._terms.setdefault(term, []).append(pattern.id)
        self._next = max(self._next, pattern.id + 1)
        if pattern.stored:
            self._stored.add(pattern.id)

    def _drop(self, pattern: Pattern) -> None:
        del self.by_id[pattern.id]
        self.changed.discard(pattern.id)
        self._stored.discard(pattern.id)
        self._groups[pattern.agent_sequence].remove(pattern.id)
        if not self._groups[pattern.agent_sequence]:
            del self._groups[pattern.agent_sequence]
        for term in self._goals.pop(pattern.id):
            self._terms[term].remove(pattern.id)
            if not self._terms[term]:
                del self._terms[term]


def _groups(decision: Decision) -> list[list[str]]:
    """The decision's parallel groups; if it has none, each agent alone."""
    given = [list(group) for group in decision.parallel_groups]
    return given or [[agent] for agent in dict.fromkeys(decision.agents_used)]


def _new(number: int, goal: str, sequence: Names, moment: str) -> Pattern:
    return Pattern(
        id=number,
        goal=goal,
        agent_sequence=sequence,
        parallel_groups=[[agent] for agent in dict.fromkeys(sequence)],
        created_at=moment,
        updated_at=moment,
    )


def count(pattern: Pattern, decision: Decision, sign: int) -> None:
    """Add one use to the pattern's record, or take it out again."""
    if decision.result == "success":
        pattern.success_count += sign
    else:
        pattern.failure_count += sign
    if decision.duration_ms is not None and decision.duration_ms <= MOST_AVERAGED:
        pattern.duration_us += sign * round(decision.duration_ms * 1000)
        pattern.duration_count += sign
    if decision.tokens_saved is not None and decision.tokens_saved <= MOST_AVERAGED:
        pattern.tokens_total += sign * decision.tokens_saved
        pattern.tokens_count += sign
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
        stored_by=pattern.stored_by,
        project=pattern.project,
    )


def missing_agents(pattern: Pattern, exists: Callable[[str], bool]) -> list[str]:
    """Agents of the sequence that no longer exist."""
    return [agent for agent in dict.fromkeys(pattern.agent_sequence) if not exists(agent)]


def best(found: Sequence[tuple[Pattern, float]]) -> list[tuple[Pattern, float]]:
    """Ranked by similarity times success rate, which is 0.5 without uses."""
    return sorted(found, key=lambda pair: (-pair[1] * _rate(pair[0]), pair[0].id))


def _rate(pattern: Pattern) -> float:
    return pattern.success_rate if pattern.uses else 0.5


def differing(kept: Iterable[Pattern], again: Iterable[Pattern]) -> list[str]:
    """Sentences on patterns that were `kept` and that a recount, `again`, has otherwise."""
    before, after = records_of(kept), records_of(again)
    numbers = sorted(number for number in before | after if before.get(number) != after.get(number))
    changed = [(after.get(number) or before[number]) for number in numbers]
    return [
        f"the pattern '{goal}' of {', '.join(agents)} differs from a recount"
        for goal, agents, *_ in changed
    ]


def records_of(patterns: Iterable[Pattern]) -> dict[int, tuple[Any, ...]]:
    """number → goal, sequence and record, to compare two sets of patterns"""
    return {pattern.id: _record(pattern) for pattern in patterns}


def _record(pattern: Pattern) -> tuple[Any, ...]:
    what = (pattern.goal, pattern.agent_sequence, pattern.stored, pattern.stored_by)
    uses = (pattern.success_count, pattern.failure_count)
    durations = (min(pattern.duration_us, EXACT), pattern.duration_count)
    return (*what, *uses, *durations, pattern.tokens_total, pattern.tokens_count)
