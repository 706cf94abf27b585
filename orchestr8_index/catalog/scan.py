"""Scans the roots: which files are to be read, which are refused, and a digest of all of them.

A real file counts once: links inside the roots are followed once, links out of them are refused.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import msgspec

from .. import __version__
from ..config import USUAL, ReadLimits
from ..opening import read_within
from ..places import looking_hosts, place_of
from ..records import FileReport, Kind, Poison
from ..switches import NOTHING, Switches
from ..text import as_utf8, clean, display
from .layout import Layout, PathUse, read_layout
from .manifests import is_below
from .walk import File, Tree, file_of, is_markdown, walk

SHARED_SKILLS = ".agents/skills"
CODEX_META = "agents/openai.yaml"
_NAMED = re.compile(r"^name:[ \t]*(.+)$", re.M)
_IMPLICIT = re.compile(r"^\s*allow_implicit_invocation:\s*[\"']?(?:false|no|off)\b", re.M | re.I)


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. `tentative`: it is an entry only if its header says so.

    `owners`, `folders` and `packed` are as in Entry; `plain`: its host needs no header;
    `qualified`: another file of its name lies in another folder of the plugin, so that the folder
    belongs to the name. `by_person`: a file beside it, or a host's settings, say that only a person
    starts it; `off`: the hosts whose settings switch it off.
    """

    root: int
    path: str
    kind: Kind
    stem: str
    plugin: str
    size: int
    mtime_ns: int
    tentative: bool = False
    ctime_ns: int = 0
    inode: int = 0
    owners: tuple[str, ...] = ()
    folders: str = ""
    packed: bool = False
    plain: bool = False
    qualified: bool = False
    by_person: bool = False
    off: tuple[str, ...] = ()


@dataclass(slots=True)
class Scan:
    """`digest` changes with any input file, the version, a limit, or the hosts' settings."""

    roots: tuple[str, ...]
    limits: ReadLimits = USUAL
    sources: list[Source] = field(default_factory=list)
    reports: list[FileReport] = field(default_factory=list)
    registries: list[tuple[int, str]] = field(default_factory=list)
    troubles: list[tuple[str, str, str]] = field(default_factory=list)
    digest: str = ""

    def refuse(self, root: int, path: str, reason: str, cure: str = "", entry: bool = True) -> None:
        where = display(path)
        self.reports.append(
            FileReport(self.roots[root], where, "skipped", reason=reason, cure=cure, is_entry=entry)
        )


def scan(
    roots: tuple[str, ...],
    poison: Iterable[Poison] = (),
    limits: ReadLimits = USUAL,
    switches: Switches = NOTHING,
    moved: Iterable[tuple[str, str]] = (),
) -> Scan:
    """Walk `roots` and decide what every markdown file is. Reads manifests and heads of files."""
    result = Scan(roots, limits)
    trees = [walk(root, limits) for root in roots]
    poisoned = {(bad.root, bad.path, bad.size, bad.mtime_ns): bad for bad in poison}
    taken: dict[str, int] = {}
    linked: list[tuple[int, Layout, list[tuple[str, str]]]] = []
    for number, tree in enumerate(trees):
        links = list(_follow(result, number, tree, roots))
        layout = read_layout(tree, [path for path, _ in links], limits, moved)
        result.troubles += [(roots[number], display(p), clean(why)) for p, why in layout.troubles]
        result.registries += [(number, registry.path) for registry in tree.registries]
        for path, reason in tree.unread:
            result.refuse(number, path, reason, _cure_of(reason))
        for path in tree.named_like_files:
            reason = "not an entry: a folder whose name ends in .md"
            result.refuse(number, path, reason, entry=False)
        for file in tree.files:
            _place(result, number, layout, file, f"{tree.root}/{file.path}", taken, poisoned)
        linked.append((number, layout, links))
    for number, layout, links in linked:
        _place_links(result, number, layout, links, taken, poisoned)
    _qualify_namesakes(result.sources)
    _mark_by_person(result, trees)
    if switches.rows:
        _report_declared(result, switches)
        _switch(result, switches)
    behind = [file for _, _, links in linked for file in links]
    result.digest = _digest(trees, behind, limits, switches)
    return result


