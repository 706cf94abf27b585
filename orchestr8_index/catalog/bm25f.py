"""The ranking's formulas and constants: BM25F, and idf with a prior.

BM25F: a term's frequency is summed over the fields, each normalised by its own length, and only
then saturated (Robertson, Zaragoza and Taylor, "Simple BM25 extension to multiple weighted fields",
2004). Saturated frequencies are stored, and query weights kept, as integers: sums are then exact in
any order, so that every kernel gives the same ranking to the last bit.
"""

from __future__ import annotations

import math

K1 = 0.9
FIELDS = ("name", "description", "body")
FIELD_WEIGHT = (4.0, 1.0, 0.3)
FIELD_B = (0.2, 0.5, 0.75)
BODY_CREDIT = 1.5  # boost of the fields of an entry without a body, where all others have one
PAIR_WEIGHT = 0.6
BODY_SHARE = 0.1  # df of a term in names or descriptions: at least this share of all with it
MISSPELT_WEIGHT = 0.5
PRIOR_ENTRIES = 250  # weight of the prior on a document frequency, in entries
NAMING_POWER = 0.06
MEANING_WEIGHT = 0.9
MEANING_FULL_TO, MEANING_FALL = 200, 0.5  # in a catalogue of more entries it falls by this power
MEANING_SHORT, SHORT_TO, SHORT_SIZE = 1.8, 4, 300  # what few words add to it, in a small catalogue
SAT_SCALE = 1 << 15
QUERY_SCALE = 1 << 16
SAT_MAX = K1 + 1


def idf(df: float, entries: int) -> float:
    """Inverse document frequency of a term that `df` of `entries` have; never below 0."""
    return math.log(1 + (entries - df + 0.5) / (df + 0.5))


def expected(df: int, entries: int, share: float) -> float:
    """`df` smoothed by PRIOR_ENTRIES more entries, of which `share` have the term, as texts do."""
    return (df + PRIOR_ENTRIES * share) / (entries + PRIOR_ENTRIES) * entries


def topical(naming: float) -> float:
    """The weight of a word by its frequency in names (1: average): those name what is wanted."""
    return math.pow(naming, NAMING_POWER)


def query_weight(tf: int, df: float, entries: int, share: float = 1.0) -> int:
    """(1 + ln tf)·idf·share, as an integer in units of 1/QUERY_SCALE."""
    return round((1 + math.log(tf)) * idf(df, entries) * share * QUERY_SCALE)


def highest(weights: int) -> int:
    """The score of an entry in which query terms of these total weights are saturated."""
    return weights * round(SAT_MAX * SAT_SCALE)
