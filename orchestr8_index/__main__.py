"""`orchestr8-index` and `python -m orchestr8_index` begin here.

An editor starts `mcp` for every window: it goes past the command line and its libraries.
"""

import sys


def main() -> None:
    if sys.argv[1:2] == ["mcp"]:
        from .bridge.main import bridge

        status = bridge(sys.argv[2:])
        if status is not None:
            sys.exit(status)
    from .cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
