"""A server without trees serves what another of its team publishes."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.errors import BuildFailed
from orchestr8_index.project import Project
from orchestr8_index.serve import publishing
from orchestr8_index.serve.publishing import Fetcher, stamp_of
from orchestr8_index.team.project import team_project
from orchestr8_index.team.snapshots import publish
from orchestr8_index.team.start import SCHEMA, make_tables

from ..processes import Running, World, call, wait_for
from ..trees import agent
from .engines import Postgres
from .test_redis import FIXTURE, git
from .worlds import settings_of


@pytest.fixture
def database(quick_postgres: Postgres) -> str:
    name = f"o8_{secrets.token_hex(6)}"
    quick_postgres.run(f"CREATE DATABASE {name}", "postgres")
    return quick_postgres.url.removesuffix("o8") + name


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[tuple[World, World]]:
    """A clone with its trees, and one where nothing is checked out."""
    with World(tmp_path / "a") as a, World(tmp_path / "b") as b:
        shutil.copytree(FIXTURE / "plugins" / "studio", a.work / ".claude")
        git(a.work, "init", "-q")
        git(a.work, "add", ".")
        git(a.work, "commit", "-q", "-m", "first")
        git(a.work, "clone", "-q", "--no-checkout", ".", str(b.work))
        yield a, b


def found(server: Running, text: str) -> Any:
    answer = call(server.address, "queryAgents", {"context": text, "explain": True})["result"]
    return {**answer, "generation": 0, "cache_hit": False}


def test_what_one_publishes_the_other_serves_and_follows(
    worlds: tuple[World, World], database: str
) -> None:
    a, b = worlds
    environ = {"MCP_DATABASE_URL": database}
    one = a.serve(**environ)
    b.up("--index", "shared", **environ)  # nothing was published yet
    assert b.run("down").returncode == 0
    two = b.serve("--index", "shared", **environ)
    wait_for(lambda: "published_by" in two.health)  # before it has looked it serves what it kept
    assert (two.health["published_by"], two.health["reasons"]) == (one.health["server"], [])
    assert two.health["indexes"] == one.health["indexes"] != {}
    assert found(two, "review code") == found(one, "review code")

    text = agent("zebra-painter", "Paints zebras in stripes.")
    (a.work / ".claude/agents/zebra-painter.md").write_text(text)
    wait_for(lambda: "zebra-painter" in str(found(two, "paint zebras")))
    assert found(two, "paint zebras") == found(one, "paint zebras")

    assert one.stop() == 0  # what was published stays
    assert two.stop() == 0
    two = b.serve(MCP_INDEX="shared", **environ)
    row = found(two, "paint zebras")["agents"][0]
    asked = {"kind": "agent", "plugin": row["plugin"], "name": "zebra-painter"}
    assert call(two.address, "getEntry", asked)["result"]["text"] == "A text."


def test_without_a_database_and_beside_trees_it_is_refused(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        alone = world.run("serve", "--index", "shared")
        assert alone.returncode == 2 and "a team has published, and none is named" in alone.stderr
        both = world.run("serve", "--root", str(FIXTURE), "--index", "shared")
        assert both.returncode != 0 and "has no trees of its own" in both.stderr


@pytest.mark.parametrize("bent", ["agent.segment", "manifest.json", "files.msgpack"])
def test_nothing_is_kept_that_did_not_come_whole(
    shipped_index: Index,
    database: str,
    tmp_path: Path,
    bent: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "PATIENCE", 0.0)
    settings = replace(settings_of(tmp_path), database_url=database, index="shared")
    fetcher, project = Fetcher(settings), team_project(settings)
    make_tables(database, SCHEMA)
    with pytest.raises(BuildFailed, match="No server of the team has published"):
        fetcher.run()
    files = {path.name: path.read_bytes() for path in shipped_index.folder.iterdir()}
    publish(database, project, "a", "stamp", {**files, bent: files[bent][:-9]})
    with pytest.raises(BuildFailed, match="is damaged, or of another release"):
        fetcher.run()
    for name in ("../../out", str(tmp_path / "out"), "..", ".out"):  # of whoever can write there
        publish(database, project, "a", "stamp", {**files, name: b"out"})
        with pytest.raises(BuildFailed, match="is damaged, or of another release"):
            fetcher.run()
    assert not list(tmp_path.rglob("*out"))
    generations = Generations(settings.data_dir, settings.roots_digest)
    assert generations.numbers() == []
    publish(database, project, "a", "stamp", files)
    line = fetcher.run()
    assert (generations.numbers(), generations.damage(line.generation)) == ([1], "")
    assert fetcher.facts["published_by"] == "a"
    assert stamp_of(generations.manifest(1)) == stamp_of(shipped_index.manifest)


def test_an_index_of_another_project_or_database_is_never_served(tmp_path: Path) -> None:
    one = replace(settings_of(tmp_path), database_url="postgresql://a/b", index="shared")
    project = Project(*[str(tmp_path)] * 3)
    for other in ({"database_url": "postgresql://c/d"}, {"project": project}):
        assert replace(one, **other).roots_digest != one.roots_digest
