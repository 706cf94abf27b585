"""Parses one file: bytes become an entry with its text, or a refusal with a reason."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..config import USUAL, ReadLimits
from ..places import place_of
from ..records import Entry, FileReport
from ..text import clean, cut, display, has_unsafe, strip_unsafe
from .frontmatter import Header, Hostile, NotRead, read_fields, read_header
from .scan import Source

MAX_NAME, MAX_DESCRIPTION, MAX_LABELS = 100, 20_000, 100
MAX_HEADING, MAX_DEPTH = 1_000, 4
NOT_BY_MODEL = ("disable-model-invocation", "disable_model_invocation", "disableModelInvocation")
BY_MODEL = ("infer", "allow-implicit-invocation", "allow_implicit_invocation")
BY_PERSON = ("user-invocable", "user-invokable", "user_invocable", "userInvocable")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_LABEL = re.compile(r"(?:\((?:[^()]|\([^()]*\))*\)|[^,])+")  # no comma, but for `Bash(a, b)`


@dataclass(slots=True)
class Parsed:
    """`entry` is None for a refusal; `body` is the text below the header."""

    report: FileReport
    entry: Entry | None = None
    body: str = ""


def parse(source: Source, data: bytes, root: str, limits: ReadLimits = USUAL) -> Parsed:
    """A file's entry and report; a hostile file is skipped with its reason."""
    try:
        return _parse(source, data, root, limits)
    except Hostile as error:
        return _refused(source, root, str(error), error.line, "Write the value as plain text.")


def _parse(source: Source, data: bytes, root: str, limits: ReadLimits) -> Parsed:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _refused(source, root, "not UTF-8: UTF-16 text", 1, "Save the file as UTF-8.")
    notes, text = _decode(data)
    ending = os.path.splitext(source.path)[1].lower()
    try:
        all_fields = ending in (".toml", ".yaml", ".yml")
        header = read_fields(ending, text, limits) if all_fields else read_header(text, limits)
    except NotRead as error:
        kind, cure = ending[1:].upper(), "Mend it: the host cannot read the file either."
        return _refused(source, root, f"not {kind}: {clean(str(error))}", None, cure)
    header.mended[:0] = notes
    fields = header.fields
    if source.tentative and not (_text(fields.get("name")) and _text(fields.get("description"))):
        reason = "not an entry: no header with name and description"
        return _refused(source, root, reason, entry=False)
    if "opencode" in source.owners and _is_on(fields, "disable"):
        reason = "switched off: its header says disable: true, and the host does not load it"
        return _refused(source, root, reason, header.lines.get("disable"), "Remove that line.")
    if not fields and not header.body.strip():
        cure = "Write a header and a text, or remove the file."
        return _refused(source, root, "empty: neither a header nor a text", 1, cure)
    entry = _entry(source, header, data)
    return Parsed(_report(source, root, header, entry), entry, header.body)


