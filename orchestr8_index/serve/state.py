"""What changes while the server runs, with its owners: the context of every method."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from ..catalog.index import Index
from ..config import SHARED
from ..daemon.watcher import Watched
from ..learn.experience import together
from ..records import Experience, Kind
from ..search.goals import Goals
from ..search.rank import bind
from ..text import Terms
from ..tokens import Tokenizer
from .cache import AnswerCache, RecentQuestions
from .events import Events
from .filewatch import FileWatch
from .gate import Gate
from .hooks.claims import ClaimHooks
from .hooks.delegations import OfCallers, RunningTasks
from .logs import LogFile, LogNowhere
from .metrics import Metrics, Samples, Series
from .projects import Projects
from .projectstate import ProjectState
from .replay import Replays
from .sharedstate import SharedState
from .stores import ProjectStore
from .trace import Trace

PARTIAL = -2  # stands where a revision of the experience does


@dataclass(slots=True, kw_only=True)
class State(ProjectState):
    """That of one project. Built by app.make_state, and for the others by app.make_project: what
    is the process's own is the same object in all.

    `started` is on the monotonic clock; `ending` is set as soon as the server is told to stop;
    `log` is None where logs go nowhere, `trace` unless it was asked for."""

    events: Events
    gate: Gate
    query_cache: AnswerCache
    pattern_cache: AnswerCache
    metrics: Metrics
    samples: Samples
    tokens: Tokenizer
    file_watch: FileWatch
    watched: Watched
    shared: SharedState
    ending: asyncio.Event
    claims: ClaimHooks
    all_projects: Projects[State] | None = None
    log: LogFile | LogNowhere | None = None
    trace: Trace | None = None
    terms: Terms = field(default_factory=Terms)
    recent: RecentQuestions = field(default_factory=RecentQuestions)
    delegations: OfCallers = field(default_factory=OfCallers)
    goals: Goals = field(default_factory=Goals)
    series: dict[str, Series] = field(default_factory=dict)
    replays: Replays = field(default_factory=Replays)
    work: RunningTasks = field(default_factory=RunningTasks)
    started: float = field(default_factory=time.monotonic)
    _together: tuple[list[Any], Experience] | None = None

    @property
    def projects(self) -> Projects[State]:
        assert self.all_projects is not None
        return self.all_projects

    def __post_init__(self) -> None:
        of = (self.metrics, (self.query_cache, self.pattern_cache))
        self.series = {"hour": Series(10, 360, *of), "day": Series(120, 720, *of)}

    @property
    def lenders(self) -> list[tuple[str, ProjectStore]]:
        """The projects whose past is used after its own, where the user lets it."""
        return self.projects.lenders(self) if self.learns_from else []

    @property
    def experience(self) -> Experience:
        """What was learnt: its own, and then that of its lenders."""
        own = self.store.experience
        if not (lenders := self.lenders):
            return own
        lent = [(name, store.experience) for name, store in lenders]
        key = [(each.revision, each.changed_since) for each in (own, *(x for _, x in lent))]
        if self._together is None or self._together[0] != key:
            self._together = key, together(own, lent)
        return self._together[1]

    def stamp(self, kind: Kind | None) -> tuple[int, int]:
        """What an answer depends on beside the question: the generation, and what was learnt of
        that kind of entries (of everything for None)."""
        if self.is_partial:
            return self.index.generation, PARTIAL
        revision = self.store.revision_of(kind)
        if lenders := self.lenders:
            others = ((name, store.revision_of(kind)) for name, store in lenders)
            revision = hash((revision, *others))
        return self.index.generation, revision

    async def bind(self, index: Index | None, experience: Experience) -> None:
        """Before one of them is used: in short steps, between the answers."""
        for _ in bind(index, experience) if index else ():
            await asyncio.sleep(0)

    def facts(self) -> dict[str, object]:
        """What the other servers of a team are told of this one."""
        index, settings = self.refresh.index, self.settings
        told = {"generation": index.generation if index else 0, "project": self.name}
        if settings.index == SHARED:
            told["wants_index_of"] = self.shared.project_of(settings)
        return told

    def check_memory(self) -> None:
        """Measure the memory in use against what entries and decisions need."""
        outcomes = self.store.ready
        indexes = {id(each.refresh): each.refresh.index for each in self.projects.awake()}
        entries = sum(sum(i.manifest.counts.values()) for i in indexes.values() if i)
        self.gate.memory.measure(entries, outcomes.decisions if outcomes else 0, self.drop)

    def sleep(self) -> None:
        ProjectState.sleep(self)
        self.drop_answers()
        self._together = None

    def follow_swap(self) -> None:
        """Another generation serves: nothing of the one before is kept open by an idle project."""
        self.drop_answers()
        self._own = None

    def drop_answers(self) -> None:
        self.query_cache.clear()
        self.pattern_cache.clear()

    def drop(self) -> None:
        """Give up everything that can be had again."""
        self.drop_answers()
        self.terms.forget()
