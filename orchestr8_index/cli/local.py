"""How does a command answer without a server? From the last snapshot, or a new one."""

from __future__ import annotations

from collections.abc import Callable

from ..catalog.build import BuildLine
from ..catalog.index import Index, open_index, open_newest
from ..catalog.snapshot import Generations
from ..catalog.worker import Builder
from ..config import Settings
from ..errors import SnapshotUnreadable


def generations_of(settings: Settings) -> Generations:
    return Generations(settings.data_dir, settings.roots_digest)


def sound(generations: Generations, index: Index | None) -> Index | None:
    """None for a generation whose files are not what was written: a new one is built then."""
    if index is None:
        return None
    try:
        return None if generations.damage(index.generation) else index
    except SnapshotUnreadable:
        return None


def build_now(
    settings: Settings, progress: Callable[[BuildLine], None], always: bool = False
) -> Index:
    """The newest snapshot if the trees are as they were, else a new one. Raises BuildFailed."""
    generations = generations_of(settings)
    last = sound(generations, open_newest(generations))
    builder = Builder(settings, on_line=progress)
    if last is not None:
        builder.poison = last.manifest.poison
    try:
        line = builder.run("" if always or last is None else last.manifest.digest)
    except KeyboardInterrupt:
        builder.stop()
        raise
    if line.fresh and last is not None:
        return last
    index = open_index(generations, line.generation)
    generations.prune()
    return index
