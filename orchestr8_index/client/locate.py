"""Find the server for a client, with a back-off after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from ..config import Settings
from ..daemon.locate import Address, locate
from ..daemon.pidfile import SERVER_NAME, PidFile
from ..project import roots_in

SHORTEST, LONGEST = 0.1, 5.0
PAUSE_PER_LOSS = 2.0  # the pause after a failure, per second that the failure took
Stamp = tuple[int, int, int]
NEVER = (-1, -1, -1)


class Locator:
    """The address of the server to ask, with a pause after a failure.

    The pause is 0.1 s at first and grows to 5 s; it ends early when another server takes the data
    directory. With several URLs, the next is asked at once; a pause comes when all have failed.
    """

    def __init__(
        self,
        settings: Settings,
        base_url: str | Sequence[str] = "",
        clock: Callable[[], float] = time.monotonic,
        api_key: str = "",
    ) -> None:
        self._settings, self._clock, self._key = settings, clock, api_key or settings.api_key
        named = [base_url] if isinstance(base_url, str) else list(base_url)
        self._base_urls = [each.rstrip("/") for each in named] or [""]
        self._pidfile = PidFile(settings.data_dir / SERVER_NAME)
        self._address: Address | None = None
        self._read_at, self._failed_at = NEVER, NEVER
        self._failures = self._round = 0
        self._paused_until = 0.0
        self.same_roots = False
        """Whether this server is known to serve the roots of the settings."""

    def address(self) -> Address | None:
        """The address to ask now; None without a server and during a pause."""
        now = self._stamp()
        if self._failures and now == self._failed_at and self._clock() < self._paused_until:
            return None
        if now != self._read_at:
            self._address, self._read_at, self.same_roots = self._locate(), now, False
        return self._address

    @property
    def _base_url(self) -> str:
        return self._base_urls[0]

    def answered(self) -> None:
        self._failures = self._round = 0

    def failed(self, spent: float) -> bool:
        """Note a failure that took `spent` seconds; True when another URL is left to try."""
        self._base_urls.append(self._base_urls.pop(0))
        self._read_at, self._round = NEVER, self._round + 1
        self.same_roots = False
        if self._round < len(self._base_urls):
            return True
        self._round = 0
        pause = max(SHORTEST * 2.0**self._failures, spent * PAUSE_PER_LOSS)
        self._failures = min(self._failures + 1, 10)
        self._paused_until = self._clock() + min(pause, LONGEST)
        self._failed_at = self._stamp()
        return False

    def last_roots(self) -> tuple[str, ...]:
        """The roots of the data directory's last server; () when unknown, and with a `base_url`
        that is not that server's, unless the data directory is explicit."""
        last = self._pidfile.last()
        is_meant = self._base_url.endswith(f":{last.get('port')}")
        if self._base_url and not (self._settings.explicit_data_dir or is_meant):
            return ()
        return tuple(roots_in(last))

    def __str__(self) -> str:
        url = self._address.url if self._address else ""
        return self._base_url or url or f"of {self._settings.data_dir}"

    def _locate(self) -> Address | None:
        if self._base_url:
            return parse_url(self._base_url, self._key)
        return locate(self._settings, self._key, self._settings.door)

    def _stamp(self) -> Stamp:
        """Identity and time of `mcp.pid`: it changes when a server starts or stops."""
        try:
            stat = self._pidfile.path.stat()
        except OSError:
            return (0, 0, 0)
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size)


def parse_url(url: str, key: str = "") -> Address | None:
    """The address that an http or https URL names, or `host:port`; None for anything else."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    https = parts.scheme == "https"
    return Address(port, parts.hostname, key=key, https=https, path=parts.path.rstrip("/"))
