"""Locks for Python: acquired by `with`, renewed by a thread, released at the block's end."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Protocol

from ..errors import Busy, Orchestr8Error, RequestError, ServerAway, StaleToken

LEASE_S = 60
LONGEST_WAIT_S = 45.0
RENEWALS = 3  # per lease, so that one may fail without losing the lock
SHORTEST_PAUSE_S = 0.5
_CURE = "Acquire the lock again, and read anew what it protects."
log = logging.getLogger("orchestr8.client")
Mode = Literal["exclusive", "shared"]


class Asks(Protocol):
    """A client that calls a method by its short name."""

    def _call(self, short: str, given: dict[str, Any]) -> Any: ...


class Held:
    """A lock that is held and renewed in the background until the `with` ends; thread-safe."""

    def __init__(
        self, client: Asks, resources: Sequence[str], token: str, ttl_s: int, asked: float
    ) -> None:
        self._client, self._token, self._ttl_s = client, token, ttl_s
        self.resources = tuple(resources)
        self._ends = asked + ttl_s  # not after the server's lease, which began later
        self._lost: StaleToken | None = None
        self._done = threading.Event()
        self._renewer = threading.Thread(target=self._renewals, name="orchestr8-lock", daemon=True)
        self._renewer.start()

    @property
    def token(self) -> str:
        """The lock's token, with its fencing number. Raises StaleToken when the lock is lost."""
        self.check()
        return self._token

    @property
    def fences(self) -> list[dict[str, str]]:
        """The `fence` for `write_shared` and `send_message`. Raises StaleToken."""
        return [{"resource": resource, "token": self.token} for resource in self.resources]

    def check(self) -> None:
        """Raises StaleToken when the lock was lost, or could not be renewed in time."""
        if self._lost is None and time.monotonic() < self._ends:
            return
        raise self._lost or StaleToken(
            f"The lease on {', '.join(self.resources)} ended, and could not be renewed.", _CURE
        )

    def renew(self) -> None:
        """Renew the lease now. Raises StaleToken, ServerAway."""
        asked = time.monotonic()
        params = {"action": "renew", "token": self._token, "ttl_s": self._ttl_s}
        try:
            self._client._call("lock", params)
        except StaleToken as error:
            self._lost = error
            raise
        self._ends = asked + self._ttl_s

    def release(self) -> None:
        """Release it before the `with` ends. Raises StaleToken when it was lost before."""
        if self._done.is_set():
            return
        self._done.set()
        if threading.current_thread() is not self._renewer:
            self._renewer.join()
        try:
            self._client._call("lock", {"action": "release", "token": self._token})
        except StaleToken as error:
            self._lost = error
            raise
        except Orchestr8Error as error:
            self.check()
            log.warning("%s: the lock ends by itself, %s", ", ".join(self.resources), error)

    def _renewals(self) -> None:
        """Renew three times per lease, and more often while that fails."""
        pause = self._ttl_s / RENEWALS
        while not self._done.wait(pause):
            try:
                self.renew()
                pause = self._ttl_s / RENEWALS
            except StaleToken:
                return
            except Orchestr8Error:
                pause = min(pause, max(SHORTEST_PAUSE_S, pause / 4))


class Lock:
    """`with client.lock(…) as held`. Entering raises Busy, WouldDeadlock, ServerAway; leaving
    raises StaleToken when the lock was lost meanwhile and the block raised nothing."""

    def __init__(
        self,
        client: Asks,
        resources: Sequence[str],
        purpose: str,
        mode: Mode,
        ttl_s: int,
        wait: float,
    ) -> None:
        self._client, self._resources, self._ttl_s = client, resources, ttl_s
        named = {"resources": list(resources), "purpose": purpose}
        self._params = {**named, "mode": mode, "ttl_s": ttl_s}
        self._wait, self._request = wait, ""
        self._held: Held | None = None
        self._abandoned = False

    def __enter__(self) -> Held:
        self._request, token = secrets.token_urlsafe(12), ""
        try:
            asked, token = self._acquired(time.monotonic() + self._wait)
        finally:
            if self._wait > 0 and not token:
                self._withdraw()
        self._held = Held(self._client, self._resources, token, self._ttl_s, asked)
        if self._abandoned:
            self._held.release()
        elif time.monotonic() - asked > self._ttl_s / RENEWALS:
            with contextlib.suppress(ServerAway):  # the renewing thread tries again
                self._held.renew()  # after a wait, the client does not know when the lease began
        return self._held

    def __exit__(
        self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        if kind is None:
            held.release()
            return
        with contextlib.suppress(Orchestr8Error):
            held.release()

    def abandon(self) -> None:
        """Make another thread's `__enter__` stop waiting, and release what it may still acquire."""
        self._abandoned = True
        self._withdraw()
        self.__exit__(InterruptedError)

    def _acquired(self, end: float) -> tuple[float, str]:
        """(time of the request, token); waits in calls of at most 45 s. Raises Busy after `end`."""
        while True:
            asked = time.monotonic()
            wait_ms = int(min(end - asked, LONGEST_WAIT_S) * 1000)
            more = {"on_busy": "wait", "wait_ms": wait_ms} if wait_ms > 0 else {}
            params = {"action": "acquire", "request_id": self._request, **self._params, **more}
            try:
                return asked, str(self._client._call("lock", params)["token"])
            except Busy:
                if end - time.monotonic() <= 0 or self._abandoned:
                    raise

    def _withdraw(self) -> None:
        """Leave the queue, and release a lock whose grant did not reach this client."""
        with contextlib.suppress(RequestError, ServerAway):
            params = {"action": "release", "request_id": self._request}
            if token := self._client._call("lock", params)["token"]:
                self._client._call("lock", {"action": "release", "token": token})
