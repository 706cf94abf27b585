"""Which address answers what? The routes, and the application that they make up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..daemon.notify import notify
from ..errors import NoSuchAddress, Orchestr8Error, RequestError, VerbRefused
from ..records import PLURAL
from .background import Upkeep
from .body import read_body
from .filewatch import Watch
from .guard import Guard
from .health import health, live, metrics, ready
from .hooks.claude import receive_claude
from .mcp.endpoint import McpRoute
from .rpc import reply_to
from .send import JSON, send_bytes, send_error, send_json
from .state import State

log = logging.getLogger("orchestr8.serve")


class Endpoint:
    """One ASGI callable per address; starlette routes methods and paths to it."""

    def __init__(self, state: State) -> None:
        self.state = state


class Rpc(Endpoint):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await reply_to(self.state, await read_body(receive))
        scope.setdefault("state", {})["rpc_methods"] = reply.methods
        await send_bytes(send, reply.status, reply.body, JSON, *reply.headers)


class ClaudeHooks(Endpoint):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 200, await receive_claude(self.state, await read_body(receive)))


class Health(Endpoint):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = health(self.state)
        await send_json(send, 503 if body["status"] == "starting" else 200, body)


class Live(Endpoint):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 200, live())


class Ready(Endpoint):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = ready(self.state)
        await send_json(send, 200 if body["ready"] else 503, body)


class MetricsPage(Endpoint):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _wants_text(scope):
            await send_json(send, 200, metrics(self.state))
            return
        from .prometheus import CONTENT_TYPE, exposition

        await send_bytes(send, 200, exposition(self.state), CONTENT_TYPE.encode())


class Reindex(Endpoint):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self.state.refresh.clock()
        try:
            index = await self.state.refresh.reindex()
        except Orchestr8Error as error:
            told = {"success": False, "message": str(error), "generation": self._generation()}
            await send_json(send, 500, told)
            return
        counts = {PLURAL[kind]: n for kind, n in index.manifest.counts.items()}
        spent = round((self.state.refresh.clock() - started) * 1000)
        message = f"Generation {index.generation} serves."
        told = {"success": True, "message": message, "generation": index.generation}
        await send_json(send, 200, {**told, **counts, "duration_ms": spent})

    def _generation(self) -> int:
        return self.state.refresh.index.generation if self.state.refresh.index else 0


class OpenApi(Endpoint):
    """The library of schemas is loaded with the first request for them."""

    def __init__(self, state: State, routes: list[Route]) -> None:
        super().__init__(state)
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from .openapi import document

        listed = [(route.path, route.methods or ()) for route in self._routes]
        await send_json(send, 200, document(listed))


def _wants_text(scope: Scope) -> bool:
    accept = dict(scope["headers"]).get(b"accept", b"")
    return b"text/plain" in accept or b"format=prometheus" in scope["query_string"]


def make_web(state: State) -> Guard:
    mcp = McpRoute(state)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if state.keeper is not None:
            state.keeper.begin()
        state.first_build = state.refresh.begin()
        state.first_build.add_done_callback(lambda task: _log_first(state))
        watch, upkeep = Watch(state.refresh), Upkeep(state)
        state.signs.watch = watch
        tell = partial(notify, state.settings.notify_socket)
        state.first_build.add_done_callback(lambda task: tell(READY="1", STATUS=_status(state)))
        if state.settings.watch:
            watch.begin()
        mcp.begin()
        upkeep.begin()
        yield
        tell(STOPPING="1")
        await mcp.stop()
        await upkeep.stop()
        await watch.stop()
        await state.refresh.stop()
        if state.keeper is not None:
            await state.keeper.stop()
        log.info("final metrics", extra={"metrics": metrics(state)})
        if state.signs.trace:
            await asyncio.to_thread(state.signs.trace.stop)

    routes = [
        Route("/", Rpc(state), methods=["POST"]),
        Route("/health", Health(state), methods=["GET", "HEAD"]),
        Route("/health/live", Live(state), methods=["GET", "HEAD"]),
        Route("/health/ready", Ready(state), methods=["GET", "HEAD"]),
        Route("/metrics", MetricsPage(state), methods=["GET", "HEAD"]),
        Route("/reindex", Reindex(state), methods=["POST"]),
        Route("/hooks/claude", ClaudeHooks(state), methods=["POST"]),
        Route("/mcp", mcp, methods=["GET", "POST", "DELETE"]),
    ]
    routes.append(Route("/openapi.json", OpenApi(state, routes), methods=["GET", "HEAD"]))
    no_such = NoSuch(routes)
    web = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: no_such, 405: no_such, 500: _leave},  # type: ignore[dict-item]
    )
    return Guard(web, state.gate)


def _status(state: State) -> str:
    """For the service manager: the server stands, even if its first index could not be built."""
    return " ".join(health(state)["reasons"]) or "Serving."


def _log_first(state: State) -> None:
    index = state.refresh.index
    if state.refresh.failure or index is None:
        log.error("the index could not be built", extra={"reason": state.refresh.failure})
        return
    told = {"generation": index.generation, "counts": index.manifest.counts}
    log.info("the index is up to date", extra=told)


async def _leave(request: object, error: object) -> ASGIApp:
    """Nothing is said here: the error is raised on, and the guard answers it."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    return nothing


class NoSuch:
    """404 and 405, with every address that there is."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = routes

    async def __call__(self, request: object, error: object) -> ASGIApp:
        status = getattr(error, "status_code", 404)
        headers = getattr(error, "headers", None) or {}
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def say(scope: Scope, receive: Receive, send: Send) -> None:
            await send_error(send, self._error(status), *pairs)

        return say

    def _error(self, status: int) -> RequestError:
        if status == 405:
            cure = f"POST to {self._taking('POST')}; GET {self._taking('GET')}."
            return VerbRefused("This address does not take that verb.", cure)
        return NoSuchAddress("There is nothing at this address.", f"See {self._taking()}.")

    def _taking(self, method: str = "") -> str:
        paths = [r.path for r in self._routes if not method or method in (r.methods or ())]
        return ", ".join(paths)
