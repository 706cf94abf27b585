from __future__ import annotations

from pathlib import Path

from orchestr8_index.catalog.index import Segment
from orchestr8_index.search.query import read_query
from orchestr8_index.search.rank import contributions
from orchestr8_index.text import Terms

from ..catalog.small import index_of, write_agent

BODY = "Careful work in many small steps, with notes, reviews and reports. " * 4
HEAD = "Reads parquet files."


def by_words(agents: Segment, name: str) -> int:
    query = read_query(agents, "parquet", Terms())
    place = agents.by_name[name][0]
    return sum(points for _, points in contributions(agents, query, place))


def write_pair(root: Path, body: str) -> Segment:
    """`one` lacks a body, `two` is the same with `body`; eight others have `body` as well."""
    write_agent(root, "many", "one", HEAD)
    write_agent(root, "many", "two", HEAD, body)
    for number in range(8):
        write_agent(root, "many", f"worker{number}", f"Plans job {number}.", body)
    return index_of(root, root / "data").segments["agent"]


def test_a_missing_body_is_credited_where_others_have_one(tmp_path: Path) -> None:
    agents = write_pair(tmp_path, BODY)
    assert by_words(agents, "one") > 1.15 * by_words(agents, "two")


def test_where_nobody_has_a_body_nothing_is_credited(tmp_path: Path) -> None:
    agents = write_pair(tmp_path, "")
    assert by_words(agents, "one") == by_words(agents, "two")
