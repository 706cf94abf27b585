"""What is written, and how is it read back?"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.queries import AgentQuery
from orchestr8_index.records import Decision, Pattern
from orchestr8_index.store import ledger, notes, plans, schema
from orchestr8_index.store.database import connect

from ..learn.reporting import decision, written

HOSTILE = (
    "'); DROP TABLE decision_history; --",
    '" OR 1=1 --',
    "Robert'); DELETE FROM decision_history WHERE ('1'='1",
    "a\x00b",
    "%s ? :name @x $1",
    "𝕏 ‮ ﷽ é",
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.lists(TEXT, max_size=3).map(tuple)
DECISIONS = st.builds(
    Decision,
    task_id=TEXT,
    task_description=TEXT,
    agents_used=NAMES,
    result=st.sampled_from(["success", "failure", "partial"]),
    duration_ms=st.none() | st.floats(0, 1e15),
    tokens_saved=st.none() | st.integers(0, 10**15),
    timestamp=TEXT,
    resolved_by=TEXT,
    skills_used=NAMES,
    workflows_used=NAMES,
    model=TEXT,
    caller=TEXT,
    unknown=NAMES,
    reporter=TEXT,
    pattern=st.none() | st.integers(0, 9),
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = connect(tmp_path / "mcp.db")
    schema.migrate(made)
    yield made
    made.close()


@given(DECISIONS)
def test_a_decision_comes_back_as_it_was(made: Decision) -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.migrate(connection)
        numbered = written(connection, made)
        assert list(ledger.checked_decisions(connection)) == [(numbered, True)]
        assert ledger.find_decision(connection, made.task_id) == numbered


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_is_data(connection: sqlite3.Connection, text: str) -> None:
    fields = {"agents_used": (text,), "caller": text, "model": text, "resolved_by": text}
    ledger.insert_decision(connection, decision(text, text, **fields))
    found = ledger.find_decision(connection, text)
    assert found is not None and (found.task_description, found.agents_used) == (text, (text,))
    assert list(ledger.decisions(connection)) == [found]


def test_numbers_grow_and_are_never_used_again(connection: sqlite3.Connection) -> None:
    numbers = [written(connection, decision(f"t{n}")).id for n in range(3)]
    ledger.delete_decisions(connection, numbers[1:])
    assert written(connection, decision("t9")).id == 4


def test_a_task_id_is_there_once(connection: sqlite3.Connection) -> None:
    first = written(connection, decision())
    assert ledger.insert_decision(connection, decision(result="failure")) is None
    assert list(ledger.decisions(connection)) == [first]
    assert written(connection, decision("t2")).id > first.id


def test_an_amendment_replaces_the_row_its_digest_and_the_checkpoint(
    connection: sqlite3.Connection,
) -> None:
    made = written(connection, decision())
    ledger.write_checkpoint(connection, "memory", b"x")
    amended = msgspec.structs.replace(made, result="failure")
    ledger.replace_decision(connection, amended)
    assert list(ledger.checked_decisions(connection)) == [(amended, True)]
    assert ledger.read_checkpoint(connection, "memory") is None


@pytest.mark.parametrize("field", [field for field in Decision.__struct_fields__ if field != "id"])
def test_the_digest_covers_every_field(field: str) -> None:
    other = {"agents_used": ("p:b",), "result": "failure", "duration_ms": 1.0, "tokens_saved": 1}
    lists = dict.fromkeys(("skills_used", "workflows_used", "unknown"), ("x",)) | {"pattern": 1}
    changed = msgspec.structs.replace(decision(), **{field: {**other, **lists}.get(field, "x")})
    assert ledger.digest_of(changed) != ledger.digest_of(decision())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("agents_used", '["p:a'),
        ("agents_used", 5),
        ("result", "tuccess"),
        ("unknown", b"\xff\xff"),
        ("task_description", b"\xffabc"),
        ("duration_ms", "fast"),
        ("tokens_saved", "many"),
    ],
)
def test_an_altered_row_is_read_and_its_digest_tells(
    connection: sqlite3.Connection, column: str, value: object
) -> None:
    """One unreadable row kept the store from opening, and verify from naming the row."""
    ledger.insert_decision(connection, decision(duration_ms=5.0))
    connection.execute(f"UPDATE decision_history SET {column} = ?", (value,))
    ((found, intact),) = ledger.checked_decisions(connection)
    assert (found.id, intact) == (1, False)


def test_a_pattern_comes_back_as_it_was(connection: sqlite3.Connection) -> None:
    made = Pattern(
        id=7,
        goal="g'; --",
        agent_sequence=("p:a", "p:b"),
        dependencies={"p:b": ["p:a"]},
        parallel_groups=[["p:a"], ["p:b"]],
        success_count=2,
        failure_count=1,
        duration_us=3500,
        duration_count=2,
        tokens_total=10,
        tokens_count=4,
        created_at="2026",
        updated_at="2027",
        stored=True,
        stored_by="ci#12ab34cd",
    )
    plans.write_patterns(connection, [made])
    assert plans.patterns(connection) == ([made], [])
    row = connection.execute("SELECT avg_duration_ms, avg_tokens_saved FROM orchestration_patterns")
    assert row.fetchone() == (1.75, 2.5)


def test_defining_a_pattern_keeps_its_record(connection: sqlite3.Connection) -> None:
    made = Pattern(id=1, goal="g", agent_sequence=("p:a",), success_count=3)
    plans.write_patterns(connection, [made])
    defined = msgspec.structs.replace(made, success_count=0, parallel_groups=[["p:a"]])
    plans.define_pattern(connection, defined)
    ((found,), _) = plans.patterns(connection)
    assert (found.success_count, found.stored, found.parallel_groups) == (3, True, [["p:a"]])


ANSWER = b'{"agents":[{"name":"a","plugin":"p","score":1}],"confidence":1}'


def logged(connection: sqlite3.Connection, log: notes.QueryLog) -> list[tuple[Any, ...]]:
    notes.write_queries(connection, log.take())
    columns = "capability, role, context, agents_returned, cache_hit, duration_ms, method, times"
    return list(connection.execute(f"SELECT {columns} FROM agent_queries ORDER BY id"))


def test_the_query_log_holds_what_was_asked_and_returned(connection: sqlite3.Connection) -> None:
    asks = msgspec.json.encode(AgentQuery(capability="sql", role="r", context="c"))
    log = notes.QueryLog()
    log.miss(("queryAgents", asks), ANSWER, 1.25)
    log.miss(("queryAgents", asks), ANSWER, 1.5)
    one = ("sql", "r", "c", '["p:a"]', 0)
    assert logged(connection, log) == [
        (*one, 1.25, "queryAgents", 1),
        (*one, 1.5, "queryAgents", 1),
    ]
    assert log.take() == []


def test_equal_hits_of_a_second_are_one_row(connection: sqlite3.Connection) -> None:
    log = notes.QueryLog()
    for spent in (1.0, 2.0, 6.0):
        log.hit(("queryWorkflows", b'{"goal":"ship"}'), ANSWER, spent)
    log.hit(("queryWorkflows", b'{"goal":"test"}'), ANSWER, 1.0)
    rows = logged(connection, log)
    assert [row[2:] for row in rows] == [
        ("ship", '["p:a"]', 1, 3.0, "queryWorkflows", 3),
        ("test", '["p:a"]', 1, 1.0, "queryWorkflows", 1),
    ]
    last = notes.last_queries(connection, 1)[0]
    assert (last["text"], last["cached"], last["times"]) == ("test", True, 1)


def test_the_query_log_forgets_its_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MOST_NOTED", 3)
    log = notes.QueryLog()
    for number in range(5):
        log.miss(("querySkills", str(number).encode()), ANSWER, 1.0)
    assert [question for _, (_, question), *_ in log.take()] == [b"2", b"3", b"4"]


def noted(moment: float, text: str = "") -> notes.QueryNote:
    asks = msgspec.json.encode({"context": text})
    return moment, ("querySkills", asks), b"[]", 1.0, False, 1


def test_pruning_takes_the_oldest(connection: sqlite3.Connection) -> None:
    rows = [noted(float(n)) for n in range(10)]
    notes.write_queries(connection, rows)
    assert notes.prune_queries(connection, 5) == 5
    left = connection.execute("SELECT min(id), count(*) FROM agent_queries").fetchone()
    assert left == (6, 5)
    assert [notes.prune_queries(connection, 4) for _ in range(3)] == [4, 1, 0]


def test_pruning_makes_the_file_smaller(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """The vacuum stopped after its first page."""
    rows = [noted(1.0, "x" * 900) for _ in range(400)]
    notes.write_queries(connection, rows)
    notes.prune_queries(connection)
    assert connection.execute("PRAGMA freelist_count").fetchone()[0] < 5


def test_the_audit_is_bounded(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MOST_AUDIT", 10)
    for number in range(25):
        notes.write_audit(connection, [(f"{number:03}", "ci", "forgetDecisions", "ok", 1)])
    assert [row[0] for row in notes.read_audit(connection, 99)] == [
        f"{n:03}" for n in range(15, 25)
    ]
    assert [row[0] for row in notes.read_audit(connection, 2)] == ["023", "024"]
