"""Joins the delegations of one prompt to a plan: groups of agents that ran in parallel, in order.

A turn begins with a prompt and ends when the session is idle. An agent that starts before the first
of a group has ended is in that group; else it begins a new one. A plan has at least two agents. The
prompt is kept in memory until the next one, and stored only as the goal of a plan.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ...memo import Newest
from ...records import Result
from ...reports import Report
from ...text import cut

KEPT, MOST_AGENTS, MOST_GOAL = 200, 20, 500


@dataclass(slots=True)
class Turn:
    """`groups` of calls as they started; `ended` has the agent and result of each call."""

    goal: str
    ident: str
    groups: list[list[str]] = field(default_factory=list)
    ended: dict[str, tuple[str, Result]] = field(default_factory=dict)
    is_over: bool = False

    def start(self, call: str) -> None:
        if sum(map(len, self.groups)) < MOST_AGENTS:
            if not self.groups or any(each in self.ended for each in self.groups[-1]):
                self.groups.append([])
            self.groups[-1].append(call)

    def end(self, call: str, agent: str, result: Result) -> None:
        """`agent` is "" if it is not in the index: then it is left out of the plan."""
        if any(call in group for group in self.groups):
            self.ended[call] = (agent, result)

    def plan(self) -> tuple[list[list[str]], Result] | None:
        """None for fewer than two agents, and while one still runs."""
        if not self.is_over or any(call not in self.ended for g in self.groups for call in g):
            return None
        groups, results = list[list[str]](), dict[str, Result]()
        for group in self.groups:
            named = dict.fromkeys(self.ended[call][0] for call in group)
            groups.append([agent for agent in named if agent and agent not in results])
            results |= dict(map(self.ended.__getitem__, group))
        results.pop("", None)
        last = set(results.values())
        result: Result = "failure" if "failure" in last else "partial"
        if last == {"success"}:
            result = "success"
        return (list(filter(None, groups)), result) if len(results) > 1 else None


class PromptTurns:
    """The last turn of each of the last KEPT sessions."""

    def __init__(self) -> None:
        self._of: Newest[str, Turn] = Newest(KEPT)

    def begin(self, session: str, prompt: str) -> None:
        """The same prompt in a session has the same id, by a hook or a transcript."""
        if not session:
            return
        goal = cut(" ".join(prompt[: 4 * MOST_GOAL].split()), MOST_GOAL)
        digest = hashlib.blake2b(f"{session}\0{goal}".encode("utf-8", "replace"), digest_size=16)
        self._of[session] = Turn(goal, f"claude:plan:{digest.hexdigest()}")

    def start(self, session: str, call: str) -> None:
        if turn := self._of.get(session):
            turn.start(call)

    def end(self, session: str, call: str, agent: str, result: Result) -> None:
        if turn := self._of.get(session):
            turn.end(call, agent, result)

    def over(self, session: str) -> None:
        if turn := self._of.get(session):
            turn.is_over = True

    def plan(self, session: str) -> Report | None:
        """The report of the turn's plan once it is complete, always with the same task id."""
        turn = self._of.get(session)
        planned = turn.plan() if turn else None
        if turn is None or planned is None or not turn.goal:
            return None
        groups, result = planned
        return Report(
            task_id=turn.ident,
            task_description=turn.goal,
            agents_used=[agent for group in groups for agent in group],
            parallel_groups=groups,
            result=result,
            caller="claude-code",
        )
