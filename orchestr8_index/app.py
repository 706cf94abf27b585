"""The composition root: builds the whole server from Settings, and holds no logic."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from .catalog.generations import Refresh
from .catalog.worker import Builder
from .changeable import ClaimsPolicy
from .config import SHARED, Settings
from .errors import BuildFailed
from .project import heir_of
from .tokens import ESTIMATING, Tokenizer, read_tokenizer

if TYPE_CHECKING:
    from .serve.events import Events
    from .serve.gate import Gate
    from .serve.metrics import Metrics
    from .serve.projects import Projects
    from .serve.protocol import Lines
    from .serve.state import State
    from .serve.stores import ServerStore

BUILDS = 2  # at a time, of projects beside the first
GUESSES = 5  # unknown keys a second from one peer


def run_server(settings: Settings, announce: Callable[[int], None] = lambda port: None) -> None:
    """Claim data directory and port, start the build's child, import the rest meanwhile, and serve.

    `announce` is called with the port as soon as it is bound.
    """
    from .daemon.claim import claim
    from .daemon.pidfile import SERVER_NAME, PidFile

    os.umask(0o077)
    tokens = read_tokenizer(settings.tokenizer)
    settings = _with_local_key(settings)
    last = PidFile(settings.data_dir / SERVER_NAME).last()
    heir = heir_of(last, settings.project, settings.home)
    if settings.database_url or settings.has_helpers or settings.index == SHARED:
        from .team.start import check_start

        check_start(settings)
    pidfile, listening = claim(settings)
    announce(listening.getsockname()[1])
    refresh = Refresh(settings, _make_builder(settings))
    refresh.open_last()

    from .serve.memory import load_uvicorn, one_arena

    one_arena()
    load_uvicorn()
    from .serve.http import make_web
    from .serve.logs import set_up_logs
    from .serve.protocol import Lines
    from .serve.server import serve
    from .serve.stores import ServerStore
    from .serve.trace import make_trace

    log = set_up_logs(settings.data_dir, settings.log_level)
    state = make_state(settings, refresh, ServerStore(settings, heir), tokens)
    state.log, state.trace = log, make_trace(settings.otel_endpoint)
    lines = Lines(settings.limits, state.metrics.failed)
    _join(state, lines)
    serve(make_web(state), pidfile, listening, settings.door, lines, state.ending)


def _make_builder(settings: Settings) -> Builder:
    if settings.index != SHARED:
        return Builder(settings, on_failure=_log_failure)
    from .serve.publishing import Fetcher

    return Fetcher(settings, on_failure=_log_failure)


def _join(state: State, lines: Lines) -> None:
    """Give the shared state what it needs of the server: changed settings, waiters, facts."""
    from .serve.changes import ChangedSettings

    shared, changes = state.shared, ChangedSettings(state)
    shared.opens_early = not changes.begin()
    shared.follow_settings, shared.count_waiting = changes.follow, lines.count_waiting
    shared.facts = state.facts


def make_state(
    settings: Settings,
    refresh: Refresh,
    store: ServerStore | None = None,
    tokens: Tokenizer = ESTIMATING,
) -> State:
    """The state of a server with these settings; nothing runs yet."""
    from .daemon.watcher import Watched
    from .serve.cache import AnswerCache
    from .serve.events import Events
    from .serve.filewatch import FileWatch
    from .serve.hooks.claims import ClaimHooks
    from .serve.metrics import Metrics, Samples
    from .serve.sharedstate import SharedState
    from .serve.state import State
    from .serve.stores import ProjectStore

    events, metrics, ending = Events(), Metrics(), asyncio.Event()
    gate, is_kept = _make_gate(settings, metrics, events), store is not None
    state = State(
        settings=settings,
        refresh=refresh,
        events=events,
        gate=gate,
        query_cache=AnswerCache(settings.query_life),
        pattern_cache=AnswerCache(settings.pattern_life),
        metrics=metrics,
        samples=Samples(settings.data_dir),
        tokens=tokens,
        file_watch=FileWatch(refresh),
        watched=Watched(settings.data_dir),
        store=store or ProjectStore(),
        shared=SharedState(settings, events, ending, gate, is_kept),
        ending=ending,
        claims=ClaimHooks(settings.claims, ClaimsPolicy(settings.data_dir)),
    )
    _prepare(state, store)
    _follow(state)
    state.all_projects = _make_projects(state)
    return state


def _prepare(state: State, store: ServerStore | None) -> None:
    """Bind index and experience to each other before a new one of either is used."""
    refresh = state.refresh
    refresh.prepare = lambda index: state.bind(index, state.experience)
    if store is not None:
        store.prepare = lambda experience: state.bind(refresh.index, experience)


def _make_projects(first: State) -> Projects[State]:
    from .serve.projects import Projects

    turns = asyncio.Semaphore(BUILDS)
    return Projects(
        first,
        make=lambda settings, refresh: make_project(first, settings, refresh),
        make_refresh=lambda settings: make_refresh(first.refresh, settings, turns),
        file_watch=first.file_watch,
    )


def make_refresh(first: Refresh, settings: Settings, turns: asyncio.Semaphore) -> Refresh:
    """The Refresh of another project's roots, with the word vectors that the first has open."""
    known = lambda: first.index.words if first.index else None  # noqa: E731
    return Refresh(settings, first.builder.beside(settings), turns=turns, words=known)