def _decode(data: bytes) -> tuple[list[tuple[str, int | None, str]], str]:
    notes: list[tuple[str, int | None, str]] = []
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
        notes.append(("a byte order mark stood before the header", 1, "Save without BOM."))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        notes.append(("bytes that are not UTF-8 were replaced", line, "Save as UTF-8."))
        text = data.decode("utf-8", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if has_unsafe(text):
        at = next(i for i, line in enumerate(text.split("\n"), 1) if has_unsafe(line))
        notes.append(("control characters were removed", at, "Remove them."))
        text = strip_unsafe(text)
    return notes, text


def _entry(source: Source, header: Header, data: bytes) -> Entry:
    fields = header.fields
    is_command = source.kind == "workflow"
    return Entry(
        kind=source.kind,
        plugin=source.plugin,
        name=_path_name(source) if is_command else _qualified(source, _name(source, header)),
        stem=display(source.stem),
        description=_description(source, header),
        root=source.root,
        path=display(source.path),
        digest=hashlib.sha256(data).hexdigest()[:16],
        model=_text(fields.get("model")),
        category=_text(fields.get("category")),
        capabilities=labels(fields.get("capabilities")),
        tags=labels(fields.get("tags")),
        keywords=labels(fields.get("keywords")) or labels(fields.get("triggers")),
        tools=labels(_first(fields, "tools", "allowed-tools", "allowed_tools"), spaces=True),
        use_when=_text(
            _first(fields, "use_when", "useWhen", "use-when", "when_to_use", "whenToUse")
        ),
        arguments=_hint(_first(fields, "argument-hint", "arguments")),
        steps=read_steps(header.body) if is_command else (),
        owners=source.owners,
        folders=display(source.folders) if source.folders else "",
        packed=source.packed,
        runs=_runs(source, fields),
        off=source.off,
    )


def _path_name(source: Source) -> str:
    """A command is called by its path: `git:squash`."""
    return display(":".join((*filter(None, source.folders.split("/")), source.stem)))


def _qualified(source: Source, name: str) -> str:
    return f"{display(source.folders).replace('/', ':')}:{name}" if source.qualified else name


def _runs(source: Source, fields: dict[str, Any]) -> Literal["", "user", "model", "nobody"]:
    """Who alone may start it: by the flags of the hosts, and by what they let a model start."""
    places = [place_of(owner, source.kind) for owner in source.owners]
    by_person = source.by_person or any(_is_on(fields, name) for name in NOT_BY_MODEL)
    by_person |= any(_is_off(fields, name) for name in BY_MODEL)
    by_person |= bool(places) and all(place and place.by == "person" for place in places)
    by_person |= "opencode" in source.owners and _text(fields.get("mode")) == "primary"
    by_model = any(_is_off(fields, name) for name in BY_PERSON)
    by_model |= "opencode" in source.owners and _is_on(fields, "hidden")
    return ("nobody" if by_model else "user") if by_person else "model" if by_model else ""


def _is_on(fields: dict[str, Any], name: str) -> bool:
    return _text(fields.get(name)).lower() in ("true", "yes", "on")


def _is_off(fields: dict[str, Any], name: str) -> bool:
    return _text(fields.get(name)).lower() in ("false", "no", "off")


def _name(source: Source, header: Header) -> str:
    value = header.fields.get("name")
    written = value if isinstance(value, str) else ""
    name = clean(written)
    if has_unsafe(written) or "\n" in written:
        cure = f'name: "{name}"'
        header.mend_field("name", "control characters were removed from the name", cure)
    if not name:
        where = "folder" if source.path.upper().endswith("SKILL.MD") else "file"
        if header.present and not source.plain:
            cure = f"name: {display(source.stem)}"
            header.mend(f"no name: taken from the {where}", header.first_line, cure)
        return display(source.stem)
    if len(name) > MAX_NAME:
        reason = f"the name has {len(name):,} characters and was cut to {MAX_NAME}"
        header.mend_field("name", reason, "Give it a short name.")
    return name[:MAX_NAME].rstrip()


def _description(source: Source, header: Header) -> str:
    value = header.fields.get("description", header.fields.get("Description"))
    text = _text(value)
    if text:
        if not isinstance(value, str):
            reason = "description is not a text; its parts were joined"
            header.mend_field("description", reason, f'description: "{cut(text, 300)}"')
        if len(text) > MAX_DESCRIPTION:
            reason = (
                f"the description has {len(text):,} characters and was cut to {MAX_DESCRIPTION:,}"
            )
            header.mend_field("description", reason, "Say it in a sentence or two.")
        return cut(text, MAX_DESCRIPTION)
    opening = opening_of(header.body)
    if source.plain and opening:
        return opening
    where = "the opening of the text describes it" if opening else "it is found by its name alone"
    missing = "no header" if not header.present else "no description"
    cure = (
        'description: "' + (opening.replace('"', "'") or "what it does, and when to use it") + '"'
    )
    header.mend(f"{missing}: {where}", header.first_line, cure)
    return opening


def opening_of(body: str) -> str:
    """The first heading and the paragraph below it, as one line of at most 300 characters."""
    heading = ""
    paragraph: list[str] = []
    for line in body.split("\n"):
        match = _HEADING.match(line[:MAX_HEADING])
        if match or not line.strip():
            if paragraph:
                break
            if match and heading:
                break
            heading = clean(match[1]) if match else heading
        else:
            paragraph.append(line)
    return cut(": ".join(filter(None, (heading, clean(" ".join(paragraph))))), 300)


def _report(source: Source, root: str, header: Header, entry: Entry) -> FileReport:
    what, line, cure = header.mended[0] if header.mended else ("", None, "")
    return FileReport(
        root=root,
        path=display(source.path),
        outcome="repaired" if header.mended else "indexed",
        kind=entry.kind,
        name=entry.name,
        reason="; ".join(clean(note[0]) for note in header.mended),
        line=line,
        cure=strip_unsafe(cure).replace("\n", " "),
    )


def _refused(
    source: Source,
    root: str,
    reason: str,
    line: int | None = None,
    cure: str = "",
    entry: bool = True,
) -> Parsed:
    path = display(source.path)
    return Parsed(
        FileReport(root, path, "skipped", reason=reason, line=line, cure=cure, is_entry=entry)
    )


def labels(value: Any, spaces: bool = False) -> tuple[str, ...]:
    """A list, a comma string or (for tools) a string with blanks, as clean distinct labels."""
    if isinstance(value, str):
        value = value.strip().removeprefix("[").removesuffix("]")
        parts = _LABEL.findall(value)
        if spaces and len(parts) == 1 and "(" not in value:
            parts = value.split()
        value = [part.strip().strip("\"'") for part in parts]
    elif isinstance(value, dict):
        value = list(value)
    elif not isinstance(value, list):
        return ()
    found = (cut(_text(item), 100) for item in value)
    return tuple(dict.fromkeys(filter(None, found)))[:MAX_LABELS]


def _text(value: Any, depth: int = MAX_DEPTH) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list) and depth:
        return clean(", ".join(_text(item, depth - 1) for item in value[:MAX_LABELS]))
    return ""


