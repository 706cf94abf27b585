"""Locks for Python: acquired at the head of a `with`, renewed beside it, released at its end."""

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
RENEWALS = 3  # in a lease, so that one that fails is no loss
SHORTEST_PAUSE_S = 0.5
_CURE = "Acquire the lock again, and read anew what it protects."
log = logging.getLogger("orchestr8.client")
Mode = Literal["exclusive", "shared"]


class Asks(Protocol):
    """A client: `lock` of the table with these arguments."""

    def _call(self, short: str, given: dict[str, Any]) -> Any: ...


class Held:
    """A lock that is held, and renewed in the background until the `with` ends.

    Threads may use it. `resources` are as they were given.
    """

    def __init__(
        self, client: Asks, resources: Sequence[str], token: str, ttl_s: int, asked: float
    ) -> None:
        self._client, self.resources, self._token, self._ttl_s = (
            client,
            tuple(resources),
            token,
            ttl_s,
        )
        self._ends = asked + ttl_s  # the server's lease began later, so it ends later
        self._lost: StaleToken | None = None
        self._done = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name="orchestr8-lock", daemon=True)
        self._renewer.start()

    @property
    def token(self) -> str:
        """The number in it fences and orders. Raises StaleToken where the lock is lost."""
        self.check()
        return self._token

    @property
    def fences(self) -> list[dict[str, str]]:
        """What `write_shared` and `send_message` take as their fence. Raises StaleToken."""
        return [{"resource": resource, "token": self.token} for resource in self.resources]

    def check(self) -> None:
        """Raises StaleToken where the lock was lost, or could not be renewed in time."""
        if self._lost is None and time.monotonic() < self._ends:
            return
        raise self._lost or StaleToken(
            f"The lease on {', '.join(self.resources)} ended, and could not be renewed.", _CURE
        )

    def renew(self) -> None:
        """Begin a new lease now. Raises StaleToken, ServerAway."""
        asked = time.monotonic()
        given = {"action": "renew", "token": self._token, "ttl_s": self._ttl_s}
        try:
            self._client._call("lock", given)
        except StaleToken as error:
            self._lost = error
            raise
        self._ends = asked + self._ttl_s

    def release(self) -> None:
        """Give it back before the `with` ends. Raises StaleToken where it was lost before."""
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

    def _keep(self) -> None:
        """Renew three times in a lease, and more often while that fails."""
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
    """`with client.lock(…) as held`. Raises Busy, WouldDeadlock, ServerAway at its head; StaleToken
    at its end, where the lock was lost meanwhile and nothing else went wrong."""

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
        self._given = {
            "resources": list(resources),
            "purpose": purpose,
            "mode": mode,
            "ttl_s": ttl_s,
        }
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
            with contextlib.suppress(ServerAway):  # the renewer goes on asking
                self._held.renew()  # it was waited for: nobody knows here when the lease began
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
        """Another thread waits at the head in vain: it shall neither wait nor hold."""
        self._abandoned = True
        self._withdraw()
        self.__exit__(InterruptedError)

    def _acquired(self, end: float) -> tuple[float, str]:
        """When the lease was asked for, and the token; waits in calls of 45 s at most."""
        while True:
            asked = time.monotonic()
            wait_ms = int(min(end - asked, LONGEST_WAIT_S) * 1000)
            more = {"on_busy": "wait", "wait_ms": wait_ms} if wait_ms > 0 else {}
            given = {"action": "acquire", "request_id": self._request, **self._given, **more}
            try:
                return asked, str(self._client._call("lock", given)["token"])
            except Busy:
                if end - time.monotonic() <= 0 or self._abandoned:
                    raise

    def _withdraw(self) -> None:
        """Give up the place in the queue, or what was granted while nobody listened."""
        with contextlib.suppress(RequestError, ServerAway):
            given = {"action": "release", "request_id": self._request}
            if token := self._client._call("lock", given)["token"]:
                self._client._call("lock", {"action": "release", "token": token})
