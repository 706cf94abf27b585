"""Index snapshots that a team's server with roots publishes for servers without.

One server of a project publishes the snapshot that it serves, if another wants it; that one looks
every second for a newer one and stores it as its own generation.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..catalog.build_lines import BuildLine
from ..catalog.snapshot import FORMAT, Files, Generations, Manifest
from ..catalog.worker import BuildChild, Builder
from ..config import Settings
from ..coordinate.clock import iso
from ..errors import BuildFailed, OperationError, StoreUnavailable
from ..validate import UNDECODABLE
from .state import State

if TYPE_CHECKING:
    from ..team.core import TeamCoordination
    from ..team.snapshots import Published

LOOK_SECONDS = 1.0
PATIENCE = 15.0  # seconds to wait for the first publication
LATER = ".cards"  # files that only a next build needs; they are not published
_MANIFEST, _FILES = "manifest.json", "files.msgpack"
_read_manifest = msgspec.json.Decoder(Manifest).decode


def stamp_of(manifest: Manifest) -> str:
    """A digest of the snapshot, the same on all servers whatever its generation's number."""
    bare = msgspec.structs.replace(manifest, generation=0, sums={})
    return hashlib.blake2b(msgspec.json.encode(bare), digest_size=16).hexdigest()


class Fetcher(Builder):
    """A builder that builds nothing: it fetches the snapshot that was published last."""

    published: Published | None = None

    def beside(self, settings: Settings) -> Builder:
        return Builder(settings, on_failure=self.on_failure)

    @property
    def facts(self) -> dict[str, Any]:
        if (last := self.published) is None:
            return {}
        return {"published_by": last.server, "published_at": iso(last.at)}

    def start(self, unless: str = "") -> BuildChild:
        raise BuildFailed("Nothing is built here.")

    def prepare(self) -> None:
        """Does nothing: there is no child."""

    def run(self, unless: str = "", started: BuildChild | None = None) -> BuildLine:
        """Fetch the snapshot, waiting up to 15 seconds for one. Blocks. Raises BuildFailed."""
        from ..team.project import team_project
        from ..team.snapshots import fetch

        generations = Generations(self.settings.data_dir, self.settings.roots_digest)
        newest = _newest(generations) if unless else None
        asked = self.settings.database_url, team_project(self.settings)
        until = time.monotonic() + PATIENCE
        try:
            snapshot = fetch(*asked, stamp_of(newest) if newest else "")
            while snapshot is None and time.monotonic() < until and not self._stopped:
                time.sleep(LOOK_SECONDS)
                snapshot = fetch(*asked)
        except StoreUnavailable as error:
            raise BuildFailed(f"No index can be fetched. {error.sentence}", error.cure) from None
        if snapshot is None:
            cure = "Start one with its trees; a project without a commit needs `project add NAME`."
            raise BuildFailed("No server of the team has published this project's index.", cure)
        self.published = snapshot._replace(files={})
        if not snapshot.files and newest is not None:
            return BuildLine(generation=newest.generation, fresh=True)
        return BuildLine(generation=_keep(generations, snapshot.files).generation)


def _newest(generations: Generations) -> Manifest | None:
    with contextlib.suppress(OperationError):
        return generations.manifest(generations.newest())
    return None


def _keep(generations: Generations, files: dict[str, bytes]) -> Manifest:
    """Store fetched files as a new generation. Raises BuildFailed for damaged files, or those of
    another release."""
    try:
        manifest = _read_manifest(files[_MANIFEST])
        sums = {name: (len(body), zlib.crc32(body)) for name, body in files.items()}
        whole = all(sums[name] == of for name, of in manifest.sums.items() if LATER not in name)
        whole &= all(map(_is_plain, files))
        files_read = msgspec.msgpack.decode(files[_FILES], type=Files)
    except (KeyError, *UNDECODABLE):
        whole = False
    if not whole or manifest.format != FORMAT:
        cure = "Bring all servers of the team to one release."
        raise BuildFailed("The index that was published is damaged, or of another release.", cure)
    made = generations.prepare()
    for name, body in files.items():
        if name not in (_MANIFEST, _FILES):
            (made / name).write_bytes(body)
    return generations.publish(made, manifest, files_read)


def _is_plain(name: str) -> bool:
    """Whether it is a plain file name; it comes from the database, so it may be hostile."""
    return name == Path(name).name and not name.startswith(".")


class Publishing:
    """Publishes the first project's snapshot, or follows the published one, once a second."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._published = ""

    async def step(self) -> float:
        """One step, repeated after a failure; gives the seconds to rest."""
        shared = self._state.shared
        if shared.ready is not None:
            project = shared.project_of(self._state.settings)
            is_fetched = isinstance(self._state.refresh.builder, Fetcher)
            step = self._follow if is_fetched else self._publish
            with contextlib.suppress(StoreUnavailable, OperationError, OSError):
                await step(cast(Any, shared.ready), project)
        return LOOK_SECONDS

    async def _follow(self, team: TeamCoordination, project: str) -> None:
        from ..team.snapshots import stamp_of as published

        refresh = self._state.refresh
        own = stamp_of(refresh.index.manifest) if refresh.index else ""
        stamp = await team.read(published, project)
        if stamp and (stamp != own or refresh.failure):
            await refresh.check()

    async def _publish(self, team: TeamCoordination, project: str) -> None:
        """Publish the snapshot if this server has that duty and some server wants it."""
        from ..team.snapshots import duty_of, is_wanted, publish
        from ..team.snapshots import stamp_of as published

        index, duty = self._state.refresh.index, f"index of {project}"
        if duty not in team.registry.duties:
            has_index = lambda: self._state.refresh.index is not None  # noqa: E731
            team.registry.duties[duty] = duty_of(project), has_index
        if index is None or duty not in team.registry.held:
            return
        stamp = stamp_of(index.manifest)
        if stamp == self._published or not await team.read(is_wanted, project):
            return
        if stamp != await team.read(published, project):
            files = await asyncio.to_thread(_files_of, index.folder)
            about = project, team.server, stamp
            await asyncio.to_thread(publish, self._state.settings.database_url, *about, files)
        self._published = stamp


def _files_of(folder: Path) -> dict[str, bytes]:
    """The published files of a generation. Raises OSError if it was removed meanwhile."""
    paths = [path for path in folder.iterdir() if path.suffix != LATER]
    return {path.name: path.read_bytes() for path in paths}
