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
from typing import Any

import msgspec
from cachetools import TTLCache

from ..config import Settings, read_settings
from ..errors import InvalidParams, ServerAway, Starting
from ..methods import SHORT, Method
from ..reports import OutcomeAnswer
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

    def call(self, short: str, given: Mapping[str, Any]) -> Steps[Any]:
        """A method of the table by its short name, done as the table says when the server is away.

        Raises InvalidParams; ServerAway and other RequestErrors for what only the server can do.
        """
        method = SHORT[short]
        params, raw = write_params(method, given)
        if method.away == "answer":
            return (yield from self._ask(method, params, raw))
        if method.away == "keep":
            return (yield from self._report(method, raw))
        return (yield from self._insist(method, raw))

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

    def _ask(self, method: Method, params: Any, raw: bytes) -> Steps[Any]:
        """A question: never an exception but for params that are wrong."""
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

    def _insist(self, method: Method, raw: bytes) -> Steps[Any]:
        """What only the server can do."""
        answer = yield from self._from_server(method, raw)
        if isinstance(answer, Trouble):
            away = answer.reason or "there is none"
            raise answer.error or ServerAway(f"The server is needed, and {away}.")
        return answer

    def _report(self, method: Method, raw: bytes) -> Steps[OutcomeAnswer]:
        happened = time.time()
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
