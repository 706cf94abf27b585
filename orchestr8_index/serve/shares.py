"""How much of what all callers share may one of them take, and how often may it ask?

A caller is a key, else a peer. One beyond loopback takes half at most. On loopback all are one
peer: there a tenth stays for those that must come through, the hooks and the command line. Probes
take nothing.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from ..config import Limits
from ..coordinate.feed import Owner
from ..errors import Overloaded, TooManyRequests
from .callers import LOCAL, Principal

MOST_WATCHED, MOST_CALLERS = 10_000, 10_000
MOST_LARGE = 2  # bodies above the usual limit at once
BURST_SECONDS = 4  # a bucket holds what this many seconds bring
FREE_BYTES = 4096  # of a body or an answer, which nobody counts
NEAREST = "127.0.0.1"  # what all of this machine are counted as
NEAR = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1", "local"})


@functools.lru_cache(1024)
def peer_of(address: str) -> str:
    """What a peer beyond loopback is counted as; "" for one on loopback, where all are one. Of
    IPv6 a whole network: one machine has as many addresses of it as it likes."""
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        if found.is_loopback:
            return ""
        if found.version == 6:
            return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
        return str(found)
    return "" if address in NEAR else address


def part_of(who: Principal) -> float:
    """Of anything that all share, what this caller may have."""
    is_near = who.share == 1 or (not who.keyed and who.name in NEAR)
    return who.share if is_near else 0.5


def owner_of(asks: Principal) -> Owner:
    """Whom the waiting calls of this caller count for: its key, else its peer, else its agent."""
    return Owner(asks.name, asks.agent, asks.keyed, part_of(asks), asks.share)


class Share:
    """`most` of something, `taken` by all; `what` is said when there is no more."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.taken, self._what = most, 0, what
        self._of: Counter[str] = Counter()

    def part_of(self, who: Principal) -> int:
        """How much this caller may have, if nobody else had any."""
        return math.ceil(self.most * part_of(who))

    def has_room(self, who: Principal) -> bool:
        """Whether one more could be taken."""
        fits = self.taken < math.ceil(self.most * who.share)
        return not self.taken or (fits and self._of[who.name] < self.part_of(who))

    def take(self, who: Principal, amount: int = 1) -> None:
        """Raises Overloaded."""
        over = self._of[who.name] + amount > self.part_of(who)
        if over or self.taken + amount > math.ceil(self.most * who.share):
            raise Overloaded(f"There is no room for more {self._what}.")
        self.give(who, -amount)

    def give(self, who: Principal, amount: int = 1) -> None:
        """Back; less than nothing takes it, whether there is room or not."""
        self.taken -= amount
        self._of[who.name] -= amount
        if not self._of[who.name]:
            del self._of[who.name]


class Shares:
    """What the requests of one server share."""

    def __init__(self, limits: Limits) -> None:
        self.held = Share(limits.max_held_mb * 1_000_000, "bodies and answers")
        self.running = Share(limits.max_running, "requests")
        self.streams = Share(limits.max_streams, "event streams")
        self.watched = Share(MOST_WATCHED, "watched addresses")
        self.large = 0  # bodies above the usual limit


class Account:
    """What one request has of the shares, until it is closed."""

    def __init__(self, shares: Shares | None, who: Principal = LOCAL) -> None:
        self._shares, self.who = shares, who
        self._held = self._answer = self._body = 0
        self._running = self._streams = self._large = 0

    def run(self) -> None:
        """Raises Overloaded."""
        if self._shares:
            self._shares.running.take(self.who)
            self._running = 1

    def rest(self, ends: bool = False) -> None:
        """It waits for others, and is no running request meanwhile; or does not wait any more."""
        if self._shares and not self._streams and self._running == (not ends):
            self._shares.running.give(self.who, -1 if ends else 1)
            self._running = int(ends)

    def stream(self) -> None:
        """It answers for hours from now on. Raises Overloaded."""
        if self._shares and not self._streams:
            self._shares.streams.take(self.who)
            self.rest()
            self._streams = 1

    def hold(self, amount: int) -> None:
        """Raises Overloaded."""
        if self._shares:
            self._shares.held.take(self.who, amount)
            self._held += amount

    def let_go(self, amount: int) -> None:
        if self._shares:
            self._shares.held.give(self.who, amount)
            self._held -= amount

    def take_body(self, amount: int) -> None:
        """Of a body, more of it has come. Raises Overloaded."""
        self._body += amount
        if self._body > FREE_BYTES:
            self.hold(amount)

    def enlarge(self) -> None:
        """Its body is above the usual limit. Raises Forbidden and Overloaded."""
        self.who.must_have("report")
        if self._shares:
            if self._shares.large >= MOST_LARGE:
                raise Overloaded("Too many large bodies are on their way.")
            self._shares.large += 1
            self._large = 1

    def hold_answer(self, amount: int) -> None:
        """The answer has so many bytes by now. Raises Overloaded."""
        if amount > max(self._answer, FREE_BYTES):
            self.hold(amount - self._answer)
            self._answer = amount

    def close(self) -> None:
        if self._shares:
            self._shares.held.give(self.who, self._held)
            self._shares.running.give(self.who, self._running)
            self._shares.streams.give(self.who, self._streams)
            self._shares.large -= self._large
        self._shares = None


FREE = Account(None)
account: contextvars.ContextVar[Account] = contextvars.ContextVar("account", default=FREE)
"""The request's own, for what answers it."""


class Buckets:
    """The rate limit: for each caller a bucket of tokens, which gets `rate` of them a second. A
    rate of 0 charges nobody."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def _full(self) -> float:
        return float(self.rate * BURST_SECONDS)

    def charge(self, name: str, tokens: int = 1) -> None:
        """Raises TooManyRequests with the seconds until there is a token again.

        What costs more than a full bucket holds takes it all and leaves a debt.
        """
        if not self.rate:
            return
        left = self._take(name, tokens, min(tokens, self._full))
        if left < min(tokens, self._full):
            missing = min(tokens, self._full) - left
            raise TooManyRequests("Too many requests.", max(1, round(missing / self.rate + 0.5)))

    def drain(self, name: str, tokens: int) -> None:
        """Take what was let through elsewhere; it leaves a debt of a full bucket at most."""
        self._take(name, min(tokens, self._full), 0)

    def _take(self, name: str, tokens: float, least: float) -> float:
        """Where so many are left; returns what was left before."""
        now = self._clock()
        left, since = self._buckets.pop(name, (self._full, now))
        left = min(self._full, left + (now - since) * self.rate)
        self._buckets[name] = (left - tokens if left >= least else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return left


class BucketsOfAll:
    """A caller's rate for each method over all servers; `note` is called with what was let through,
    `drain` with what others let through. Whatever they say, this server grants its own share."""

    def __init__(self, rate: float, servers: Callable[[], int]) -> None:
        self._all, self._own, self._servers = Buckets(rate), Buckets(rate), servers
        self.note: Callable[[str, int], None] = lambda name, tokens: None
        self.drain = self._all.drain

    def set_rate(self, rate: float) -> None:
        self._all.rate = rate

    def charge(self, who: str, method: str) -> None:
        """Raises TooManyRequests."""
        if not self._all.rate:
            return
        name = f"{who}:{method}"
        self._own.rate = self._all.rate / max(1, self._servers())
        try:
            self._all.charge(name)
        except TooManyRequests:
            self._own.charge(name)
            self._all.drain(name, 1)
        else:
            self._own.drain(name, 1)
        self.note(name, 1)
