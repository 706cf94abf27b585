"""What happens in a call? Checked, looked up, sent, read; answered here if the server is away.

Everything but the sending, once for both clients: each method is a generator of steps.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from cachetools import TTLCache

from ..config import Settings, read_settings
from ..errors import InvalidParams, ServerAway, Starting
from ..methods import SHORT, Method
from ..queries import (
    AgentAnswer,
    ContextAnswer,
    EntryAnswer,
    HealthAnswer,
    SkillAnswer,
    WorkflowAnswer,
)
from ..records import Kind, Result
from ..reports import OutcomeAnswer, PatternAnswer, PatternStored
from .calls import NONSENSE, read_reply, read_result, request, write_params
from .delivery import Connection, Courier
from .embedded import Registry
from .locate import Door, Place
from .spool import Spool
from .steps import Post, Reply, Steps, Trouble, Work

CACHED = 1_024
WARN_EVERY = 60.0
DELIVERY_PATIENCE, OUTCOME_PATIENCE = 0.25, 2.0
AWAY = (Starting.code, -32029, -32032)  # starting, and what says that it has enough to do
log = logging.getLogger("orchestr8.client")


def _no_door() -> Door:
    return "", ""


class Core:
    """One client's state: where the server is, what was answered, what waits."""

    def __init__(
        self,
        connect: Callable[[Callable[[], Door]], Connection],
        *,
        base_url: str = "",
        roots: Iterable[str | Path] = (),
        data_dir: str | Path | None = None,
        port: int | None = None,
        embedded: bool = False,
        api_key: str = "",
        cache_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        named = [str(root) for root in roots]
        self.keeps = data_dir is not None or not embedded
        folder = str(data_dir) if data_dir is not None else None
        if not self.keeps:
            folder = tempfile.mkdtemp(prefix="orchestr8-")
            self._folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.settings: Settings = read_settings(named, port, folder)
        self.place = None if embedded else Place(self.settings, base_url, clock, api_key)
        self.door = self.place.door if self.place else _no_door
        last_roots = self.place.roots if self.place else tuple
        self.registry = Registry(self.settings, last_roots, always=embedded)
        self.spool = Spool(self.settings.data_dir)
        self.courier = Courier(self.spool, partial(connect, self.door))
        self._clock, self._warned_at = clock, -WARN_EVERY
        self._cache: TTLCache[tuple[str, bytes], bytes] = TTLCache(CACHED, cache_seconds, clock)
        self._caching = threading.Lock()
        self._generation = 0

    # --- the methods -------------------------------------------------------------------------

    def query_agents(
        self,
        context: str | None = None,
        *,
        capability: str | None = None,
        role: str | None = None,
        limit: int | None = None,
        detail: Literal["short", "full"] | None = None,
        explain: bool | None = None,
        min_confidence: float | None = None,
        plugins: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        tools: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> Steps[AgentAnswer]:
        """Which agents play this role, have this capability, or fit this context?"""
        return self._ask("query_agents", _given(locals()))

    def query_skills(
        self,
        context: str,
        *,
        limit: int | None = None,
        detail: Literal["short", "full"] | None = None,
        explain: bool | None = None,
        min_confidence: float | None = None,
        plugins: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        tools: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> Steps[SkillAnswer]:
        """Which skills fit this context?"""
        return self._ask("query_skills", _given(locals()))

    def query_workflows(
        self,
        goal: str,
        *,
        limit: int | None = None,
        detail: Literal["short", "full"] | None = None,
        explain: bool | None = None,
        min_confidence: float | None = None,
        plugins: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        tools: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> Steps[WorkflowAnswer]:
        """Which commands reach this goal?"""
        return self._ask("query_workflows", _given(locals()))

    def get_pattern(self, goal: str, *, context: str | None = None) -> Steps[PatternAnswer | None]:
        """The sequence of agents that worked for goals like this one; None without the server."""
        return self._ask("get_pattern", _given(locals()))

    def find_patterns(
        self, goal: str, *, min_similarity: float | None = None, limit: int | None = None
    ) -> Steps[list[PatternAnswer]]:
        """All patterns whose goal is alike enough, best first; none without the server."""
        return self._ask("find_patterns", _given(locals()))

    def get_entry(
        self, kind: Kind, plugin: str, name: str, *, max_tokens: int | None = None
    ) -> Steps[EntryAnswer]:
        """The text of one entry, cut to a token budget."""
        return self._ask("get_entry", _given(locals()))

    def get_context(
        self, task: str, *, max_tokens: int | None = None, kinds: Iterable[Kind] | None = None
    ) -> Steps[ContextAnswer]:
        """What one task needs, within a token budget: rows, the past pattern, one section."""
        return self._ask("get_context", _given(locals()))

    def health(self) -> Steps[HealthAnswer]:
        """How the server is; `status` is `away` when it does not answer."""
        return self._ask("health", {})

    def metrics(self) -> Steps[dict[str, Any]]:
        """What the server has counted. Raises ServerAway."""
        return self._insist("metrics", {})

    def store_pattern(
        self,
        goal: str,
        agent_sequence: Iterable[str],
        *,
        dependencies: Mapping[str, Iterable[str]] | None = None,
        parallel_groups: Iterable[Iterable[str]] | None = None,
    ) -> Steps[PatternStored]:
        """Keep a sequence of agents for a kind of goal. Raises ServerAway: it does not wait."""
        given = {"goal": goal, "agent_sequence": list(agent_sequence)}
        needs = {name: list(needed) for name, needed in (dependencies or {}).items()}
        given["dependencies"] = needs if dependencies is not None else None  # type: ignore[assignment]
        if parallel_groups is not None:
            given["parallel_groups"] = [list(group) for group in parallel_groups]  # type: ignore[misc]
        return self._insist("store_pattern", given)

    def report_outcome(
        self,
        task_id: str,
        task_description: str,
        agents_used: Iterable[str],
        result: Result,
        *,
        duration_ms: float | None = None,
        tokens_saved: int | None = None,
        resolved_by: str | None = None,
        skills_used: Iterable[str] | None = None,
        workflows_used: Iterable[str] | None = None,
        model: str | None = None,
        caller: str | None = None,
        receipt: Literal["short", "full"] | None = None,
        occurred_at: float | None = None,
    ) -> Steps[OutcomeAnswer]:
        """Report how a task ended; on the disk, the server's or ours, when this returns.

        Raises OutcomeNotKept when neither was possible.
        """
        return self._report(_given(locals()))

    def flush(self, seconds: float | None = None) -> Steps[bool]:
        """Deliver the outcomes that wait; whether none waits any more, after `seconds` at most."""
        url = self.place.url() if self.place else ""
        if self.spool.pending() and url:
            self.courier.start(url, at_once=True)
        waited: bool = yield Work(partial(self.courier.wait, seconds))
        return waited

    def close(self, seconds: float = OUTCOME_PATIENCE) -> None:
        """Let go of the connections; what still waits is delivered at the next contact."""
        self.courier.stop(seconds)
        self.registry.close()
        if not self.keeps:
            self._folder()

    # --- how they are carried out --------------------------------------------------------------

    def _ask(self, short: str, given: Mapping[str, Any]) -> Steps[Any]:
        """A question: never an exception but for params that are wrong."""
        method = SHORT[short]
        params, raw = write_params(method, given)
        if (known := self._known(method, raw)) is not None:
            return _as_known(read_result(method, known))
        answer = yield from self._from_server(method, raw)
        if not isinstance(answer, Trouble):
            return answer
        if isinstance(answer.error, InvalidParams):
            raise answer.error
        if answer.reason:
            self._warn(f"{answer.reason}; the embedded index answers")
        return read_result(method, (yield Work(partial(self.registry.answer, method, params))))

    def _insist(self, short: str, given: Mapping[str, Any]) -> Steps[Any]:
        """What only the server can do."""
        method = SHORT[short]
        _, raw = write_params(method, given)
        answer = yield from self._from_server(method, raw)
        if isinstance(answer, Trouble):
            away = answer.reason or "there is none"
            raise answer.error or ServerAway(f"The server is needed, and {away}.")
        return answer

    def _report(self, given: Mapping[str, Any]) -> Steps[OutcomeAnswer]:
        method, happened = SHORT["report_outcome"], time.time()
        _, raw = write_params(method, given)
        answer = yield from self._after_the_others(method, raw)
        if not isinstance(answer, Trouble):
            self._forget()
            return answer
        if isinstance(answer.error, InvalidParams):
            raise answer.error
        if not self.keeps:
            sentence = "An embedded index without a data directory keeps no outcomes."
            raise ServerAway(sentence, "Name one with data_dir=…; they wait there for the server.")
        yield Work(partial(self.spool.append, _dated(raw, happened)))
        if answer.reason:
            self._warn(f"{answer.reason}; outcomes wait in {self.spool.path}")
        return OutcomeAnswer(stored=False, decision_id=None, receipt=None, spooled=True)

    def _after_the_others(self, method: Method, raw: bytes) -> Steps[OutcomeAnswer | Trouble]:
        """Sent only when no older outcome waits, or when those go within a moment."""
        url = self.place.url() if self.place else ""
        if self.spool.pending():
            if url and self.courier.start(url):
                yield Work(partial(self.courier.wait, OUTCOME_PATIENCE))
            if self.spool.pending():
                return Trouble("older outcomes wait too" if url else "it does not answer")
        answer: OutcomeAnswer | Trouble = yield from self._from_server(method, raw)
        return answer

    def _from_server(self, method: Method, raw: bytes) -> Steps[Any]:
        """The typed result, or a Trouble."""
        place, started = self.place, self._clock()
        if place is None or not (url := place.url()):
            return Trouble("" if place is None else "it does not answer")
        if self.settings.explicit_roots and not place.known:
            if trouble := (yield from self._look_at_roots(url)):
                place.failed(self._clock() - started)
                return trouble
        result = yield from self._result(url, method, raw)
        if _is_away(result):
            place.failed(self._clock() - started)
            return result
        place.answered()
        if isinstance(result, Trouble):
            return result
        try:
            answer = read_result(method, result)
        except (msgspec.DecodeError, RecursionError):
            return Trouble(NONSENSE)
        self._keep(method, raw, result, answer)
        if self.spool.pending() and self.courier.start(url):
            yield Work(partial(self.courier.wait, DELIVERY_PATIENCE))
        return answer

    def _result(self, url: str, method: Method, raw: bytes) -> Steps[bytes | Trouble]:
        """The result's JSON; a kept connection that broke is tried once more.

        That may report an outcome twice: the server knows its task and counts it once.
        """
        body = request(method.name, raw)
        reply: Reply | Trouble = yield Post(url, body)
        if isinstance(reply, Trouble) and reply.broken:
            reply = yield Post(url, body)
        return reply if isinstance(reply, Trouble) else read_reply(reply)

    def _look_at_roots(self, url: str) -> Steps[Trouble | None]:
        """Trees were named: another server's answers, about other trees, are worth nothing."""
        method = SHORT["health"]
        result = yield from self._result(url, method, b"{}")
        if isinstance(result, Trouble):
            return result
        try:
            same = read_result(method, result).roots_digest == self.settings.roots_digest
        except (msgspec.DecodeError, RecursionError):
            return Trouble(NONSENSE)
        if self.place:
            self.place.known = same
        return None if same else Trouble("it serves other trees than the ones that were named")

    # --- what is kept ------------------------------------------------------------------------

    def _known(self, method: Method, raw: bytes) -> bytes | None:
        with self._caching:
            return self._cache.get((method.name, raw))

    def _keep(self, method: Method, raw: bytes, result: bytes, answer: Any) -> None:
        generation = getattr(answer, "generation", self._generation)
        with self._caching:
            if generation != self._generation:
                self._cache.clear()
                self._generation = generation
            if method.cache:
                self._cache[(method.name, raw)] = result

    def _forget(self) -> None:
        """An outcome may change every answer."""
        with self._caching:
            self._cache.clear()

    def _warn(self, what: str) -> None:
        now = self._clock()
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning("the server %s: %s", self.place, what)


def _given(named: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a method; what can be walked through becomes a list."""
    plain = (str, int, float, bool, type(None))
    return {
        name: value if isinstance(value, plain) else list(value)
        for name, value in named.items()
        if name != "self"
    }


def _dated(report: bytes, happened: float) -> bytes:
    """A report that waits keeps the time at which it was made."""
    named = msgspec.json.decode(report, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({"occurred_at": happened, **named})


def _as_known(answer: Any) -> Any:
    if hasattr(answer, "cache_hit"):
        answer.cache_hit = True
    return answer


def _is_away(result: bytes | Trouble) -> bool:
    """Whether to leave the server alone for a moment: not for what only one method lacks."""
    if not isinstance(result, Trouble):
        return False
    error = result.error
    return error is None or error.code in AWAY
