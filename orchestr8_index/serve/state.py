"""What does the running server know? Everything that changes, with its owner, handed down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..catalog.generations import Refresh
from ..catalog.index import Index
from ..config import Settings
from ..daemon.adoption import Watched
from ..errors import Starting
from ..records import Experience, Kind
from ..search.rank import bind
from ..text import Terms
from ..tokens import ESTIMATING, Tokenizer
from .cache import AnswerCache
from .gate import Gate, make_gate
from .hooks.delegations import Delegations
from .hot import Hot
from .memory_limit import Memory
from .metrics import Metrics
from .problems import Signs
from .process import memory_mb
from .storekeeper import Keeper


@dataclass(slots=True)
class State:
    """The context of every method. `started` is on the monotonic clock.

    `on_learnt` is told after a report; `ending` is set as soon as the server is told to stop.
    """

    settings: Settings
    refresh: Refresh
    query_cache: AnswerCache
    pattern_cache: AnswerCache
    metrics: Metrics = field(default_factory=Metrics)
    terms: Terms = field(default_factory=Terms)
    tokens: Tokenizer = ESTIMATING
    started: float = field(default_factory=time.monotonic)
    keeper: Keeper | None = None
    first_build: asyncio.Task[Index] | None = None
    delegations: Delegations = field(default_factory=Delegations)
    on_learnt: list[Callable[[], None]] = field(default_factory=list)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    hot: Hot = field(default_factory=Hot)
    gate: Gate = field(init=False)
    signs: Signs = field(init=False)
    watched: Watched = field(init=False)

    def __post_init__(self) -> None:
        memory = Memory(self.settings.limits, memory_mb, self.held, self.drop)
        self.gate = make_gate(self.settings, memory, self.metrics.failed)
        self.signs = Signs(self.settings.data_dir)
        self.refresh.before_swap.append(lambda index: self.bind(index, self.experience))
        if self.keeper is not None:
            self.keeper.binds = lambda experience: self.bind(self.refresh.index, experience)
        self.watched = Watched(self.settings)

    @property
    def experience(self) -> Experience | None:
        return self.keeper.experience if self.keeper else None

    def stamp(self, kind: Kind | None) -> tuple[int, int]:
        """What an answer depends on beside the question: the generation, and what was learnt of
        that kind of entries (of everything for None)."""
        return self.index.generation, self.keeper.revision_of(kind) if self.keeper else -1

    async def bind(self, index: Index | None, experience: Experience | None) -> None:
        """Before one of them is used: in short steps, between the answers."""
        for _ in bind(index, experience) if index and experience else ():
            await asyncio.sleep(0)

    def held(self) -> tuple[int, int]:
        """(entries, decisions): what the memory in use depends on."""
        index, outcomes = self.refresh.index, self.keeper.ready if self.keeper else None
        entries = sum(index.manifest.counts.values()) if index else 0
        return entries, outcomes.decisions if outcomes else 0

    def drop(self) -> None:
        """Give up everything that can be had again."""
        self.query_cache.clear()
        self.pattern_cache.clear()
        self.terms.forget()

    @property
    def index(self) -> Index:
        if self.refresh.index is None:
            if self.refresh.failure:
                raise Starting(f"There is no index yet. {self.refresh.failure}")
            raise Starting("The server is building its first index.")
        return self.refresh.index
