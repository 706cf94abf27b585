"""Find the one server: at the port that was named, else the one that owns the data directory.

Standard library only: the bridge and the scripts use it too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote

from ..environment import LOOPBACK
from .pidfile import SERVER_NAME, PidFile

if TYPE_CHECKING:
    from ssl import SSLContext

OWN = (LOOPBACK, "localhost", "::1")
WILDCARDS = ("0.0.0.0", "::")


class Address(NamedTuple):
    """Where a server is, which certificate it must have, and the key to show it.

    `tree` is the folder that one works in, `project` the project that is named.
    `path` stands before the path of each request; without a `tls_cert` a server that is asked over
    `https` must have a certificate that this machine trusts.
    """

    port: int
    host: str = LOOPBACK
    tls_cert: str = ""
    key: str = ""
    https: bool = False
    path: str = ""
    tree: str = ""
    project: str = ""

    def here(self) -> Address:
        """Asked from the folder in which this process works; nobody else's machine is told it."""
        if self.https or self.host not in OWN:
            return self
        try:
            return self._replace(tree=os.getcwd())
        except OSError:  # it was removed
            return self

    @property
    def headers(self) -> dict[str, str]:
        """Which project is meant, as each request says it."""
        headers = {"X-Tree": self.tree, "X-Project": self.project}
        return {name: quote(os.fsencode(value)) for name, value in headers.items() if value}

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.https or self.tls_cert else "http"
        return f"{scheme}://{host}:{self.port}{self.path}"


class Listening(Protocol):
    """Where a server listens, as `config.Door` says it."""

    @property
    def host(self) -> str: ...
    @property
    def tls_cert(self) -> str: ...


class Options(Protocol):
    """What was named, as `Settings` and `environment.Place` say it."""

    @property
    def port(self) -> int: ...
    @property
    def data_dir(self) -> Path: ...
    @property
    def explicit_port(self) -> bool: ...
    @property
    def explicit_data_dir(self) -> bool: ...


def locate(options: Options, key: str = "", door: Listening | None = None) -> Address | None:
    """Where to ask; None where there cannot be a server.

    That is a port named on purpose, else the server that owns the data directory, else (where no
    data directory was named) the usual port. `door` is how that one is reached; `key` is shown
    instead of the one that the owner of the data directory keeps for its own user.
    """
    owner = owner_address(options.data_dir, key)
    named = options.port if options.explicit_port else 0
    if owner is not None and named in (0, owner.port):
        return owner
    if not options.port or (options.explicit_data_dir and not named):
        return None
    return address_of({"port": options.port, **(reached_at(door) if door else {})}, key)


def owner_address(data_dir: Path, key: str = "") -> Address | None:
    """The server that owns the data directory; None without one, and until it has its port."""
    return address_of(PidFile(data_dir / SERVER_NAME).owner(), key)


def address_of(owner: Mapping[str, Any] | None, key: str = "") -> Address | None:
    """The address in what a server wrote into its mcp.pid."""
    port = owner.get("port") if owner else None
    if owner is None or not isinstance(port, int):
        return None
    host, tls_cert = (str(owner.get(name) or "") for name in ("host", "tls_cert"))
    return Address(port, host or LOOPBACK, tls_cert, key or str(owner.get("local_key", "")))


def reached_at(door: Listening) -> dict[str, str]:
    """The host and the certificate to ask for, where that is not plain loopback."""
    reached = {"tls_cert": door.tls_cert} if door.tls_cert else {}
    return reached if door.host in (LOOPBACK, *WILDCARDS) else {**reached, "host": door.host}


def trusting(certificate: str) -> SSLContext:
    """A client that takes this one certificate and no other, whatever name stands in it.

    Raises OSError.
    """
    import ssl  # where there is a certificate alone

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
