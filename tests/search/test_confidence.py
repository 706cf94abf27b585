"""How likely is the first hit right?"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import fixture_root
from orchestr8_index.search.confidence import MOST_SHIFT, calibration_of, confidence, features
from orchestr8_index.search.confidence_fit import COEFFICIENTS, SHIPPED_FIT
from orchestr8_index.search.rank import rank
from orchestr8_index.text import Terms


def of(index: Index, text: str, terms: Terms) -> float:
    segment = index.segments["agent"]
    return confidence(segment, rank(segment, text, terms))


def test_nothing_known_is_no_confidence(shipped_index: Index, terms: Terms) -> None:
    assert of(shipped_index, "zzzz qqqq", terms) == 0


def test_a_clear_question_gives_more_confidence(shipped_index: Index, terms: Terms) -> None:
    clear = of(shipped_index, "postgres query plan shows a sequential scan", terms)
    assert 0 < of(shipped_index, "zzzz qqqq plan", terms) < clear < 1


def test_features_are_never_negative(shipped_index: Index, terms: Terms) -> None:
    segment = shipped_index.segments["agent"]
    for line in (fixture_root() / "golden.jsonl").read_text().splitlines():
        ranking = rank(segment, json.loads(line)["query"], terms)
        if ranking.hits:
            seen = features(segment, ranking)
            assert 0 <= seen["relative_squared"] <= 1
            assert min(seen.values()) >= 0


def test_a_first_hit_alone_stands_far_above_the_sixth(shipped_index: Index, terms: Terms) -> None:
    segment = shipped_index.segments["agent"]
    alone, one_of_many = (
        features(segment, rank(segment, text, terms))["drop_squared"]
        for text in ("deadlocks", "review")
    )
    assert alone > one_of_many


def test_no_feature_makes_more_than_a_probability() -> None:
    assert SHIPPED_FIT.probability(dict.fromkeys(COEFFICIENTS, 1e9)) <= 1
    assert 0 <= SHIPPED_FIT.probability({"lead_drop": -1e9}) <= 1


def test_a_failure_lowers_the_confidence_with_the_score(shipped_index: Index, terms: Terms) -> None:
    segment = shipped_index.segments["agent"]
    ranking = rank(segment, "postgres query plan shows a sequential scan", terms)
    first, *others = ranking.hits
    before = confidence(segment, ranking)
    for lost in (0.05, 0.1, 0.2):
        score, relative = first.score * (1 - lost), first.relative * (1 - lost)
        lower = replace(first, score=round(score), relative=relative)
        after = confidence(segment, replace(ranking, hits=(lower, *others)))
        assert after < before
        before = after


# --- by outcomes -------------------------------------------------------------------------------

JUDGED = st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans()), max_size=60)


def test_without_outcomes_nothing_moves() -> None:
    assert calibration_of([]).shift == 0
    assert calibration_of([(0.8, True)] * 4 + [(0.8, False)]).shift == 0


def test_a_confidence_that_says_too_little_says_more() -> None:
    found = calibration_of([(0.5, True)] * 70 + [(0.5, False)] * 30)
    assert found.predicted == pytest.approx(found.right, abs=0.05) and found.right == 0.7


@given(JUDGED, st.floats(0.01, 0.99))
def test_the_shift_is_bounded_and_no_wrong_hit_raises_it(
    judged: list[tuple[float, bool]], sure: float
) -> None:
    before, after = calibration_of(judged), calibration_of([*judged, (sure, False)])
    assert -MOST_SHIFT <= after.shift <= before.shift <= MOST_SHIFT
