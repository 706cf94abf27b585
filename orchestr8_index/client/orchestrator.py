"""The blocking Python client.

A call is checked, looked up in the client's cache, sent, and decoded. While the server is away, an
index in this process answers questions, and outcomes are spooled on disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import msgspec
from cachetools import TTLCache

from ..config import Settings, read_settings
from ..daemon.http import HttpClient, HttpStream, NoAnswer
from ..daemon.locate import Address
from ..errors import InvalidParams, RequestError, ServerAway, Starting
from ..methods import SHORT
from ..reports import OutcomeAnswer
from ..table import Method
from .agents import BlockingMethods
from .delivery import PROJECT, Delivery
from .embedded import Embedded
from .held import LEASE_S, Lock, Mode
from .locate import Locator
from .methods import Given
from .rpc import call, open_stream, read_result, write_params
from .spool import Spool
from .stream import EventReader

CACHED = 1_024
WARN_EVERY = 60.0
ANSWER_SECONDS = 2.0
DELIVERY_PATIENCE, OUTCOME_PATIENCE = 0.25, 2.0
AWAY = (Starting.code, -32029, -32032)  # starting, rate limited, overloaded
log = logging.getLogger("orchestr8.client")


class Orchestrator(BlockingMethods):
    """The blocking client; threads may share one.

    base_url       the server's URL, else the server that owns the data directory; a list for a team
                   with several servers: the next is asked when one does not answer
    roots          the folders to index; a server of other roots is not asked
    data_dir       the data directory, with the spool of outcomes; else as for the command line
    port           the server's port; else that of the data directory's owner, else 3700
    project        the project to ask, by folder or name; else that of the working folder
    embedded       use an index in this process and no server
    api_key        for a server that requires one; else the data directory's, for its own user
    cache_seconds  how long an answer stays in the client's cache; 0 for no cache
    agent          this agent's name, where the key does not say it
    tree           the folder to which the paths of locks are relative; else the working folder

    Raises BadSetting for a root that is no folder. Questions raise nothing but InvalidParams.
    """

    def __init__(
        self,
        base_url: str | Sequence[str] = "",
        *,
        roots: Iterable[str | Path] = (),
        data_dir: str | Path | None = None,
        port: int | None = None,
        project: str | Path = "",
        embedded: bool = False,
        api_key: str = "",
        cache_seconds: float = 30.0,
        agent: str = "",
        tree: str | Path | None = None,
    ) -> None:
        folder = str(data_dir) if data_dir is not None else None
        self._spools = folder is not None or not embedded
        if not self._spools:
            folder = tempfile.mkdtemp(prefix="orchestr8-")
            self._folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._settings: Settings = read_settings([str(root) for root in roots], port, folder)
        self._locator = None if embedded else Locator(self._settings, base_url, api_key=api_key)
        last_roots = self._locator.last_roots if self._locator else tuple
        self._embedded = Embedded(self._settings, last_roots, always=embedded)
        self._project = str(project)
        self._spool = Spool(self._settings.data_dir)
        self._delivery = Delivery(self._spool)
        self._http: HttpClient | None = None
        self._headers = _headers(agent, tree)
        self._cache: TTLCache[tuple[str, bytes], bytes] = TTLCache(CACHED, cache_seconds)
        self._lock = threading.Lock()
        self._generation, self._warned_at = 0, -WARN_EVERY

    def __enter__(self) -> Orchestrator:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType) -> None:
        self.close()

    def flush(self, seconds: float | None = None) -> bool:
        """Deliver spooled outcomes, for at most `seconds`; True when none is left."""
        address = self._address()
        if self._spool.pending() and address:
            self._delivery.start(address, at_once=True)
        return self._delivery.wait(seconds)

    def close(self) -> None:
        """Close the connections; outcomes left in the spool are sent at the next contact."""
        self._delivery.stop(OUTCOME_PATIENCE)
        self._embedded.close()
        if self._http:
            self._http.close()
        if not self._spools:
            self._folder()

    def lock(
        self,
        *resources: str,
        purpose: str = "",
        mode: Mode = "exclusive",
        ttl_s: int = LEASE_S,
        wait: float = 0.0,
    ) -> Lock:
        """`with client.lock("src/a.py", purpose="rename") as held:` locks files, folders (`src/`)
        and names (`port:3000`), all or none, and renews the lock until the block ends.

        Entering raises Busy when another still holds one after `wait` seconds, WouldDeadlock,
        ServerAway. Leaving, and `held.token`, raise StaleToken when the lock was lost meanwhile.
        """
        return Lock(self, resources, purpose, mode, ttl_s, wait)

    def events(
        self, after: int | None = None, *, prefix: str = "", patience: float = 60.0
    ) -> EventReader:
        """`for event in client.events(after=rev):` gives `{rev,kind,key,value,by,at,cause}` as it
        happens, from now on or after a revision; events of the server itself have no `rev`.

        Resumes after a break of up to `patience` seconds. Raises ServerAway, Compacted.
        """
        return EventReader(self._open_stream, after, prefix, patience)

    def _open_stream(self, path: str, seconds: float) -> HttpStream:
        address = self._address()
        if address is None:
            raise NoAnswer("it does not answer" if self._locator else "there is none")
        return open_stream(self._connection(address), path, seconds)

    # --- how methods are carried out -----------------------------------------------------------

    def _call(self, short: str, given: Given) -> Any:
        """Call a method; without the server, its `away` in the table says what happens."""
        method = SHORT[short]
        params, raw = write_params(method, given)
        if method.away == "answer":
            return self._ask(method, params, raw)
        if method.away == "keep":
            return self._report(method, raw)
        return self._call_server(method, raw, getattr(params, "wait_ms", 0) / 1000)

    def _ask(self, method: Method, params: Any, raw: bytes) -> Any:
        """Answer a question, by cache, server or embedded index. Raises InvalidParams alone."""
        if (cached := self._cached(method, raw)) is not None:
            return cached
        try:
            return self._from_server(method, raw)
        except InvalidParams:
            raise
        except (NoAnswer, RequestError) as error:
            if self._locator:
                self._warn(f"{_reason(error)}; the embedded index answers")
        return read_result(method, self._embedded.answer(method, params))

    def _call_server(self, method: Method, raw: bytes, waits: float) -> Any:
        """Call a method that needs the server; `waits` extends the timeout. Raises ServerAway."""
        try:
            return self._from_server(method, raw, waits)
        except NoAnswer as error:
            raise ServerAway(f"The server is needed, and {error.reason}.") from None

    def _report(self, method: Method, raw: bytes) -> OutcomeAnswer:
        occurred_at = time.time()
        try:
            answer = self._send_in_order(method, raw)
        except InvalidParams:
            raise
        except (NoAnswer, RequestError) as error:
            self._spool_outcome(raw, occurred_at, _reason(error))
            return OutcomeAnswer(stored=False, decision_id=None, receipt=None, spooled=True)
        with self._lock:  # an outcome may change every answer
            self._cache.clear()
        return answer

    def _spool_outcome(self, raw: bytes, occurred_at: float, reason: str) -> None:
        if not self._spools:
            sentence = "An embedded index without a data directory keeps no outcomes."
            raise ServerAway(sentence, "Name one with data_dir=…; they wait there for the server.")
        self._spool.append(_spooled(raw, occurred_at, self._project or _folder()))
        if self._locator:
            self._warn(f"{reason}; outcomes wait in {self._spool.path}")

    def _send_in_order(self, method: Method, raw: bytes) -> OutcomeAnswer:
        """Send an outcome after the spooled ones. Raises NoAnswer if those take over 2 seconds."""
        if self._spool.pending():
            address = self._address()
            if address and self._delivery.start(address):
                self._delivery.wait(OUTCOME_PATIENCE)
            if self._spool.pending():
                raise NoAnswer("older outcomes wait too" if address else "it does not answer")
        answer: OutcomeAnswer = self._from_server(method, raw)
        return answer

    def _from_server(self, method: Method, raw: bytes, waits: float = 0.0) -> Any:
        """The typed result. Raises NoAnswer, or the error that the server answers.

        With several servers, the next is tried unless the call could then take effect twice.
        """
        once = method.scope != "read" and method.away != "keep" and b'"request_id"' not in raw
        while True:
            try:
                return self._from_one(method, raw, waits)
            except _AskAnother as error:
                if once:
                    raise error.why from None

    def _from_one(self, method: Method, raw: bytes, waits: float) -> Any:
        """Ask the current server; raises _AskAnother when that failed and another is left."""
        locator, started = self._locator, time.monotonic()
        address = self._address()
        if locator is None or address is None:
            raise NoAnswer("it does not answer" if locator else "there is none")
        try:
            http = self._connection(address)
            if self._settings.explicit_roots and not locator.same_roots:
                self._check_roots(locator, http)
            result = call(http, method.name, raw, waits)
        except (NoAnswer, RequestError) as error:
            if isinstance(error, NoAnswer) or error.code in AWAY:  # other errors are answers
                if locator.failed(time.monotonic() - started):
                    raise _AskAnother(error) from None
            else:
                locator.answered()
            raise
        locator.answered()
        answer = read_result(method, result)
        self._remember(method, raw, result, answer)
        if self._spool.pending() and self._delivery.start(address):
            self._delivery.wait(DELIVERY_PATIENCE)
        return answer

    def _check_roots(self, locator: Locator, http: HttpClient) -> None:
        """Raise NoAnswer when the server's roots are not the explicit ones of this client."""
        method = SHORT["health"]
        health = read_result(method, call(http, method.name, b"{}"))
        if health.roots_digest != self._settings.roots_digest:
            raise NoAnswer("it serves other roots than the ones that were named")
        locator.same_roots = True

    def _address(self) -> Address | None:
        address = self._locator.address() if self._locator else None
        if address is None or self._project:
            return address and address._replace(project=self._project)
        return address.here()

    def _connection(self, address: Address) -> HttpClient:
        with self._lock:
            if self._http is None or self._http.address != address:
                if self._http:
                    self._http.end()
                self._http = HttpClient(address, ANSWER_SECONDS, headers=self._headers)
            return self._http

    # --- the client's cache ------------------------------------------------------------------

    def _cached(self, method: Method, raw: bytes) -> Any:
        with self._lock:
            result = self._cache.get((method.name, raw))
        if result is None:
            return None
        answer = read_result(method, result)
        if hasattr(answer, "cache_hit"):
            answer.cache_hit = True
        return answer

    def _remember(self, method: Method, raw: bytes, result: bytes, answer: Any) -> None:
        generation = getattr(answer, "generation", self._generation)
        with self._lock:
            if generation != self._generation:
                self._cache.clear()
                self._generation = generation
            if method.cache:
                self._cache[(method.name, raw)] = result

    def _warn(self, what: str) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning("the server %s: %s", self._locator, what)


class _AskAnother(Exception):
    """A server failed with `why`, and another is left to ask."""

    def __init__(self, why: NoAnswer | RequestError) -> None:
        super().__init__()
        self.why = why


def _headers(agent: str, tree: str | Path | None) -> dict[str, str]:
    """X-Agent, the agent's name, and X-Tree, the folder to which its paths are relative."""
    headers = {"X-Agent": agent} if agent else {}
    with contextlib.suppress(FileNotFoundError):  # the working folder was removed: send none
        headers["X-Tree"] = quote(os.fsencode(os.path.abspath(tree or "")))
    return headers


def _spooled(report: bytes, occurred_at: float, project: str) -> bytes:
    """A report for the spool: with the time at which it was made, and its project."""
    fields = msgspec.json.decode(report, type=dict[str, msgspec.Raw])
    more = {PROJECT: project} if project else {}
    return msgspec.json.encode({"occurred_at": occurred_at, **fields, **more})


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # the folder was removed
        return ""


def _reason(error: NoAnswer | RequestError) -> str:
    return error.reason if isinstance(error, NoAnswer) else error.sentence
