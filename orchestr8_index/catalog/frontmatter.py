"""What does the block between the `---` lines say? Strict YAML, else one of two repairs.

python-frontmatter's YAML handler finds and loads the block, with PyYAML's safe loader. Where strict
YAML fails (half of the files with examples in their description), repair A quotes the one-line
values that YAML cannot read, and repair B reads line by line: only a known key opens a field, every
other line continues the one before it.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import yaml
from frontmatter.default_handlers import YAMLHandler

from ..config import USUAL, ReadLimits
from .yaml_errors import blame

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML without its C library
    from yaml import SafeLoader  # type: ignore[assignment]

MAX_CURE = 4_000  # characters; more is not pasted
KNOWN_KEYS = frozenset(
    """name description tools allowed-tools allowed_tools disallowed-tools disallowedTools model
    color category categories tags keywords capabilities version author license argument-hint
    arguments use_when useWhen use-when when_to_use whenToUse triggers metadata
    disable-model-invocation user-invocable user-invokable skills permissionMode hooks maxTurns
    effort temperature memory background isolation priority title icon emoji dependencies domain
    expertise specialization homepage repository compatibility mcpServers mode risk source
    date_added""".split()
)
TOML_BODIES = ("prompt", "developer_instructions", "instructions")
_FENCE = YAMLHandler.FM_BOUNDARY
_CLOSING = re.compile(r"^(?:-{3,}|\.\.\.)\s*$")
_KEY = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+|$)(.*)$")
_LATE = re.compile(r"\A(?:\s|<!--.*?-->)++(?=-{3,}[ \t]*\n)", re.DOTALL)
_MARKED = re.compile(r"\A\s*-{3,}[ \t]*ya?ml[ \t]*\n", re.IGNORECASE)
_INDENTED = re.compile(r"\A(?:[ \t]*\n)*(?P<pad>[ \t]+)-{3,}[ \t]*\n")
_QUOTE = r"`{3,}|~{3,}|\"{3}|'{3}"
_WRAPPED = re.compile(rf"\s*(?P<mark>{_QUOTE})[ \t]*[\w-]*[ \t]*\n(?=\s*-{{3,}}[ \t]*\n)")
_ANNOUNCED = re.compile(rf"\s*(?:\w[^\n]*\n\s*){{1,2}}(?={_QUOTE})")
_TOML = re.compile(r"\A\s*\+{3}[ \t]*\n(?P<block>.*?\n)\+{3}[ \t]*(?:\n|\Z)", re.DOTALL)
_HEAD = re.compile(
    r"(?P<above>\s*)(?P<mark>`{3,}|~{3,})[ \t]*(?:ya?ml)?[ \t]*\n"
    r"(?P<block>(?:name|description):.*?\n)(?P=mark)[ \t]*(?:\n|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_HEADING = re.compile(r"^#{1,6} \S")
_TAG = "tag:yaml.org,2002:"
_TYPES = ("bool", "int", "float", "timestamp", "binary")


class TextLoader(SafeLoader):
    """A safe loader that leaves scalars, but null, as text: no dates, floats or booleans.

    So with explicit tags too: PyYAML's own reading of `!!bool maybe` ends in a KeyError.
    """


TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag == f"{_TAG}null"]
    for first, rules in SafeLoader.yaml_implicit_resolvers.items()
}
for _type in _TYPES:
    TextLoader.add_constructor(_TAG + _type, SafeLoader.construct_yaml_str)  # type: ignore[type-var]


class Hostile(ValueError):
    """The header tries to harm its reader; `line` counts from 0 at the first line read."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(slots=True)
