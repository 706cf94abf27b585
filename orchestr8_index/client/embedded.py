"""Answer without a server, from the newest snapshot of the roots; build one when there is none.

Shared by the client and the command line. The catalogue is imported at the first answer; a child
process builds the index, as for the server.
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
from ..errors import OperationError, SnapshotUnreadable
from ..table import Method
from ..validate import is_struct

if TYPE_CHECKING:
    from ..catalog.build_lines import BuildLine
    from ..catalog.index import Index
    from ..catalog.snapshot import Generations
    from ..catalog.worker import Builder
    from ..text import Terms

PATIENCE, RETRY_SECONDS = 2.0, 60.0
AWAY: dict[str, Any] = {
    "reasoning": "The server is away, and its trees have no index here yet.",
    "reasons": ["The server does not answer."],
    "status": "away",
    "tokenizer": "none",
    "truncated": True,
}
"""The values of these fields in an answer when there is neither server nor index."""
log = logging.getLogger("orchestr8.client")


class Embedded:
    """The index in this process.

    With `always` an answer waits for the build and raises its error; else it waits for the first
    build for PATIENCE seconds at most and is then empty. `last_roots` gives the last server's
    roots, which replace those of `settings` unless these are explicit.
    """

    def __init__(
        self,
        settings: Settings,
        last_roots: Callable[[], tuple[str, ...]] = tuple,
        *,
        always: bool = False,
    ) -> None:
        self._given, self._last_roots = settings, last_roots
        self._always = always
        self._ranking = threading.Lock()  # the stemmer serves one thread at a time
        self._terms: Terms | None = None
        self._index: Index | None = None
        self._opened: tuple[str, int] = ("", 0)
        self._build: BackgroundBuild | None = None

    def answer(self, method: Method, params: Any) -> bytes:
        """The method's result as JSON. Raises InvalidParams for an unknown entry, and with
        `always` the build's OperationError."""
        with self._ranking:
            index = self._current()
            result = self._result(method, params, index) if index else empty(method.result, params)
            if isinstance(result, dict):
                result["source"] = "embedded"
                if index:
                    result["age_s"] = round(max(0.0, time.time() - index.manifest.built_at), 1)
            from ..fit import fit_json

            return fit_json(msgspec.json.encode(result))

    def close(self) -> None:
        if self._build:
            self._build.stop()
        self._index, self._opened = None, ("", 0)

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
        """The newest generation of the roots, after a build if there is none; None without one."""
        settings = self._settings()
        if self._always and self._build is None:
            self._wait_for_build(settings)
        self._open_newest(settings)
        if self._index is None:
            self._wait_for_build(settings)
            self._open_newest(settings)
        return self._index

    def _open_newest(self, settings: Settings) -> None:
        """Open the newest generation if it changed; without numpy, whose import takes long."""
        from ..catalog.index import open_newest

        generations = generations_of(settings)
        try:
            changed = (settings.roots_digest, generations.folder.stat().st_mtime_ns)
        except OSError:
            changed = ("", 0)
        if changed != self._opened:
            self._opened, self._index = changed, open_newest(generations)
            for segment in self._index.segments.values() if self._index else ():
                segment.uses_numpy = False

    def _wait_for_build(self, settings: Settings) -> None:
        if self._build is None or self._build.is_over(settings):
            self._build = BackgroundBuild(settings)
        failure = self._build.wait(None if self._always else PATIENCE)
        if failure and self._always:
            self._build = None
            raise failure


class BackgroundBuild:
    """One build in a child process, followed by a thread."""

    def __init__(self, settings: Settings) -> None:
        self._roots, self._began = settings.roots, time.monotonic()
        self._builder = builder_of(settings)
        self._failure: OperationError | None = None
        self._thread = threading.Thread(target=self._run, args=(settings,), daemon=True)
        self._thread.start()

    def is_over(self, settings: Settings) -> bool:
        """Whether to build again: for other roots, or 60 seconds after one that is over."""
        if settings.roots != self._roots:
            return True
        return time.monotonic() - self._began > RETRY_SECONDS and not self._thread.is_alive()

    def wait(self, seconds: float | None) -> OperationError | None:
        """Wait until it ends, or until `seconds` after it began; gives its error, if it failed."""
        left = None if seconds is None else self._began + seconds - time.monotonic()
        self._thread.join(left if left is None else max(0.0, left))
        return self._failure

    def stop(self) -> None:
        self._builder.stop()

    def _run(self, settings: Settings) -> None:
        try:
            build_index(settings, self._builder)
        except OperationError as error:
            self._failure = error
            log.warning("the embedded index could not be built: %s", error)


# --- the build ---------------------------------------------------------------------------------


def generations_of(settings: Settings) -> Generations:
    """The snapshots of these settings' roots."""
    from ..catalog.snapshot import Generations

    return Generations(settings.data_dir, settings.roots_digest)


def builder_of(
    settings: Settings, on_line: Callable[[BuildLine], None] = lambda line: None
) -> Builder:
    """A builder for the roots; `on_line` is called with each progress line of its child."""
    from ..catalog.worker import Builder

    return Builder(settings, on_line=on_line)


def build_index(settings: Settings, builder: Builder, *, always: bool = False) -> Index:
    """Open the newest snapshot if the roots are unchanged, else (or with `always`) build one.

    Raises BuildFailed; KeyboardInterrupt ends the child.
    """
    from ..catalog.index import open_index

    generations = generations_of(settings)
    last = _last(generations)
    builder.poison = last.manifest.poison if last else ()
    try:
        line = builder.run("" if always or last is None else last.manifest.digest)
    except KeyboardInterrupt:
        builder.stop()
        raise
    if line.fresh and last is not None:
        return last
    index = open_index(generations, line.generation)
    generations.prune()
    return index


def _last(generations: Generations) -> Index | None:
    """The newest generation; None when there is none or its files are damaged."""
    from ..catalog.index import open_newest

    index = open_newest(generations)
    try:
        return None if index is None or generations.damage(index.generation) else index
    except SnapshotUnreadable:
        return None


def empty(result: Any, params: Any) -> Any:
    """An empty result of a type, in plain values, for a client without server and index.

    A field takes the value of the param of the same name, or that of AWAY; others are empty.
    """
    if NoneType in get_args(result):
        return None
    if not is_struct(result):
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
