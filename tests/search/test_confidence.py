"""How likely is the first hit right?"""

from __future__ import annotations

import json

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import fixture_root
from orchestr8_index.search.confidence import confidence, features
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
            assert 0 < seen["relative"] <= 1
            assert min(seen.values()) >= 0


def test_hits_far_below_the_first_are_no_crowd(shipped_index: Index, terms: Terms) -> None:
    segment = shipped_index.segments["agent"]
    ranking = rank(segment, "deadlocks", terms)
    assert len(ranking.hits) > 1
    assert features(segment, ranking)["crowd"] == 0


def test_no_feature_makes_more_than_a_probability() -> None:
    assert SHIPPED_FIT.probability(dict.fromkeys(COEFFICIENTS, 1e9)) == 1
    assert 0 <= SHIPPED_FIT.probability({"lead": -1e9}) <= 1
