"""Is the page on security true? Every test that it names exists."""

from __future__ import annotations

import ast
import re

import pytest

from orchestr8_index.config import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", PAGE)))


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_proves_a_measure_exists(file: str, name: str) -> None:
    tree = ast.parse((REPOSITORY / file).read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert not name or name in defined


THREATS = PAGE.split("## What do the checkers say?")[0].splitlines()


@pytest.mark.parametrize("row", [line for line in THREATS if line.startswith("| ")])
def test_every_threat_has_a_measure_and_a_test(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 3 and all(cells)
    assert "`tests/" in cells[2] or cells[2] == "test"
