"""Settings that can be changed while the server runs, and that survive a restart.

They are shared values below PREFIX. A copy in the data directory lets them apply at the next start
before the shared state is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from ..changeable import CHANGEABLE, PREFIX, check_setting
from ..coordinate.caller import Caller
from ..coordinate.core import Coordination
from ..errors import BadSetting, RequestError
from ..private import read_private, write_private
from ..sharing import ReadShared
from ..validate import UNDECODABLE
from .state import State

NAME = "changed-settings.json"
MOST_BYTES = 100_000
log = logging.getLogger("orchestr8.serve")


class ChangedSettings:
    """The changed settings of one server; one that is deleted has the environment's value again."""

    def __init__(self, state: State) -> None:
        self._state, self._path = state, state.settings.data_dir / NAME
        self._values: dict[str, Any] = {}
        self._changed = asyncio.Event()

    def begin(self) -> bool:
        """Apply the copy in the data directory. False when it cannot be read, so that the shared
        state has to be opened for it."""
        try:
            self._take(msgspec.json.decode(read_private(self._path, MOST_BYTES), type=dict))
        except FileNotFoundError:
            return True
        except (OSError, *UNDECODABLE) as error:
            log.warning("the copy of changed settings is read anew", extra={"reason": str(error)})
            return False
        return True

    async def follow(self, shared: Coordination, project: str) -> None:
        """Apply each change until cancelled."""
        reader = Caller("server", project=project)
        query = ReadShared(keys=[PREFIX + name for name in CHANGEABLE])

        def note(changed: str, topics: Iterable[str] | None) -> None:
            if changed == project and (topics is None or any(t.startswith(PREFIX) for t in topics)):
                self._changed.set()

        shared.feed.followers.append(note)
        while True:
            self._changed.clear()
            with contextlib.suppress(RequestError):
                rows = (await shared.read_shared(reader, query))["items"]
                written = ((row["key"].removeprefix(PREFIX), row["value"]) for row in rows)
                self._take({name: _decoded(value) for name, value in written})
                self._save()
            await self._changed.wait()

    def _take(self, values: dict[str, Any]) -> None:
        good: dict[str, Any] = {}
        for name, value in values.items():
            try:
                good[name] = check_setting(name, value)
            except BadSetting as error:
                log.warning("a changed setting is not used", extra={"reason": str(error)})
        for name in self._values.keys() | good.keys():
            if self._values.get(name) != good.get(name):
                settings = self._state.settings
                owner = settings if hasattr(settings, name) else settings.limits
                value = good[name] if name in good else getattr(owner, name)
                _apply(self._state, name, value)
                log.warning("a setting changed", extra={"setting": name, "value": value})
        self._values = good

    def _save(self) -> None:
        if not self._values and not self._path.exists():
            return
        with contextlib.suppress(OSError):
            write_private(self._path, msgspec.json.encode(self._values))


def _decoded(value: msgspec.Raw) -> Any:
    """The value; None when it cannot be decoded, as a number of thousands of digits."""
    with contextlib.suppress(*UNDECODABLE):
        return msgspec.json.decode(value)
    return None


def _apply(state: State, name: str, value: Any) -> None:
    match name:
        case "log_level":
            logging.getLogger().setLevel(value.upper())
        case "cache_ttl":
            settings = replace(state.settings, cache_ttl=value)
            state.query_cache.set_life(settings.query_life)
            state.pattern_cache.set_life(settings.pattern_life)
        case "claims":
            state.claims.setting = value
        case "rate":
            state.gate.set_rate(value)
        case "max_body" | "max_running":
            state.gate.limits = replace(state.gate.limits, **{name: value})
        case _:
            raise AssertionError(f"{name} is changeable, and nothing applies it")
