"""The skills extension of MCP: skills as entries with digests, and their files.

A skill is served as `skill://plugin/name/SKILL.md` if its folder is what the Agent Skills format
wants; the others remain readable as `orchestr8://skills/plugin/name`. Links are not followed, and a
file is found in the folder's own list, never by joining what a caller sent.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import mimetypes
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

import msgspec
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
from ...catalog.walk import IGNORED
from ...config import USUAL, ReadLimits
from ...records import Entry
from ..state import State
from .addresses import encoded, page
from .tools import Ctx

if TYPE_CHECKING:
    from ...catalog.frontmatter import TextLoader

EXTENSION = "io.modelcontextprotocol/skills"
SETTINGS = {"directoryRead": True}
SCHEME, PAGE, MANIFEST = "skill://", 50, "SKILL.md"
FOLDER, MARKDOWN, BYTES = "inode/directory", "text/markdown", "application/octet-stream"
FRESH = {"ttlMs": 0, "cacheScope": "private"}  # files change without a new generation
MOST_FILES, MOST_BYTES = 512, 16 * 1024 * 1024  # of a folder, which every host takes
_NAME = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SCALARS: tuple[tuple[str, str, str, Callable[[str], Any] | None], ...] = (
    ("null", "~nN", r"~|null|Null|NULL|", None),
    ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    ("int", "-+0123456789", r"[-+]?[0-9]+", int),
    ("float", "-+.0123456789", r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", float),
)
_HEADER = re.compile(r"---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


class SkillParams(RequestParams):
    uri: str


class DirectoryParams(PaginatedRequestParams):
    uri: str


class Unfit(Exception):
    """The folder holds no skill as the protocol wants it; the message says why."""


class Skills:
    def __init__(self, state: State) -> None:
        self._state = state

    async def listed(self, ctx: Ctx, params: PaginatedRequestParams) -> dict[str, Any]:
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
        """The extension's entry for a skill; None where its folder does not fit."""
        if entry is None or not _may_serve(entry):
            return None
        try:
            files = {file.path: file for file in files_of(_folder(index, entry))}
            fields = read_fields(read_file(files[MANIFEST].full), self._state.settings.reading)
            resources = [_digested(_root(entry), file) for file in files.values()]
        except Unfit:
            return None
        uri = f"{_root(entry)}/{MANIFEST}"
        row = {"uri": uri, "frontmatter": fields, "resources": resources}
        return row if fields["name"] == entry.name else None

    def resources(self, entry: Entry) -> list[Resource]:
        """The manifest as a resource, for the list of all; the file itself is not read."""
        if not _may_serve(entry):
            return []
        uri, description = f"{_root(entry)}/{MANIFEST}", entry.description
        return [Resource(uri=uri, name=entry.name, description=description, mime_type=MARKDOWN)]

    async def read(self, uri: str) -> ReadResourceResult | None:
        """A file of a skill; None for an address that is none of this scheme."""
        if not uri.startswith(SCHEME):
            return None
        contents = await asyncio.to_thread(_contents, self._state.index, uri)
        if contents is None:
            raise _unknown(uri, "resource")
        return ReadResourceResult(contents=[contents])

    async def directory(self, ctx: Ctx, params: DirectoryParams) -> dict[str, Any]:
        """The direct children of a skill's folder, or of one within it."""
        children = await asyncio.to_thread(_children, self._state.index, params.uri)
        if not children:
            raise _unknown(params.uri, "directory")
        return {"resources": children, **FRESH}


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


def _unknown(uri: str, what: str) -> MCPError:
    sentence = f"There is no such {what} here. skills/list names those that there are."
    return MCPError(INVALID_PARAMS, sentence, {"uri": uri})


class File(NamedTuple):
    """`path` is relative to the skill's folder, with `/`; `full` is where the file lies."""

    path: str
    full: str
    size: int

    @property
    def quoted(self) -> str:
        return quote(os.fsencode(self.path))


def files_of(folder: str) -> list[File]:
    """The files of a skill, by path. Raises Unfit for one that is gone or more than hosts take."""
    files, total = list[File](), 0
    for file in _walk(folder, ""):
        files.append(file)
        total += file.size
        if len(files) > MOST_FILES or total > MOST_BYTES:
            raise Unfit("The folder holds more than hosts take.")
    if all(file.path != MANIFEST for file in files):
        raise Unfit("There is no SKILL.md any more.")
    return sorted(files)


def _walk(root: str, within: str) -> Iterator[File]:
    try:
        items = sorted(os.scandir(f"{root}/{within}"), key=lambda item: item.name)
    except OSError:
        return
    for item in items:
        path = f"{within}{item.name}"
        try:
            status = item.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode) and item.name not in IGNORED:
            yield from _walk(root, f"{path}/")
        elif stat.S_ISREG(status.st_mode):
            yield File(path, f"{root}/{path}", status.st_size)


def read_file(full: str) -> bytes:
    """Raises Unfit where the file is gone or has grown beyond the limit."""
    try:
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        raise Unfit("The file cannot be read.") from None
    with open(descriptor, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Unfit("The file is larger than hosts take.")
    return data


def _folder(index: Index, entry: Entry) -> str:
    return os.path.dirname(os.path.join(index.manifest.roots[entry.root], entry.path))


def _files_at(index: Index, uri: str) -> tuple[str, str, list[File]]:
    """(address of the skill, path within it, its files); no files where there is no skill."""
    entry, path = locate(index, uri) or (None, "")
    try:
        files = files_of(_folder(index, entry)) if entry else []
    except Unfit:
        files = []
    return _root(entry) if entry else "", path, files


def _digested(root: str, file: File) -> dict[str, Any]:
    data = read_file(file.full)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"uri": f"{root}/{file.quoted}", "digest": digest, "size": len(data)}


def _contents(index: Index, uri: str) -> TextResourceContents | BlobResourceContents | None:
    _, path, files = _files_at(index, uri)
    file = next((each for each in files if each.quoted == path), None)
    try:
        data = read_file(file.full) if file else None
    except Unfit:
        data = None
    if file is None or data is None:
        return None
    kind = _mime_type(file.path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        blob = base64.b64encode(data).decode()
        return BlobResourceContents(uri=uri, mime_type=kind, blob=blob)
    kind = "text/plain" if kind == BYTES else kind
    return TextResourceContents(uri=uri, mime_type=kind, text=text)


def _children(index: Index, uri: str) -> list[dict[str, Any]]:
    root, path, files = _files_at(index, uri)
    within = f"{path}/" if path else ""
    below = [file.quoted[len(within) :] for file in files if file.quoted.startswith(within)]
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
    """The header's fields, none mended: a host compares them with the file. Raises Unfit."""
    import yaml  # which the server needs for nothing else

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
    """YAML 1.2's core schema, which is what JSON can say: `yes` and dates stay text."""
    from ...catalog.frontmatter import TextLoader

    class JsonLoader(TextLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}

    for kind, firsts, pattern, made in _SCALARS:
        tag = f"tag:yaml.org,2002:{kind}"
        JsonLoader.add_implicit_resolver(
            tag, re.compile(f"^(?:{pattern})$", re.ASCII), [*firsts, ""]
        )
        if made is not None:
            JsonLoader.add_constructor(tag, _constructor(made))
    return JsonLoader


def _constructor(made: Callable[[str], Any]) -> Callable[[TextLoader, Any], Any]:
    return lambda loader, node: made(str(loader.construct_scalar(node)))
