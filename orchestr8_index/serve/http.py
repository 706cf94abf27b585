"""The HTTP routes and their application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, get_args
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..environment import FACES as PRODUCTS
from ..errors import NoSuchAddress, Orchestr8Error, RequestError, VerbRefused
from ..places import DEFAULT_HOST
from ..queries import HostName
from ..records import PLURAL
from .background import background
from .body import JSON, read_body, send_bytes, send_error, send_json
from .callers import caller
from .calls import asked, is_quiet
from .guard import ADDRESSED, Guard
from .health import health, live, metrics, ready
from .hooks.claude import receive_claude
from .mcp.endpoint import FACES, McpRoutes
from .quick import Quick
from .rpc import reply_to
from .state import State
from .stream import answer_events

Responder = Callable[[State, Scope, Receive, Send], Awaitable[None]]
GET, POST, MCP = ["GET", "HEAD"], ["POST"], ["GET", "POST", "DELETE"]

HTTP_FACE = "gateway"  # the face whose tools are also HTTP routes
OF_FACE = {"/tools/{name}": POST, "/resources/{path:path}": GET}
INDEXED = ("index", "all")  # faces that need an index
BELOW = "/p/"  # /p/NAME/… are the same routes for the project NAME


class Endpoint:
    """The ASGI callable of a route; it answers for the project that the request names. `wakes`: it
    waits for that project's index first."""

    def __init__(self, state: State, answer: Responder, wakes: bool = False) -> None:
        self._projects, self._answer, self._wakes = state.projects, answer, wakes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asking = caller.get()
        state = self._projects.find(asking)
        if self._wakes:
            await self._projects.make_ready(state)
        await state.shared.look_up_project(state.settings)
        await self._answer(state, scope, receive, send)


class ProjectAddress:
    """Strips `/p/NAME` from the path, before the guard, and notes the project's name."""

    def __init__(self, app: Guard, quick: Quick, paths: Collection[str]) -> None:
        self.app, self.quick, self._paths = app, quick, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(BELOW):
            name, _, rest = scope["path"].removeprefix(BELOW).partition("/")
            scope.setdefault("state", {})[ADDRESSED] = name or "?"
            scope = {**scope, "path": f"/{rest}", "raw_path": f"/{quote(rest)}".encode()}
        if scope["type"] == "http" and (path := scope["path"].rstrip("/")) in self._paths:
            scope = {**scope, "path": path}  # a trailing slash makes no difference
        await self.app(scope, receive, send)


def make_web(state: State) -> ProjectAddress:
    """The application with all routes, behind the guard; its lifespan runs the background tasks."""
    mcp = McpRoutes(state)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with background(state):
            mcp.begin()
            yield
            await mcp.stop()

    def route(path: str, verbs: list[str], answer: Responder, wakes: bool = False) -> Route:
        return Route(path, Endpoint(state, answer, wakes), methods=verbs)

    of_face = OF_FACE.items() if HTTP_FACE in PRODUCTS else ()
    routes = [
        route("/", POST, answer_rpc),
        route("/health", GET, answer_health),
        route("/health/live", GET, answer_live),
        route("/health/ready", GET, answer_ready),
        route("/metrics", GET, answer_metrics),
        route("/events", GET, answer_events),
        route("/reindex", POST, reindex),
        route("/shared", POST, answer_shared),
        route("/hooks/claude", POST, answer_hook),
        *(route(path, verbs, answer_face) for path, verbs in of_face),
        *(route(path, MCP, mcp.answer, face in INDEXED) for path, face in FACES.items()),
    ]
    no_such = NoSuch(routes, bool(state.settings.door.workspace))
    page = [route("/", GET, answer_page), route("/page/{name:path}", GET, answer_page)]
    handlers = {404: no_such, 405: no_such, 500: _leave}
    web = Starlette(routes=[*routes, *page], lifespan=lifespan, exception_handlers=handlers)  # type: ignore[arg-type]
    guard = Guard(Straight(web, Endpoint(state, answer_rpc)), state.gate)
    return ProjectAddress(guard, Quick(guard, state), {route.path for route in routes} - {"/"})


class Straight:
    """Passes `POST /` to its route directly: starlette's layers would take a tenth of its time."""

    def __init__(self, web: ASGIApp, calls: Endpoint) -> None:
        self.app, self._calls = web, calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_call = scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "POST"
        await (self._calls if is_call else self.app)(scope, receive, send)


