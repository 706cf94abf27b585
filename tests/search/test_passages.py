"""Which section of a text says most about a task?"""

from __future__ import annotations

import pytest

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
    text = f"# A\n\n{filler}\n\nBorrowing:\n\n```\nlifetimes\n\nmore\n```\n\n{filler}"
    assert best({"lifetim": 5}, text) == ["Borrowing:\n\n```\nlifetimes\n\nmore\n```"]


LIST = "- data\n- tables\n- keys"


@pytest.mark.parametrize(
    "other",
    [
        f"## Related\n- backup\n{LIST}",
        "## In short\nAlways think of the backup.",
        f"## Sizes\n{LIST}\n- backup",
        f"## Sizes\n{LIST}\n\n```\nbackup\n```",
        f"## Delivery notification:\n- backup\n{LIST}",
    ],
)
def test_a_section_about_it_goes_before_one_that_mentions_it(other: str) -> None:
    text = f"# A\n\nx\n\n{other}\n\n## Backup\n- every night\n{LIST}"
    assert best({"backup": 5}, text)[0].startswith("## Backup")


def test_a_bold_line_is_a_heading() -> None:
    filler = " ".join(f"word{number}" for number in range(60))
    text = f"# A\n\nx\n\n## B\n{filler}\n\n**Backup**\n\n{LIST}\n\n{filler}"
    assert best({"backup": 5}, text)[0] == f"**Backup**\n\n{LIST}"


def best(weights: dict[str, float], text: str = TEXT, said: set[str] | None = None) -> list[str]:
    return best_passages(text, weights, Terms(), said or set())
