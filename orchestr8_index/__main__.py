"""`orchestr8-index` and `python -m orchestr8_index` begin here.

An editor starts `mcp` for every window, and a host `hook` for every event: both go past the command
line and its libraries.
"""

import os
import sys


def main() -> None:
    _open_closed_streams()
    status = None
    if sys.argv[1:2] == ["mcp"]:
        from .bridge.main import bridge

        status = bridge(sys.argv[2:])
    elif sys.argv[1:2] == ["hook"]:
        from .bridge.hook import main as hook

        status = hook(sys.argv[2:])
    if status is not None:
        sys.exit(status)
    from .cli import main as command_line

    command_line()


def _open_closed_streams() -> None:
    """Open them on os.devnull: else the next opened file has their descriptors and their output."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: the stream's own
            setattr(sys, name, os.fdopen(fd, "r" if name == "stdin" else "w"))


if __name__ == "__main__":
    main()
