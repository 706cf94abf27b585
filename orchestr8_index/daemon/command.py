"""How does this program start itself again? Standard library only: the bridge does it too."""

from __future__ import annotations

import sys

from ..environment import REPOSITORY

_PATH = "import sys; sys.path.append(sys.argv.pop(1));"
_OWN = _PATH + "from orchestr8_index.cli import main; main()"
_WATCH = _PATH + "from orchestr8_index.daemon.watch import main; sys.exit(main())"


def own_command(*arguments: str) -> list[str]:
    """The command line with these arguments, from whatever folder it is started in."""
    return _python(_OWN, *arguments)


def watch_command(*arguments: str) -> list[str]:
    return _python(_WATCH, *arguments)


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", code, str(REPOSITORY), *arguments]
