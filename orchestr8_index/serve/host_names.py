"""Checks of the Host, Origin and Sec-Fetch headers: requests of our own page and allowed origins.

Host reveals DNS rebinding, Origin a page of another origin, and Sec-Fetch-Site what sends no Origin
(an image, a link). They are parsed strictly: a user, a second port or anything on which parsers
disagree is refused. Another port of this machine is another origin.
"""

from __future__ import annotations

import re

from starlette.types import Scope

from ..config import Door
from ..errors import EncodingRefused, ForeignOrigin, Misdirected

ADDRESSES = frozenset({"127.0.0.1", "[::1]"})  # different programs may listen on each
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
    """The host names that are answered: loopback's, the one listened on, and the allowed ones."""
    names = [door.host, *door.allow_hosts]
    return LOCAL_NAMES | {_bracketed(name.lower()) for name in names if name not in EVERYWHERE}


def check_host(header: bytes | None, names: frozenset[str]) -> None:
    """Raises Misdirected for a Host header that is missing or not one of `names`."""
    if header is None or host_name(header.decode("latin-1")) not in names:
        raise Misdirected("This server does not answer to that name.")


def check_page(
    scope: Scope, headers: dict[bytes, bytes], names: frozenset[str], door: Door
) -> None:
    """Check a browser's request; programs send none of these headers. Raises ForeignOrigin for
    another origin's page, EncodingRefused for a body that needs no CORS preflight."""
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
    """Whether an origin is this server's: its scheme, its port, and one of its names."""
    match, (here, port) = _ORIGIN.fullmatch(origin), scope.get("server") or ("", None)
    if match is None or match[1] != scope.get("scheme"):
        return False
    name, number = split_host(match[2])
    if name in ADDRESSES and name != _bracketed(here):
        return False
    return name in names and (number or _USUAL_PORT[match[1]]) == port


def _is_visit(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether it is a navigation to the page, as by a link: that changes nothing."""
    to_page = scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
    if "project" in scope.get("state", {}):  # it would open that project's index
        return False
    is_top = headers.get(DEST, b"document").strip() == b"document"
    return to_page and is_top and headers.get(MODE, b"").strip() == b"navigate"


def is_json(headers: dict[bytes, bytes]) -> bool:
    """Whether the Content-Type is application/json."""
    return _JSON.fullmatch(headers.get(CONTENT_TYPE, b"").strip()) is not None


def host_name(address: str) -> str:
    """The lower-case name in `NAME` or `NAME:PORT`; "" for anything else."""
    return split_host(address)[0]


def split_host(address: str) -> tuple[str, int]:
    """(lower-case name, port or 0) of `NAME` or `NAME:PORT`; ("", 0) for anything else."""
    match = _HOST.fullmatch(address.lower())
    return (match[1], int(match[2] or 0)) if match else ("", 0)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
