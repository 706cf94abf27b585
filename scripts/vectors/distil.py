"""Distils a sentence encoder into one vector for each word, by gradient descent with numpy.

A text is the sum of its words' vectors. Three losses are added: the cosines of texts are those that
the encoder gives (squared difference, and cross entropy over each text's neighbours), a translation
has its English text's cosines, and a sentence is nearest to the entry that it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sparse

from .texts import Array, Material, Pool

DIMENSIONS, STEPS, RATE, WARM_UP = 224, 1500, 0.01, 50
BATCHES, TRANSLATIONS, PAIRED = (1280, 640), 192, 768
WEIGHTS, PAIR_WEIGHT = (1.0, 0.6), 0.3
DROPPED = 0.1  # of a text's words, at each step
SQUARES, SOFTNESS = 20.0, 0.05
CLUSTERS, LEAST_NEAR, MOST_NEAR, SAMPLE = 150, 10, 128, 30_000
ENTRY_SOURCE, ENTRY_TIMES = 1, 3.0  # sentences of this source are drawn so much oftener
BETAS, SCALE_RATE, TINY = (0.9, 0.99), 0.005, 1e-8


class Bags:
    """Texts as numbers of words, from which sparse matrices of counts are made."""

    def __init__(self, texts: Iterable[list[str]], numbers: dict[str, int]) -> None:
        ids = [[numbers[term] for term in text if term in numbers] for text in texts]
        self.sizes = np.array([len(each) for each in ids])
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self._flat = np.array([number for each in ids for number in each], np.int32)
        self._words = len(numbers)

    def rows(self, chosen: Array, draw: Any = None) -> Any:
        """One row of counts for each chosen text; with `draw` some words are left out."""
        ends = np.concatenate([[0], np.cumsum(self.sizes[chosen])])
        at = np.arange(ends[-1]) + np.repeat(self._starts[chosen] - ends[:-1], self.sizes[chosen])
        kept = np.ones(len(at), np.float32)
        if draw is not None:
            kept = (draw.random(len(at)) >= DROPPED).astype(np.float32)
        return sparse.csr_matrix((kept, self._flat[at], ends), shape=(len(chosen), self._words))


@dataclass
class Scale:
    """The logarithm of what cosines are multiplied by before a softmax, learnt too."""

    value: float = 3.0
    slope: float = 0.0
    means: Array = field(default_factory=lambda: np.zeros(2))

    def step(self, number: int) -> None:
        slow, fast = BETAS
        self.means[0] = slow * self.means[0] + (1 - slow) * self.slope
        self.means[1] = fast * self.means[1] + (1 - fast) * self.slope**2
        mean = self.means[0] / (1 - slow**number)
        self.value -= SCALE_RATE * mean / (math.sqrt(self.means[1] / (1 - fast**number)) + TINY)
        self.slope = 0.0


@dataclass
class Step:
    """What one step adds up: rows of counts, and the slope of the loss for the sum of each."""

    table: Array
    rows: list[Any] = field(default_factory=list)
    slopes: list[Array] = field(default_factory=list)

    def units(self, rows: Any) -> tuple[Array, Callable[[Array], None]]:
        """Directions of the rows' sums, and what takes the slopes of the loss for them."""
        sums = rows @ self.table
        lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
        units = sums / lengths

        def back(slopes: Array) -> None:
            self.rows.append(rows)
            self.slopes.append((slopes - units * (slopes * units).sum(1, keepdims=True)) / lengths)

        return units, back


