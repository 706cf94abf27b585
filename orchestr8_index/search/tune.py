"""Would this catalogue be answered better with vectors and a confidence of its own?

A child process of `orchestr8-index tune`: it reads one JSON request from standard input and writes
JSON lines, progress and then one result. Every candidate is built and asked as the server would;
what learns from the questions is judged on questions that it has not seen. Needs scikit-learn.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from ..catalog import clones
from ..catalog.build import BuildRequest, build
from ..catalog.index import Index, Segment, open_newest
from ..catalog.snapshot import Generations
from ..catalog.word_vectors import Words
from ..config import USUAL, ReadLimits, digest_of_roots
from ..private import make_folder, open_private
from ..records import Kind
from ..text import Terms, fold_name
from . import teach
from .candidates import by_name
from .confidence import features
from .confidence_fit import SHIPPED_FIT, Fit
from .rank import Ranking, rank
from .teach import Lesson, Vectors
from .trial import Seen, Trial, best, judge
from .tuned import CONFIDENCE, FOLDER, VECTORS

FOLDS = 5
DEPTH = 10
LEAST_QUESTIONS, LEAST_OUTCOMES = 30, 100


class TuneQuestion(Struct, frozen=True):
    """A question and the names of which any is right; from golden.jsonl, or a past success."""

    text: str
    expect: tuple[str, ...]
    kind: Kind
    golden: bool


class TuneRequest(Struct, frozen=True):
    roots: tuple[str, ...]
    data_dir: str
    questions: tuple[TuneQuestion, ...]
    dry_run: bool = False
    limits: ReadLimits = USUAL


class TuneResult(Struct, frozen=True):
    questions: int
    unknown: int
    trials: list[Trial]
    kept: list[str]
    verdict: str


class TuneLine(Struct, frozen=True, omit_defaults=True):
    step: str = ""
    result: TuneResult | None = None
    error: str = ""


@dataclass
class Asked:
    """One question's right positions in the catalogue, and the fold in which it is held out."""

    question: TuneQuestion
    right: set[int]
    fold: int


class Tuning:
    """One run: a temporary data directory for each candidate, all indexes of the same roots."""

    def __init__(self, request: TuneRequest, home: Path, say: Callable[[str], None]) -> None:
        self.request, self.home, self.say = request, home, say
        self._built = 0
        self.terms = Terms()
        self._roots_digest = digest_of_roots(request.roots)
        last = open_newest(Generations(Path(request.data_dir), self._roots_digest))
        self._poison = last.manifest.poison if last else ()  # files that end a build

    def index(self, vectors: Vectors | None) -> Index:
        """The catalogue built and opened with these vectors, or the shipped ones."""
        self._built += 1
        data_dir = self.home / str(self._built)
        (data_dir / FOLDER).mkdir(parents=True)
        if vectors is not None:
            vectors.write(data_dir / FOLDER / VECTORS)
        roots, limits = self.request.roots, self.request.limits
        wanted = BuildRequest(roots, str(data_dir), self._poison, limits=limits)
        build(wanted, lambda line: None)
        found = open_newest(Generations(data_dir, self._roots_digest))
        assert found is not None
        return found

    def ask(self, index: Index, asked: Sequence[Asked]) -> list[Seen]:
        return [self._ask(index.segments[each.question.kind], each) for each in asked]

    def _ask(self, segment: Segment, asked: Asked) -> Seen:
        ranking = rank(segment, asked.question.text, self.terms)
        if not ranking.hits:
            return Seen(0, {}, 0.0)
        found = list(clones.fold(segment, (hit.place for hit in ranking.hits)))[:DEPTH]
        place = next((n for n, at in enumerate(found, 1) if at in asked.right), 0)
        seen = features(segment, ranking)
        return Seen(place, seen, SHIPPED_FIT.probability(seen))

    def rival(self, segment: Segment, asked: Asked) -> tuple[Ranking, int | None]:
        """The ranking, and the best entry of it that is wrong."""
        ranking = rank(segment, asked.question.text, self.terms)
        wrong = (hit.place for hit in ranking.hits if hit.place not in asked.right)
        return ranking, next(wrong, None)


# --- what is asked -----------------------------------------------------------------------------


def read_asked(index: Index, questions: Iterable[TuneQuestion]) -> list[Asked]:
    """Those whose entries the catalogue has; near-equal texts share a fold."""
    found: dict[tuple[Kind, str], Asked] = {}
    for question in questions:
        segment = index.segments[question.kind]
        named = {place for name in question.expect for place in by_name(segment, name)}
        right = named.union(*(segment.clones(place) for place in named))
        text = fold_name(question.text)
        if right and text:
            fold = sha256(" ".join(sorted(set(text.split()))).encode()).digest()[0] % FOLDS
            found.setdefault((question.kind, text), Asked(question, right, fold))
    return list(found.values())


def enough(asked: Sequence[Asked]) -> bool:
    golden = sum(each.question.golden for each in asked)
    return golden >= LEAST_QUESTIONS or len(asked) - golden >= LEAST_OUTCOMES


# --- the candidates ----------------------------------------------------------------------------


@dataclass
class Made:
    """A candidate, and how the questions were answered with it while they were held out."""

    made: Vectors | Fit
    seen: list[Seen]


def try_vectors(
    tuning: Tuning, base: Index, asked: Sequence[Asked], before: list[Seen]
) -> Iterator[tuple[Trial, Made]]:
    shipped, own = teach.read(Words()), teach.of_catalogue(base)
    shares = teach.SHARES if own else ()
    for share in shares:
        assert own is not None
        name = f"{share:.0%} from the catalogue" if share else "new words of the catalogue"
        tuning.say(f"vectors, {name}")
        mixed = teach.blend(shipped, own, share)
        after = tuning.ask(tuning.index(mixed), asked)
        yield judge("vectors", name, before, after, len(shares) + 1), Made(mixed, after)
    name = "taught by the questions"
    tuning.say(f"vectors, {name}")
    lessons = [lesson(tuning, base, each) for each in asked]
    after = across(tuning, shipped, lessons, asked)
    every = teach.teach(shipped, lessons)
    yield judge("vectors", name, before, after, len(shares) + 1), Made(every, after)


