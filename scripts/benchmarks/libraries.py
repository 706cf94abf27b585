"""Other libraries over the same texts: `libraries.py NAME FILE` prints the figures as JSON.

Each is used as its own documents say, with stemming or stop words where it has them. FILE has
`texts`, `names`, `questions`, and for each question the positions of what is relevant, if known.
"""

import json
import math
import sqlite3
import sys
import time
from collections.abc import Callable

TOP, WARM = 10, 20
Asking = Callable[[str], list[int]]


def bm25s(texts: list[str], names: list[str]) -> Asking:
    import bm25s
    import Stemmer

    split = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, **split), show_progress=False)

    def ask(question: str) -> list[int]:
        asked = bm25s.tokenize(question, **split)
        found, scores = index.retrieve(asked, k=TOP, show_progress=False)
        return [int(at) for at, score in zip(found[0], scores[0], strict=True) if score > 0]

    return ask


def rank_bm25(texts: list[str], names: list[str]) -> Asking:
    import numpy as np
    from rank_bm25 import BM25Okapi

    index = BM25Okapi([text.lower().split() for text in texts])

    def ask(question: str) -> list[int]:
        return [int(at) for at in np.argsort(-index.get_scores(question.lower().split()))[:TOP]]

    return ask


def scikit_learn(texts: list[str], names: list[str]) -> Asking:
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(stop_words="english", sublinear_tf=True)
    whole = vectors.fit_transform(texts)

    def ask(question: str) -> list[int]:
        scores = (whole @ vectors.transform([question]).T).toarray().ravel()
        return [int(at) for at in np.argsort(-scores)[:TOP]]

    return ask


def fts5(texts: list[str], names: list[str]) -> Asking:
    store = sqlite3.connect(":memory:")
    store.execute("CREATE VIRTUAL TABLE entry USING fts5(text, tokenize='porter unicode61')")
    store.executemany("INSERT INTO entry VALUES (?)", ((text,) for text in texts))
    sql = "SELECT rowid - 1 FROM entry WHERE entry MATCH ? ORDER BY bm25(entry) LIMIT ?"

    def ask(question: str) -> list[int]:
        words = ["".join(filter(str.isalnum, word)) for word in question.split()]
        asked = " OR ".join(f'"{word}"' for word in words if word)
        return [row[0] for row in store.execute(sql, (asked, TOP))]

    return ask


def rapidfuzz(texts: list[str], names: list[str]) -> Asking:
    """Names and descriptions: over whole bodies it would compare megabytes for each question."""
    from rapidfuzz import fuzz, process, utils

    known = [utils.default_process(name) for name in names]

    def ask(question: str) -> list[int]:
        asked = utils.default_process(question)
        found = process.extract(asked, known, scorer=fuzz.token_set_ratio, limit=TOP)
        return [at for _, _, at in found]

    return ask


LIBRARIES = {each.__name__: each for each in (bm25s, rank_bm25, scikit_learn, fts5, rapidfuzz)}


def gain(found: list[int], relevant: list[int]) -> float:
    """nDCG of the first TOP."""
    got = sum(1 / math.log2(at + 2) for at, each in enumerate(found[:TOP]) if each in relevant)
    best = sum(1 / math.log2(at + 2) for at in range(min(TOP, len(relevant))))
    return got / best if best else 0.0


def measure(ask: Asking, questions: list[str], relevant: list[list[int]]) -> dict[str, float]:
    spent, gains = [], []
    for number, question in enumerate(questions):
        started = time.perf_counter()
        found = ask(question)
        if number >= WARM:
            spent.append((time.perf_counter() - started) * 1000)
        if relevant:
            gains.append(gain(found, relevant[number]))
    spent.sort()
    figures = {"p50_ms": spent[len(spent) // 2], "p95_ms": spent[len(spent) * 95 // 100]}
    return {**figures, **({"ndcg_10": sum(gains) / len(gains)} if gains else {})}


if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        given = json.load(file)
    asking = LIBRARIES[sys.argv[1]](given["texts"], given["names"])
    print(json.dumps(measure(asking, given["questions"], given["relevant"])))
