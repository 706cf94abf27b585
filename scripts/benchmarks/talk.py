"""Would meaning help the search in a talk? Questions to a talk of 50 messages, by words as it is,
and with the vectors of words mixed in at several weights."""

import asyncio
import math
import operator
import tempfile
import time
from pathlib import Path

from orchestr8_index.catalog.word_vectors import LENGTH_UNIT, Words
from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.sharing import SendMessage, SessionCall
from orchestr8_index.text import Terms

from .harness import Run

WEIGHTS = (0.0, 0.3, 0.5, 0.7, 1.0)
ADA = Caller("ada")


def read_talk() -> tuple[list[str], list[tuple[str, int]]]:
    """The messages, and questions with the place of what answers each."""
    lines = Path(__file__).with_name("talk.txt").read_text("utf-8").splitlines()[1:]
    asked = [line[2:].rsplit(" => ", 1) for line in lines if line.startswith("? ")]
    said = [line for line in lines if not line.startswith("? ")]
    return said, [(question, int(place) - 1) for question, place in asked]


async def by_words(said: list[str], questions: list[str]) -> list[dict[int, float]]:
    """The scores of the messages that the search finds, for each question."""
    with tempfile.TemporaryDirectory() as folder:
        state = Coordination(Path(folder))
        state.open()
        state.start()
        await state.session(ADA, SessionCall(action="create", id="s"))
        places = {}
        for place, body in enumerate(said):
            sent = SendMessage(to=[], session="s", body=body)
            places[(await state.send_message(ADA, sent))["id"]] = place
        found = []
        for question in questions:
            read = SessionCall(action="read", id="s", query=question, fuzzy_threshold=0, limit=50)
            told = (await state.session(ADA, read))["messages"]
            found.append({places[each["id"]]: each["score"] / 100 for each in told})
        await state.close()
        return found


def direction(words: Words, terms: Terms, text: str) -> list[float]:
    total = [0.0] * words.dimensions
    for term in terms(text):
        if (place := words.find(term)) is not None:
            weight = words.lengths[place] / LENGTH_UNIT
            for at, byte in enumerate(memoryview(words.vector(place)).cast("b")):
                total[at] += weight * byte
    length = math.sqrt(sum(each * each for each in total)) or 1.0
    return [each / length for each in total]


def hits(scores: list[dict[int, float]], wanted: list[int], most: int) -> float:
    """The share of questions whose answer is among the first."""
    good = 0
    for found, place in zip(scores, wanted, strict=True):
        ranked = sorted(found, key=lambda each: (-found[each], -each))
        good += place in ranked[:most]
    return good / len(wanted)


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments) as run:
        said, asked = read_talk()
        questions, wanted = [text for text, _ in asked], [place for _, place in asked]
        found = asyncio.run(by_words(said, questions))
        words, terms = Words(), Terms()
        started = time.perf_counter()
        means = [direction(words, terms, text) for text in said]
        run.row("vector of a message", (time.perf_counter() - started) * 1000 / len(said), "ms")
        asks = [direction(words, terms, text) for text in questions]
        near = [[max(0.0, sum(map(operator.mul, a, m))) for m in means] for a in asks]
        run.row("questions", len(asked))
        for threshold in (60, 0):
            kept = [{at: s for at, s in by.items() if s * 100 >= threshold} for by in found]
            for weight in WEIGHTS:
                mixed = [mix(by, near[n], weight, bool(threshold)) for n, by in enumerate(kept)]
                share = {f"hit_{most}": hits(mixed, wanted, most) for most in (1, 3)}
                run.row(f"threshold {threshold}, meaning {weight:g}", **share)


def mix(by: dict[int, float], near: list[float], weight: float, only: bool) -> dict[int, float]:
    """Scores of both; `only` what the words have found is ordered anew."""
    places = by if only or not weight else range(len(near))
    return {at: (1 - weight) * by.get(at, 0.0) + weight * near[at] for at in places}
