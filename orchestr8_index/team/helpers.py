"""Redis and NATS, as far as the settings name them; their libraries are loaded only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..coordinate.core import Coordination
from .circuit import OutletCircuit
from .outlets import Follower, Outlet

if TYPE_CHECKING:
    from .core import TeamCoordination
    from .over_all import AnswersOfAll
    from .to_redis import RedisOutlet

REDIS_DUTY, NATS_DUTY = 0x6F38726564, 0x6F386E6174  # advisory locks of those that write


class Helpers:
    """Started once `shared` is open. `own` is the project of the server's folder."""

    def __init__(self, shared: Coordination, settings: Settings, own: str) -> None:
        self._shared = shared
        self._followers: list[Follower] = []
        self.answers: AnswersOfAll | None = None
        self.redis: RedisOutlet | None = None
        self._client: Any = None
        if settings.redis:
            from .to_redis import RedisOutlet, open_redis

            self._client, circuit = open_redis(settings.redis), OutletCircuit("redis")
            workspace = settings.door.workspace
            self.redis = RedisOutlet(self._client, circuit, shared, own, workspace)
            self._follow(self.redis, REDIS_DUTY)
        if settings.nats_url:
            from .to_nats import NatsOutlet

            self._follow(NatsOutlet(settings.nats_url, OutletCircuit("nats")), NATS_DUTY)

    def _follow(self, outlet: Outlet, duty: int) -> None:
        name, team = outlet.circuit.name, _team(self._shared)
        if team is None:
            self._followers.append(Follower(self._shared, outlet))
            return
        team.registry.duties[name] = (duty, lambda: outlet.circuit.connected)
        held = team.registry.held
        self._followers.append(Follower(self._shared, outlet, lambda: name in held))

    def share(self, charge: Callable[[str, int], None]) -> Callable[[str, int], None] | None:
        """Share the cache and the rate limits of a team's servers. Returns the function to call for
        each request that was let through, None without a team; `charge` is called with what other
        servers let through."""
        team = _team(self._shared)
        if team is None or self.redis is None:
            return None
        from .over_all import AnswersOfAll, UsedByOthers
        from .schema import ORIGIN

        secret = str(team.store.reader.execute(ORIGIN).fetchone()[0]).encode()
        self.answers = AnswersOfAll(self._client, self.redis.circuit, secret)
        used = UsedByOthers(self._client, charge)
        self.redis.on_look.append(used.sync)
        return used.note

    def count(self) -> int:
        """How many servers there are."""
        team = _team(self._shared)
        return team.registry.count if team else 1

    @property
    def states(self) -> dict[str, str]:
        """`connected` or `away`, by name, for /health."""
        return {each.outlet.circuit.name: each.outlet.circuit.state for each in self._followers}

    @property
    def facts(self) -> dict[str, Any]:
        """The same, with the share of Redis' memory in use where it has a limit."""
        share = self.redis.share if self.redis and self.redis.circuit.connected else None
        return {**self.states, **({} if share is None else {"redis_memory": share})}

    @property
    def reasons(self) -> list[str]:
        return [reason for each in self._followers for reason in each.outlet.reasons]

    def start(self) -> None:
        for each in self._followers:
            each.start()

    async def stop(self) -> None:
        for each in self._followers:
            await each.stop()


def _team(shared: Coordination) -> TeamCoordination | None:
    """Without loading PostgreSQL's library where it is not in use."""
    return shared if hasattr(shared, "registry") else None  # type: ignore[return-value]
