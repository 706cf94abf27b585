"""A setting that is changed on one server holds on all of the project; and on a server alone."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from orchestr8_index.errors import BadSetting

from ..processes import World, call, wait_for
from .engines import Postgres

BODY = {"key": "k", "value": "x" * 3000}


def admits(world: World) -> bool:
    """Whether a body of 3,000 bytes is taken."""
    port = world.owner()["port"]
    return "result" in call(port, "writeShared", {"ops": [BODY]})


def changed(world: World, *command: str) -> str:
    done = world.run("config", *command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_settings_reach_all_servers(quick_postgres: Postgres, tmp_path: Path) -> None:
    name = f"o8_{secrets.token_hex(6)}"
    quick_postgres.run(f"CREATE DATABASE {name}", "postgres")
    database = quick_postgres.url.removesuffix("o8") + name
    trees = ("--root", str(tmp_path))
    with World(tmp_path / "a") as a, World(tmp_path / "b") as b:
        for world in (a, b):
            world.serve(*trees, MCP_DATABASE_URL=database)
        assert admits(a) and admits(b)
        changed(a, "set", "max_body", "2000")
        wait_for(lambda: not admits(a) and not admits(b))
        assert "max_body" in changed(b, "get") and "2000" in changed(b, "history", "max_body")
        changed(b, "undo", "max_body")
        wait_for(lambda: admits(a) and admits(b))


def test_a_setting_holds_over_a_restart_of_a_server_alone(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        server = world.serve()
        changed(world, "set", "max_body", "2000")
        wait_for(lambda: not admits(world))
        server.stop()
        world.serve()
        assert not admits(world)
        rows = json.loads(changed(world, "history", "max_body", "--json"))
        assert [row["value"] for row in rows] == [2000] and rows[0]["by"]
        changed(world, "undo", "max_body")
        wait_for(lambda: admits(world))


def test_what_cannot_change_or_be_is_told(tmp_path: Path) -> None:
    from orchestr8_index.changeable import check_setting

    for name, value in (("port", 1), ("rate", "many"), ("rate", -1), ("claims", "perhaps")):
        with pytest.raises(BadSetting):
            check_setting(name, value)
