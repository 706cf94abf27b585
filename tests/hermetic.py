"""An environment in which no test can meet a server, a catalogue or a setting of the machine.

Whatever is left to its default, in this process or in one that it starts, gets an empty home, an
empty data directory and a port on which nobody answers.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import tempfile

from orchestr8_index import environment

_REAL_PORT = environment.DEFAULT_PORT
_LOCAL = ("127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1")


MEMORY, ROOM = "/dev/shm", 4_000_000_000  # bytes


def isolate() -> None:
    """For the rest of this process; called once, before any test is imported."""
    if "TMPDIR" not in os.environ and _suits(MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = MEMORY
    home = tempfile.TemporaryDirectory(prefix="home-")
    closed = socket.socket()  # bound and never listening: nobody else gets the port meanwhile
    closed.bind(("127.0.0.1", 0))
    atexit.register(home.cleanup)
    atexit.register(closed.close)
    for name in [name for name in os.environ if name.startswith(("MCP_", "REDIS_", "NATS_"))]:
        del os.environ[name]
    port = closed.getsockname()[1]
    os.environ |= {"HOME": home.name, "USERPROFILE": home.name, "MCP_PORT": str(port)}
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # else those of each worker wait for all others'
    os.environ["MCP_DATA_DIR"] = os.path.join(home.name, "data")
    environment.DEFAULT_PORT = port  # for tests that take MCP_PORT out of the environment
    sys.addaudithook(_refuse_default_port)


def _suits(folder: str) -> bool:
    """For all files of the tests: nobody waits for a disk there, which stores ask to sync."""
    if not os.access(folder, os.W_OK):
        return False
    there = os.statvfs(folder)
    return not there.f_flag & os.ST_NOEXEC and there.f_bavail * there.f_frsize > ROOM


def _refuse_default_port(event: str, details: tuple[object, ...]) -> None:
    """A test that asks the usual port on purpose, or by a URL written out, fails at once."""
    if event != "socket.connect":
        return
    address = details[1]
    if isinstance(address, tuple) and address[:2] in {(host, _REAL_PORT) for host in _LOCAL}:
        raise AssertionError(f"a test asks the server of the machine, on port {_REAL_PORT}")
