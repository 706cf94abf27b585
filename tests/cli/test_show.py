"""Can a person read it?"""

from __future__ import annotations

import sys
from typing import Any

import click
import pytest

from orchestr8_index.catalog.build_lines import BuildLine
from orchestr8_index.cli import show
from orchestr8_index.records import FileReport, Finding

HEALTH: dict[str, Any] = {
    "status": "degraded",
    "version": "1.2.3",
    "uptime_ms": 7_200_000,
    "memory_mb": 40.0,
    "cache": {"hits": 3, "misses": 1, "hit_rate": 0.75},
    "indexes": {"agents": 1200, "skills": 2, "workflows": 3},
    "generation": 4,
    "build_ms": 900,
    "checked_age_s": None,
    "files": {"indexed": 1, "repaired": 2, "skipped": 3},
    "reasons": ["The disk is full."],
}


def finding(number: int, line: int | None = None, cure: str = "Mend it.") -> Finding:
    return Finding("duplicate", "error", "p:n", f"agents/{number}.md", line, "is twice", cure)


def doctor(*findings: Finding) -> str:
    counted = {"indexed": 1, "repaired": 2, "skipped": 3, "not_entries": 4}
    return click.unstyle(show.doctor([], findings, counted, every=False))


def test_a_status_tells_what_is_wrong() -> None:
    text = click.unstyle(show.status({**HEALTH, "pid": 7, "roots": ["/a", "/b"]}, 3700))
    assert text.startswith("Orchestr8 Index 1.2.3: degraded on http://127.0.0.1:3700, process 7")
    assert "up       2 h" in text and "checked never" in text and "75% hits of 4" in text
    assert "root     /b" in text and "! The disk is full." in text


@pytest.mark.parametrize(("place", "ahead"), [(1, "."), (2, "; first is p:a with 0.5000.")])
def test_who_is_first_stands_behind_nobody(place: int, ahead: str) -> None:
    told = {"entry": "p:b", "place": place, "score": 0.25, "first": "p:a", "first_score": 0.5}
    said = show.standing({**told, "lines": [], "lacking": []}, "agent")
    assert said == f"p:b stands at place {place} with 0.2500{ahead}"


def test_of_many_roots_the_first_are_shown() -> None:
    roots = [f"/plugins/{number}" for number in range(60)]
    text = show.status({**HEALTH, "roots": roots}, 3700)
    assert "/plugins/3" in text and "/plugins/4" not in text
    assert "… and 56 more (--json lists all)" in text


def test_a_server_without_an_owner_file_is_described_too() -> None:
    assert "process" not in show.status(HEALTH, 3700)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_spans_are_told_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert show.span(seconds) == text
    assert show.ago(seconds) == f"{text} ago"


def test_thousands_are_separated() -> None:
    assert show.counts(HEALTH["indexes"]) == "1,200 agents, 2 skills, 3 workflows"


def test_an_answer_without_rows_offers_near_names() -> None:
    result = {"agents": [], "reasoning": "No.", "confidence": 0, "near_misses": ["tester", "test"]}
    text = click.unstyle(show.answer("agent", result))
    assert text == "Agents\n  none\n  No. Nearest names: tester, test. Confidence 0.00."


def test_an_answer_numbers_its_rows() -> None:
    row = {"plugin": "p", "name": "n", "score": 0.5, "model": "opus"}
    result = {"agents": [row], "reasoning": "Yes.", "confidence": 0.9}
    assert "  1. p:n  (0.50, opus)\n" in click.unstyle(show.answer("agent", result))


def test_findings_stand_under_their_rule_with_place_and_cure() -> None:
    text = doctor(finding(1, line=7), finding(2, cure=""))
    assert "error: duplicate (2)" in text
    assert "agents/1.md:7  is twice\n      Mend it." in text
    assert text.endswith("agents/2.md  is twice")


def test_many_findings_of_a_rule_are_counted() -> None:
    text = doctor(*(finding(number) for number in range(8)))
    assert "agents/4.md" in text and "agents/5.md" not in text
    assert text.endswith("… and 3 more (--json lists all)")


def test_without_all_the_option_is_named() -> None:
    assert doctor().endswith("4 other markdown files are no entries (--all lists them).")


def test_a_file_row_has_the_contracts_fields() -> None:
    row = show.file_row(FileReport("/r", "a.md", "indexed"))
    assert list(row) == ["root", "path", "outcome", "kind", "name", "reason", "line", "cure"]


# --- progress ----------------------------------------------------------------------------------


def progress(capsys: pytest.CaptureFixture[str], *lines: object) -> str:
    """What a terminal is sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stderr, "isatty", lambda: True)
        bar = show.Progress()
        for line in lines:
            bar(line)
        bar.end()
    return capsys.readouterr().err


def test_progress_is_one_line_that_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    later = {"progress": {"done": 1500, "total": 2000}}
    said = progress(capsys, BuildLine(done=1000, total=2000), later)
    assert "reading 1,000 of 2,000" in said and "reading 1,500" in said
    assert "\n" not in said


@pytest.mark.parametrize("line", [BuildLine(), {"progress": {"done": 0, "total": 0}}])
def test_nothing_known_is_nothing_shown(capsys: pytest.CaptureFixture[str], line: object) -> None:
    assert progress(capsys, line) == ""


def test_where_there_is_no_terminal_there_is_no_progress(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = show.Progress()
    bar(BuildLine(done=1, total=2))
    bar.end()
    assert capsys.readouterr().err == ""


def test_one_is_no_more_than_one() -> None:
    cache = {"hits": 1, "misses": 0, "hit_rate": 1.0}
    assert "100% hits of 1 question\n" in show.status({**HEALTH, "cache": cache}, 3700)
    assert "would load 1 skill\x1b" in next(iter(show.hosts({"claude": {"skills": ["x"]}})))


def test_status_tells_of_outcomes_that_were_put_aside() -> None:
    said = show.status({**HEALTH, "refused_outcomes": 2}, 3700)
    assert "2 outcomes could not be delivered; they are in spool.refused.jsonl" in said