def softmax(values: Array) -> Array:
    shifted = np.exp(values - values.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def as_the_encoder(step: Step, rows: Any, wanted: Array, weight: float, scale: Scale) -> float:
    """Cosines among the rows as among the encoder's; returns the mean squared difference."""
    units, back = step.units(rows)
    said, meant, size = units @ units.T, wanted @ wanted.T, len(units)
    apart = said - meant
    np.fill_diagonal(apart, 0)
    target, guess, times = meant / SOFTNESS, said * math.exp(scale.value), math.exp(scale.value)
    for each in (target, guess):
        np.fill_diagonal(each, -1e4)
    off = (softmax(guess) - softmax(target)) / size
    scale.slope += weight * float((off * said).sum()) * times
    pairs = size * (size - 1)
    slopes = SQUARES * 2 / pairs * apart + off * times
    back(weight * ((slopes + slopes.T) @ units))
    return float((apart**2).sum() / pairs)


def as_paired(step: Step, sentences: Any, entries: Any, which: Array, scale: Scale) -> None:
    """Each sentence nearest to its entry among those of the batch; `which` numbers the entries."""
    first, back_first = step.units(sentences)
    second, back_second = step.units(entries)
    said, times = first @ second.T, math.exp(scale.value)
    same = (which[None] == which[:, None]).astype(np.float32)
    off = (softmax(said * times) - same / same.sum(1, keepdims=True)) / len(said)
    scale.slope += PAIR_WEIGHT * float((off * said).sum()) * times
    back_first(PAIR_WEIGHT * times * (off @ second))
    back_second(PAIR_WEIGHT * times * (off.T @ first))


class Draws:
    """Draws batches of one pool: half at random, half from clusters of texts that are near."""

    def __init__(self, pool: Pool, bags: Bags, draw: Any) -> None:
        self._draw = draw
        self._all = np.flatnonzero(pool.allowed & (bags.sizes > 0))
        middles = pool.vectors[draw.permutation(len(pool.vectors))[:CLUSTERS]]
        for _ in range(5):
            some = pool.vectors[draw.permutation(len(pool.vectors))[:SAMPLE]]
            nearest, middles = (some @ middles.T).argmax(1), np.zeros_like(middles)
            np.add.at(middles, nearest, some)
            middles /= np.maximum(np.linalg.norm(middles, axis=1, keepdims=True), 1e-9)
        label = (pool.vectors[self._all] @ middles.T).argmax(1)
        groups = (self._all[label == number] for number in range(CLUSTERS))
        self._near = [group for group in groups if len(group) > LEAST_NEAR]

    def batch(self, size: int) -> Array:
        near: list[Array] = []
        while sum(map(len, near)) < size // 2:
            group = self._near[self._draw.integers(len(self._near))]
            near.append(self._draw.choice(group, min(len(group), MOST_NEAR)))
        some = self._draw.choice(self._all, size - size // 2)
        return np.unique(np.concatenate([np.concatenate(near)[: size // 2], some]))


class Trainer:
    def __init__(self, material: Material, words: list[str], seed: int = 0) -> None:
        self._draw, self._material = np.random.default_rng(seed), material
        numbers = {word: number for number, word in enumerate(words)}
        self._bags = [Bags(pool.terms, numbers) for pool in material.pools]
        self._draws = [
            Draws(pool, bags, self._draw)
            for pool, bags in zip(material.pools, self._bags, strict=True)
        ]
        self._foreign = Bags((terms for terms, _ in material.aligned), numbers)
        self._english = np.array([place for _, place in material.aligned])
        self._readable = np.flatnonzero(self._foreign.sizes > 0)
        self._pairs, self._chance = self._usable_pairs()
        self.table = (self._draw.standard_normal((len(words), DIMENSIONS)) * 0.02).astype(
            np.float32
        )
        self._means, self._squares = np.zeros_like(self.table), np.zeros_like(self.table)
        self._scales = Scale(), Scale()

    def _usable_pairs(self) -> tuple[Array, Array]:
        pairs, sizes = self._material.pairs, [bags.sizes for bags in self._bags]
        own = np.where(pairs[:, 0] == 0, sizes[0][pairs[:, 1] * (pairs[:, 0] == 0)], 0)
        own += np.where(pairs[:, 0] == 1, sizes[1][pairs[:, 1] * (pairs[:, 0] == 1)], 0)
        kept = (pairs[:, 3] > 0) & (own > 1) & (sizes[0][pairs[:, 2]] > 1)
        chance = np.where(pairs[kept, 3] == ENTRY_SOURCE, ENTRY_TIMES, 1.0)
        return pairs[kept], chance / chance.sum()

    def train(self, steps: int, tell: Callable[[int, float], None]) -> None:
        for number in range(1, steps + 1):
            step = Step(self.table)
            error = self._losses(step)
            self._descend(step, number, self._rate(number, steps))
            for scale in self._scales:
                scale.step(number)
            tell(number, error)

    @staticmethod
    def _rate(number: int, steps: int) -> float:
        """Warmed up, then along a cosine down to a hundredth or so."""
        along = 0.49 * (1 + math.cos(math.pi * (number - 1) / steps)) + 0.02
        return RATE * min(1, number / WARM_UP) * along

    def _losses(self, step: Step) -> float:
        pools, scale = self._material.pools, self._scales[0]
        first, second = (
            draws.batch(size) for draws, size in zip(self._draws, BATCHES, strict=True)
        )
        foreign = self._draw.choice(self._readable, TRANSLATIONS)
        rows = [self._bags[0].rows(first, self._draw), self._foreign.rows(foreign)]
        wanted = pools[0].vectors[np.concatenate([first, self._english[foreign]])]
        error = as_the_encoder(step, sparse.vstack(rows, "csr"), wanted, WEIGHTS[0], scale)
        rows_of_second = self._bags[1].rows(second, self._draw)
        as_the_encoder(step, rows_of_second, pools[1].vectors[second], WEIGHTS[1], scale)
        self._pair_loss(step)
        return error

    def _pair_loss(self, step: Step) -> None:
        chosen = self._pairs[self._draw.choice(len(self._pairs), PAIRED, p=self._chance)]
        chosen = chosen[np.argsort(chosen[:, 0], kind="stable")]
        sentences = [
            bags.rows(chosen[chosen[:, 0] == number, 1], self._draw)
            for number, bags in enumerate(self._bags)
        ]
        entries = self._bags[0].rows(chosen[:, 2], self._draw)
        as_paired(step, sparse.vstack(sentences, "csr"), entries, chosen[:, 2], self._scales[1])

    def _descend(self, step: Step, number: int, rate: float) -> None:
        """Adam (Kingma and Ba, 2015)."""
        slopes = sparse.vstack(step.rows, "csr").T.tocsr() @ np.concatenate(step.slopes)
        slow, fast = BETAS
        self._means *= slow
        self._means += (1 - slow) * slopes
        self._squares *= fast
        self._squares += (1 - fast) * slopes**2
        spread = np.sqrt(self._squares / (1 - fast**number)) + TINY
        self.table -= rate / (1 - slow**number) * self._means / spread