def _place(
    result: Scan,
    root: int,
    layout: Layout,
    file: File,
    real: str,
    taken: dict[str, int],
    poisoned: dict[tuple[str, str, int, int], Poison],
) -> None:
    place = layout.place(file.path)
    if place.kind is None:
        result.refuse(root, file.path, place.reason, entry=place.unlisted)
    elif real in taken:
        result.refuse(root, file.path, "duplicate: the same file is reached by another root")
    elif bad := poisoned.get((result.roots[root], as_utf8(file.path), file.size, file.mtime_ns)):
        result.refuse(
            root, file.path, bad.reason, "Mend or remove the file; a changed file is read again."
        )
    elif file.size > (most := result.limits.max_file_bytes):
        reason = f"too large: {file.size:,} bytes, the limit is {most:,}"
        result.refuse(root, file.path, reason, "Move the long parts into reference files.")
    else:
        taken[real] = len(result.sources)
        result.sources.append(_source(root, layout, file, place))


def _source(root: int, layout: Layout, file: File, place: PathUse) -> Source:
    return Source(
        root=root,
        path=file.path,
        kind=place.kind or "agent",
        stem=place.stem,
        plugin=layout.plugin(file.path),
        size=file.size,
        mtime_ns=file.mtime_ns,
        tentative=place.tentative,
        ctime_ns=file.ctime_ns,
        inode=file.inode,
        owners=(place.owner,) if place.owner else layout.owners(file.path),
        folders=place.folders,
        packed=layout.is_packed(file.path),
        plain=place.plain,
    )


def _place_links(
    result: Scan,
    root: int,
    layout: Layout,
    links: list[tuple[str, str]],
    taken: dict[str, int],
    poisoned: dict[tuple[str, str, int, int], Poison],
) -> None:
    for path, real in links:
        place = layout.place(path)
        if place.kind and real in taken:
            _share(result, taken[real], place.owner)
            reason = "a link to a file that is indexed already"
            cure = "Nothing to do: the file itself is the entry."
            kind_of = "not an entry" if place.owner else "duplicate"
            result.refuse(root, path, f"{kind_of}: {reason}", cure, entry=not place.owner)
            continue
        try:
            status = os.stat(real)
        except OSError as error:
            result.refuse(root, path, f"the link cannot be followed: {error.strerror}")
            continue
        _place(result, root, layout, file_of(path, status), real, taken, poisoned)


def _cure_of(unread: str) -> str:
    if unread.startswith("folders nest"):
        return "Move it further up, or raise MCP_MAX_FOLDER_DEPTH."
    if unread.startswith("the tree has more"):
        return "Name smaller trees with --root, or raise MCP_MAX_FILES."
    return "Give the index read access, or move it away."


def _share(result: Scan, number: int, owner: str) -> None:
    """Add `owner`, a host with a link to the file, to the source's owners."""
    source = result.sources[number]
    if owner and owner not in source.owners:
        result.sources[number] = replace(source, owners=(*source.owners, owner))


def _qualify_namesakes(sources: list[Source]) -> None:
    """Qualify agents of one name in several folders of one plugin, as hosts do."""
    folders: dict[tuple[str, str], set[str]] = {}
    for source in sources:
        if may_be_qualified(source):
            folders.setdefault((source.plugin, source.stem), set()).add(source.folders)
    for number, source in enumerate(sources):
        folders_of_name = folders.get((source.plugin, source.stem), ())
        if may_be_qualified(source) and source.folders and len(folders_of_name) > 1:
            sources[number] = replace(source, qualified=True)


def may_be_qualified(source: Source) -> bool:
    """Whether its hosts tell agents of one name apart by folder; few do in their own folders."""
    if source.kind != "agent":
        return False
    places = (place_of(owner, "agent") for owner in source.owners)
    by_path = (place and "{path}" in place.call for place in places)
    return source.packed or not source.owners or any(by_path)


def _mark_by_person(result: Scan, trees: list[Tree]) -> None:
    """Mark skills that a model may not start, by the file of Codex beside them."""
    meta = {(n, file.path) for n, tree in enumerate(trees) for file in tree.files}
    for number, source in enumerate(result.sources):
        beside = f"{source.path.rpartition('/')[0]}/{CODEX_META}".lstrip("/")
        if source.kind == "skill" and (source.root, beside) in meta:
            if _IMPLICIT.search(_head(result.roots[source.root], beside)):
                result.sources[number] = replace(source, by_person=True)


def _switch(result: Scan, switches: Switches) -> None:
    """Refuse files that no host on this machine would load; note in others who would not."""
    here, kept = {host for host, _ in switches.here}, []
    for source in result.sources:
        known = looking_hosts(source)
        asked = [host for host in known if host in switches.hosts]
        names, real = _names_of(result, source) if asked else ((), "")
        found = [s for host in asked if (s := switches.of(host, source.kind, names, real))]
        off = {each.host: each for each in found if each.state == "off"}
        if off and here.isdisjoint({*known} - {*off}):
            where = ", ".join(display(each.file) for each in off.values())
            reason = f"switched off: no host that is here loads it, as {where} says"
            result.refuse(source.root, source.path, reason, "Switch it on there, if it is wanted.")
            continue
        by_person = source.by_person or any(each.state == "user" for each in found)
        kept.append(replace(source, by_person=by_person, off=tuple(off)))
    result.sources[:] = kept


