"""Another product's tools and resources in MCP."""

from __future__ import annotations

import hashlib
from typing import Any

import mcp_types as types
import msgspec

from ...environment import EVERY
from ...errors import RequestError
from ...faces.face import Declined, Product
from ...fit import fit
from ..faces import ServedCore, load, run_tool
from ..state import State
from .resources import JSON, Resources
from .sessions import Ctx, session_of
from .tools import COPIES, WHOLE, encoded, hold, with_progress


class FaceTools:
    """The tools of one face; with the suffix EVERY also its `extra` ones."""

    def __init__(self, state: State, name: str) -> None:
        self._state, self.face = state, load(name.removesuffix(EVERY))
        self._every = name.endswith(EVERY)
        self.instructions = self.face.instructions
        shown = (tool for tool in self.face.tools if self._every or not tool.extra)
        self._listed = [tool.described for tool in shown]

    async def listed(self, ctx: Ctx, params: types.PaginatedRequestParams | None) -> dict[str, Any]:
        return {"tools": self._listed, **WHOLE}

    async def call(self, ctx: Ctx, params: types.CallToolRequestParams) -> dict[str, Any]:
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


def _text(face: Product, answer: Any) -> str:  # agents' messages are cleaned for models
    return msgspec.json.encode(fit(answer, lines=True) if face.talk else answer).decode()


def _answer(ctx: Ctx, face: Product, answer: Any, is_success: bool) -> dict[str, Any]:
    text = _text(face, answer)
    hold(ctx, COPIES * len(text))
    failed = {} if is_success else {"isError": True}
    return {"content": [{"type": "text", "text": text}], **failed, **WHOLE}


class FaceResources(Resources):
    """The resources of a face."""

    def __init__(self, state: State, face: Product) -> None:
        super().__init__(state)
        self._face = face
        self.patterns = tuple(
            types.ResourceTemplate(uri_template=uri, name=uri, description=what, mime_type=JSON)
            for uri, what in face.templates.items()
        )

    async def text_at(self, uri: str) -> tuple[str | None, str]:
        answer = await self._held(uri)
        return _text(self._face, answer) if answer is not None else None, JSON

    async def _held(self, uri: str) -> Any:
        """The resource at a URI; None without one that the caller may see."""
        if self._face.read is None:
            return None
        try:
            return await self._face.read(ServedCore(self._addressed), uri)
        except Declined:
            return None

    def follows(self, uri: str) -> bool:
        return self._face.read is not None

    async def version_of(self, uri: str) -> str:
        answer = await self._held(uri)
        return hashlib.sha256(msgspec.json.encode(answer)).hexdigest() if answer is not None else ""
