"""How does a host load a skill from here? The skills extension: entries with digests, and files.

A skill is served as `skill://plugin/name/SKILL.md` if its folder is what the Agent Skills format
wants; the others remain readable as `orchestr8://skills/plugin/name`.
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import os
import re
from typing import Any
from urllib.parse import quote, unquote

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    PaginatedRequestParams,
    ReadResourceResult,
    RequestParams,
    Resource,
    TextResourceContents,
)

from ...catalog.index import Index
from ...records import Entry
from ..state import State
from .pagination import page
from .skill_files import MANIFEST, File, Unfit, digest, open_folder, read
from .tools import Ctx
from .uris import encoded

EXTENSION = "io.modelcontextprotocol/skills"
SETTINGS = {"directoryRead": True}
SCHEME, PAGE = "skill://", 50
FOLDER, MARKDOWN, BYTES = "inode/directory", "text/markdown", "application/octet-stream"
FRESH = {"ttlMs": 0, "cacheScope": "private"}  # files change without a new generation
_NAME = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


class SkillParams(RequestParams):
    uri: str


class DirectoryParams(PaginatedRequestParams):
    uri: str


class Skills:
    def __init__(self, state: State) -> None:
        self._state = state

    async def listed(self, ctx: Ctx, params: PaginatedRequestParams) -> dict[str, Any]:
        given = page(self._state.index, ["skill"], params.cursor, PAGE)
        found = await asyncio.to_thread(self._entries, self._state.index, given.entries)
        cursor = {"nextCursor": given.cursor} if given.cursor else {}
        return {"skills": found, **cursor, **FRESH}

    def _entries(self, index: Index, entries: list[Entry]) -> list[dict[str, Any]]:
        found = (self._entry(index, entry) for entry in entries)
        return [entry for entry in found if entry is not None]

    async def get(self, ctx: Ctx, params: SkillParams) -> dict[str, Any]:
        index = self._state.index
        located = locate(index, params.uri)
        entry = located and located[1] == MANIFEST and located[0]
        found = await asyncio.to_thread(self._entry, index, entry) if entry else None
        if found is None:
            raise _unknown(params.uri, "skill")
        return {"skill": found, **FRESH}

    def _entry(self, index: Index, entry: Entry) -> dict[str, Any] | None:
        """The extension's entry for a skill; None where its folder does not fit."""
        if not _may_serve(entry):
            return None
        from .skill_header import read_fields

        root = _root(entry)
        try:
            folder = open_folder(_folder(index, entry))
            manifest = read(f"{folder.root}/{MANIFEST}")
            fields = read_fields(manifest, self._state.settings.reading)
            resources = [_resource(root, file) for file in folder.files]
        except Unfit:
            return None
        if fields["name"] != entry.name:
            return None
        return {"uri": f"{root}/{MANIFEST}", "frontmatter": fields, "resources": resources}

    def resources(self, entry: Entry) -> list[Resource]:
        """The manifest as a resource, for the list of all; the file itself is not looked at."""
        if not _may_serve(entry):
            return []
        uri, said = f"{_root(entry)}/{MANIFEST}", entry.description
        return [Resource(uri=uri, name=entry.name, description=said, mime_type=MARKDOWN)]

    async def read(self, uri: str) -> ReadResourceResult | None:
        """A file of a skill; None for an address that is none of this scheme."""
        if not uri.startswith(SCHEME):
            return None
        located = locate(self._state.index, uri)
        found = await asyncio.to_thread(_contents, self._state.index, located) if located else None
        if found is None:
            raise _unknown(uri, "resource")
        file, data = found
        return ReadResourceResult(contents=[_as_text_or_blob(uri, file, data)])

    async def directory(self, ctx: Ctx, params: DirectoryParams) -> dict[str, Any]:
        """The direct children of a skill's folder, or of one within it."""
        located = locate(self._state.index, params.uri)
        found = await asyncio.to_thread(_children, self._state.index, located) if located else None
        if not found:
            raise _unknown(params.uri, "directory")
        return {"resources": found, **FRESH}


def locate(index: Index, uri: str) -> tuple[Entry, str] | None:
    """The skill that an address lies in, and the path within its folder ("" is the folder)."""
    parts = uri.removeprefix(SCHEME).split("/")
    if not uri.startswith(SCHEME) or len(parts) < 2:
        return None
    segment = index.segments["skill"]
    place = segment.position.get(f"{unquote(parts[0])}:{unquote(parts[1])}")
    entry = segment.entry(place) if place is not None else None
    if entry is None or not _may_serve(entry) or not uri.startswith(_root(entry)):
        return None
    return entry, "/".join(parts[2:])


def _may_serve(entry: Entry) -> bool:
    return os.path.basename(entry.path) == MANIFEST and bool(_NAME.fullmatch(entry.name))


def _root(entry: Entry) -> str:
    return f"{SCHEME}{encoded(entry.plugin)}/{entry.name}"


def _folder(index: Index, entry: Entry) -> str:
    root = index.manifest.roots[entry.root]
    return os.path.dirname(os.path.join(root, entry.path))


def _resource(root: str, file: File) -> dict[str, Any]:
    data = read(file.full)
    return {"uri": f"{root}/{_path(file)}", "digest": digest(data), "size": len(data)}


def _path(file: File) -> str:
    return quote(os.fsencode(file.path))


def _contents(index: Index, located: tuple[Entry, str]) -> tuple[File, bytes] | None:
    entry, path = located
    try:
        folder = open_folder(_folder(index, entry))
        file = next((each for each in folder.files if _path(each) == path), None)
        return (file, read(file.full)) if file else None
    except Unfit:
        return None


def _children(index: Index, located: tuple[Entry, str]) -> list[dict[str, Any]]:
    entry, path = located
    try:
        folder = open_folder(_folder(index, entry))
    except Unfit:
        return []
    root, within = _root(entry), f"{path}/" if path else ""
    below = [_path(file)[len(within) :] for file in folder.files if _path(file).startswith(within)]
    names = dict.fromkeys(name.split("/")[0] + "/" * ("/" in name) for name in below)
    return [_child(f"{root}/{within}", name) for name in names]


def _child(parent: str, name: str) -> dict[str, Any]:
    own = name.rstrip("/")
    kind = FOLDER if name.endswith("/") else _mime_type(own)
    return {"uri": f"{parent}{own}", "name": unquote(own), "mimeType": kind}


def _mime_type(path: str) -> str:
    if path.lower().endswith(".md"):
        return MARKDOWN
    return mimetypes.guess_type(path)[0] or BYTES


def _as_text_or_blob(
    uri: str, file: File, data: bytes
) -> TextResourceContents | BlobResourceContents:
    kind = _mime_type(file.path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return BlobResourceContents(uri=uri, mime_type=kind, blob=base64.b64encode(data).decode())
    kind = "text/plain" if kind == BYTES else kind
    return TextResourceContents(uri=uri, mime_type=kind, text=text)


def _unknown(uri: str, what: str) -> MCPError:
    cure = "skills/list names those that there are."
    return MCPError(INVALID_PARAMS, f"There is no such {what} here. {cure}", {"uri": uri})
