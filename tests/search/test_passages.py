"""Which section of a text says most about a task?"""

from __future__ import annotations

from orchestr8_index.search.passages import best_passages, sections
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
    assert best({"backup": 5, "restor": 3})[0].startswith("## Rollback")


def test_a_long_section_does_not_win_by_its_length() -> None:
    long = "# A\n\nintro\n\n## All\nbackup " + " ".join(f"word{n}" for n in range(90))
    assert best({"backup": 5}, f"{long}\n## Short\nbackup")[0] == "## Short\nbackup"


def test_the_first_section_where_none_has_a_word() -> None:
    assert best({"sourdough": 5})[0] == "# Guide\n\nIntro."
    assert best({"sourdough": 5}, "") == []


def test_an_introduction_is_passed_over_where_another_section_has_a_word() -> None:
    text = "You restore backups of databases.\n\n## Restore\nFetch the backup and much more."
    assert best({"backup": 5, "restor": 3}, text)[0].startswith("## Restore")


def test_words_of_the_description_and_of_all_sections_choose_nothing() -> None:
    text = "# A\n\nrust\n\n## One\nrust rust\n\n## Two\nrust lifetimes"
    assert best({"rust": 9, "lifetim": 5}, text, {"rust"})[0] == "## Two\nrust lifetimes"


def test_a_long_section_is_read_in_paragraphs_and_code_stays_whole() -> None:
    filler = " ".join(f"word{number}" for number in range(120))
    text = f"# A\n\n{filler}\n\nBorrowing:\n\n```\nlifetimes\n\nmore\n```\n\nThe end."
    assert best({"lifetim": 5}, text) == ["Borrowing:\n\n```\nlifetimes\n\nmore\n```"]


def test_who_works_beside_an_entry_weighs_less_than_how_it_works() -> None:
    text = "# A\n\nx\n\n## Related\nbackup\n\n## Steps\nbackup of every kind of data"
    assert best({"backup": 5}, text)[0].startswith("## Steps")


def best(weights: dict[str, float], text: str = TEXT, said: set[str] | None = None) -> list[str]:
    return best_passages(text, weights, Terms(), said or set())