def make_project(first: State, settings: Settings, refresh: Refresh) -> State:
    """The state of another project of the same server."""
    from .serve.cache import RecentQuestions
    from .serve.events import Events
    from .serve.hooks.delegations import RunningTasks
    from .serve.metrics import Metrics
    from .serve.replay import Replays

    owner = settings.project_key + settings.roots_digest
    state = replace(
        first,
        settings=settings,
        refresh=refresh,
        events=Events(),
        query_cache=first.query_cache.beside(owner),
        pattern_cache=first.pattern_cache.beside(owner),
        metrics=Metrics(),
        recent=RecentQuestions(),
        replays=Replays(),
        work=RunningTasks(),
        shared_part=None,
        is_guest=True,
        store=first.projects.store_of(settings.project_key),
    )
    _follow(state)
    return state


def _follow(state: State) -> None:
    """Publish each new generation to the project's subscribers; the state itself is one of them."""
    from .serve.events import Delegated, GenerationSwapped

    publish = state.events.publish
    state.events.subscribe(GenerationSwapped, lambda _: state.follow_swap())
    state.events.subscribe(Delegated, state.work.note)
    state.refresh.followers.append(lambda index: publish(GenerationSwapped(index.generation)))


def _make_gate(settings: Settings, metrics: Metrics, events: Events) -> Gate:
    from .serve.audit import Audit
    from .serve.events import KeyChanged
    from .serve.gate import Gate, Sessions
    from .serve.host_names import names_of
    from .serve.keys import LoadedKeys, hash_of
    from .serve.memory import MemoryLimit
    from .serve.shares import Buckets, Shares

    gate = Gate(
        limits=settings.limits,
        door=settings.door,
        names=names_of(settings.door),
        keys=LoadedKeys(settings.data_dir, events.publish),
        audit=Audit(reads=settings.door.needs_keys),
        memory=MemoryLimit(settings.limits),
        failed=metrics.failed,
        buckets=Buckets(settings.limits.rate),
        guesses=Buckets(GUESSES),
        sessions=Sessions(strict=settings.door.needs_keys),
        shares=Shares(settings.limits),
        local_hash=hash_of(settings.local_key) if settings.local_key else "",
    )
    events.subscribe(KeyChanged, gate.key_changed)
    return gate


def _with_local_key(settings: Settings) -> Settings:
    """Raises NotSafe beyond loopback without keys. The command line gets a key of its own."""
    if not settings.door.needs_keys:
        return settings
    from .serve.keys import check_keys, new_token

    check_keys(settings)
    return msgspec.structs.replace(settings, local_key=new_token())


def _log_failure(failure: BuildFailed) -> None:
    output = "; ".join(getattr(failure, "__notes__", ()))
    details = {"reason": str(failure), "reading": failure.reading, "output": output}
    logging.getLogger("orchestr8.build").warning("a build ended early", extra=details)
