"""What is counted of the calls: by day, added up, and never more than there is room for."""

from __future__ import annotations

import sqlite3

import pytest

from orchestr8_index.store import usage
from orchestr8_index.store.schema import migrate
from orchestr8_index.store.usage import first_day, read_usage, summed, write_usage


@pytest.fixture
def counting() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    return connection


TODAY, LONG_AGO = first_day(1), first_day(91)


def test_counts_of_a_day_add_up_and_old_days_go(counting: sqlite3.Connection) -> None:
    write_usage(counting, [(LONG_AGO, "ci", "queryAgents", "ok", 1)])
    write_usage(counting, [(TODAY, "ci", "queryAgents", "ok", 2)])
    write_usage(counting, [(TODAY, "ci", "queryAgents", "ok", 3)])
    assert read_usage(counting, 365) == [(TODAY, "ci", "queryAgents", "ok", 5)]


def test_new_names_are_one_where_there_are_too_many(
    counting: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_ROWS", 2)
    for n in range(5):
        write_usage(counting, [(TODAY, f"n{n}", "queryAgents", "ok", 1)])
    names = {who: times for _, who, _, _, times in read_usage(counting, 1)}
    assert names == {"n0": 1, "n1": 1, "others": 3}


def test_a_sum_has_the_most_first_and_errors_by_name() -> None:
    rows = [
        ("2026-01-02", "ann", "lockResources", "-32042", 2),
        ("2026-01-01", "bob", "queryAgents", "ok", 9),
        ("2026-01-01", "ann", "queryAgents", "-32602", 1),
    ]
    found = summed(rows, [("2026-01-03", 700, 2)])
    assert [day["name"] for day in found["days"]] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert found["days"][2] == {"name": "2026-01-03", "calls": 0, "errors": 0} | {
        "tokens": 700,
        "reports": 2,
    }
    assert found["tools"][0] == {"name": "queryAgents", "calls": 10, "errors": 1}
    assert found["tools"][1] == {"name": "lockResources", "calls": 2, "errors": 0}  # an answer
    assert [row["name"] for row in found["callers"]] == ["bob", "ann"]
    assert {row["name"]: row["times"] for row in found["errors"]} == {"Busy": 2, "InvalidParams": 1}
