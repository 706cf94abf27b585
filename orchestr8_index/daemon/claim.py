"""Take the lock of the data directory, then the port: what a process does before it serves.

Light on imports: it runs before the index build starts in its child process, and the heavy modules
are imported while that build runs.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

import msgspec

from .. import __version__
from ..config import LOOPBACK, USUAL, Door, Settings
from ..errors import AlreadyRunning, PortTaken, StartFailed
from ..private import check_data_dir
from .locate import reached_at
from .pidfile import SERVER_NAME, PidFile, using
from .process import own_facts

HOST = LOOPBACK
_UNKNOWN_NAME = (socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_NODATA)
BACKLOG = 2048


def claim(settings: Settings) -> tuple[PidFile, socket.socket]:
    """Lock the data directory's `mcp.pid`, bind the port and write into it where the server is.
    Raises AlreadyRunning, PortTaken or StartFailed, with lock and socket released."""
    if settings.door.tls_cert:
        check_certificate(settings.door)
    pidfile = PidFile(settings.data_dir / SERVER_NAME)
    before = pidfile.last()
    with using(settings.data_dir):
        check_data_dir(settings.data_dir)
        owned = pidfile.acquire()
    if not owned:
        owner = pidfile.owner() or {}
        who = f"process {owner.get('pid', '?')} on port {owner.get('port', '?')}"
        sentence = f"A server already runs on this data directory: {who}."
        raise AlreadyRunning(sentence, "Stop it with `down`, or choose another --data-dir.")
    with contextlib.ExitStack() as undo:
        undo.callback(_release, pidfile, before)
        listening = listen(settings.port, settings.door.host)
        undo.callback(listening.close)
        with using(settings.data_dir):
            pidfile.write(**_facts(settings, listening.getsockname()[1]))
        undo.pop_all()
    return pidfile, listening


def _facts(settings: Settings, port: int) -> dict[str, Any]:
    """The content of `mcp.pid`: the process, its address, its roots and how they are read."""
    facts = {**own_facts(), "version": __version__, "port": port, "roots": list(settings.roots)}
    facts |= {"project": settings.project_key, "explicit": settings.explicit_roots}
    if settings.reading != USUAL:
        facts["reading"] = msgspec.to_builtins(settings.reading)
    return {**facts, **_access(settings)}


def check_certificate(door: Door) -> None:
    """Load the TLS certificate and its key once; raises StartFailed when that fails."""
    import ssl

    try:
        for path in (door.tls_cert, door.tls_key):
            open(path, "rb").close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            door.tls_cert, door.tls_key, password=_refuse_password
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if named := getattr(error, "filename", None):
            reason = f"{named}: {reason}"
        cure = (
            "Name a PEM certificate with --tls-cert and its key, without password, with --tls-key."
        )
        raise StartFailed(f"The certificate cannot be used: {reason}.", cure) from None


def _refuse_password() -> str:
    raise ValueError("its key has a password")


def _release(pidfile: PidFile, before: dict[str, Any] | None) -> None:
    if before:  # the next start still reads which roots were served here
        with contextlib.suppress(OSError):
            pidfile.write(**before)
    pidfile.release()


def _access(settings: Settings) -> dict[str, str]:
    """Host, certificate and key that this user's command line needs; {} for plain loopback."""
    address = reached_at(settings.door)
    return {**address, "local_key": settings.local_key} if settings.local_key else address


def listen(port: int, host: str = HOST) -> socket.socket:
    listening = None
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        if listening:
            listening.close()
        if error.errno in (errno.EADDRNOTAVAIL, *_UNKNOWN_NAME):
            cure = "Name an address of this machine with --host or MCP_HOST."
            raise PortTaken(f"{host} is no address of this machine.", cure) from None
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"Port {port} is taken by another program.") from None
        raise PortTaken(f"Port {port} cannot be used: {error.strerror}.") from None
    listening.set_inheritable(False)
    return listening
