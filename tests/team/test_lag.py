"""The lag of a team is a reason only where it lasts."""

from __future__ import annotations

import pytest

from orchestr8_index.team.bus import LATE, Lag


@pytest.mark.parametrize(
    ("notices", "now", "ms", "is_late"),
    [
        ([], 500, 0, False),
        ([(0, -5)], 1, 0, False),  # a clock that was set back
        ([(0, 11_000), (30, 12_000)], 59, 12_000, False),
        ([(0, 11_000), (30, 12_000)], 61, 12_000, True),
        ([(0, 11_000), (30, 12_000), (50, 5)], 61, 5, False),
        ([(0, 11_000), (30, 10_000), (50, 11_000)], 70, 11_000, False),
        ([(0, 11_000), (30, 12_000)], 91, 0, False),  # nothing is heard any more
        ([(0, 11_000), (200, 12_000)], 201, 12_000, False),  # not all the while
    ],
)
def test_a_lag_that_lasts_a_minute_is_a_reason(
    notices: list[tuple[float, int]], now: float, ms: int, is_late: bool
) -> None:
    moment = [0.0]
    lag = Lag(lambda: moment[0])
    for at, found in notices:
        moment[0] = at
        lag.note(found)
    moment[0] = now
    assert (lag.ms, lag.reasons) == (ms, [LATE] if is_late else [])
