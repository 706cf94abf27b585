"""What a memo remembers, and how much of it."""

from __future__ import annotations

from orchestr8_index.memo import Memo, Newest


def test_it_works_out_once_and_forgets_the_older_half_when_full() -> None:
    worked: list[int] = []

    def double(number: int) -> int:
        worked.append(number)
        return 2 * number

    memo = Memo[int, int](3, double)
    assert [memo[n] for n in (1, 2, 1, 3, 2)] == [2, 4, 2, 6, 4]
    assert worked == [1, 2, 3]
    assert memo[4] == 8 and len(memo) == 2
    assert [memo[n] for n in (3, 4, 1)] == [6, 8, 2] and worked == [1, 2, 3, 4, 1]


def test_what_was_set_longest_ago_makes_way() -> None:
    newest: Newest[str, int] = Newest(2)
    newest["a"] = newest["b"] = 1
    newest["a"] = 2
    newest.setdefault("c", 3)
    assert list(newest.items()) == [("a", 2), ("c", 3)]
