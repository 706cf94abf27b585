"""Is the page on security true? Every test that it names exists."""

from __future__ import annotations

import re

from orchestr8_index.config import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text("utf-8")


def test_what_proves_a_measure_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", PAGE))
    assert len(named) > 30
    defined = {file: {"", *names_in(file)} for file, _ in named}
    assert [f"{file}::{name}" for file, name in named if name not in defined[file]] == []


def names_in(file: str) -> set[str]:
    text = (REPOSITORY / file).read_text("utf-8")
    return set(re.findall(r"^(?:async )?def (\w+)", text, re.MULTILINE))


def test_every_threat_has_a_measure_and_a_test() -> None:
    threats = PAGE.split("## What do the checkers say?")[0].splitlines()
    rows = [line for line in threats if line.startswith("| ")]
    assert rows and [row for row in rows if not _is_proven(row)] == []


def _is_proven(row: str) -> bool:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    return len(cells) == 3 and all(cells) and ("`tests/" in cells[2] or cells[2] == "test")
