"""Which answers are kept, for how long, and which go first?"""

from __future__ import annotations

from orchestr8_index.serve.cache import AnswerCache, CacheKey

from ..clocks import Clock


def key(number: int, generation: int = 1) -> CacheKey:
    return ("querySkills", str(number).encode(), "", (generation, 0))


def test_an_answer_is_found_again(clock: Clock) -> None:
    cache = AnswerCache(300, clock=clock)
    cache.put(key(1), b"answer")
    assert cache.get(key(1)) == b"answer"


def test_another_generation_is_another_question(clock: Clock) -> None:
    cache = AnswerCache(300, clock=clock)
    cache.put(key(1, generation=1), b"old")
    assert cache.get(key(1, generation=2)) is None


def test_an_answer_ends_with_its_life(clock: Clock) -> None:
    cache = AnswerCache(300, clock=clock)
    cache.put(key(1), b"answer")
    clock.now += 299.9
    assert cache.get(key(1)) == b"answer"
    clock.now += 0.1
    assert cache.get(key(1)) is None


def test_being_asked_for_does_not_lengthen_a_life(clock: Clock) -> None:
    cache = AnswerCache(300, clock=clock)
    cache.put(key(1), b"answer")
    clock.now += 200.0
    cache.get(key(1))
    clock.now += 101.0
    assert cache.get(key(1)) is None


def test_a_life_of_zero_keeps_nothing(clock: Clock) -> None:
    cache = AnswerCache(0, clock=clock)
    cache.put(key(1), b"answer")
    assert cache.get(key(1)) is None


def test_entries_are_bounded(clock: Clock) -> None:
    cache = AnswerCache(300, max_entries=3, clock=clock)
    for number in range(10):
        cache.put(key(number), b"answer")
    assert len(cache) == 3


def test_bytes_are_bounded(clock: Clock) -> None:
    cache = AnswerCache(300, max_entries=100, max_bytes=1000, clock=clock)
    for number in range(10):
        cache.put(key(number), b"x" * 300)
    assert len(cache) == 3


def test_an_answer_over_the_bound_is_not_kept_and_displaces_nothing(clock: Clock) -> None:
    cache = AnswerCache(300, max_bytes=1000, clock=clock)
    cache.put(key(1), b"answer")
    cache.put(key(2), b"x" * 1001)
    assert cache.get(key(2)) is None
    assert cache.get(key(1)) == b"answer"


def test_the_least_recently_used_goes_first(clock: Clock) -> None:
    cache = AnswerCache(300, max_entries=2, clock=clock)
    cache.put(key(1), b"one")
    cache.put(key(2), b"two")
    cache.get(key(1))
    cache.put(key(3), b"three")
    assert [cache.get(key(n)) for n in (1, 2, 3)] == [b"one", None, b"three"]


def test_hits_and_misses_are_counted(clock: Clock) -> None:
    cache = AnswerCache(300, clock=clock)
    cache.get(key(1))
    cache.put(key(1), b"answer")
    cache.get(key(1))
    cache.get(key(1))
    assert (cache.hits, cache.misses) == (2, 1)


def test_clear_forgets_answers_but_not_counts(clock: Clock) -> None:
    cache = AnswerCache(300, clock=clock)
    cache.put(key(1), b"answer")
    cache.get(key(1))
    cache.clear()
    assert (len(cache), cache.hits) == (0, 1)
