"""What has been learnt: counts by entry and term, summed over the decisions.

Everything here is a sum over decisions, so that any order of report, amendment and removal gives
the same as counting from scratch. One caller (its key, else its name) counts at most CAP times for
one entry and near-equal text; distinct tasks are never capped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from ..memo import Memo
from ..records import KINDS, Calibration, Decision, Experience, Kind
from ..text import Terms, cut
from .credit import WON, credits
from .tasks import Task, hashed, read_task

CAP = 3
SAMPLES = 16  # past tasks kept per entry to explain with
SAMPLE_LENGTH = 80
MEMO = 256
JUDGED, JUDGED_LENGTH = 200, 500  # tasks by which the confidence of a kind is calibrated
Tallies = dict[Kind, dict[str, int]]
Words = dict[Kind, dict[str, dict[str, int]]]
Having = dict[Kind, dict[str, tuple[str, ...]]]
_Key = TypeVar("_Key", str, int)


class TaskOutcome(NamedTuple):
    """Who did a task, or failed at it."""

    entries: frozenset[str] = frozenset()
    won: bool = False


class Memory:
    """The owner of the experience. `revision` grows with every change; `changed` is the revision of
    each kind's last change.

    `words`: entry → word → number of successes. Words are only added to this inner dict, and stay
    with 0 until another dict replaces it. `having`: word → entries. Most words belong to one entry;
    all of an entry's share one tuple. `failed` and `blamed`: the same of failures.
    """

    def __init__(self, terms: Terms) -> None:
        self._memo = Memo[str, Task](MEMO, lambda text: read_task(text, terms))
        self.revision = 0
        self.changed: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.times: dict[int, int] = {}
        self.words: Words = {kind: {} for kind in KINDS}
        self.failed: Words = {kind: {} for kind in KINDS}
        self.having: Having = {kind: {} for kind in KINDS}
        self.blamed: Having = {kind: {} for kind in KINDS}
        self._counts: dict[tuple[Kind, str], Counter[tuple[int, bool]]] = {}
        self.wins: Tallies = {kind: {} for kind in KINDS}
        self.losses: Tallies = {kind: {} for kind in KINDS}
        self._zeros: Counter[tuple[bool, Kind, str]] = Counter()
        self._alone: dict[str, tuple[str]] = {}
        self._touched: Tallies = {kind: {} for kind in KINDS}
        self._samples: dict[tuple[Kind, str], list[tuple[str, tuple[str, ...]]]] = {}
        self.judged: dict[Kind, dict[str, TaskOutcome]] = {kind: {} for kind in KINDS}
        self._judged_won: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.calibrations: dict[Kind, Calibration] = {}
        self._shifts: dict[Kind, float] = {}

    @property
    def experience(self) -> Experience:
        of = (self.having, self.blamed, self.wins, self.words, self.failed)
        asked = (self.counts, self.alike, self.changed_since)
        return Experience(self.revision, *of, *asked, self._shifts)

    def task(self, text: str) -> Task:
        return self._memo[text]

    def add(self, decision: Decision) -> dict[str, int]:
        """Count a decision; returns the quarter points that each `plugin:name` gained or lost."""
        return self._apply(decision, 1)

    def remove(self, decision: Decision) -> dict[str, int]:
        return self._apply(decision, -1)

    def _apply(self, decision: Decision, sign: int) -> dict[str, int]:
        self.revision += 1
        self._keep_outcome(decision, sign)
        task, moved = self.task(decision.task_description), dict[str, int]()
        for kind, entry, points in credits(decision):
            who = f"\1{decision.reporter}" if decision.reporter else decision.caller
            if not self._is_counted(who, kind, entry, points, task.key, sign):
                moved.setdefault(entry, 0)
                continue
            moved[entry] = moved.get(entry, 0) + sign * points
            self._touch(kind, entry)
            self._count_words(points == WON, kind, entry, sign, task)
            if points == WON:
                self._sample(kind, entry, decision.task_description, task, sign)
            _add(self.wins[kind] if points == WON else self.losses[kind], entry, sign)
        return moved

    def _is_counted(
        self, caller: str, kind: Kind, entry: str, points: int, key: int, sign: int
    ) -> bool:
        """Note the report, or its removal; returns whether it is among the CAP that count."""
        cap_key = hashed(f"{caller}\0{kind}\0{entry}\0{points}\0{key}")
        before = self.times.get(cap_key, 0)
        _add(self.times, cap_key, sign)
        return min(before, self.times.get(cap_key, 0)) < CAP

    def _count_words(self, won: bool, kind: Kind, entry: str, sign: int, task: Task) -> None:
        key = (won, kind, entry)
        words = (self.words if won else self.failed)[kind].setdefault(entry, {})
        counts = self._counts.get((kind, entry)) if won else None
        for word in task.words:
            before = words.get(word)
            after = words[word] = (before or 0) + sign
            self._zeros[key] += (after == 0) - (before == 0)
            if bool(before) != bool(after):
                self._index(won, kind, entry, word, bool(after))
            if counts is not None:
                is_pair = " " in word
                counts[before or 0, is_pair] -= 1
                counts[after, is_pair] += 1
        if 2 * self._zeros[key] >= len(words):
            self._purge(key)

    def _purge(self, key: tuple[bool, Kind, str]) -> None:
        """Drop an entry's words with count 0; called once they are half of all (amortised O(1))."""
        won, kind, entry = key
        words = (self.words if won else self.failed)[kind]
        del self._zeros[key]
        if left := _nonzero(words.pop(entry)):
            words[entry] = left

    def counts(self, kind: Kind, entry: str) -> Counter[tuple[int, bool]]:
        """(successes, is a pair) → number of the entry's words; kept up to date from then on."""
        if (known := self._counts.get((kind, entry))) is None:
            words = self.words[kind].get(entry, {}).items()
            known = Counter((won, " " in word) for word, won in words)
            self._counts[kind, entry] = known
        return known

    def _index(self, won: bool, kind: Kind, entry: str, word: str, has: bool) -> None:
        """Add the entry to the word's inverted index of wins (or failures), or remove it."""
        having = (self.having if won else self.blamed)[kind]
        known = having.get(word, ())
        at = bisect_left(known, entry)
        if has == (known[at : at + 1] == (entry,)):
            return
        entries = (*known[:at], entry, *known[at:]) if has else (*known[:at], *known[at + 1 :])
        if entries:
            having[word] = self._shared(entries)
        else:
            del having[word]

    def _sample(self, kind: Kind, entry: str, text: str, task: Task, sign: int) -> None:
        samples = self._samples.setdefault((kind, entry), [])
        sample = (cut(" ".join(text.split()), SAMPLE_LENGTH), tuple(sorted(task.terms)))
        if sign > 0:
            samples.append(sample)
            del samples[:-SAMPLES]
        elif sample in samples:
            samples.remove(sample)

    def _keep_outcome(self, decision: Decision, sign: int = 1) -> None:
        """Keep the last outcome of each text for calibration. Only successes evict others, the
        oldest first: a failure that evicts another one could raise a confidence."""
        text = cut(" ".join(decision.task_description.split()), JUDGED_LENGTH)
        for kind, outcome in _outcomes_of(decision).items():
            judged, won = self.judged[kind], self._judged_won[kind]
            if sign < 0:
                if judged.get(text) == outcome:
                    del judged[text]
                    self._judged_won[kind] -= outcome.won
                continue
            if not outcome.won and text not in judged and len(judged) - won >= JUDGED:
                continue
            won += outcome.won - judged.pop(text, TaskOutcome()).won
            judged[text] = outcome
            while won > JUDGED:
                won -= judged.pop(next(iter(judged))).won
            self._judged_won[kind] = won

    def calibrate(self, kind: Kind, calibration: Calibration) -> None:
        """Set the kind's calibration; a new shift is a change of the kind."""
        moved = calibration.shift != self._shifts.get(kind, 0.0)
        self.calibrations[kind] = calibration
        self._shifts = {each: of.shift for each, of in self.calibrations.items()}
        if moved:
            self.revision += 1
            self.changed[kind] = self.revision

    def remind(self, decision: Decision) -> None:
        """Use a decision that is already counted as a sample, and for calibration."""
        self._keep_outcome(decision)
        task = self.task(decision.task_description)
        for kind, entry, points in credits(decision):
            if points == WON:
                self._sample(kind, entry, decision.task_description, task, 1)

    def _touch(self, kind: Kind, entry: str) -> None:
        """Note the revision at which an entry last changed; the latest comes last."""
        self._touched[kind].pop(entry, None)
        self._touched[kind][entry] = self.changed[kind] = self.revision

    def learnt(self, kind: Kind) -> int:
        """The revision at which an entry of the kind last changed; a calibration changes none."""
        return next(reversed(self._touched[kind].values()), 0)

    def changed_since(self, kind: Kind, revision: int) -> Iterator[str]:
        for entry, changed in reversed(self._touched[kind].items()):
            if changed <= revision:
                return
            yield entry

    def alike(self, kind: Kind, entry: str, terms: Collection[str]) -> str:
        """The entry's sample that shares most terms with these; "" if none shares any."""
        asked, best, most = frozenset(terms), "", 0
        for text, words in self._samples.get((kind, entry), ()):
            shared = len(asked.intersection(words))
            if shared > most:
                best, most = text, shared
        return best

    # --- checkpoints ---------------------------------------------------------------------------

    def dump(self) -> bytes:
        """The counts as bytes, without the samples."""
        words, failed = _nonzero_of(self.words), _nonzero_of(self.failed)
        state = (self.revision, self.times, words, failed, self.wins, self.losses)
        return msgspec.msgpack.encode(state)

    def load(self, data: bytes) -> None:
        """Raises msgspec.MsgspecError when the bytes are not what `dump` made."""
        state = msgspec.msgpack.decode(data, type=_State)
        if any(len(of_kinds) < len(KINDS) for of_kinds in state[2:]):
            raise msgspec.ValidationError("a kind of entries is missing")
        self.revision, self.times, self.words, self.failed, self.wins, self.losses = state
        for kind in KINDS:
            for entry in {**self.words[kind], **self.failed[kind]}:
                self._touch(kind, entry)
            self.having[kind] = self._by_word(self.words[kind])
            self.blamed[kind] = self._by_word(self.failed[kind])

    def _by_word(self, by_entry: dict[str, dict[str, int]]) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for entry in sorted(by_entry):
            for word in by_entry[entry]:
                found.setdefault(word, []).append(entry)
        return {word: self._shared(entries) for word, entries in found.items()}

    def _shared(self, entries: Sequence[str]) -> tuple[str, ...]:
        if len(entries) == 1:
            return self._alone.setdefault(entries[0], (entries[0],))
        return tuple(entries)

    def counted(self) -> dict[str, Any]:
        """The counts, to compare with those of another Memory; no order of decisions shows."""
        return {
            "times": self.times,
            "words": _nonzero_of(self.words),
            "failed": _nonzero_of(self.failed),
            "having": self.having,
            "blamed": self.blamed,
            "wins": self.wins,
            "losses": self.losses,
        }


