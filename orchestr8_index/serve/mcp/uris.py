"""Which address does an entry have as a resource? `orchestr8://agents/plugin/name`, and back.

Plugins and names are percent-encoded, `/` too, so that any name is exactly one segment.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from ...records import KINDS, PLURAL, Kind

SCHEME = "orchestr8://"
INDEX, PATTERNS = f"{SCHEME}index", f"{SCHEME}patterns"
KIND_OF: dict[str, Kind] = {PLURAL[kind]: kind for kind in KINDS}


def template(kind: Kind) -> str:
    return f"{SCHEME}{PLURAL[kind]}/{{plugin}}/{{name}}"


def address(kind: Kind, plugin: str, name: str) -> str:
    return f"{SCHEME}{PLURAL[kind]}/{encoded(plugin)}/{encoded(name)}"


def entry_at(uri: str) -> tuple[Kind, str, str] | None:
    """(kind, plugin, name) of an entry's address; None for any other."""
    parts = uri.removeprefix(SCHEME).split("/")
    if not uri.startswith(SCHEME) or len(parts) != 3 or parts[0] not in KIND_OF:
        return None
    return KIND_OF[parts[0]], unquote(parts[1]), unquote(parts[2])


def kind_of_template(uri: str) -> Kind | None:
    return next((kind for kind in KINDS if template(kind) == uri), None)


def encoded(name: str) -> str:
    return quote(name, safe="")
