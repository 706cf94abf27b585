"""Do all texts draw the same lines between nobody, perhaps and yes?"""

from __future__ import annotations

import pytest

from orchestr8_index.config import REPOSITORY
from orchestr8_index.search.confidence import DOUBTFUL, SPEAK, SURE
from orchestr8_index.search.confidence_fit import ABSTAIN_BELOW
from orchestr8_index.serve.mcp.tools import INSTRUCTIONS

SKILL = "plugin/skills/delegate-by-asking/SKILL.md"


def test_the_three_lines_stand_in_their_order() -> None:
    assert 0 < ABSTAIN_BELOW < DOUBTFUL < SURE < SPEAK < 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (SKILL, f"- {SURE:g} and above: take the first match"),
        (SKILL, f"- {DOUBTFUL:g} to {SURE:g}: compare"),
        (SKILL, f'- below {DOUBTFUL:g}: treat it as "probably nobody"'),
        ("plugin/commands/find.md", f"A confidence under {DOUBTFUL:.0%}".replace("%", " %")),
        ("docs/recipes.md", f"A confidence under {DOUBTFUL:g} means that probably nobody fits"),
        ("docs/recipes.md", f'if answer["confidence"] >= {DOUBTFUL:g}:'),
        ("docs/recipes.md", f"min_confidence={DOUBTFUL:g})"),
        ("docs/hosts.md", f"sure enough of the\nfirst one ({SPEAK:g}, "),
        ("docs/start.md", f"Below a\nconfidence of {ABSTAIN_BELOW:g} (or your `min_confidence`)"),
        ("ARCHITECTURE.md", f"confidence of {SPEAK:g}"),
    ],
)
def test_a_text_draws_the_line_where_the_program_does(name: str, said: str) -> None:
    assert said in (REPOSITORY / name).read_text("utf-8")


def test_the_model_is_told_the_same() -> None:
    assert f"below {DOUBTFUL:g} reword it" in INSTRUCTIONS
