"""The shared state in a running server: opened at its first use, closed last."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..coordinate.caller import Caller
from ..coordinate.core import Coordination
from ..errors import StoreTooNew, StoreUnavailable
from .callers import caller
from .events import Events, KeyChanged
from .shares import BucketsOfAll, owner_of
from .stores import why

if TYPE_CHECKING:
    from ..team.helpers import Helpers
    from ..team.learning import TeamLearning
    from ..team.over_all import AnswersOfAll
    from .gate import Gate
    from .projectstate import ProjectState

MINUTE = 60.0
TIDY_EVERY = 60  # minutes
STORES = ("postgres", "redis", "nats")
FIGURES = ("locks", "waiters", "messages", "expiries", "refusals")
log = logging.getLogger("orchestr8.shared")
speaking: contextvars.ContextVar[Caller | None] = contextvars.ContextVar("speaking", default=None)
"""The agent that makes this call of a tool, if a host's hook announced it."""


class SharedState:
    """`ready` is the shared state once it is open. `count_waiting(1)` and `(-1)` are called as
    calls begin and cease to wait; `facts` are what the team's other servers see of this one."""

    def __init__(
        self,
        settings: Settings,
        events: Events,
        ending: asyncio.Event,
        gate: Gate | None = None,
        is_kept: bool = True,
    ) -> None:
        self._settings, self._ending, self._gate = settings, ending, gate
        self.is_kept = is_kept
        self._helpers: Helpers | None = None
        self.ready: Coordination | None = None
        self._opening: asyncio.Task[Coordination] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._trouble = ""
        self._learning: dict[str, TeamLearning] = {}
        self.opens_early = False
        self._looked_up: set[str] = set()
        self.follow_settings: Callable[[Coordination, str], Coroutine[Any, Any, None]] | None = None
        self.count_waiting: Callable[[int], None] = lambda more: None
        self.facts: Callable[[], dict[str, Any]] = dict
        events.subscribe(KeyChanged, self._key_changed)

    @property
    def of_team(self) -> dict[str, Any]:
        """The facts of the team for /health; nothing without one."""
        helpers = self._helpers.facts if self._helpers else {}
        return {**(self.ready.of_team() if self.ready else self._away()), **helpers}

    @property
    def stores(self) -> dict[str, str]:
        """`connected` or `away`, for each of STORES that is in use."""
        return {name: state for name, state in self.of_team.items() if name in STORES}

    def _away(self) -> dict[str, Any]:
        return {"postgres": "away"} if self._trouble and self._settings.database_url else {}

    @property
    def answers(self) -> AnswersOfAll | None:
        """The team's cache of answers, if there is one."""
        return self._helpers.answers if self._helpers else None

    async def look_up_project(self, settings: Settings) -> None:
        """Run git in a thread for the name of the project, which `project_of` would block for."""
        if settings.database_url and (found := settings.known_as) and not found.name:
            from ..team.project import first_commit

            if found.repository not in self._looked_up:
                await asyncio.to_thread(first_commit, found.repository)
                self._looked_up.add(found.repository)

    def project_of(self, settings: Settings) -> str:
        """The name of the project in the shared state."""
        if not settings.database_url:
            return settings.repository_key
        from ..team.project import team_project

        return team_project(settings)

    def learning_of(self, state: ProjectState) -> TeamLearning | None:
        """What the team learns of the project of `state`, followed from then on. None without a
        team, or while the database is not open."""
        if not self._settings.database_url or self.ready is None:
            return None
        from ..team.core import TeamCoordination
        from ..team.learning import TeamLearning
        from ..team.project import learning_project

        assert isinstance(self.ready, TeamCoordination)
        project, folder = learning_project(state.settings), self._settings.data_dir
        if project not in self._learning:
            made = TeamLearning(self.ready, project, state.store.outcomes, folder)
            self._learning[project] = made
        return self._learning[project]

    @property
    def reasons(self) -> list[str]:
        """What is wrong, as sentences for /health."""
        if self.ready is None:
            return [self._trouble] if self._trouble and self._settings.database_url else []
        return [*self.ready.reasons, *(self._helpers.reasons if self._helpers else ())]

    @property
    def figures(self) -> dict[str, int]:
        """Figures for /health and /metrics; all 0 before the first use."""
        if not self.is_kept:
            return {}
        if self.ready is None:
            return dict.fromkeys(FIGURES, 0)
        with contextlib.suppress(sqlite3.Error, StoreUnavailable):
            return self.ready.figures()
        return {}

    async def check(self) -> None:
        """Once a second: log when the database is lost, and open the shared state before its first
        use if it has a team or helpers, or `opens_early`."""
        is_seen = self._settings.database_url or self._settings.has_helpers or self.opens_early
        if self.ready is None and is_seen and not self._ending.is_set():
            with contextlib.suppress(StoreUnavailable):
                await self.state()
        if self.ready and await self.ready.store.check():
            reason = " ".join(self.ready.store.reasons)
            log.error("the shared state is lost", extra={"reason": reason})

    async def state(self) -> Coordination:
        """The shared state, opened if necessary. Raises StoreUnavailable with the reason."""
        if not self.is_kept:
            raise StoreUnavailable("This server keeps no shared state.")
        if self.ready is None:
            if self._opening is None:
                self._opening = asyncio.create_task(self._open())
            try:
                await asyncio.shield(self._opening)
            finally:
                if self._opening is not None and self._opening.done():
                    self._opening = None
        assert self.ready is not None
        return self.ready

    async def opened(self, settings: Settings) -> Coordination:
        """As `state`, after `look_up_project`. Raises StoreUnavailable."""
        await self.look_up_project(settings)
        return await self.state()

    def asking(self, settings: Settings) -> Caller:
        """The caller of the present request, in the project of these settings."""
        if (who := speaking.get()) is not None:
            return who
        asks = caller.get()
        return Caller(
            asks.label,
            project=self.project_of(settings),
            scope=asks.right,
            tree=asks.tree,
            kind=asks.kind,
            verified=asks.keyed,
            writes=asks.writes,
            sees_one=bool(asks.projects),
            owner=owner_of(asks),
        )

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for learning in self._learning.values():
            await learning.stop()
        if self._helpers is not None:
            await self._helpers.stop()
        if self.ready is not None:
            with contextlib.suppress(StoreUnavailable):
                await self.ready.save_clock()
            await self.ready.close()

    async def _open(self) -> Coordination:
        made = self._make()
        made.feed.count = self.count_waiting
        try:
            await asyncio.to_thread(made.open)
        except (StoreUnavailable, StoreTooNew) as error:
            self._note_trouble(str(error))
            raise StoreUnavailable(error.sentence, error.cure) from None
        except (sqlite3.Error, OSError) as error:
            log.error("the shared state cannot be opened", extra={"reason": str(error)})
            raise StoreUnavailable(f"The shared state cannot be opened: {why(error)}") from None
        self._trouble = ""
        await self.look_up_project(self._settings)
        made.start()
        self.ready = made
        if self._settings.has_helpers:
            self._begin_helpers(made)
        running = self._end_waits(made), self._run_upkeep(made)
        self._tasks = [asyncio.create_task(each) for each in running]
        if self.follow_settings is not None:
            follow = self.follow_settings(made, self.project_of(self._settings))
            self._tasks.append(asyncio.create_task(follow))
        if made.store.repaired:
            details = {"details": made.store.repaired.sentence()}
            log.error("the shared state was damaged", extra=details)
        return made

    def _begin_helpers(self, made: Coordination) -> None:
        from ..team.helpers import Helpers

        self._helpers = helpers = Helpers(made, self._settings, self.project_of(self._settings))
        if self._gate is not None and self._settings.database_url:
            self._gate.of_all = of_all = BucketsOfAll(self._settings.limits.rate, helpers.count)
            of_all.note = helpers.share(of_all.drain) or of_all.note
        helpers.start()

    def _make(self) -> Coordination:
        settings, limits = self._settings, self._settings.limits
        most = min(limits.max_waiting, limits.max_connections // 2)
        if settings.database_url:
            from ..team.core import TeamCoordination

            facts = lambda: {**self.facts(), "stores": self.stores}  # noqa: E731
            return TeamCoordination(settings.database_url, most, facts=facts)
        sync, hard = settings.coordinate_sync, settings.coordinate_hard_mb
        return Coordination(settings.data_dir, sync, hard, most)

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.error("the shared state cannot be opened", extra={"reason": trouble})
        self._trouble = trouble

    async def _end_waits(self, shared: Coordination) -> None:
        """End all waits as soon as the server is told to stop."""
        await self._ending.wait()
        shared.feed.close()

    async def _run_upkeep(self, shared: Coordination) -> None:
        for minute in itertools.count():
            await asyncio.sleep(MINUTE)
            try:
                await shared.save_clock()
                if minute % TIDY_EVERY == 0:
                    await shared.tidy()
                    await shared.back_up()
            except (StoreUnavailable, sqlite3.Error, OSError) as error:
                log.error("the upkeep of the shared state failed", extra={"reason": str(error)})

    def _key_changed(self, event: KeyChanged) -> None:
        if event.change == "key revoked" and self.ready is not None:
            self.ready.feed.end(event.name)