class Header:
    """`mended` has each repair as (what, line in the file, cure); `lines`: field → its line.

    Lines count from 1.
    """

    limits: ReadLimits = USUAL

    fields: dict[str, Any] = field(default_factory=dict)
    body: str = ""
    mended: list[tuple[str, int | None, str]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    first_line: int = 1
    present: bool = False

    def mend(self, what: str, line: int | None = None, cure: str = "") -> None:
        self.mended.append((what, line, cure))

    def mend_field(self, key: str, what: str, cure: str) -> None:
        self.mend(what, self.lines.get(key, self.first_line + 1), cure)


def read_header(text: str, limits: ReadLimits = USUAL) -> Header:
    """`text` has `\\n` line ends and no control characters. Raises Hostile, with a line from 1."""
    header = Header(limits, body=text)
    text = header.body = _unwrapped(header, text)
    if toml := _TOML.match(text):
        return _read_toml(header, toml["block"], text[toml.end() :])
    if late := _LATE.match(text):
        if late.group().strip():
            header.mend("the header does not start on the first line", 1, "Move it to the top.")
        header.first_line += late.group().count("\n")
        text = text[late.end() :]
    if not _FENCE.match(text):
        return header
    header.present = True
    block, header.body, closed = _split(text)
    if not closed:
        cure = "Put a line with --- after the last field."
        header.mend("the closing --- is missing", header.first_line, cure)
    try:
        header.fields = _lower_keys(header, _read(header, block))
    except Hostile as error:
        raise Hostile(str(error), header.first_line + 1 + error.line) from None
    return header


def _read_toml(header: Header, block: str, body: str) -> Header:
    """A TOML header between +++, as generators of static sites write it; no host reads it."""
    header.present, header.body = True, body
    cure = "Hosts read YAML: write its fields as `key: value` between two lines with ---."
    try:
        header.fields = _lower_keys(header, tomllib.loads(block))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        header.mend(f"the header is TOML that cannot be read: {error}", 1, cure)
        return header
    header.mend("the header is TOML between +++ lines", 1, cure)
    return header


def _unwrapped(header: Header, text: str) -> str:
    """Undo what models do when they write a file: a code fence or quotes around the file or its
    header, an announcement before it, indentation."""
    if head := _HEAD.match(text):
        header.first_line += head["above"].count("\n")
        cure = "Put a line with --- in the place of both fence lines."
        header.mend("the header stands in a code fence", header.first_line, cure)
        return f"---\n{head['block']}---\n{text[head.end() :]}"
    if marked := _MARKED.match(text):
        header.first_line += marked.group().count("\n") - 1
        header.mend("a word stands behind the opening ---", header.first_line, "Remove it.")
        return f"---\n{text[marked.end() :]}"
    if indented := _INDENTED.match(text):
        header.mend("the header is indented", 1, "Begin its lines in the first column.")
        return re.sub(f"^{indented['pad']}", "", text, flags=re.MULTILINE)
    announced = _ANNOUNCED.match(text)
    opening = _WRAPPED.match(text, announced.end() if announced else 0)
    if not opening or (announced and not text.rstrip().endswith(opening["mark"])):
        return text
    wrap = "a code fence" if opening["mark"][0] in "`~" else "triple quotes"
    line = text.count("\n", 0, opening.start("mark")) + 1
    header.mend(f"the whole file stands in {wrap}", line, "Remove both lines around it.")
    header.first_line += text.count("\n", 0, opening.end())
    closing = re.compile(rf"\n{opening['mark'][0]}{{{len(opening['mark'])},}}[ \t]*\s*\Z")
    return closing.sub("\n", text[opening.end() :])


class NotRead(ValueError):
    """A file of TOML or YAML cannot be parsed, nor can its host parse it."""


def read_fields(ending: str, text: str, limits: ReadLimits = USUAL) -> Header:
    """A file of TOML or YAML: its fields, and as the body its prompt (TOML_BODIES).

    Raises NotRead and Hostile.
    """
    try:
        fields = tomllib.loads(text) if ending == ".toml" else load_strict(text, limits)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, RecursionError) as error:
        raise NotRead(str(error)) from None
    if not isinstance(fields, dict):
        raise NotRead("it has no fields")
    body = next((fields[key] for key in TOML_BODIES if isinstance(fields.get(key), str)), "")
    return Header(limits, {**fields, "arguments": None}, body, present=bool(fields))


