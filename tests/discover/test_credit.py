from __future__ import annotations

from pathlib import Path

from orchestr8_index.discover.rank import rank
from orchestr8_index.text import Terms

from .small import index_of, write_agent

BODY = "Careful work in many small steps, with notes, reviews and reports for everyone. "


def test_an_entry_without_a_body_keeps_up_with_those_that_have_one(tmp_path: Path) -> None:
    for number in range(8):
        mention = "Knows parquet files. " if number == 0 else ""
        name = f"worker-{number}"
        write_agent(tmp_path, "many", name, f"Plans job {number}.", BODY * 4 + mention * 3)
    write_agent(tmp_path, "many", "terse", "Reads parquet files.")
    agents = index_of(tmp_path, tmp_path / "data").segments["agent"]
    first, second = rank(agents, "parquet files", Terms()).hits[:2]
    assert agents.entry(first.place).name == "terse"
    assert first.score > 1.2 * second.score


def test_where_nobody_has_a_body_nothing_changes(tmp_path: Path) -> None:
    write_agent(tmp_path, "many", "one", "Reads parquet files.")
    write_agent(tmp_path, "many", "two", "Writes parquet files.")
    agents = index_of(tmp_path, tmp_path / "data").segments["agent"]
    hits = rank(agents, "parquet", Terms()).hits
    assert hits[0].relative < 0.9 and len(hits) == 2
