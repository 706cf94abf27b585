"""`orchestr8-index mcp`: lines from a host's stdin to the server, its messages to stdout."""

from __future__ import annotations

import os
import signal
import sys
import threading

from ..environment import TO_CONNECT, current_folder, environment, home_folder, read_place
from ..errors import BadSetting, StartFailed
from .relay import Relay
from .server import ServerConnection

NAMES = ("--root", "--port", "--data-dir", "--face", "--agent")
SIGNS = "._@/-"  # allowed in a name beside letters and digits
LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
INTERRUPTED = 130
GivenOptions = dict[str, list[str]]


def bridge(arguments: list[str]) -> int | None:
    """The exit status; None for arguments that the command line must read itself (--help)."""
    options = read_options(arguments)
    if options is None:
        return None
    port = [None, *(int(text) for text in options["--port"])][-1]
    folder = [None, *options["--data-dir"]][-1]
    try:
        place = read_place(port, folder, environment(), home_folder(), current_folder())
    except BadSetting as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    os.umask(0o077)
    key = environment().get("MCP_API_KEY", "").strip()
    face, agent = ["", *options["--face"]][-1], ["", *options["--agent"]][-1]
    return run(ServerConnection(place, options["--root"], key, face, agent))


def read_options(arguments: list[str]) -> GivenOptions | None:
    """Each option's values, by the names of NAMES; None for an unknown option or a bad value."""
    options: GivenOptions = {name: [] for name in NAMES}
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        value = value if equals else next(rest, "")
        if name not in options or not value:
            return None
        options[name].append(value)
    good = (t.isascii() and t.isdigit() and int(t) <= 65535 for t in options["--port"])
    known = set(options["--face"]) <= set(TO_CONNECT) and all(map(_is_name, options["--agent"]))
    return options if all(good) and known else None


def _is_name(text: str) -> bool:
    return len(text) <= 100 and text.isascii() and all(c.isalnum() or c in SIGNS for c in text)


def run(server: ServerConnection) -> int:
    """Relay messages until the host closes stdin or ends this process; gives the exit status."""
    relay = Relay(server, Output().write)
    signal.signal(signal.SIGTERM, _leave)
    try:
        _warm(server)
        for line in sys.stdin.buffer:
            if line.strip():
                relay.take(line.strip())
        relay.finish()
    except Terminated:
        relay.end()
        return 0
    except KeyboardInterrupt:
        relay.end()
        return INTERRUPTED
    return 0


class Terminated(BaseException):
    """SIGTERM came; `run` catches it."""


def _leave(number: int, frame: object) -> None:
    raise Terminated


def _warm(server: ServerConnection) -> None:
    """Start the server before the first message; a failure goes to stderr, requests try again."""
    try:
        server.renew()
        server.take_back(server.lend())
    except (OSError, StartFailed) as error:
        print(f"Error: {error}", file=sys.stderr)


class Output:
    """Writes one message a line to stdout; ends the process when the host has closed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def write(self, message: bytes) -> None:
        line = message.translate(LINE_ENDS) + b"\n"
        with self._lock:
            try:
                while line:
                    line = line[os.write(1, line) :]
            except OSError:
                os._exit(0)
