"""Which web pages may make a browser ask? Our own, and those that a setting names.

DNS rebinding shows in the Host, a page of another origin in the Origin, and what sends no Origin
(an image, a link) in Sec-Fetch-Site. All are read strictly: a user, a second port or anything else
that parsers disagree about is no name at all. Another port of this machine is another origin.
"""

from __future__ import annotations

import re

from starlette.types import Scope

from ..config import Door
from ..errors import EncodingRefused, ForeignOrigin, Misdirected

ADDRESSES = frozenset({"127.0.0.1", "[::1]"})  # at the other one another program may listen
LOCAL_NAMES = ADDRESSES | {"localhost"}
EVERYWHERE = ("0.0.0.0", "::")
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://(.*)")
_USUAL_PORT = {"http": 80, "https": 443}
ORIGIN, CONTENT_TYPE = b"origin", b"content-type"
SITE, MODE, DEST = b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"
OF_BROWSERS = frozenset({ORIGIN, SITE, MODE, DEST})
_JSON = re.compile(rb"application/json *(?:;.*)?", re.IGNORECASE)


def names_of(door: Door) -> frozenset[str]:
    """The names of this machine's loopback, the host listened on, and those allowed by hand."""
    given = [door.host, *door.allow_hosts]
    return LOCAL_NAMES | {_bracketed(name.lower()) for name in given if name not in EVERYWHERE}


def check_host(header: bytes | None, names: frozenset[str]) -> None:
    """Raises Misdirected."""
    if header is None or host_name(header.decode("latin-1")) not in names:
        raise Misdirected("This server does not answer to that name.")


def check_page(
    scope: Scope, headers: dict[bytes, bytes], names: frozenset[str], door: Door
) -> None:
    """Raises ForeignOrigin for what another page made a browser send, and EncodingRefused for what
    any page can send unasked; programs send none of these headers."""
    if OF_BROWSERS.isdisjoint(headers):
        return
    origin = headers.get(ORIGIN, b"").strip().decode("latin-1").lower()
    if origin not in door.allow_origins:
        is_own = ORIGIN not in headers or _is_own(origin, scope, names)
        is_near = headers.get(SITE, b"none").strip() in (b"same-origin", b"none")
        if not is_own or not (is_near or _is_visit(scope, headers)):
            raise ForeignOrigin("Requests from web pages of other origins are refused.")
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    if has_body and not is_json(headers):
        raise EncodingRefused("A page sends its body as application/json.", "Say so.")


def _is_own(origin: str, scope: Scope, names: frozenset[str]) -> bool:
    """Whether the page came from this server: its scheme, its port, and a name that leads here."""
    match, (here, port) = _ORIGIN.fullmatch(origin), scope.get("server") or ("", None)
    if match is None or match[1] != scope.get("scheme"):
        return False
    name, given = split_host(match[2])
    if name in ADDRESSES and name != _bracketed(here):
        return False
    return name in names and (given or _USUAL_PORT[match[1]]) == port


def _is_visit(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """A link to the page itself, followed by a person: that changes nothing and loads nothing."""
    to_page = scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
    if "project" in scope.get("state", {}):  # whose index would be opened for it
        return False
    is_top = headers.get(DEST, b"document").strip() == b"document"
    return to_page and is_top and headers.get(MODE, b"").strip() == b"navigate"


def is_json(headers: dict[bytes, bytes]) -> bool:
    """By what the headers say of the body."""
    return _JSON.fullmatch(headers.get(CONTENT_TYPE, b"").strip()) is not None


def host_name(address: str) -> str:
    """`localhost` for `LocalHost:3700`; "" for what is no host with at most one port."""
    return split_host(address)[0]


def split_host(address: str) -> tuple[str, int]:
    """The name and the port, 0 where none is given; ("", 0) for what is no host."""
    match = _HOST.fullmatch(address.lower())
    return (match[1], int(match[2] or 0)) if match else ("", 0)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
