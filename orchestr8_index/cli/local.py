"""How does a command answer without a server? From the last snapshot, or a new one."""

from __future__ import annotations

from collections.abc import Callable

from ..config import Settings
from ..discover.build import BuildLine
from ..discover.child import Builder
from ..discover.index import Index, open_index, open_newest
from ..discover.snapshot import Generations


def generations_of(settings: Settings) -> Generations:
    return Generations(settings.data_dir, settings.roots_digest)


def build_now(
    settings: Settings, progress: Callable[[BuildLine], None], always: bool = False
) -> Index:
    """The newest snapshot if the trees are as they were, else a new one. Raises BuildFailed."""
    generations = generations_of(settings)
    last = open_newest(generations)
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
