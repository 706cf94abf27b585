"""The skills extension of MCP: skills with the digests of their files, and the files.

A skill is served as `skill://plugin/name/SKILL.md` if its folder fits the Agent Skills format; all
can be read as `orchestr8://skills/plugin/name`. Links are not followed, and a file is looked up in
the folder's listing, never by joining paths that a caller sent.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import mimetypes
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import mcp_types as types
import msgspec
from mcp.shared.exceptions import MCPError

from ...catalog.index import Index
from ...catalog.skill_files import MANIFEST, HeldBack, SkillFile, SkillFolder, Unfit
from ...config import USUAL, ReadLimits
from ...fit import for_model
from ...records import Entry
from .addresses import encoded, page
from .sessions import Ctx, OfProject
from .tools import COPIES, hold

if TYPE_CHECKING:
    from ...catalog.frontmatter import TextLoader

EXTENSION = "io.modelcontextprotocol/skills"
SETTINGS = {"directoryRead": True}
SCHEME, PAGE = "skill://", 50
FOLDER, MARKDOWN, BYTES = "inode/directory", "text/markdown", "application/octet-stream"
FRESH = {"ttlMs": 0, "cacheScope": "private"}  # files change without a new generation
Contents = types.TextResourceContents | types.BlobResourceContents
MOST_READ = 4_000_000  # bytes of a file that is served whole
_NAME = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SCALARS: tuple[tuple[str, str, str, Callable[[str], Any] | None], ...] = (
    ("null", "~nN", r"~|null|Null|NULL|", None),
    ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    ("int", "-+0123456789", r"[-+]?[0-9]+", int),
    ("float", "-+.0123456789", r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", float),
)
_HEADER = re.compile(r"---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


class SkillParams(types.RequestParams):
    """The URI of a skill."""

    uri: str


class DirectoryParams(types.PaginatedRequestParams):
    """The URI of a folder of a skill, and the page."""

    uri: str


class Skills(OfProject):
    """The handlers of the extension `io.modelcontextprotocol/skills`."""

    async def listed(self, ctx: Ctx, params: types.PaginatedRequestParams) -> dict[str, Any]:
        index = self._state.index
        given = page(index, ["skill"], params.cursor, PAGE)
        entries = [entry for entry in given.entries if not entry.for_people]
        rows = [await asyncio.to_thread(self._row, index, entry) for entry in entries]
        cursor = {"nextCursor": given.cursor} if given.cursor else {}
        return {"skills": [row for row in rows if row], **cursor, **FRESH}

    async def get(self, ctx: Ctx, params: SkillParams) -> dict[str, Any]:
        index = self._state.index
        entry, path = locate(index, params.uri) or (None, "")
        row = await asyncio.to_thread(self._row, index, entry) if path == MANIFEST else None
        if row is None:
            raise _unknown(params.uri, "skill")
        return {"skill": row, **FRESH}

    def _row(self, index: Index, entry: Entry | None) -> dict[str, Any] | None:
        """The extension's row for a skill; None when its folder does not fit the format."""
        if entry is None or not _may_serve(entry):
            return None
        try:
            folder = SkillFolder(index, entry)
            files = {file.path: file for file in folder.files()}
            header = b"".join(folder.read(files[MANIFEST]))
            fields = read_fields(header, self._state.settings.reading)
            listed = [_digested(_root(entry), folder, file) for file in files.values()]
            resources = [each for each in listed if each]
        except Unfit:
            return None
        uri = f"{_root(entry)}/{MANIFEST}"
        row = {"uri": uri, "frontmatter": fields, "resources": resources}
        return row if fields["name"] == entry.name else None

    def resources(self, entry: Entry) -> list[types.Resource]:
        """The skill's SKILL.md as a row of `resources/list`; [] if it is not served."""
        if not _may_serve(entry):
            return []
        uri, description = f"{_root(entry)}/{MANIFEST}", for_model(entry.description)
        return [
            types.Resource(uri=uri, name=entry.name, description=description, mime_type=MARKDOWN)
        ]

    async def read(self, uri: str, ctx: Ctx | None = None) -> types.ReadResourceResult | None:
        """A file of a skill; None for a URI of another scheme. Raises MCPError without a file."""
        if not uri.startswith(SCHEME):
            return None
        located = await asyncio.to_thread(_file_at, self._state.index, uri)
        if located is not None and ctx is not None:
            hold(ctx, COPIES * min(located[1].size, MOST_READ))
        contents = await asyncio.to_thread(_contents, uri, *located) if located else None
        if contents is None:
            raise _unknown(uri, "resource")
        return types.ReadResourceResult(contents=[contents])

    async def directory(self, ctx: Ctx, params: DirectoryParams) -> dict[str, Any]:
        """The direct children of a skill's folder or subfolder."""
        children = await asyncio.to_thread(_children, self._state.index, params.uri)
        if not children:
            raise _unknown(params.uri, "directory")
        return {"resources": children, **FRESH}


def locate(index: Index, uri: str) -> tuple[Entry, str] | None:
    """(skill, path in its folder, "" for the folder itself) of a URI; None without such a skill."""
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