def _split(text: str) -> tuple[str, str, bool]:
    """(block, body, closed). An unclosed block ends where its first line is no field."""
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines[1:], 1) if _CLOSING.match(line)), None)
    if end is not None and not _swallows_body(lines[1:end]):
        return "\n".join(lines[1:end]), "\n".join(lines[end + 1 :]), True
    end = next((i for i, line in enumerate(lines[1:], 1) if not _is_field(line)), len(lines))
    return "\n".join(lines[1:end]), "\n".join(lines[end:]), False


def _swallows_body(lines: list[str]) -> bool:
    """Whether a heading follows an empty line: then the closing `---` is a rule in the body."""
    pairs = zip(lines, lines[1:], strict=False)
    return any(not before.strip() and _HEADING.match(line) for before, line in pairs)


def _is_field(line: str) -> bool:
    match = _KEY.match(line)
    return bool(match and match[1] in KNOWN_KEYS) or line.startswith((" ", "\t", "- "))


def _read(header: Header, block: str) -> dict[str, Any]:
    header.lines = {key: at + header.first_line + 1 for key, at in _keys(block)}
    try:
        return _accept(header, block, load_strict(block, header.limits))
    except yaml.YAMLError as error:
        keys = [at for _, at in _keys(block)]
        trouble, line = blame(error, block, keys, lambda text: _compose(text, header.limits))
    at = header.first_line + 1 + (line or 0)
    fields = _quote_and_read(block, header.limits) or _read_lines(block)
    header.mend(f"strict YAML fails: {trouble}", at, _cure(fields, block, line))
    return fields


def load_strict(
    block: str, limits: ReadLimits = USUAL, loader: type[TextLoader] = TextLoader
) -> Any:
    """Strict YAML. Raises yaml.YAMLError for any other text, and Hostile."""
    if _nests_too_deep(block, limits.max_yaml_depth):
        raise yaml.YAMLError("its values nest too deep to be read")
    try:
        if "&" in block and "*" in block:
            _refuse_bombs(yaml.compose(block, Loader=TextLoader), limits.max_yaml_nodes)
        return YAMLHandler().load(block, Loader=loader)
    except yaml.constructor.ConstructorError as error:
        if f"{_TAG}python/" in str(error.problem):
            mark = error.problem_mark
            reason = "hostile: a tag asks for a Python object, which is never built"
            raise Hostile(reason, mark.line if mark else 0) from None
        raise
    except Hostile:
        raise
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(type(error).__name__) from error


def _compose(text: str, limits: ReadLimits) -> yaml.Node | None:
    """The tree of nodes, of which no objects are built. Raises yaml.YAMLError."""
    if _nests_too_deep(text, limits.max_yaml_depth):
        raise yaml.YAMLError("its values nest too deep to be read")
    try:
        return yaml.compose(text, Loader=TextLoader)
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(type(error).__name__) from error


def _refuse_bombs(node: Any, most: int) -> None:
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 0  # being counted: met again now, it contains itself
            children = getattr(node, "value", ())
            flat = [part for child in children for part in _parts(child)]
            sizes[id(node)] = 1 + sum(size(part) for part in flat)
        elif not sizes[id(node)]:
            raise Hostile("hostile: a YAML alias inside of its own anchor", node.start_mark.line)
        return sizes[id(node)]

    if node is not None and size(node) > most:
        reason = f"hostile: YAML aliases that expand to {sizes[id(node)]:,} values"
        raise Hostile(reason, node.start_mark.line)


def _parts(child: Any) -> tuple[Any, ...]:
    return child if isinstance(child, tuple) else () if isinstance(child, str) else (child,)


def _accept(header: Header, block: str, fields: Any) -> dict[str, Any]:
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        what = f"the header is a {'list' if isinstance(fields, list) else 'bare text'}, not fields"
        header.mend(what, header.first_line + 1, "Write it as `key: value` lines.")
        return {}
    base = header.first_line + 1
    lines = block.split("\n")
    for key, count in Counter(key for key, _ in _keys(block)).items():
        if count > 1 and key in fields:
            header.mend_field(key, f"{key} stands {count} times, the last one counts", "Keep one.")
    named = {str(key): value for key, value in fields.items()}
    _restore_comment(header, lines, base, named)
    return named


