"""How does a request travel? By httpx2, loaded with the first one, bounded in time and size."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .locate import Door
from .steps import Reply, Trouble

if TYPE_CHECKING:
    import httpx2

CONNECT, ANSWER = 0.25, 2.0
MOST_BYTES = 16_000_000
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


class Connection:
    """Keeps connections open between posts; may be used by several threads."""

    def __init__(self, door: Callable[[], Door], seconds: float = ANSWER) -> None:
        self._door, self._seconds = door, seconds
        self._client: httpx2.Client | None = None
        self._made_for = (False, "")
        self._opening = threading.Lock()

    def post(self, url: str, body: bytes) -> Reply | Trouble:
        import httpx2

        key, certificate = self._door()
        end = time.monotonic() + CONNECT + self._seconds
        try:
            client = self._opened(url, certificate)
            with client.stream("POST", url, content=body, headers=headers(key)) as response:
                parts = Parts(end)
                for part in response.iter_raw():
                    parts.add(part)
                return Reply(response.status_code, parts.joined())
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return trouble(error)

    def close(self) -> None:
        with self._opening:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self, url: str, certificate: str) -> httpx2.Client:
        import httpx2

        wanted = url.startswith("https:"), certificate
        with self._opening:
            if self._client is None or self._made_for != wanted:
                self._client = httpx2.Client(**options(*wanted, self._seconds))
                self._made_for = wanted
            return self._client


class AsyncConnection:
    """The same for one event loop at a time; another loop gets connections of its own."""

    def __init__(self, door: Callable[[], Door]) -> None:
        self._door = door
        self._client: httpx2.AsyncClient | None = None
        self._made_for = (False, "")
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, url: str, body: bytes) -> Reply | Trouble:
        import httpx2

        key, certificate = self._door()
        try:
            client = self._of_this_loop(url, certificate)
            async with asyncio.timeout(CONNECT + ANSWER):
                async with client.stream(
                    "POST", url, content=body, headers=headers(key)
                ) as response:
                    parts = Parts(float("inf"))
                    async for part in response.aiter_raw():
                        parts.add(part)
                    return Reply(response.status_code, parts.joined())
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return trouble(error)

    async def aclose(self) -> None:
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.aclose()
        self._client = None

    def _of_this_loop(self, url: str, certificate: str) -> httpx2.AsyncClient:
        import httpx2

        loop, wanted = asyncio.get_running_loop(), (url.startswith("https:"), certificate)
        if self._client is None or self._loop is not loop or self._made_for != wanted:
            self._client, self._loop = httpx2.AsyncClient(**options(*wanted, ANSWER)), loop
            self._made_for = wanted
        return self._client


class Parts:
    """A body as it comes. Raises ValueError when there is too much of it, or it comes too late."""

    def __init__(self, end: float) -> None:
        self._end, self._parts, self._size = end, list[bytes](), 0

    def add(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > MOST_BYTES or time.monotonic() > self._end:
            raise ValueError("the answer has no end")

    def joined(self) -> bytes:
        return b"".join(self._parts)


def headers(api_key: str) -> dict[str, str]:
    return HEADERS | ({"Authorization": f"Bearer {api_key}"} if api_key else {})


def options(is_tls: bool, certificate: str, seconds: float) -> dict[str, Any]:
    """No proxy of the environment for a server on this machine, and no certificates to load.

    Raises OSError when the certificate cannot be read.
    """
    import httpx2

    timeout = httpx2.Timeout(seconds, connect=CONNECT)
    verify: Any = is_tls
    if is_tls and certificate:
        from ..daemon.tls import trusting

        verify = trusting(certificate)
    return {"timeout": timeout, "trust_env": False, "verify": verify}


def trouble(error: Exception) -> Trouble:
    import httpx2

    broke = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError, httpx2.CloseError)
    if isinstance(error, (httpx2.TimeoutException, TimeoutError)):
        return Trouble("it is too slow")
    if isinstance(error, broke):
        return Trouble("it broke the connection", broken=True)
    return Trouble(f"it does not answer ({str(error) or type(error).__name__})")
