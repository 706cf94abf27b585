"""Another product's tools and addresses in MCP."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplate,
    TextResourceContents,
)

from ...environment import EVERY
from ...errors import RequestError
from ...faces.face import Declined, Product
from ...fit import fit
from ..callers import STRANGE, Principal, caller
from ..faces import ServedCore, load, named, run_tool
from ..sessions import HEADER
from ..shared import speaking
from ..state import State
from .resources import JSON
from .shared import SharedSubscriptions
from .tools import COPIES, WHOLE, Ctx, encoded, hold
from .waiting import hooked, with_progress


def identify(state: State, face: Product) -> ServerMiddleware[Any]:
    """Names who sends a request as the face knows it, before anything else looks at it."""

    async def identified(ctx: Ctx, call_next: CallNext) -> HandlerResult:
        said = ctx.session.client_params
        client = STRANGE.sub("-", said.client_info.name)[:80] if said else ""
        token = speaking.set(hooked(state, ctx, caller.get()))
        try:
            with named(face, session_of(ctx), client):
                return await call_next(ctx)
        finally:
            speaking.reset(token)

    return identified


def session_of(ctx: Ctx) -> str:
    return ctx.request.headers.get(HEADER.decode(), "") if ctx.request is not None else ""


class FaceTools:
    """The tools of one face; of a name with EVERY those for the curious, too."""

    def __init__(self, state: State, name: str) -> None:
        self._state, self.face = state, load(name.removesuffix(EVERY))
        self._every = name.endswith(EVERY)
        self.instructions = self.face.instructions
        shown = (tool for tool in self.face.tools if self._every or not tool.extra)
        self._listed = [tool.described for tool in shown]

    async def listed(self, ctx: Ctx, params: PaginatedRequestParams | None) -> dict[str, Any]:
        return {"tools": self._listed, **WHOLE}

    async def call(self, ctx: Ctx, params: CallToolRequestParams) -> dict[str, Any]:
        if ctx.request is not None:
            ctx.request.scope.setdefault("state", {})["rpc_methods"] = params.name[:100]
        given = params.arguments or {}
        try:
            encoded(given)
        except RequestError as error:
            return _answer(ctx, self.face, self.face.failed(error), False)
        core = ServedCore(self._state, session_of(ctx))
        work = run_tool(self.face, core, params.name, given, self._every)
        return _answer(ctx, self.face, *await with_progress(ctx, work))


def _text(face: Product, answer: Any) -> str:  # fit for a model, where it tells what agents said
    return msgspec.json.encode(fit(answer, lines=True) if face.talk else answer).decode()


def _answer(ctx: Ctx, face: Product, answer: Any, is_success: bool) -> dict[str, Any]:
    text = _text(face, answer)
    hold(ctx, COPIES * len(text))
    failed = {} if is_success else {"isError": True}
    return {"content": [{"type": "text", "text": text}], **failed, **WHOLE}


class FaceResources:
    """The addresses that a face can read."""

    def __init__(self, state: State, face: Product) -> None:
        self._state, self._face = state, face

    async def listed(self, ctx: Ctx, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return ListResourcesResult(resources=[])

    async def templates(
        self, ctx: Ctx, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        templates = [
            ResourceTemplate(uri_template=uri, name=uri, description=what, mime_type=JSON)
            for uri, what in self._face.templates.items()
        ]
        return ListResourceTemplatesResult(resource_templates=templates)

    async def read(self, ctx: Ctx, params: ReadResourceRequestParams) -> ReadResourceResult:
        core = ServedCore(self._state, session_of(ctx))
        answer = await read_face(self._face, core, params.uri)
        if answer is None:
            cure = "List the templates for those that exist."
            sentence = f"There is no such resource. {cure}"
            raise MCPError(INVALID_PARAMS, sentence, {"uri": params.uri[:1000]})
        text = _text(self._face, answer)
        hold(ctx, COPIES * len(text))
        contents = TextResourceContents(uri=params.uri, mime_type=JSON, text=text)
        return ReadResourceResult(contents=[contents])

    async def complete(self, ctx: Ctx, params: CompleteRequestParams) -> CompleteResult:
        return CompleteResult(completion=Completion(values=[], total=0, has_more=False))


async def read_face(face: Product, core: ServedCore, uri: str) -> Any:
    """What the address holds for the caller; None for nothing, or nothing that it may see."""
    if face.read is None:
        return None
    try:
        return await face.read(core, uri)
    except Declined:
        return None


class FaceSubscriptions(SharedSubscriptions):
    """Watches a face's addresses: looked at after each change of the project's shared state."""

    def __init__(self, state: State, face: Product) -> None:
        super().__init__(state)
        self._face = face

    def follows(self, uri: str) -> bool:
        return self._face.read is not None

    async def version_of(self, uri: str, who: Principal) -> str:
        token = caller.set(who)
        try:
            answer = await read_face(self._face, ServedCore(self._state), uri)
        except RequestError:
            return ""
        finally:
            caller.reset(token)
        return hashlib.sha256(msgspec.json.encode(answer)).hexdigest() if answer is not None else ""
