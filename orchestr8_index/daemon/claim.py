"""May this process be the server? The data directory's lock first, then the port.

Light on imports: it runs before the build's child is started, and the rest is loaded beside that.
"""

from __future__ import annotations

import errno
import os
import socket

from ..config import Settings
from ..errors import AlreadyRunning, PortTaken, StartFailed
from .last import remember
from .pidfile import PidFile
from .taken import taker

HOST = "127.0.0.1"
BACKLOG = 2048


def claim(settings: Settings) -> tuple[PidFile, socket.socket]:
    """The data directory's lock and the listening socket. Raises with a sentence and a cure."""
    pidfile = PidFile(settings.data_dir / "mcp.pid")
    try:
        owned = pidfile.acquire()
    except OSError as error:
        sentence = f"The data directory {settings.data_dir} cannot be used: {error.strerror}."
        raise StartFailed(sentence, "Choose another with --data-dir or MCP_DATA_DIR.") from None
    if not owned:
        owner = pidfile.owner() or {}
        who = f"process {owner.get('pid', '?')} on port {owner.get('port', '?')}"
        sentence = f"A server already runs on this data directory: {who}."
        raise AlreadyRunning(sentence, "Stop it with `down`, or choose another --data-dir.")
    try:
        listening = listen(settings.port)
    except BaseException:
        pidfile.release()
        raise
    port = listening.getsockname()[1]
    pidfile.write(pid=os.getpid(), port=port, roots=list(settings.roots))
    remember(settings)
    return pidfile, listening


def listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"Port {port} is taken by {taker(port)}.") from None
        raise PortTaken(f"Port {port} cannot be used: {error.strerror}.") from None
    listening.set_inheritable(False)
    return listening
