"""Admission and rate limits: how much of each shared resource one caller may take, and how often.

A caller is a key, else a peer. One beyond loopback may take half of a resource. All callers on
loopback are one peer, which leaves a tenth for the hooks and the command line. Probes are free.
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
MOST_LARGE = 2  # concurrent bodies above the usual limit
BURST_SECONDS = 4  # the capacity of a token bucket, in seconds of its rate
FREE_BYTES = 4096  # of a body or response, up to which it is not charged
NEAREST = "127.0.0.1"  # the name under which all of loopback is counted
NEAR = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1", "local"})


@functools.lru_cache(1024)
def peer_of(address: str) -> str:
    """The name under which a peer's address is counted; "" on loopback. IPv6 addresses are counted
    by /64 network, of which one machine can use any."""
    with contextlib.suppress(ValueError):
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if ip.is_loopback:
            return ""
        if ip.version == 6:
            return str(ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
        return str(ip)
    return "" if address in NEAR else address


def part_of(who: Principal) -> float:
    """The part of a shared resource that this caller may have, from 0 to 1."""
    is_near = who.share == 1 or (not who.keyed and who.name in NEAR)
    return who.share if is_near else 0.5


def owner_of(asks: Principal) -> Owner:
    """The owner to which this caller's waiting calls are charged."""
    return Owner(asks.name, asks.agent, asks.keyed, part_of(asks), asks.share)


class Share:
    """A resource with a limit: `taken` of `most` is in use; `what` names it in the error."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.taken, self._what = most, 0, what
        self._of: Counter[str] = Counter()

    def part_of(self, who: Principal) -> int:
        """The most that this caller may have."""
        return math.ceil(self.most * part_of(who))

    def has_room(self, who: Principal) -> bool:
        """Whether this caller could take one more."""
        fits = self.taken < math.ceil(self.most * who.share)
        return not self.taken or (fits and self._of[who.name] < self.part_of(who))

    def take(self, who: Principal, amount: int = 1) -> None:
        """Take an amount. Raises Overloaded."""
        over = self._of[who.name] + amount > self.part_of(who)
        if over or self.taken + amount > math.ceil(self.most * who.share):
            raise Overloaded(f"There is no room for more {self._what}.")
        self.give(who, -amount)

    def give(self, who: Principal, amount: int = 1) -> None:
        """Give an amount back; a negative one is taken whether there is room or not."""
        self.taken -= amount
        self._of[who.name] -= amount
        if not self._of[who.name]:
            del self._of[who.name]


class Shares:
    """The resources that the requests of one server share."""

    def __init__(self, limits: Limits) -> None:
        self.held = Share(limits.max_held_mb * 1_000_000, "bodies and answers")
        self.running = Share(limits.max_running, "requests")
        self.streams = Share(limits.max_streams, "event streams")
        self.watched = Share(MOST_WATCHED, "watched addresses")
        self.large = 0  # bodies above the usual limit


class Account:
    """What one request has taken of the shared resources; `close` gives all of it back."""

    def __init__(self, shares: Shares | None, who: Principal = LOCAL) -> None:
        self._shares, self.who = shares, who
        self._held = self._answer = self._body = 0
        self._running = self._streams = self._large = 0

    def run(self) -> None:
        """Count as a running request. Raises Overloaded."""
        if self._shares:
            self._shares.running.take(self.who)
            self._running = 1

    def rest(self, ends: bool = False) -> None:
        """Stop counting as a running request while it waits (a long poll), or `ends` to wait."""
        if self._shares and not self._streams and self._running == (not ends):
            self._shares.running.give(self.who, -1 if ends else 1)
            self._running = int(ends)

    def stream(self) -> None:
        """Count as an event stream instead of a running request. Raises Overloaded."""
        if self._shares and not self._streams:
            self._shares.streams.take(self.who)
            self.rest()
            self._streams = 1

    def hold(self, amount: int) -> None:
        """Take memory for `amount` bytes of a body or response. Raises Overloaded."""
        if self._shares:
            self._shares.held.take(self.who, amount)
            self._held += amount

    def let_go(self, amount: int) -> None:
        if self._shares:
            self._shares.held.give(self.who, amount)
            self._held -= amount

    def take_body(self, amount: int) -> None:
        """Charge further bytes of the request's body. Raises Overloaded."""
        self._body += amount
        if self._body > FREE_BYTES:
            self.hold(amount)

    def enlarge(self) -> None:
        """Allow a body above the usual limit. Raises Forbidden and Overloaded."""
        self.who.must_have("report")
        if self._shares:
            if self._shares.large >= MOST_LARGE:
                raise Overloaded("Too many large bodies are on their way.")
            self._shares.large += 1
            self._large = 1

    def hold_answer(self, amount: int) -> None:
        """Charge a response that has `amount` bytes in all by now. Raises Overloaded."""
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
"""The account of the current request."""


class Buckets:
    """The rate limit: a token bucket for each caller, refilled by `rate` tokens a second. A rate
    of 0 is no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def _full(self) -> float:
        return float(self.rate * BURST_SECONDS)

    def charge(self, name: str, tokens: int = 1) -> None:
        """Take tokens. Raises TooManyRequests with the seconds to wait. A charge above the bucket's
        capacity needs a full bucket and leaves a debt."""
        if not self.rate:
            return
        left = self._take(name, tokens, min(tokens, self._full))
        if left < min(tokens, self._full):
            missing = min(tokens, self._full) - left
            raise TooManyRequests("Too many requests.", max(1, round(missing / self.rate + 0.5)))

    def drain(self, name: str, tokens: int) -> None:
        """Take tokens for requests admitted elsewhere, a full bucket at most; may leave a debt."""
        self._take(name, min(tokens, self._full), 0)

    def _take(self, name: str, tokens: float, least: float) -> float:
        """Take tokens if at least `least` are left; gives the number that were left before."""
        now = self._clock()
        left, since = self._buckets.pop(name, (self._full, now))
        left = min(self._full, left + (now - since) * self.rate)
        self._buckets[name] = (left - tokens if left >= least else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return left


class BucketsOfAll:
    """The rate limit of a team, for each caller and method. `note` is called with what this server
    admits, and `drain` is to be called with what others admit. A server always admits its share of
    the rate, whatever the others say."""

    def __init__(self, rate: float, servers: Callable[[], int]) -> None:
        self._all, self._own, self._servers = Buckets(rate), Buckets(rate), servers
        self.note: Callable[[str, int], None] = lambda name, tokens: None
        self.drain = self._all.drain

    def set_rate(self, rate: float) -> None:
        self._all.rate = rate

    def charge(self, who: str, method: str) -> None:
        """Count one call. Raises TooManyRequests."""
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
