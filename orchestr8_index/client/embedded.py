"""And if the server is away? The client ranks by itself, over the last good snapshot of the trees.

The room discover is imported at the first such answer, and numpy never: the plain kernel ranks.
Where the trees have no snapshot yet, a child process builds it, as for the server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ..config import Settings
from ..errors import OperationError
from ..methods import Method
from ..records import KINDS, PLURAL

if TYPE_CHECKING:
    from ..catalog.index import Index
    from ..catalog.worker import Builder
    from ..text import Terms

RETRY_SECONDS = 60.0
Told = dict[str, Any]
log = logging.getLogger("orchestr8.client")


class Registry:
    """The embedded index. `always`: it is asked on purpose, waits for its build, and may fail.

    Otherwise an answer waits at most `patience` seconds for the first build and is then empty.
    `last_roots` are the trees of the last server, which go before those found around.
    """

    def __init__(
        self,
        settings: Settings,
        last_roots: Callable[[], tuple[str, ...]] = tuple,
        *,
        always: bool = False,
        patience: float = 2.0,
    ) -> None:
        self._given, self._last_roots = settings, last_roots
        self._always, self._patience = always, patience
        self._ranking = threading.Lock()  # the stemmer serves one thread at a time
        self._terms: Terms | None = None
        self._index: Index | None = None
        self._seen: tuple[str, int] = ("", 0)
        self._build: Build | None = None

    def answer(self, method: Method, params: Any) -> bytes:
        """The result of the method as JSON. Raises InvalidParams for an unknown entry."""
        with self._ranking:
            index = self._current()
            result = self._result(method, params, index) if index else nothing(method, params)
            if isinstance(result, dict):
                result["source"] = "embedded"
                if index:
                    result["age_s"] = round(max(0.0, time.time() - index.manifest.built_at), 1)
            return msgspec.json.encode(result)

    def close(self) -> None:
        if self._build:
            self._build.builder.stop()
        self._index, self._seen = None, ("", 0)

    def _result(self, method: Method, params: Any, index: Index) -> Any:
        from ..search.methods import ANSWERS, Knowledge, answer_method
        from ..text import Terms

        if method.name in ANSWERS:
            terms = self._terms = self._terms or Terms()
            result = answer_method(index, method.name, params, Knowledge(terms))
            return msgspec.structs.asdict(result) if isinstance(result, msgspec.Struct) else result
        if method.name == "getHealth":
            counts = {PLURAL[kind]: n for kind, n in index.manifest.counts.items()}
            told = {**nothing(method, params), "generation": index.generation, "indexes": counts}
            return {**told, "status": "embedded", "reasons": []} if self._always else told
        return nothing(method, params)

    # --- which index -------------------------------------------------------------------------

    def _settings(self) -> Settings:
        if self._given.explicit_roots or self._always:
            return self._given
        return msgspec.structs.replace(self._given, roots=self._last_roots() or self._given.roots)

    def _current(self) -> Index | None:
        """The newest generation of the roots; built first where there is none."""
        settings = self._settings()
        if not (self._always and self._build is None):
            self._open_newest(settings)
        if self._index is None or (self._always and self._build is None):
            self._wait_for_build(settings)
            self._open_newest(settings)
        return self._index

    def _open_newest(self, settings: Settings) -> None:
        from ..catalog.index import open_newest
        from ..catalog.snapshot import Generations

        generations = Generations(settings.data_dir, settings.roots_digest)
        try:
            seen = (settings.roots_digest, generations.folder.stat().st_mtime_ns)
        except OSError:
            seen = ("", 0)
        if seen != self._seen:
            self._seen, self._index = seen, open_newest(generations)
            for segment in self._index.segments.values() if self._index else ():
                segment.uses_numpy = False

    def _wait_for_build(self, settings: Settings) -> None:
        if self._build is None or self._build.over(settings):
            self._build = Build(settings)
        failure = self._build.wait(None if self._always else self._patience)
        if failure and self._always:
            self._build = None
            raise failure


class Build:
    """One build in a child process, with a thread that listens to it."""

    def __init__(self, settings: Settings) -> None:
        from ..catalog.index import open_newest
        from ..catalog.snapshot import Generations
        from ..catalog.worker import Builder

        last = open_newest(Generations(settings.data_dir, settings.roots_digest))
        self.builder: Builder = Builder(settings)
        self._unless = last.manifest.digest if last else ""
        self._roots, self._began = settings.roots, time.monotonic()
        self._failure: OperationError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def over(self, settings: Settings) -> bool:
        """Whether another one is due: it has failed a while ago, or was for other trees."""
        if settings.roots != self._roots:
            return True
        late = time.monotonic() - self._began > RETRY_SECONDS
        return late and not self._thread.is_alive()

    def wait(self, seconds: float | None) -> OperationError | None:
        """Until it has ended, or for so many seconds since it began; its failure, if it failed."""
        left = None if seconds is None else self._began + seconds - time.monotonic()
        self._thread.join(left if left is None else max(0.0, left))
        return self._failure

    def _run(self) -> None:
        try:
            self.builder.run(self._unless)
        except OperationError as error:
            self._failure = error
            log.warning("the embedded index could not be built: %s", error)


def nothing(method: Method, params: Any) -> Any:
    """The answer of a client that has neither server nor index."""
    reason = "The server is away, and its trees have no index here yet."
    reasoned = {"reasoning": reason, "confidence": 0.0, "cache_hit": False, "generation": 0}
    if method.short.startswith("query_"):
        return {method.short.removeprefix("query_"): [], **reasoned}
    if method.name == "getEntry":
        named = {"kind": params.kind, "plugin": params.plugin, "name": params.name}
        return {**named, "text": "", "tokens": 0, "truncated": True}
    if method.name == "getContext":
        rows: Told = {PLURAL[kind]: [] for kind in KINDS}
        receipt = {"tokens_used": 0, "tokens_catalogue": 0, "tokenizer": "none"}
        return {**rows, "text": "", "receipt": receipt}
    if method.name == "getHealth":
        return {"status": "away", "reasons": ["The server does not answer."]}
    return [] if method.name == "queryPattern" else None
