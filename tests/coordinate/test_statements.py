"""Every statement finds its rows by an index that fits it: nothing gets slow with what is kept."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from orchestr8_index.coordinate import statements as sql
from orchestr8_index.coordinate.select import Keys
from orchestr8_index.store.schema import migrate

LOOKS_AT_ALL = {
    *("COUNT_LOCKS", "LEASE_HELD", "LEASE_WAITING"),  # of locks, which are few
    *("ENDS_OF_LOG", "NTH_LAST"),  # along the ids, once an hour
    "MESSAGES",  # to build the index of words again
}
KEYED = {"READ_LOG": "event.key", "READ_LOG_OF": "key", "READ_ITEMS": "key", "HISTORY": "key"}
KEYED |= {"PAST": "key", "KEYS_AMONG": "key"}


def _statements() -> Iterator[tuple[str, str]]:
    for name, text in vars(sql).items():
        if (
            not name.isupper()
            or not isinstance(text, str)
            or name.startswith("_")
            or " " not in text
        ):
            continue
        if name in KEYED:
            for keys in (Keys(("a", "b")), Keys(prefix="a/")):
                yield f"{name} {keys}", sql.where(text, KEYED[name], keys)[0]
        elif "{}" in text:
            yield name, sql.among(text, 2)
        else:
            yield name, text


@pytest.fixture(scope="module")
def empty() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, sql.MIGRATIONS)
        yield connection


@pytest.mark.parametrize(("name", "text"), list(_statements()))
def test_its_rows_are_found_by_an_index(empty: sqlite3.Connection, name: str, text: str) -> None:
    values = [None] * text.count("?")
    plan = [row[3] for row in empty.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    if name in LOOKS_AT_ALL:
        return
    for step in plan:
        looks = step.partition(" ")[0] == "SCAN" and "VIRTUAL TABLE" not in step
        assert not looks or step.split()[1] in ("own", "ready", "written", "CONSTANT"), plan
        assert "('a', 'b')" not in name or "key>" not in step, plan
        if "project=?" in step and step.endswith("(project=?)"):
            assert name in ("HOLDS", "HELD_BY", "WAITS_FOR"), plan
