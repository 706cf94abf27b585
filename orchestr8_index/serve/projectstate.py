"""The state of one project: its settings, its index and its store."""

from __future__ import annotations

from dataclasses import dataclass

from ..catalog.generations import Refresh
from ..catalog.index import Index
from ..config import Settings
from ..errors import Starting
from .stores import ProjectStore


@dataclass(slots=True, kw_only=True)
class ProjectState:
    """`asked` is the monotonic time of the last request; `shared_part` answers until the first
    index is built; a guest shares its index with other projects."""

    settings: Settings
    refresh: Refresh
    store: ProjectStore
    name: str = ""
    asked: float = float("-inf")
    shared_part: Refresh | None = None
    is_guest: bool = False
    learns_from: tuple[str, ...] = ()
    _own: tuple[Index, Index] | None = None

    @property
    def index(self) -> Index:
        """The index that answers. Raises Starting."""
        found = self.refresh.index
        if found is None and self.shared_part is not None:
            found = self.shared_part.index
        if found is None:
            if self.refresh.failure:
                raise Starting(f"There is no index yet. {self.refresh.failure}")
            raise Starting("The server is building its first index.")
        if not self.is_guest:
            return found
        if self._own is None or self._own[0] is not found:  # each has learnt something else of it
            self._own = found, found.twin()
        return self._own[1]

    @property
    def is_partial(self) -> bool:
        """Whether only the index of the shared part of its roots is ready."""
        return self.refresh.index is None and self.shared_part is not None

    @property
    def can_answer(self) -> bool:
        return any(each and each.index for each in (self.refresh, self.shared_part))

    def sleep(self) -> None:
        """Unload the index; the next request loads it again."""
        self._own = self.shared_part = None
