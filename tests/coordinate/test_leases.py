"""Leases as others promised them: overlap both ways, expiry, and no renewal that revives."""

from __future__ import annotations

import contextlib
from typing import Any, cast

import pytest

from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.errors import Busy, InvalidParams, StaleToken
from orchestr8_index.sharing import LockResources

from .worlds import Agent, Hand, plain, shared

# Steps, one after the other: `NAME acquire RESOURCES [SECONDS|shared]`, `NAME renew|release`,
# `+SECONDS` for time that passes; each is done unless `busy`, `stale` or `wrong` says why not.
CASES = {
    "a file is one agent's": "a acquire f.py; b acquire f.py busy",
    "another file is free": "a acquire f.py; b acquire g.py",
    "a folder has the files below": "a acquire src/; b acquire src/f.py busy",
    "a file keeps its folder": "a acquire src/f.py; b acquire src/ busy",
    "a folder has the folders below": "a acquire src/; b acquire src/x/ busy",
    "a folder keeps the one above": "a acquire src/x/; b acquire src/ busy",
    "folders beside each other": "a acquire src/x/; b acquire src/y/",
    "a name that begins alike": "a acquire src/; b acquire srcs/f.py",
    "a folder and its name": "a acquire src; b acquire src/ busy",
    "a set is whole or not at all": "a acquire f.py; b acquire g.py,f.py busy; c acquire g.py",
    "a released file is free": "a acquire f.py; a release; b acquire f.py",
    "an ended lease is free": "a acquire f.py 10; +10; b acquire f.py",
    "a lease lasts to its end": "a acquire f.py 10; +9; b acquire f.py busy",
    "a renewal lasts from now on": "a acquire f.py 10; +9; a renew 10; +9; b acquire f.py busy",
    "a renewal does not revive": "a acquire f.py 10; +10; a renew 10 stale",
    "not even where nobody came": "a acquire f.py 10; +99; a renew 10 stale; b acquire f.py",
    "nor against who came": "a acquire f.py 10; +10; b acquire f.py; a renew stale",
    "a release comes too late": "a acquire f.py 10; +10; b acquire f.py; a release stale",
    "readers share": "a acquire f.py shared; b acquire f.py shared; c acquire f.py busy",
    "a reader keeps a writer from the folder": "a acquire s/f.py shared; b acquire s/ busy",
    "nobody renews without a token": "a acquire f.py; b renew wrong",
}


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
@shared
async def test_a_lease_holds_what_it_promises(state: Coordination, hand: Hand, steps: str) -> None:
    agents = {name: Agent(state, name) for name in "abc"}
    tokens: dict[str, str] = {}
    for step in steps.split("; "):
        if step[0] == "+":
            hand.move(int(step[1:]))
            continue
        name, action, *more = step.split()
        with refused(more.pop() if more and more[-1] in REFUSALS else ""):
            tokens[name] = await do(agents[name], action, more, tokens.get(name, ""))


REFUSALS = {"busy": Busy, "stale": StaleToken, "wrong": InvalidParams}


def refused(why: str) -> contextlib.AbstractContextManager[object]:
    return pytest.raises(REFUSALS[why]) if why else contextlib.nullcontext()


async def do(agent: Agent, action: str, more: list[str], token: str) -> str:
    given: dict[str, Any] = {"resources": more.pop(0).split(",")} if action == "acquire" else {}
    given |= {} if action == "acquire" else {"token": token}
    given |= {"mode": "shared"} if "shared" in more else {"ttl_s": int(more[0])} if more else {}
    told = await agent.state.lock(agent.caller, LockResources(action=cast(Any, action), **given))
    return str(plain(told)["token"])
