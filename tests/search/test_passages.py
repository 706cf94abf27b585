"""Which section of a text says most about a task?"""

from __future__ import annotations

from orchestr8_index.search.passages import best_passage, sections
from orchestr8_index.text import Terms

TEXT = """# Guide

Intro.

## Deploy
Roll out the release.

```sh
# not a heading
```

## Rollback
### Database
Restore the backup."""


def test_a_section_is_a_heading_and_what_stands_below() -> None:
    heads = [section.splitlines()[0] for section in sections(TEXT)]
    assert heads == ["# Guide", "## Deploy", "## Rollback"]


def test_a_hash_in_code_is_no_heading() -> None:
    assert "# not a heading" in list(sections(TEXT))[1]


def test_the_section_with_the_questions_words_is_best() -> None:
    assert best_passage(TEXT, {"backup": 5, "restor": 3}, Terms()).startswith("## Rollback")


def test_a_long_section_does_not_win_by_its_length() -> None:
    long = "## All\nbackup " + "word " * 400
    assert best_passage(f"{long}\n## Short\nbackup", {"backup": 5}, Terms()) == "## Short\nbackup"


def test_the_first_section_where_none_has_a_word() -> None:
    assert best_passage(TEXT, {"sourdough": 5}, Terms()) == "# Guide\n\nIntro."
    assert best_passage("", {"sourdough": 5}, Terms()) == ""