def across(
    tuning: Tuning, shipped: Vectors, lessons: Sequence[Lesson], asked: Sequence[Asked]
) -> list[Seen]:
    """Each fold's questions answered with vectors that the other folds taught."""
    seen: dict[int, Seen] = {}
    for fold in range(FOLDS):
        places = [n for n, each in enumerate(asked) if each.fold == fold]
        others = [each for n, each in enumerate(lessons) if asked[n].fold != fold]
        if places:
            index = tuning.index(teach.teach(shipped, others))
            seen |= zip(places, tuning.ask(index, [asked[n] for n in places]), strict=True)
    return [seen[n] for n in range(len(asked))]


def lesson(tuning: Tuning, base: Index, asked: Asked) -> Lesson:
    segment = base.segments[asked.question.kind]
    ranking, wrong = tuning.rival(segment, asked)
    words = [word.known_as for word in ranking.query.words if word.known_as is not None]
    rows = np.frombuffer(segment.vectors, np.int8).reshape(segment.size, -1)
    right = rows[sorted(asked.right)].mean(axis=0)
    return Lesson(words, right - (rows[wrong] if wrong is not None else 0))


def try_confidence(
    asked: Sequence[Asked], seen: list[Seen], digest: str
) -> Iterator[tuple[Trial, Made]]:
    """`seen` as the chosen vectors answer; each fold is judged by a fit of the others."""
    folds = [each.fold for each in asked]
    after = [*seen]
    for fold in range(FOLDS):
        fit = fit_of(each for each, own in zip(seen, folds, strict=True) if own != fold)
        for n, each in enumerate(seen):
            if fit and folds[n] == fold and each.features:
                after[n] = Seen(each.place, each.features, fit.probability(each.features))
    if whole := fit_of(seen):
        fit = msgspec.structs.replace(whole, words=digest)
        yield judge("confidence", "shifted and scaled", seen, after, 1), Made(fit, after)


def fit_of(seen: Iterable[Seen]) -> Fit | None:
    """None where there is nothing to tell apart."""
    known = [each for each in seen if each.features]
    right = [each.place == 1 for each in known]
    if all(right) or not any(right):
        return None
    return teach.rescaled([each.features for each in known], right)


# --- one run -----------------------------------------------------------------------------------


def tune(request: TuneRequest, say: Callable[[str], None]) -> TuneResult:
    with tempfile.TemporaryDirectory() as home:
        tuning = Tuning(request, Path(home), say)
        say("the catalogue as it ships")
        base = tuning.index(None)
        asked = read_asked(base, request.questions)
        unknown = len(request.questions) - len(asked)
        if not enough(asked):
            return TuneResult(len(asked), unknown, [], [], _too_few(asked))
        before = tuning.ask(base, asked)
        vectors = list(try_vectors(tuning, base, asked, before))
        chosen = best(vectors)
        say("the confidence")
        digest = _written(chosen[1].made, Path(home)) if chosen else Words().digest
        fits = list(try_confidence(asked, chosen[1].seen if chosen else before, digest))
        fit = best(fits)
    if not request.dry_run and (chosen or fit):
        _keep(Path(request.data_dir), chosen and chosen[1].made, fit and fit[1].made)
    trials = [trial for trial, _ in (*vectors, *fits)]
    kept = [f"{trial.part}: {trial.name}" for trial, _ in filter(None, (chosen, fit))]
    return TuneResult(len(asked), unknown, trials, kept, _verdict(kept, request.dry_run))


def _written(made: Vectors | Fit, home: Path) -> str:
    """The digest by which the confidence will know these vectors."""
    return made.write(home / VECTORS) if isinstance(made, Vectors) else ""


def _keep(data_dir: Path, vectors: Vectors | Fit | None, fit: Vectors | Fit | None) -> None:
    """Written beside its place and renamed; what was tuned before goes away with it."""
    folder = make_folder(data_dir, FOLDER)
    for name, wanted in ((VECTORS, vectors), (CONFIDENCE, fit)):
        made = folder / f"{name}.new"
        if isinstance(wanted, Vectors):
            wanted.write(made)
        elif wanted is not None:
            with open(made, "wb", opener=open_private) as file:
                file.write(msgspec.json.encode(wanted))
        else:
            (folder / name).unlink(missing_ok=True)
            continue
        os.replace(made, folder / name)


def _too_few(asked: Sequence[Asked]) -> str:
    golden = sum(each.question.golden for each in asked)
    return (
        f"Not enough to judge by: {golden} golden questions (at least {LEAST_QUESTIONS}) and "
        f"{len(asked) - golden} past successes (at least {LEAST_OUTCOMES}). Nothing was changed."
    )


def _verdict(kept: list[str], dry_run: bool) -> str:
    if not kept:
        return "Nothing gains more than chance would on questions held out. Nothing was changed."
    what = " and ".join(kept)
    return f"{'Would keep' if dry_run else 'Kept'} {what}."


def _say(line: TuneLine) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """Exit status 0 with a result line, 1 with an error line."""
    gc.disable()
    os.umask(0o077)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=TuneRequest)
    try:
        _say(TuneLine(result=tune(request, lambda step: _say(TuneLine(step=step)))))
    except OSError as error:
        _say(TuneLine(error=error.strerror or type(error).__name__))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