async def answer_rpc(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    await _answer_calls(state, scope, await read_body(receive), send)


async def answer_shared(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """JSON-RPC for the methods of the shared state, with bodies as large as a value may be."""
    await _answer_calls(state, scope, await read_body(receive), send, "coordinate")


async def _answer_calls(
    state: State, scope: Scope, body: bytes, send: Send, face: str = ""
) -> None:
    reply = await reply_to(state, body, face)
    notes = scope.setdefault("state", {})
    notes["rpc_methods"] = reply.methods
    notes["quiet"] = all(map(is_quiet, reply.methods.split(",")))
    if (question := asked.get()) and reply.status == 200 and (quick := notes.get("quick")):
        quick.learn(body, question)
    await send_bytes(send, reply.status, reply.body, JSON, *reply.headers)


async def answer_face(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """The HTTP routes of another product's face, whose code is imported at the first request."""
    from .faces import answer_http

    await answer_http(state, HTTP_FACE, scope, await read_body(receive), send)


async def answer_page(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """A file of the page. `GET /` by a program, which does not accept HTML, is refused (405)."""
    from ..page import files

    headers, name = dict(scope["headers"]), scope["path_params"].get("name", "")
    if not name and not files.wants_page(headers.get(b"accept", b"")):
        raise HTTPException(405, headers={"Allow": "POST"})
    file = files.find(name)
    if file is None:
        raise HTTPException(404)
    if headers.get(b"if-none-match") == file.tag:
        await send_bytes(send, 304, b"", file.kind, *file.headers)
        return
    await send_bytes(send, 200, file.body, file.kind, *file.headers)


async def answer_hook(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """A hook's event; `?host=` names the host that sent it, if not the default one."""
    name = scope["query_string"].decode("latin-1").removeprefix("host=")
    host: Any = name if name in get_args(HostName) else DEFAULT_HOST
    await send_json(send, 200, await receive_claude(state, await read_body(receive), host))


async def answer_health(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    body = health(state)
    asking = caller.get()
    if asking.project or asking.tree:
        body["project"] = state.name
    await send_json(send, 503 if body["status"] == "starting" else 200, body)


async def answer_live(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, 200, live())


async def answer_ready(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    body = ready(state)
    await send_json(send, 200 if body["ready"] else 503, body)


async def answer_metrics(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    accept = dict(scope["headers"]).get(b"accept", b"")
    if b"text/plain" not in accept and b"format=prometheus" not in scope["query_string"]:
        await send_json(send, 200, metrics(state))
        return
    from .prometheus import CONTENT_TYPE, exposition

    await send_bytes(send, 200, exposition(state), CONTENT_TYPE.encode())


async def reindex(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    started = state.refresh.clock()
    try:
        index = await state.refresh.reindex()
    except Orchestr8Error as error:
        served = state.refresh.index.generation if state.refresh.index else 0
        failure = {"success": False, "message": str(error), "generation": served}
        await send_json(send, 500, failure)
        return
    counts = {PLURAL[kind]: n for kind, n in index.manifest.counts.items()}
    spent = round((state.refresh.clock() - started) * 1000)
    message = f"Generation {index.generation} serves."
    done = {"success": True, "message": message, "generation": index.generation}
    await send_json(send, 200, {**done, **counts, "duration_ms": spent})


async def _leave(request: object, error: object) -> ASGIApp:
    """An exception handler that sends nothing: starlette raises the error again for the guard."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    return nothing


class NoSuch:
    """Answers 404 and 405, naming all routes; `has_files` includes those of tasks' files."""

    def __init__(self, routes: list[Route], has_files: bool) -> None:
        off = () if has_files else (*OF_FACE, f"/mcp/{HTTP_FACE}")
        self._routes = [route for route in routes if route.path not in off]

    async def __call__(self, request: object, error: object) -> ASGIApp:
        status = getattr(error, "status_code", 404)
        headers = getattr(error, "headers", None) or {}
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            await send_error(send, self._error(status), *pairs)

        return refuse

    def _error(self, status: int) -> RequestError:
        if status == 405:
            cure = f"POST to {self._paths('POST')}; GET {self._paths('GET')}."
            return VerbRefused("This address does not take that verb.", cure)
        return NoSuchAddress("There is nothing at this address.", f"See {self._paths()}.")

    def _paths(self, method: str = "") -> str:
        found = (r.path for r in self._routes if not method or method in (r.methods or ()))
        return ", ".join(found).replace(":path}", "}")
