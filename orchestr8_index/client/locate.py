"""Where is the server, and is it worth asking now? Its address, and a pause after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..config import Settings
from ..daemon.pidfile import PidFile

HOST = "127.0.0.1"
SHORTEST, LONGEST = 0.1, 5.0
PAUSE_PER_LOSS = 2.0  # a server that costs two seconds is left alone for four
Stamp = tuple[int, int, int]
Door = tuple[str, str]
"""The key to show, and the one certificate to trust; "" for none, and for those of everybody."""
GUARDED = {"host", "tls_cert", "local_key"}


class Place:
    """The address of the one server that fits, "" when there cannot be one.

    After a failure it is left alone: 0.1 s at first, up to 5 s, and not longer than until another
    server takes the data directory.
    """

    def __init__(
        self,
        settings: Settings,
        base_url: str = "",
        clock: Callable[[], float] = time.monotonic,
        api_key: str = "",
    ) -> None:
        self._key = api_key or settings.api_key
        self._door: Door = self._key, ""
        self._settings, self._base_url, self._clock = settings, base_url.rstrip("/"), clock
        self._pidfile = PidFile(settings.data_dir / "mcp.pid")
        self._url, self._read_at = "", (-1, -1, -1)
        self._failures, self._asleep_until, self._failed_at = 0, 0.0, (-1, -1, -1)
        self.known = False
        """Whether this server's roots have been looked at."""

    def url(self) -> str:
        """Where to ask now; "" while nobody is there or it is left alone."""
        now = self._stamp()
        if self._failures and now == self._failed_at and self._clock() < self._asleep_until:
            return ""
        if now != self._read_at:
            self._url, self._read_at, self.known = self._look(), now, False
        return self._url

    def door(self) -> Door:
        """What it takes to get in where `url` said to ask."""
        return self._door

    def answered(self) -> None:
        self._failures = 0

    def failed(self, spent: float) -> None:
        """It did not answer, and that took so many seconds."""
        pause = max(SHORTEST * 2.0**self._failures, spent * PAUSE_PER_LOSS)
        self._failures = min(self._failures + 1, 10)
        self._asleep_until = self._clock() + min(pause, LONGEST)
        self._failed_at, self.known = self._stamp(), False
        self._read_at = (-1, -1, -1)

    def roots(self) -> tuple[str, ...]:
        """The trees of the last server of the data directory; () when that is not known.

        Somebody else's address tells nothing of a data directory that was not named with it.
        """
        last = self._pidfile.last()
        roots, port = last.get("roots"), last.get("port")
        fits = self._settings.explicit_data_dir or self._base_url.endswith(f":{port}")
        if self._base_url and not fits:
            return ()
        named = roots if isinstance(roots, list) else []
        return tuple(root for root in named if isinstance(root, str))

    def __str__(self) -> str:
        return self._base_url or self._url or f"of {self._settings.data_dir}"

    def _look(self) -> str:
        self._door = self._key, ""
        if self._base_url:
            return self._base_url
        owner = self._pidfile.owner() or {}
        if not GUARDED.isdisjoint(owner):
            return self._look_behind(owner)
        port = owner.get("port") or self._guess()
        return f"http://{HOST}:{port}" if port else ""

    def _look_behind(self, owner: Mapping[str, Any]) -> str:
        """A server with keys or TLS says in its mcp.pid how its own user gets in."""
        from ..daemon.probe import address_of

        address = address_of(owner, self._key)
        if address is None:
            return ""
        self._door = address.key, address.tls_cert
        return address.url

    def _guess(self) -> int:
        """One data directory has one server: a named one without an owner has none."""
        settings = self._settings
        named = settings.explicit_data_dir and not settings.explicit_port
        return 0 if named else settings.port

    def _stamp(self) -> Stamp:
        """Changes when a server comes or goes."""
        try:
            stat = self._pidfile.path.stat()
        except OSError:
            return (0, 0, 0)
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size)
