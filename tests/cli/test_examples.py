"""Which requests did an entry's author write down?"""

from __future__ import annotations

import pytest

from orchestr8_index.cli.golden import examples_of


@pytest.mark.parametrize(
    "text",
    [
        '<example>\nContext: c\nuser: "My pods restart at night"\n</example>',
        '## Examples\n- "My pods restart at night"\n',
        'Use when the user asks to "My pods restart at night" or the like.',
    ],
)
def test_quoted_requests_are_found(text: str) -> None:
    assert examples_of(text, "pod-doctor") == ["My pods restart at night"]


def test_a_request_that_names_the_entry_is_no_example() -> None:
    assert examples_of('user: "Call the pod-doctor for my pods"', "pod-doctor") == []


def test_the_same_request_counts_once() -> None:
    assert len(examples_of('user: "My pods restart"\nuser: "My pods restart"', "x")) == 1