def _report_declared(result: Scan, switches: Switches) -> None:
    """Report agents and commands that are in a host's settings alone, as an entry is a file."""
    files = {
        (host, source.kind, f"{source.folders}/{source.stem}".lstrip("/"))
        for source in result.sources
        for host in looking_hosts(source)
    }
    for row in switches.declared():
        kind, (folder, file) = row.kinds[0], os.path.split(row.file)
        place = place_of(row.host, kind)
        if place is None or (row.host, kind, row.what) in files:
            continue
        where = place.project[0] if row.own else f"{folder}/{os.path.basename(place.project[0])}"
        name = display(row.what)
        reason = f"declared: {name} stands in {display(row.file)}, and an entry is a file"
        cure = f"Write it as {display(where)}/{name}.md."
        report = FileReport(display(folder), file, "skipped", kind, name, reason, cure=cure)
        result.reports.append(report)


def _names_of(result: Scan, source: Source) -> tuple[set[str], str]:
    """What a host's settings may call it, and the file's real path."""
    root = result.roots[source.root]
    named = _NAMED.search(_head(root, source.path)) if source.kind != "workflow" else None
    name = named[1].strip(" \"'") if named else source.stem
    names = {f"{source.plugin}:{name}"} if source.packed else {name}
    if source.folders:
        names |= {":".join((*source.folders.split("/"), name)), f"{source.folders}/{name}"}
    return names, os.path.realpath(os.path.join(root, source.path))


def _head(root: str, path: str) -> str:
    try:
        return read_within((root,), root, path, 1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""


def _follow(
    result: Scan, root: int, tree: Tree, roots: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Every markdown file that a link of `tree` leads to, as (path through the link, real path)."""
    for link in tree.links:
        full = f"{tree.root}/{link}"
        try:
            real = os.path.realpath(full, strict=True)
        except OSError as error:
            what = "loop: links that lead in a circle"
            reason = what if error.errno == errno.ELOOP else "the link leads nowhere"
            result.refuse(root, link, reason, "Remove the link.")
            continue
        known_to_hosts = f"/{SHARED_SKILLS}/" in real  # where `npx skills` puts what it links to
        if not known_to_hosts and not any(is_below(real, known) for known in roots):
            reason = "outside: the link leads out of the roots and is not followed"
            result.refuse(root, link, reason, "Name the folder it leads to with --root as well.")
        elif os.path.isdir(real):
            yield from _behind(link, real, full, result.limits)
        elif is_markdown(real) and os.path.isfile(real):
            yield link, real
        else:
            result.refuse(root, link, "the link leads to something else than a markdown file")


def _behind(link: str, real: str, full: str, limits: ReadLimits) -> Iterator[tuple[str, str]]:
    """The files of a linked folder; none if the link lies in that folder itself (a cycle)."""
    if f"{full}/".startswith(f"{real}/"):
        return
    for file in walk(real, limits).files:
        yield f"{link}/{file.path}", f"{real}/{file.path}"


def _digest(
    trees: list[Tree], behind: list[tuple[str, str]], limits: ReadLimits, switches: Switches
) -> str:
    """A digest of all files' stamps, and of the version, the limits, and the hosts' settings."""
    state = hashlib.sha256(f"{__version__} {limits.recipe}".encode())
    if switches.rows:
        state.update(msgspec.json.encode(switches))
    for line in (*_facts(trees), *(f"{path}\0{_stamp(real)}" for path, real in behind)):
        state.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return state.hexdigest()[:32]


def _facts(trees: list[Tree]) -> Iterator[str]:
    for tree in trees:
        for file in (*tree.files, *tree.manifests, *tree.registries):
            stamp = f"{file.size}\0{file.mtime_ns}\0{file.ctime_ns}\0{file.inode}"
            yield f"{tree.root}\0{file.path}\0{stamp}"
        for path in tree.links:
            yield f"{tree.root}\0{path}\0{_target(f'{tree.root}/{path}')}"


def _target(link: str) -> str:
    """The real path that a link leads to; "" if it cannot be read."""
    try:
        return os.path.realpath(link)
    except OSError:
        return ""


def _stamp(path: str) -> str:
    """Size and times of a file behind a link, which no walk may have seen; "gone" without it."""
    try:
        status = os.stat(path)
    except OSError:
        return "gone"
    return f"{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
