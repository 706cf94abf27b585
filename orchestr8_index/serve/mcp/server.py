"""An MCP endpoint: the SDK's server with our handlers, and its sessions over HTTP."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import NotificationParams, PaginatedRequestParams
from starlette.types import Receive, Scope, Send

from ... import __version__
from ...errors import RequestError
from ..body import MAX_LARGE
from ..callers import caller
from ..state import State
from .prompts import Prompts
from .resources import IndexResources, Resources
from .sessions import Roots, identify
from .skills import EXTENSION, SETTINGS, DirectoryParams, SkillParams, Skills
from .subscriptions import Subscriptions
from .tools import INSTRUCTIONS_OF, Tools

if TYPE_CHECKING:
    from .faces import FaceTools

NAME, TITLE = "orchestr8", "Orchestr8 Index"
IDLE_SECONDS = 1800.0  # after which a session ends, as a host that crashed does not end it
CACHE_MS = {
    "server/discover": 3_600_000,
    "tools/list": 3_600_000,
    "resources/templates/list": 3_600_000,
    "resources/list": 60_000,
    "prompts/list": 60_000,
}
CHANGING = NotificationOptions(prompts_changed=True, resources_changed=True)


class McpServer(Server[dict[str, Any]]):
    """The SDK's server, which also announces changing lists to clients with a handshake."""

    tools: Tools | FaceTools
    subscriptions: Subscriptions

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        options = notification_options or CHANGING
        return super().create_initialization_options(options, experimental_capabilities, extensions)


class Face:
    """The ASGI application of an MCP endpoint, to be used within its `life`."""

    def __init__(self, state: State, face: str = "index") -> None:
        server, most = make_server(state, face), state.settings.limits.max_body
        self.subscriptions = server.subscriptions
        self.tools = server.tools if isinstance(server.tools, Tools) else None
        self.server_info = server.server_info_stamp
        self._gate, self._most = state.gate, state.settings.limits.max_streams
        self._sessions = StreamableHTTPSessionManager(
            server,
            max_request_body_size=most if face == "index" else max(most, MAX_LARGE),
            max_sessions=self._most,
            session_idle_timeout=IDLE_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["state"].get("begins"):
            await self._make_room()
        await self._sessions.handle_request(scope, receive, send)

    async def _make_room(self) -> None:
        """End an old session if there are too many, as hosts that lose theirs open new ones."""
        sessions, who = self._gate.sessions, caller.get()
        faces = {ident: face for face in sessions.faces for ident in face.open}
        most_of_one = self._gate.shares.streams.part_of(who)
        if ident := sessions.makes_way(faces, self._most, most_of_one, who.name):
            await faces[ident].end(ident)

    @property
    def open(self) -> Collection[str]:
        """The ids of its sessions."""
        return self._sessions._server_instances  # the SDK has no public access to them

    def touch(self, ident: str) -> bool:
        """Renew a session's idle time; False if it is not open. "" (no session) is always open."""
        if not ident:
            return True
        transport = self._sessions._server_instances.get(ident)
        idle = transport.idle_scope if transport else None
        if transport is None or transport.is_terminated or idle is None or idle.cancel_called:
            return False
        if idle.deadline != math.inf:  # infinite while the SDK answers another request
            idle.deadline = anyio.current_time() + IDLE_SECONDS
        return True

    async def end(self, ident: str) -> None:
        await self._sessions._discard_session(ident, self._sessions._server_instances[ident])

    @contextlib.asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        self.subscriptions.begin()
        self._gate.sessions.faces.append(self)
        try:
            async with self._sessions.run():
                yield
        finally:
            self._gate.sessions.faces.remove(self)
            self.subscriptions.end()


def make_server(state: State, face: str = "index") -> McpServer:
    """The SDK's server for a face: `index`, `coordinate`, `all` (both), or another product's."""
    tools, resources, skills = *_parts(state, face), Skills(state)
    prompts, subscriptions = Prompts(state), Subscriptions(state, resources)
    has_index = face in ("index", "all")
    server = McpServer(
        NAME,
        version=__version__,
        title=TITLE,
        instructions=tools.instructions,
        cache_hints={method: CacheHint(life) for method, life in CACHE_MS.items()},  # type: ignore[misc]
        get_tool_input_schema=lambda name: None,  # no argument is mirrored in a header
        on_list_tools=tools.listed,  # type: ignore[arg-type]
        on_call_tool=tools.call,  # type: ignore[arg-type]
        on_list_resources=resources.listed,
        on_list_resource_templates=resources.templates,
        on_read_resource=resources.read,
        on_subscribe_resource=subscriptions.subscribe,
        on_unsubscribe_resource=subscriptions.unsubscribe,
        on_subscriptions_listen=subscriptions.listen,
        on_list_prompts=prompts.listed if has_index else None,
        on_get_prompt=prompts.get if has_index else None,
        on_completion=resources.complete,
    )
    server.tools, server.subscriptions = tools, subscriptions
    server.middleware[:] = [translate_errors, Roots(state)]  # without the SDK's tracing
    if face != "index":
        server.middleware.append(identify(state, getattr(tools, "face", None)))
    initialized = "notifications/initialized"
    server.add_notification_handler(initialized, NotificationParams, subscriptions.initialized)
    if has_index:
        server.extensions[EXTENSION] = SETTINGS
        server.add_request_handler("skills/list", PaginatedRequestParams, skills.listed)
        server.add_request_handler("skills/get", SkillParams, skills.get)
        server.add_request_handler("resources/directory/read", DirectoryParams, skills.directory)
    return server


def _parts(state: State, face: str) -> tuple[Tools | FaceTools, Resources]:
    """The tools and resources of a face; modules of other faces than the index are imported."""
    if face not in INSTRUCTIONS_OF:
        from .faces import FaceResources, FaceTools

        product = FaceTools(state, face)
        return product, FaceResources(state, product.face)
    index = IndexResources(state, Skills(state)) if face in ("index", "all") else None
    if index and face == "index":
        return Tools(state), index
    from .shared import SharedResources

    return Tools(state, face), SharedResources(state, index)


async def translate_errors(ctx: Any, call_next: CallNext) -> HandlerResult:
    """Turn a RequestError into an MCPError of the same code and sentence, with the cure as data."""
    try:
        return await call_next(ctx)
    except RequestError as error:
        raise MCPError(error.code, error.sentence, error.data() or None) from None
