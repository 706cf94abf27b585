"""How does this program start itself again? Standard library only: the bridge does it too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..environment import REPOSITORY

if TYPE_CHECKING:
    from ..config import Settings

_PATH = "import sys; sys.path.append(sys.argv.pop(1));"
_OWN = _PATH + "from orchestr8_index.cli import main; main()"
_WATCH = _PATH + "from orchestr8_index.daemon.watcher import main; sys.exit(main())"


def own_command(*arguments: str) -> list[str]:
    """The command line with these arguments, from whatever folder it is started in."""
    return _python(_OWN, *arguments)


def arguments_of(settings: Settings) -> list[str]:
    """What `serve` needs to be told to come to the same settings."""
    roots = [part for root in settings.roots for part in ("--root", root)]
    door = settings.door
    said = {"host": door.host, "tls-cert": door.tls_cert, "tls-key": door.tls_key}
    named = [part for name, value in said.items() if value for part in (f"--{name}", value)]
    named += [part for name in door.allow_hosts for part in ("--allow-host", name)]
    named += ["--require-keys"] if door.require_keys else []
    where = ["--port", str(settings.port), "--data-dir", str(settings.data_dir)]
    return [*roots, *where, *named]


def watch_command(*arguments: str) -> list[str]:
    return _python(_WATCH, *arguments)


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", code, str(REPOSITORY), *arguments]
