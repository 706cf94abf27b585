"""How much does a term say about an entry, and about a query? The ranking's formulas and constants.

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
BODY_CREDIT = 1.5  # what a missing body adds to the other fields, where all others have one
PAIR_WEIGHT = 0.6
BODY_SHARE = 0.1  # a term of names and descriptions counts at least this share of its bodies as df
MISSPELT_WEIGHT = 0.5
PRIOR_ENTRIES = 250  # so many entries of other catalogues stand behind a term's rarity here
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
    """`df` as if PRIOR_ENTRIES more entries had the term as often as texts in general do."""
    return (df + PRIOR_ENTRIES * share) / (entries + PRIOR_ENTRIES) * entries


def topical(naming: float) -> float:
    """Words that things are named by say more about a request than those that tell a story."""
    return math.pow(naming, NAMING_POWER)


def query_weight(tf: int, df: float, entries: int, share: float = 1.0) -> int:
    """(1 + ln tf)·idf·share, as an integer in units of 1/QUERY_SCALE."""
    return round((1 + math.log(tf)) * idf(df, entries) * share * QUERY_SCALE)


def highest(weights: int) -> int:
    """The score that an entry with every query term saturated has."""
    return weights * round(SAT_MAX * SAT_SCALE)