def _hint(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(f"[{_text(item)}]" for item in value[:MAX_LABELS])
    return _text(value)


def _first(fields: dict[str, Any], *names: str) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


# --- a command's steps, and whom it mentions ----------------------------------------------------

MAX_STEPS, MAX_STEP, MAX_LINE = 20, 60, 1_000
_STEP_HEADING = re.compile(
    r"^#{1,6}\s+(?:(?:step|phase|stage)\s*\d+(?:\.\d+)*\s*[:.)–—-]*|\d+(?:\.\d+)*\s*[:.)]*)\s*(.+)$",
    re.I,
)
_NUMBERED = re.compile(r"^\d{1,2}[.)]\s+(.+)$")
_SECTION = re.compile(r"^#{2,3}\s+(.+)$")
_MARKS = re.compile(r"[*_`#]+|\[([^\]]*)\]\([^)]*\)")
_MENTION = re.compile(r"[^\W_]+(?:[-_:./][^\W_]+)*")


def read_steps(body: str) -> tuple[str, ...]:
    """Headings that say step, phase or a number; else numbered lines; else the headings."""
    lines = list(_outside_code(body))
    for pattern in (_STEP_HEADING, _NUMBERED, _SECTION):
        found = [match[1] for line in lines if (match := pattern.match(line))]
        if found:
            return tuple(filter(None, map(_plain, found[:MAX_STEPS])))
    return ()


def mentionable(body: str) -> Iterable[str]:
    """Words that could be an agent's name, in lower case, in the order of first occurrence."""
    found: dict[str, None] = {}
    for word in _MENTION.findall(body.lower()):
        bare = word.rpartition(":")[2]
        if "-" in bare or bare != word:
            found[bare] = None
    return found


def known_among(mentioned: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """The names that are mentioned; `names`: lower case → name."""
    return tuple(names[bare] for bare in mentioned if bare in names)


def _outside_code(body: str) -> Iterable[str]:
    fenced = False
    for line in body.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            yield line[:MAX_LINE]


def _plain(step: str) -> str:
    return cut(clean(_MARKS.sub(r"\1", step)), MAX_STEP)