def _outcomes_of(decision: Decision) -> dict[Kind, TaskOutcome]:
    outcomes: dict[Kind, TaskOutcome] = {}
    for kind, entry, points in credits(decision):
        before = outcomes.get(kind, TaskOutcome(won=points == WON))
        outcomes[kind] = before._replace(entries=before.entries | {entry})
    return outcomes


_Sources = dict[str, tuple[str, Experience]]

_Lent = Mapping[str, Collection[str]]


class _LentWords(Mapping[str, Collection[str]]):
    """word → entries, each only from the source that is chosen for it."""

    def __init__(self, of: _Sources, tables: list[tuple[Experience, _Lent]]) -> None:
        self._of, self._tables = of, tables

    def __getitem__(self, word: str) -> Collection[str]:
        every = ((entry, each) for each, table in self._tables for entry in table.get(word, ()))
        found = [entry for entry, each in every if self._of.get(entry, ("", None))[1] is each]
        if not found:
            raise KeyError(word)
        return found

    def __iter__(self) -> Iterator[str]:
        return (word for word in set().union(*(t for _, t in self._tables)) if word in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def together(own: Experience, lent: Iterable[tuple[str, Experience]]) -> Experience:
    """One's own experience; for an entry without a record in it, that of the first of `lent`,
    (project, experience), that has one. The choice holds until one of them changes."""
    sources = [("", own), *lent]
    of: dict[Kind, _Sources] = {kind: {} for kind in KINDS}
    for kind, chosen in of.items():
        for source in reversed(sources):
            wins, failed = source[1].wins[kind], source[1].failed[kind]
            blamed = (entry for entry, words in failed.items() if any(words.values()))
            chosen.update(dict.fromkeys((*wins, *blamed), source))

    def parts(of_one: Callable[[Experience], Mapping[Kind, Mapping[str, Any]]]) -> Any:
        return {
            kind: {
                entry: part
                for entry, (_, source) in chosen.items()
                if (part := of_one(source)[kind].get(entry))
            }
            for kind, chosen in of.items()
        }

    def words(of_one: Callable[[Experience], Mapping[Kind, _Lent]]) -> dict[Kind, _LentWords]:
        lent = {kind: [(each, of_one(each)[kind]) for _, each in sources] for kind in KINDS}
        return {kind: _LentWords(of[kind], lent[kind]) for kind in KINDS}

    return Experience(
        sum(each.revision for _, each in sources),
        words(lambda each: each.terms),
        words(lambda each: each.blamed),
        parts(lambda each: each.wins),
        parts(lambda each: each.words),
        parts(lambda each: each.failed),
        lambda kind, entry: of[kind][entry][1].counts(kind, entry) if entry in of[kind] else {},
        lambda kind, entry, terms: of[kind][entry][1].alike(kind, entry, terms),
        lambda kind, _: list(of[kind]),
        own.shifts,
        lambda kind, entry: of[kind].get(entry, ("",))[0],
    )


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Tallies = dict[Kind, dict[str, _Count]]
_Words = dict[Kind, dict[str, dict[str, _Count]]]
_State = tuple[_Count, dict[int, _Count], _Words, _Words, _Tallies, _Tallies]


def _nonzero_of(of: Words) -> Words:
    """Copies without the words of count 0."""
    found: Words = {}
    for kind, entries in of.items():
        nonzero = {entry: _nonzero(words) for entry, words in entries.items()}
        found[kind] = {entry: words for entry, words in nonzero.items() if words}
    return found


def _nonzero(words: dict[str, int]) -> dict[str, int]:
    return words if all(words.values()) else {word: n for word, n in words.items() if n}


def _add(counts: dict[_Key, int], key: _Key, amount: int) -> None:
    """Add to a count; a count of 0 is not kept."""
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)