def _lower_keys(header: Header, fields: dict[str, Any]) -> dict[str, Any]:
    """`Name:` is `name:`, unless the header has both."""
    for key in [key for key in fields if key not in KNOWN_KEYS and key.lower() in KNOWN_KEYS]:
        if key.lower() not in fields:
            header.mend_field(key, f"{key} is written in capitals", f"Write it as {key.lower()}.")
            fields[key.lower()] = fields.pop(key)
    return fields


def _keys(block: str) -> list[tuple[str, int]]:
    lines = enumerate(block.split("\n"))
    return [(match[1], at) for at, line in lines if (match := _KEY.match(line))]


def _restore_comment(header: Header, lines: list[str], base: int, fields: dict[str, Any]) -> None:
    """YAML ends a plain value at ` #`; in a description that is text, not a comment."""
    value = fields.get("description")
    for number, line in enumerate(lines):
        match = _KEY.match(line)
        if not match or match[1] != "description" or not isinstance(value, str):
            continue
        written = match[2].strip()
        if written != value and written.startswith(f"{value} #"):
            fields["description"] = written
            cure = f"description: {_quoted(written)}"
            header.mend("description was cut at ` #`", base + number, cure)


def _quote_and_read(block: str, limits: ReadLimits) -> dict[str, Any] | None:
    """Repair A: quote each one-line value that YAML cannot read on its own, and try again."""
    lines = block.split("\n")
    for number, line in enumerate(lines):
        match = _KEY.match(line)
        if match and match[2] and not _readable(line, limits):
            lines[number] = f"{match[1]}: {_quoted(match[2].strip())}"
    try:
        fields = load_strict("\n".join(lines), limits)
    except yaml.YAMLError:
        return None
    return {str(k): v for k, v in fields.items()} if isinstance(fields, dict) else None


def _readable(line: str, limits: ReadLimits) -> bool:
    try:
        return isinstance(load_strict(line, limits), dict)
    except Hostile:
        return True  # reported, with its line, when the whole block is loaded
    except yaml.YAMLError:
        return line.rstrip().endswith(("|", ">", "|-", ">-"))


def _read_lines(block: str) -> dict[str, Any]:
    """Repair B: a known key opens a field; any other line continues the one before it."""
    fields: dict[str, list[str]] = {}
    current: list[str] = []
    for line in block.split("\n"):
        match = _KEY.match(line)
        if match and match[1] in KNOWN_KEYS:
            current = fields[match[1]] = [match[2]]
        else:
            current.append(line)
    return {key: _unquoted(lines) for key, lines in fields.items()}


def _unquoted(lines: list[str]) -> Any:
    first = lines[0].strip()
    items = [line.strip()[2:] for line in lines[1:] if line.strip().startswith("- ")]
    if not first and items and len(items) == len([line for line in lines[1:] if line.strip()]):
        return [item.strip("\"'") for item in items]
    if first in ("|", ">", "|-", ">-"):
        lines = lines[1:]
    text = "\n".join(line.strip() for line in lines).strip()
    quoted = len(text) > 1 and text[0] in "\"'"
    return text[1:].removesuffix(text[0]) if quoted else text


def _nests_too_deep(text: str, most: int) -> bool:
    """libyaml reads by recursion: tens of thousands of levels overrun its stack."""
    brackets = text.count("[") + text.count("{")
    compact = rf"^[ \t]*+(?:[-?:][ \t]+){{{most}}}"
    return brackets >= most <= _nesting(text) or bool(re.search(compact, text, re.MULTILINE))


def _nesting(text: str) -> int:
    depth = deepest = 0
    for mark in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if mark in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _cure(fields: dict[str, Any], block: str, line: int | None) -> str:
    """The replacement for the line that failed, where it is one field on one line."""
    lines = block.split("\n")
    match = _KEY.match(lines[line]) if line is not None and line < len(lines) else None
    if (
        match
        and len(match[2]) <= MAX_CURE
        and isinstance(fields.get(match[1]), str)
        and "\n" not in fields[match[1]]
    ):
        return f"{match[1]}: {_quoted(fields[match[1]])}"
    return "Put the value in quotes, or after `|` on lines of its own."


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
