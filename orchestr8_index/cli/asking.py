"""Find what answers a command: the server that the options mean, else an index in this process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from ..client.embedded import build_index, builder_of, generations_of
from ..client.rpc import call, open_stream
from ..client.stream import EventReader
from ..config import Settings
from ..daemon import http
from ..daemon.http import Health, HttpClient, HttpStream, NoAnswer, get_health
from ..daemon.locate import Address, locate
from ..errors import OperationError, ServerAway, Unauthorized
from ..records import Experience
from ..validate import UNDECODABLE
from . import show

WAKING_SECONDS = 3.0


class RunningServer:
    """A server, called by wire names with plain params and results.

    Raises the error that the server answers, and OperationError when the connection breaks.
    """

    def __init__(
        self, address: Address, seconds: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self._http = HttpClient(address, seconds, seconds, headers or {})

    def ask(self, method: str, params: object) -> Any:
        raw = msgspec.json.encode(params)
        return msgspec.json.decode(self._answered(lambda: call(self._http, method, raw)))

    def request(self, verb: str, path: str) -> Any:
        """The JSON of a response, whatever its status; None for another body."""
        body = self._answered(lambda: self._http.send(verb, path).body)
        try:
            return msgspec.json.decode(body)
        except UNDECODABLE:
            return None

    def _answered(self, send: Callable[[], bytes]) -> bytes:
        try:
            return send()
        except NoAnswer as error:
            url = self._http.address.url
            raise OperationError(f"The server on {url} broke off: {error}.") from None
        finally:
            self._http.close()


class AnswerSource(NamedTuple):
    """`ask(method, params)` gives a method's result as plain values; `name` is the source."""

    ask: Callable[[str, Any], Any]
    name: str


def source_of(
    settings: Settings, experience_of: Callable[[Settings], Experience | None] = lambda _: None
) -> AnswerSource:
    """The server of the explicit roots, or of this folder's project; else an index in this process,
    with the experience that `experience_of` reads."""
    if (server := server_of(settings)) is not None:
        return server
    index, name = index_of(settings)
    if settings.explicit_port and settings.port:
        which = " of these roots" if settings.explicit_roots else ""
        answers = f"no server{which} answers on port {settings.port}"
        name = name.replace("no server asked", answers, 1)
    return AnswerSource(_ask_index(index, experience_of(settings)), name)


def server_of(settings: Settings) -> AnswerSource | None:
    """The running server, if it serves the project of the options or this folder; else None."""
    for address in _candidates(settings):
        health = woken(address, WAKING_SECONDS)
        serves = health is not None and health["status"] != "starting"
        fits = not settings.explicit_roots or (health or {}).get("roots_digest")
        if health and serves and fits in (True, settings.roots_digest):
            whose = f", project {health['project']}" if "project" in health else ""
            return AnswerSource(
                RunningServer(address).ask, f"from the server on {address.url}{whose}"
            )
    return None


def health_of(address: Address) -> Health | None:
    """Like `get_health`, but raises Unauthorized when the server refuses the key."""
    if (health := get_health(address)) is None:
        with contextlib.suppress(NoAnswer):
            _, body = http.request(address, "GET", "/health", seconds=http.PROBE_SECONDS)
            error = body.get("error") if isinstance(body, dict) else None
            if isinstance(error, dict) and error.get("code") == Unauthorized.code:
                cure = "Set MCP_API_KEY to a key of it; `orchestr8-index key list` names them."
                raise Unauthorized(f"The server on {address.url} does not know this key.", cure)
    return health


def woken(address: Address, seconds: float) -> Health | None:
    """Wake the address's project by a call, and wait for its first index; gives the last health.
    Waits `seconds`, but at most ten if /health has reasons, which may be of the server alone."""
    begun, health = time.monotonic(), health_of(address)
    while health and "project" in health and health["status"] == "starting":
        if time.monotonic() - begun > (min(seconds, 10.0) if health["reasons"] else seconds):
            break
        RunningServer(address).ask("getHealth", {})
        health = get_health(address)
    return health


def sharing_server(settings: Settings, agent: str = "") -> RunningServer:
    """The server with the shared state, called as `agent`. Raises ServerAway."""
    address = located(settings)
    if address is None or health_of(address) is None:
        raise ServerAway("No server answers, and only it has what agents share.")
    named = {"X-Agent": agent} if agent else {}
    return RunningServer(address, headers={"X-Tree": quote(os.fsencode(os.getcwd())), **named})


def shared_events(
    settings: Settings, after: int, prefix: str, away: Callable[[bool], None]
) -> EventReader:
    """The events of the shared state, without end; finds the server again after each break."""

    def opened(path: str, seconds: float) -> HttpStream:
        address = located(settings)
        if address is None:
            raise NoAnswer("there is none")
        return open_stream(HttpClient(address), path, seconds)

    return EventReader(opened, after, prefix, float("inf"), away)


def located(settings: Settings) -> Address | None:
    """The address of the server of these settings, or None."""
    address = locate(settings, settings.api_key, settings.door)
    return address.here() if address else None


def _candidates(settings: Settings) -> list[Address]:
    """The addresses to try: for explicit roots the server's first project, then the project of
    these roots; else the project of this folder."""
    address = located(settings)
    if address is None or not settings.explicit_roots:
        return [address] if address else []
    own = address._replace(tree="")
    return [own, own._replace(project=settings.roots_digest)]


def index_of(settings: Settings) -> tuple[Any, str]:
    """(an up-to-date index of the roots, a description of it); builds one if needed."""
    before = generations_of(settings).newest()
    index = build_here(settings)
    over = f"over {show.roots(settings)}, {settings.roots_from}"
    how = "from the last snapshot" if index.generation == before else "indexed on the spot"
    return index, f"no server asked; {how} {over}"


def build_here(settings: Settings, *, always: bool = False) -> Any:
    """An up-to-date index of the roots, with a progress line on the terminal while it builds."""
    bar = show.Progress()
    try:
        return build_index(settings, builder_of(settings, bar), always=always)
    finally:
        bar.end()


def _ask_index(index: Any, experience: Experience | None) -> Callable[[str, Any], Any]:
    from ..search.methods import Knowledge, answer_method
    from ..text import Terms

    knowledge = Knowledge(Terms(), experience)
    return lambda method, params: msgspec.to_builtins(
        answer_method(index, method, params, knowledge)
    )
