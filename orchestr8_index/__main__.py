"""`orchestr8-index` and `python -m orchestr8_index` begin here.

An editor starts `mcp` for every window, and a host `hook` for every event: both go past the command
line and its libraries.
"""

import sys


def main() -> None:
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


if __name__ == "__main__":
    main()