def _unknown(uri: str, what: str) -> MCPError:
    sentence = f"There is no such {what} here. skills/list names those that there are."
    return MCPError(types.INVALID_PARAMS, sentence, {"uri": uri})


def quoted(path: str) -> str:
    return quote(os.fsencode(path))


def _files_at(index: Index, uri: str) -> tuple[Entry | None, str, list[SkillFile]]:
    """(skill, path in its folder, all its files) of a URI; no files without a skill that fits."""
    entry, path = locate(index, uri) or (None, "")
    try:
        files = SkillFolder(index, entry).files() if entry else []
    except Unfit:
        files = []
    return entry, path, files


def _digested(root: str, folder: SkillFolder, file: SkillFile) -> dict[str, Any] | None:
    """A file's URI, digest and size; None for one that contains a secret."""
    digest, size = hashlib.sha256(), 0
    try:
        for piece in folder.read(file):
            digest.update(piece)
            size += len(piece)
    except HeldBack:
        return None
    uri = f"{root}/{quoted(file.path)}"
    return {"uri": uri, "digest": f"sha256:{digest.hexdigest()}", "size": size}


def _file_at(index: Index, uri: str) -> tuple[SkillFolder, SkillFile] | None:
    """The file of a skill at a URI, looked up in the folder's listing."""
    entry, path, files = _files_at(index, uri)
    file = next((each for each in files if quoted(each.path) == path), None)
    return (SkillFolder(index, entry), file) if entry and file else None


def _contents(uri: str, folder: SkillFolder, file: SkillFile) -> Contents | None:
    """A file's contents; of one that is too large its size, digest and path. None if unfit."""
    try:
        if file.size <= MOST_READ:
            return _whole(uri, b"".join(folder.read(file, MOST_READ)), file.path)
        row = _digested("", folder, file)
    except Unfit:
        return None
    if row is None:
        return None
    about = {"size": row["size"], "digest": row["digest"], "path": folder.place(file)}
    text = msgspec.json.encode(about).decode()
    return types.TextResourceContents(uri=uri, mime_type="application/json", text=text)


def _whole(uri: str, data: bytes, path: str) -> Contents:
    kind = _mime_type(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        blob = base64.b64encode(data).decode()
        return types.BlobResourceContents(uri=uri, mime_type=kind, blob=blob)
    kind = "text/plain" if kind == BYTES else kind
    return types.TextResourceContents(uri=uri, mime_type=kind, text=text)


def _children(index: Index, uri: str) -> list[dict[str, Any]]:
    entry, path, files = _files_at(index, uri)
    within, root = f"{path}/" if path else "", _root(entry) if entry else ""
    paths = [quoted(file.path) for file in files]
    below = [each[len(within) :] for each in paths if each.startswith(within)]
    names = dict.fromkeys(name.split("/")[0] + "/" * ("/" in name) for name in below)
    return [_child(f"{root}/{within}", name) for name in names]


def _child(parent: str, name: str) -> dict[str, Any]:
    own = name.rstrip("/")
    kind = FOLDER if name.endswith("/") else _mime_type(own)
    return {"uri": f"{parent}{own}", "name": unquote(own), "mimeType": kind}


def _mime_type(path: str) -> str:
    is_markdown = path.lower().endswith(".md")
    return MARKDOWN if is_markdown else mimetypes.guess_type(path)[0] or BYTES


def read_fields(data: bytes, limits: ReadLimits = USUAL) -> dict[str, Any]:
    """The frontmatter as it is, unrepaired, as a host compares it with the file. Raises Unfit."""
    import yaml  # the server has no other use for it

    from ...catalog.frontmatter import Hostile, load_strict

    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
        header = _HEADER.match(text)
        fields = load_strict(header[1], limits, _json_loader()) if header else None
        plain = msgspec.json.decode(msgspec.json.encode(fields))
    except (UnicodeDecodeError, yaml.YAMLError, Hostile, TypeError, ValueError, RecursionError):
        raise Unfit("The header is not strict YAML that JSON can say.") from None
    if not isinstance(plain, dict):
        raise Unfit("There is no header of fields.")
    for name in ("name", "description"):
        if not isinstance(plain.get(name), str) or not plain[name]:
            raise Unfit(f"The header has no {name}.")
    return plain


@functools.cache
def _json_loader() -> type[TextLoader]:
    """A YAML loader with the core schema of YAML 1.2: `yes` and dates stay text, as in JSON."""
    from ...catalog.frontmatter import TextLoader

    class JsonLoader(TextLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}

    for kind, firsts, pattern, made in _SCALARS:
        tag = f"tag:yaml.org,2002:{kind}"
        JsonLoader.add_implicit_resolver(
            tag, re.compile(f"^(?:{pattern})$", re.ASCII), [*firsts, ""]
        )
        if made is not None:
            read = lambda loader, node, made=made: made(str(loader.construct_scalar(node)))  # noqa: E731
            JsonLoader.add_constructor(tag, read)
    return JsonLoader
