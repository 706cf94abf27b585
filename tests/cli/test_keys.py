"""audit: is it said that nothing has happened?"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from orchestr8_index.store.database import NAME, connect
from orchestr8_index.store.notes import write_audit
from orchestr8_index.store.schema import migrate

from .conftest import Run

EVENT = ("2026-01-02T03:04:05.000+00:00", "ci", "querySkills", "ok", 2)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    with contextlib.closing(connect(tmp_path / "data" / NAME)) as connection:
        migrate(connection)
    return tmp_path / "data" / NAME


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.usefixtures("database")
def test_no_event_is_said(run: Run, form: tuple[str, ...]) -> None:
    said = run("audit", *form)
    assert (said.status, said.out) == (0, "")
    assert said.err.startswith("Nothing has been noted yet: ")


def test_no_database_is_no_event_either(run: Run) -> None:
    assert run("audit").err.startswith("Nothing has been noted yet: ")


def test_an_event_is_one_line(run: Run, database: Path) -> None:
    with contextlib.closing(connect(database)) as connection:
        refused = (EVENT[0], "ci", "writeShared", "-32040", 1)
        write_audit(connection, [refused, EVENT])
        connection.commit()
    assert [json.loads(row)["who"] for row in run("audit", "--json").out.splitlines()] == ["ci"] * 2
    said = run("audit")
    assert "writeShared              Conflict\n" in said.out
    assert said.out.endswith("querySkills              ok x 2\n") and said.err == ""
