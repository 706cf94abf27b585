"""What does a command do, and with whom?"""

from __future__ import annotations

import pytest

from orchestr8_index.catalog.parse import MAX_STEP, MAX_STEPS, known_among, mentionable, read_steps


@pytest.mark.parametrize(
    "heading",
    ["## Step 1: Plan", "### Phase 2 - Plan", "# STAGE 1.2) Plan", "## 3. Plan", "## 1.2: Plan"],
)
def test_headings_with_a_number_are_steps(heading: str) -> None:
    assert read_steps(f"# Title\n{heading}\ntext\n1. not this") == ("Plan",)


def test_else_numbered_lines_are_steps() -> None:
    assert read_steps("## Plan\n1. **Read** the `code`\n2) Ask [Ann](x)") == (
        "Read the code",
        "Ask Ann",
    )


def test_else_headings_are_steps() -> None:
    assert read_steps("# Title\n## One\n### Two\n#### Four") == ("One", "Two")


def test_code_holds_no_steps() -> None:
    assert read_steps("```\n## Step 1: no\n```\n~~~\n1. no\n~~~\n") == ()


def test_steps_are_few_and_short() -> None:
    steps = read_steps("\n".join(f"{n}. {'word ' * 40}" for n in range(60)))
    assert len(steps) == MAX_STEPS
    assert max(map(len, steps)) <= MAX_STEP


def test_a_step_without_words_is_none() -> None:
    assert read_steps("1. ***\n2. Go") == ("Go",)


def test_a_hostile_line_takes_no_time() -> None:
    # a megabyte of brackets took an hour
    assert len(read_steps("## " + "[" * 900_000)) == 1


def test_mentions_are_known_agents_in_the_order_of_the_text() -> None:
    body = "Ask code-reviewer, then `data:sql-tuner`. Code-Reviewer again."
    known = {name: name for name in ("sql-tuner", "code-reviewer", "idle-one")}
    assert known_among(mentionable(body), known) == ("code-reviewer", "sql-tuner")


def test_a_plain_word_is_no_mention_unless_qualified() -> None:
    assert list(mentionable("the tester runs")) == []
    assert list(mentionable("run qa:tester")) == ["tester"]
