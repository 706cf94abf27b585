"""The command by which this program starts itself again. Standard library only, for the bridge."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..environment import REPOSITORY

if TYPE_CHECKING:
    from ..config import Door, Settings

_PATH = "import sys; sys.path.append(sys.argv.pop(1));"
_OWN = _PATH + "from orchestr8_index.cli import main; main()"
_WATCH = _PATH + "from orchestr8_index.daemon.watcher import main; sys.exit(main())"


def own_command(*arguments: str) -> list[str]:
    """The command line with these arguments, from whatever folder it is started in."""
    return _python(_OWN, *arguments)


def arguments_of(settings: Settings) -> list[str]:
    """What `serve` needs to be told to come to the same settings."""
    roots = settings.places or settings.roots
    if settings.project is not None:  # what was found is found again, in the same folder
        roots = ()
    named = [part for root in roots for part in ("--root", root)]
    where = ["--port", str(settings.port), "--data-dir", str(settings.data_dir)]
    team = ["--database", settings.database_url] if settings.database_is_named else []
    index = ["--index", settings.index] if settings.index != "own" else []
    return [*named, *where, *_listening(settings.door), *team, *index]


def _listening(door: Door) -> list[str]:
    from ..variables import variables

    words = list[str]()
    for each in variables(type(door)):
        value = getattr(door, each.field)
        if value is True:
            words.append(each.option)
        for one in value if each.kind is tuple else [value] if each.kind is str else []:
            words += [each.option, one] if one else []
    return words


def watch_command(*arguments: str) -> list[str]:
    """The command line of a watcher with these arguments."""
    return _python(_WATCH, *arguments)


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", code, str(REPOSITORY), *arguments]
