"""Find who answers a command: the server that the options mean, else an index in this process."""

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
    """A server as a command asks it: a method by its name on the wire, params and result plain.

    Raises the error that the server says, and OperationError where it breaks off.
    """

    def __init__(
        self, address: Address, seconds: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self._http = HttpClient(address, seconds, seconds, headers or {})

    def ask(self, method: str, params: object) -> Any:
        raw = msgspec.json.encode(params)
        return msgspec.json.decode(self._answered(lambda: call(self._http, method, raw)))

    def request(self, verb: str, path: str) -> Any:
        """The JSON that a path answers with, whatever its status; None for another answer."""
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
    """`ask(method, params)` gives a method's result as plain values; `name` says who answers."""

    ask: Callable[[str, Any], Any]
    name: str


def source_of(
    settings: Settings, experience_of: Callable[[Settings], Experience | None] = lambda _: None
) -> AnswerSource:
    """A server of the roots that were named, or the one of this folder's project; else an index
    here, with what `experience_of` reads."""
    if (server := server_of(settings)) is not None:
        return server
    index, name = index_of(settings)
    if settings.explicit_port and settings.port:
        which = " of these roots" if settings.explicit_roots else ""
        answers = f"no server{which} answers on port {settings.port}"
        name = name.replace("no server asked", answers, 1)
    return AnswerSource(_asking(index, experience_of(settings)), name)


def server_of(settings: Settings) -> AnswerSource | None:
    """The running server, asked for the project that the options or this folder mean."""
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
    """As `get_health`. Raises Unauthorized where the server does not let this key in."""
    if (health := get_health(address)) is None:
        with contextlib.suppress(NoAnswer):
            _, body = http.request(address, "GET", "/health", seconds=http.PROBE_SECONDS)
            error = body.get("error") if isinstance(body, dict) else None
            if isinstance(error, dict) and error.get("code") == Unauthorized.code:
                cure = "Set MCP_API_KEY to a key of it; `orchestr8-index key list` names them."
                raise Unauthorized(f"The server on {address.url} does not know this key.", cure)
    return health


def woken(address: Address, seconds: float) -> Health | None:
    """The health of a server for the project of this address, which is awake then: a call
    wakes it. Waits for its first index so long; where something is wrong, which may be of the
    server and not of this index, for ten seconds at most."""
    begun, health = time.monotonic(), health_of(address)
    while health and "project" in health and health["status"] == "starting":
        if time.monotonic() - begun > (min(seconds, 10.0) if health["reasons"] else seconds):
            break
        RunningServer(address).ask("getHealth", {})
        health = get_health(address)
    return health


def sharing_server(settings: Settings, agent: str = "") -> RunningServer:
    """The server that keeps what agents share, asked under a name. Raises ServerAway."""
    address = located(settings)
    if address is None or health_of(address) is None:
        raise ServerAway("No server answers, and only it knows what agents share.")
    named = {"X-Agent": agent} if agent else {}
    return RunningServer(address, headers={"X-Tree": quote(os.fsencode(os.getcwd())), **named})


def shared_events(
    settings: Settings, after: int, prefix: str, away: Callable[[bool], None]
) -> EventReader:
    """What happens among agents, for as long as somebody looks; wherever the server is by then."""

    def opened(path: str, seconds: float) -> HttpStream:
        address = located(settings)
        if address is None:
            raise NoAnswer("there is none")
        return open_stream(HttpClient(address), path, seconds)

    return EventReader(opened, after, prefix, float("inf"), away)


def located(settings: Settings) -> Address | None:
    """Where the server of these settings answers, or None."""
    address = locate(settings, settings.api_key, settings.door)
    return address.here() if address else None


def _candidates(settings: Settings) -> list[Address]:
    """Roots that were named are the server's own, or a project of theirs; else the folder's."""
    address = located(settings)
    if address is None or not settings.explicit_roots:
        return [address] if address else []
    own = address._replace(tree="")
    return [own, own._replace(project=settings.roots_digest)]


def index_of(settings: Settings) -> tuple[Any, str]:
    """The newest snapshot of the roots, made first if it is not up to date; and which it is."""
    before = generations_of(settings).newest()
    index = build_here(settings)
    over = f"over {show.roots(settings)}, {settings.roots_from}"
    how = "from the last snapshot" if index.generation == before else "indexed on the spot"
    return index, f"no server asked; {how} {over}"


def build_here(settings: Settings, *, always: bool = False) -> Any:
    """An index of the trees as they are, with a line on the terminal that tells how far it is."""
    bar = show.Progress()
    try:
        return build_index(settings, builder_of(settings, bar), always=always)
    finally:
        bar.end()


def _asking(index: Any, experience: Experience | None) -> Callable[[str, Any], Any]:
    from ..search.methods import Knowledge, answer_method
    from ..text import Terms

    knowledge = Knowledge(Terms(), experience)
    return lambda method, params: msgspec.to_builtins(
        answer_method(index, method, params, knowledge)
    )
