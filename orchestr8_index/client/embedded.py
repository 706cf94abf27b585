"""Answers without a server: the client ranks by itself, over the last good snapshot of the trees.

The index and the ranking are imported at the first such answer, and numpy never.
Where the trees have no snapshot yet, a child process builds it, as for the server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from ..config import Settings
from ..errors import OperationError
from ..methods import Method

if TYPE_CHECKING:
    from ..catalog.index import Index
    from ..catalog.worker import Builder
    from ..text import Terms

RETRY_SECONDS = 60.0
AWAY: dict[str, Any] = {
    "reasoning": "The server is away, and its trees have no index here yet.",
    "reasons": ["The server does not answer."],
    "status": "away",
    "tokenizer": "none",
    "truncated": True,
}
"""What a client says in fields of these names when it has neither server nor index."""
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
            result = self._result(method, params, index) if index else empty(method.result, params)
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

        if method.name not in ANSWERS:
            return empty(method.result, params)
        terms = self._terms = self._terms or Terms()
        result = answer_method(index, method.name, params, Knowledge(terms))
        if isinstance(result, Struct):
            result = msgspec.structs.asdict(result)
        if method.name == "getHealth" and not self._always:
            result |= empty(method.result, params)
        return result

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


def empty(result: Any, params: Any) -> Any:
    """An empty result of that type, in plain values, from a client that has nothing to answer from.

    A field repeats what the params have under its name; AWAY says what else is not simply empty.
    """
    if NoneType in get_args(result):
        return None
    if not _is_struct(result):
        return (get_origin(result) or result)()
    return {
        field.name: _empty_field(field, params)
        for field in msgspec.structs.fields(result)
        if field.required or field.name in AWAY
    }


def _empty_field(field: FieldInfo, params: Any) -> Any:
    if field.name in AWAY:
        return AWAY[field.name]
    kind = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
    return getattr(params, field.name, None) or empty(kind, params)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)
