"""The projects of a server: which one a request is for, and which have their index loaded.

The first is the server's own, for requests that name no project, with the roots that its folder has
at present. Every other one gets a State when it is first requested; its index is loaded then, and
unloaded (put to sleep) after an hour without a request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ..catalog.generations import Refresh
from ..catalog.index import Index
from ..config import Settings
from ..environment import environment
from ..errors import NoSuchProject
from ..memo import keep
from ..project import ROOTS, project_of
from ..records import PLURAL
from ..roots import FOUND, SHIPPED, discovered_roots, fixture_root
from .callers import Principal
from .filewatch import FileWatch
from .projectlist import (
    MOST,
    KnownProject,
    free_name,
    give_names,
    plain_name,
    read_projects,
    write_projects,
)
from .projectstate import ProjectState
from .stores import GuestStore, ProjectStore, ServerStore

PATIENCE = 1.2  # seconds that the first request waits for its index, to be answered in 1.5
LONGEST = 10.0  # seconds, if not even the shared part has an index
LOOK_SECONDS = 0.05  # between checks for that index
ASLEEP_AFTER = 3600.0
FOLDER_SECONDS = 5.0  # for which a folder's project is cached
MOST_FOLDERS, MOST_SESSIONS = 256, 1000
log = logging.getLogger("orchestr8.projects")
P = TypeVar("P", bound=ProjectState)


@dataclass(slots=True)
class Projects(Generic[P]):
    """`make(settings, refresh)` returns the state of a further project."""

    first: P
    make: Callable[[Settings, Refresh], P]
    make_refresh: Callable[[Settings], Refresh]
    file_watch: FileWatch
    clock: Callable[[], float] = time.time
    known: dict[str, KnownProject] = field(default_factory=dict)
    _states: dict[tuple[str, str], P] = field(default_factory=dict)
    _refreshes: dict[str, Refresh] = field(default_factory=dict)
    _stores: dict[str, GuestStore] = field(default_factory=dict)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)
    _folders: dict[str, tuple[float, P]] = field(default_factory=dict)
    _sessions: dict[str, P] = field(default_factory=dict)
    _newest: P = field(init=False)
    _is_saved: bool = True
    _has_new: bool = False

    def __post_init__(self) -> None:
        self._newest, settings = self.first, self.first.settings
        self.known = read_projects(settings.data_dir)
        give_names(self.known, settings.names)
        self._refreshes[settings.roots_digest] = self.first.refresh
        self._add(settings, self.first)
        self._has_new = False  # the first one is listed without a save

    # --- which project -----------------------------------------------------------------------

    async def of(self, asking: Principal) -> P:
        """The state for this caller, with its index, if that is ready within PATIENCE, or with an
        index of the shared part of its roots, for which it may take LONGEST. Raises NoSuchProject.
        """
        state = self.find(asking)
        await self.make_ready(state)
        return state

    async def make_ready(self, state: P) -> None:
        """Load the index, or the shared part of it, as `of` says."""
        await self.wake(state)
        if state is not self.first and not state.can_answer:
            await self._wait_for_index(state)
        if self._has_new:  # so that it is listed from its first answer on
            await self.save()

    def find(self, asking: Principal) -> P:
        """By the project that the caller names, else by the folder that it works in. Raises
        NoSuchProject, with the same sentence for a project that its key is not for.

        If the server was given its roots, the folder does not matter. A key for some projects that
        names none gets the first one or, if it is not for that, the one last requested of its own.
        """
        if asking.project:
            return self._named(asking.project, asking)
        if asking.tree and asking.own and not self.first.settings.explicit_roots:
            return self.of_folder(asking.tree)
        if not asking.projects or asking.is_for(self.first.settings.project_key):
            return self._default()
        own = [each for each in self.known.values() if asking.is_for(each.key)]
        newest = max(own, key=lambda each: each.asked_at, default=None)
        return self._named(newest.key if newest else asking.projects[0], asking)

    async def of_session(self, asking: Principal, session: str, folder: str) -> P:
        """As `of`, for a host's session: the project of the folder in which the session began."""
        if asking.project or not asking.own or not os.path.isabs(folder):
            return await self.of(asking)
        state = self._sessions.get(session)
        if state is None or not session:
            state = self.find(msgspec.structs.replace(asking, tree=folder))
            keep(self._sessions, MOST_SESSIONS, session, state)
        await self.wake(state)
        return state

    def of_folder(self, folder: str) -> P:
        """The project that a folder belongs to, cached for seconds. Raises NoSuchProject."""
        until, state = self._folders.get(folder, (0.0, None))
        if state is None or until < time.monotonic():
            try:
                state = self._discover(folder)
            except (OSError, ValueError):  # an impossible name
                raise NoSuchProject("That folder cannot be looked at.") from None
            keep(self._folders, MOST_FOLDERS, folder, (time.monotonic() + FOLDER_SECONDS, state))
        return state

    def _default(self) -> P:
        """The server's own project, with the roots that its folder has now as soon as their index
        is ready: a host may have been installed since the start."""
        settings = self.first.settings
        if settings.roots_from not in (FOUND, SHIPPED) or settings.project is None:
            return self.first
        try:
            state = self.of_folder(settings.project.tree)
        except NoSuchProject:
            return self._newest
        if state is not self._newest and state.settings.roots_from == FOUND:
            if state.can_answer:
                self._newest = state
            else:
                self._start_build(state.refresh)
        return self._newest

    def with_roots(self, roots: tuple[str, ...]) -> P:
        """The project of given roots: absolute, resolved folders."""
        settings = msgspec.structs.replace(
            self.first.settings, roots=roots, places=(), roots_from="--root", project=None
        )
        return self._state_of(settings)

    def _discover(self, folder: str) -> P:
        home = self.first.settings.home or str(Path.home())
        near = project_of(folder, home, ())
        tree = near.tree if near.folder != os.path.realpath(home) else folder
        found = discovered_roots(Path(tree), Path(home), environment())
        if not found and near.folder == os.path.realpath(home):
            return self.first  # nothing is installed anywhere
        roots, origin = (found, FOUND) if found else ((str(fixture_root()),), SHIPPED)
        project = project_of(folder, home, roots, self.first.settings.names)
        settings = msgspec.structs.replace(
            self.first.settings, roots=roots, places=(), roots_from=origin, project=project
        )
        return self._state_of(settings)

    def _named(self, name: str, asking: Principal) -> P:
        """By name, if the caller's key is for it. Raises NoSuchProject."""
        state = self._by_name(name, asking)
        if state is None or not asking.is_for(state.settings.project_key):
            raise NoSuchProject("There is no such project here.")
        return state

    def _by_name(self, name: str, asking: Principal) -> P | None:
        """By its name or key; by a folder or roots only for the user's own programs."""
        if os.path.isabs(name) and asking.own:
            return self.of_folder(name)
        if name.startswith(ROOTS) and asking.own:
            roots = name.removeprefix(ROOTS).split(os.pathsep)
            if all(os.path.isabs(root) and os.path.isdir(root) for root in roots):
                return self.with_roots(tuple(dict.fromkeys(map(os.path.realpath, roots))))
        for each in self.known.values():
            if name in (each.name, each.key, each.folder) and asking.is_for(each.key):
                return self._of_known(each)
        for given in self.first.settings.names:
            if name in (given.name, given.key) and asking.is_for(given.key):
                return self.of_folder(given.places[0][0])
        return None

    def _of_known(self, project: KnownProject) -> P:
        """The state of its working tree that was requested last, else of its main folder."""
        states = [state for (key, _), state in self._states.items() if key == project.key]
        if states:
            return max(states, key=lambda state: state.asked)
        if not project.folder:
            return self.with_roots(project.roots)
        return self.of_folder(project.folder)

    def _state_of(self, settings: Settings) -> P:
        place = (settings.project_key, settings.roots_digest)
        state = self._states.get(place)
        if state is None:
            state = self.make(settings, self._refresh(settings))
            self._add(settings, state)
        return state

    def _add(self, settings: Settings, state: P) -> None:
        project = self._register(settings)
        state.name, state.learns_from = project.name, project.learns_from
        self._states[project.key, settings.roots_digest] = state

    def _refresh(self, settings: Settings) -> Refresh:
        """One for all projects with the same roots, which are read, watched and stored once."""
        refresh = self._refreshes.get(settings.roots_digest)
        if refresh is None:
            refresh = self._refreshes[settings.roots_digest] = self.make_refresh(settings)
        return refresh

    def store_of(self, key: str) -> ProjectStore:
        """The store of what the project has learnt, common to all its working trees."""
        own = self.first.store
        if key == self.first.settings.project_key or not isinstance(own, ServerStore):
            return own
        return self._stores.setdefault(key, GuestStore(own, key))

    def lenders(self, state: P) -> list[tuple[str, ProjectStore]]:
        """The other projects that it learns from: their names and stores."""
        named = filter(None, map(self.known.get, state.learns_from))
        return [(each.name, self.store_of(each.key)) for each in named]

    async def set_lenders(self, state: P, names: Iterable[str], asking: Principal) -> None:
        """Set the other projects that it learns from. Raises NoSuchProject."""
        keys = [self._named(name, asking).settings.project_key for name in names]
        project = self.known[state.settings.project_key]
        project.learns_from = tuple(key for key in dict.fromkeys(keys) if key != project.key)
        for (key, _), each in self._states.items():
            if key == project.key:
                each.learns_from = project.learns_from
        self._is_saved = False
        await self.save()

    # --- the list of projects -------------------------------------------------------------------

    def _register(self, settings: Settings) -> KnownProject:
        project = self.known.get(settings.project_key)
        if project is None:
            folder = settings.project.folder if settings.project else ""
            roots = () if folder else settings.roots
            taken = {each.name for each in self.known.values()}
            taken |= {each.name for each in settings.names if each.key != settings.project_key}
            name = free_name(plain_name(settings), taken)
            project = KnownProject(name, settings.project_key, folder, roots, self.clock())
            self.known[project.key] = project
            self._is_saved, self._has_new = False, True
            if len(self.known) > MOST:
                self._forget_oldest()
        return project

    def _forget_oldest(self) -> None:
        """Forget the project not requested for the longest; what it learnt stays in the store."""
        own = self.first.settings.project_key
        others = [project for project in self.known.values() if project.key != own]
        oldest = min(others, key=lambda project: project.asked_at)
        del self.known[oldest.key]
        for place, state in list(self._states.items()):
            if place[0] == oldest.key:
                del self._states[place]
                self._sleep(state)
        for table in (self._folders, self._sessions):
            table.clear()

    def note_asked(self, state: P) -> None:
        state.asked = time.monotonic()
        project = self.known.get(state.settings.project_key)
        if project is not None and self.clock() - project.asked_at > 1.0:
            project.asked_at, self._is_saved = self.clock(), False

    async def save(self) -> None:
        """Write the list of projects, if it has changed."""
        news = [state for state in self._states.values() if self._update_counts(state)]
        if self._is_saved and not news:
            return
        self._is_saved, self._has_new = True, False
        rows = list(self.known.values())
        try:
            await asyncio.to_thread(write_projects, self.first.settings.data_dir, rows)
        except OSError as error:
            log.warning("the list of projects was not kept", extra={"reason": error.strerror})

    def _update_counts(self, state: P) -> bool:
        """Update the index's digest and counts in the list; returns whether they changed."""
        project, index = self.known.get(state.settings.project_key), state.refresh.index
        if project is None or index is None:
            return False
        before = project.digest, project.entries
        project.digest = state.settings.roots_digest
        project.entries = {PLURAL[kind]: n for kind, n in index.manifest.counts.items()}
        return before != (project.digest, project.entries)

    # --- loading and unloading ---------------------------------------------------------------

    def is_awake(self, state: P) -> bool:
        """Whether nothing is left to load or save for a request."""
        return state.refresh.index is not None and not self._unloaded(state) and not self._has_new

    def _unloaded(self, state: P) -> list[GuestStore]:
        """The stores, of the project and of those it learns from, that are not loaded."""
        others = self.lenders(state) if state.learns_from else ()
        stores = (state.store, *[store for _, store in others])
        return [s for s in stores if isinstance(s, GuestStore) and s.ready is None]

    async def wake(self, state: P) -> None:
        """Load index and stores; wait for them for PATIENCE at most."""
        self.note_asked(state)
        waits: list[asyncio.Task[Any]] = [store.load() for store in self._unloaded(state)]
        if state is not self.first and state.refresh.index is None:
            waits += self._start_index(state)
        if waits:
            await asyncio.wait(waits, timeout=PATIENCE)
        if state.refresh.index is not None:
            state.shared_part = None

    def _start_index(self, state: P) -> list[asyncio.Task[Any]]:
        """Start to load the index; returns the build to wait for, if no index is there yet."""
        build = self._start_build(state.refresh)
        if state.refresh.index is not None:
            return []
        part = state.settings.shared_roots
        if part and state.shared_part is None:  # the build makes its index first
            settings = msgspec.structs.replace(state.settings, roots=part, places=())
            state.shared_part = self.make_refresh(settings)
            state.shared_part.open_newest()
        return [build]

    async def _wait_for_index(self, state: P) -> None:
        """Wait until there is an index of all or of the shared part, or the build has failed."""
        build, until = state.refresh.wake(), time.monotonic() + LONGEST
        while not state.can_answer and not build.done() and time.monotonic() < until:
            await asyncio.wait([build], timeout=LOOK_SECONDS)
            if state.shared_part is not None:
                state.shared_part.open_newest()

    def _start_build(self, refresh: Refresh) -> asyncio.Task[Index]:
        begun = refresh.wake()
        if self.first.settings.watch:
            self.file_watch.add(refresh)
        return begun

    def others(self) -> Iterator[P]:
        """All states but the first."""
        return (state for state in list(self._states.values()) if state is not self.first)

    def awake(self) -> list[P]:
        """The states with an index in memory, the first one first."""
        return [self.first, *(each for each in self.others() if each.refresh.index is not None)]

    async def sleep_idle(self) -> None:
        """Unload what was not requested for an hour, and save the list of projects."""
        late = time.monotonic() - ASLEEP_AFTER
        for state in self.others():
            is_late = state.asked < late and state is not self._newest
            if is_late and state.refresh.index is not None:
                self._sleep(state)
        if self._closing:
            await asyncio.wait(self._closing)
        await self.save()

    def _sleep(self, state: P) -> None:
        state.sleep()
        late = time.monotonic() - ASLEEP_AFTER
        others = [each for each in self._states.values() if each is not state]
        awake = [each for each in others if each is self.first or each.asked >= late]
        if not any(each.refresh is state.refresh for each in awake):
            self.file_watch.remove(state.refresh)
            state.refresh.sleep()
        store = state.store
        used = [s for each in awake for s in (each.store, *(s for _, s in self.lenders(each)))]
        if isinstance(store, GuestStore) and not any(each is store for each in used):
            closing = asyncio.create_task(store.sleep())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def stop(self) -> None:
        own = self.first.refresh
        others = [refresh for refresh in self._refreshes.values() if refresh is not own]
        await asyncio.gather(*(refresh.stop() for refresh in others))
        await asyncio.gather(*self._closing, *(store.sleep() for store in self._stores.values()))
        await self.save()
