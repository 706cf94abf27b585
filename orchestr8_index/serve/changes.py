"""Settings that change while the server runs: taken over as they are written, kept over a restart.

The store of what agents share has them; a copy stands in the data directory, so that they hold
before that store is opened.
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
    """Those of one server. What is taken back is again as the environment says."""

    def __init__(self, state: State) -> None:
        self._state, self._path = state, state.settings.data_dir / NAME
        self._values: dict[str, Any] = {}
        self._changed = asyncio.Event()

    def begin(self) -> bool:
        """As they were when the server stopped; whether the copy could be read, or there is none:
        else what agents share has to be opened for them."""
        try:
            self._take(msgspec.json.decode(read_private(self._path, MOST_BYTES), type=dict))
        except FileNotFoundError:
            return True
        except (OSError, *UNDECODABLE) as error:
            log.warning("the copy of changed settings is read anew", extra={"reason": str(error)})
            return False
        return True

    async def follow(self, shared: Coordination, project: str) -> None:
        """From now on, until it is cancelled."""
        reader = Caller("server", project=project)
        asked = ReadShared(keys=[PREFIX + name for name in CHANGEABLE])

        def note(of: str, topics: Iterable[str] | None) -> None:
            if of == project and (topics is None or any(t.startswith(PREFIX) for t in topics)):
                self._changed.set()

        shared.feed.followers.append(note)
        while True:
            self._changed.clear()
            with contextlib.suppress(RequestError):
                rows = (await shared.read_shared(reader, asked))["items"]
                written = ((row["key"].removeprefix(PREFIX), row["value"]) for row in rows)
                self._take({name: _decoded(value) for name, value in written})
                self._keep()
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
                of = settings if hasattr(settings, name) else settings.limits
                value = good[name] if name in good else getattr(of, name)  # as the environment says
                _apply(self._state, name, value)
                log.warning("a setting changed", extra={"setting": name, "value": value})
        self._values = good

    def _keep(self) -> None:
        if not self._values and not self._path.exists():
            return
        with contextlib.suppress(OSError):
            write_private(self._path, msgspec.json.encode(self._values))


def _decoded(value: msgspec.Raw) -> Any:
    """None for what no decoder takes: a number of thousands of digits, say."""
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
            raise AssertionError(f"{name} can be changed, and nothing takes it over")
