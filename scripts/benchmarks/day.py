"""The share of a working day's answers that comes from the cache: four orchestrators, replayed.

The trace: eight hours, four sessions, in each a task every six minutes on average. What is asked
for follows Zipf's law over the tree's golden questions (golden.jsonl; without it, over QUESTIONS
runs of words of its files); seven of ten times in the same words as before (commands, hooks,
scheduled jobs), else in others: politer, without a word, with two words swapped. For a task the
orchestrator asks for agents, skills and a context; then three to six subagents ask within two
minutes for skills and the past pattern of the same task, and each for one of twelve steps that all
tasks have. Three of four tasks end with an outcome. The cache's clock is the trace's, so that
answers age as they would.
"""

import asyncio
import contextlib
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from orchestr8_index.app import make_state
from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.client.embedded import build_index, builder_of
from orchestr8_index.config import Settings, read_settings
from orchestr8_index.serve.cache import AnswerCache, RecentQuestions
from orchestr8_index.serve.calls import perform
from orchestr8_index.serve.renewal import Calibrating, Renewal
from orchestr8_index.serve.state import State
from orchestr8_index.serve.stores import ServerStore

from .harness import Run
from .servers import outcome
from .texts import golden, questions

HOURS, SESSIONS, EVERY = 8, 4, 360.0
QUESTIONS = 60
SAME_WORDS, TOLD = 0.7, 0.75
POLITE = ("Please", "Can you", "Could somebody")
STEPS = (
    *("run the tests and explain what fails", "review the diff before it is merged"),
    *("write the commit message", "update the documentation"),
    *("check the change for security problems", "measure whether it got slower"),
    *("write a test for the defect", "name the risks of the release"),
    *("tidy the imports and the formatting", "describe the change for the users"),
    *("find out who calls this function", "plan the migration step by step"),
)
WORDINGS = {"same": "in the same words", "other": "in other words", "step": "steps", "all": "all"}
Event = tuple[float, str, dict[str, Any], str]
"""(second of the day, method, params, how it was worded: same, other, step)."""


class Day:
    def __init__(self, texts: list[str], agents: list[str], seed: int) -> None:
        self._draw, self._texts, self._agents = random.Random(seed), texts, agents
        self._draw.shuffle(self._texts)
        self._shares = [1 / (rank + 1) for rank in range(len(texts))]

    def events(self) -> list[Event]:
        found = [event for session in range(SESSIONS) for event in self._session(session)]
        return sorted(found, key=lambda event: event[0])

    def _session(self, session: int) -> Iterator[Event]:
        now, number = self._draw.expovariate(1 / EVERY), 0
        while now < HOURS * 3600:
            yield from self._task(now, f"{session}-{number}")
            now += self._draw.expovariate(1 / EVERY)
            number += 1

    def _task(self, now: float, ident: str) -> Iterator[Event]:
        (text,) = self._draw.choices(self._texts, self._shares)
        how = "same" if self._draw.random() < SAME_WORDS else "other"
        text = text if how == "same" else self._reworded(text)
        yield now, "queryAgents", {"context": text}, how
        yield now + 1, "querySkills", {"context": text}, how
        yield now + 2, "getContext", {"task": text}, how
        for _ in range(self._draw.randint(3, 6)):
            then = now + self._draw.uniform(5, 120)
            yield then, "querySkills", {"context": text}, how
            yield then + 1, "getOrchestrationPattern", {"goal": text}, how
            yield then + 2, "queryAgents", {"context": self._draw.choice(STEPS)}, "step"
        if self._agents and self._draw.random() < TOLD:
            agent = self._draw.choice(self._agents)
            yield now + 150, "cacheDecision", outcome(ident, text, agent), ""

    def _reworded(self, text: str) -> str:
        words = text.split()
        at = self._draw.randrange(max(1, len(words) - 1))
        change = self._draw.randrange(3)
        if change == 0:
            return f"{self._draw.choice(POLITE)} {text}"
        if change == 1 and len(words) > 3:
            del words[at]
        else:
            words[at : at + 2] = reversed(words[at : at + 2])
        return " ".join(words)


@contextlib.asynccontextmanager
async def served(settings: Settings, clock: list[float]) -> AsyncIterator[State]:
    """A server without HTTP, in this process, whose answers age by that clock."""
    index = build_index(settings, builder_of(settings))
    store = ServerStore(settings)
    state = make_state(settings, Refresh(settings, Builder(settings), index=index), store)
    lives = settings.query_life, settings.pattern_life
    state.query_cache, state.pattern_cache = (
        AnswerCache(life, clock=lambda: clock[0]) for life in lives
    )
    state.recent = RecentQuestions(lambda: clock[0])
    store.begin()
    await store.outcomes()
    yield state
    await store.stop()


def hits_of(state: State) -> int:
    shared = state.shared.answers if state.shared else None
    return state.query_cache.hits + state.pattern_cache.hits + (shared.hits if shared else 0)


async def replay(
    states: Sequence[State], clock: list[float], events: Iterable[tuple[Event, int]]
) -> dict[str, list[int]]:
    """For each way of wording, [hits, questions]; an event goes to the server of its number. What
    one is told is learnt by the others before the next question."""
    rates = defaultdict[str, list[int]](lambda: [0, 0])
    calibrating = [Calibrating(state, lambda: clock[0]) for state in states]
    renewals, due = [Renewal(state) for state in states], [0.0] * len(states)
    learning = [state.shared.learning_of(state) for state in states if state.shared]
    for (moment, method, params, how), place in events:
        for number, renewal in enumerate(renewals):
            while due[number] < moment:
                clock[0] = due[number]
                due[number] += await renewal.step()
                await calibrating[number].step()
        clock[0] = moment
        before = hits_of(states[place])
        await perform(states[place], method, json.dumps(params).encode())
        for each in filter(None, learning) if method == "cacheDecision" else ():
            await each.follow()
        for each in (how, "all") if how else ():
            rates[each][0] += hits_of(states[place]) - before
            rates[each][1] += 1
    return rates


async def replay_alone(settings: Settings, events: list[Event]) -> dict[str, list[int]]:
    clock = [0.0]
    async with served(settings, clock) as state:
        return await replay([state], clock, [(event, 0) for event in events])


def texts_of(root: str, seed: int) -> tuple[list[str], str]:
    """The texts to ask for, and where they are from."""
    if asked := golden(root):
        return [row["query"][:500] for row in asked], "golden.jsonl"
    return questions(root, QUESTIONS, seed), "made from the words of its files"


def agents_of(index: Index) -> list[str]:
    agents = index.segments["agent"]
    return sorted(agents.entry(place).qualified for place in range(agents.size))


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, seed=7) as run, tempfile.TemporaryDirectory() as data_dir:
        texts, source = texts_of(run.root, run.given.seed)
        run.row("questions", len(texts), source=source)
        settings = read_settings((run.root,), 0, data_dir)
        index = build_index(settings, builder_of(settings))
        events = Day(texts, agents_of(index), run.given.seed).events()
        run.row("outcomes", sum(event[1] == "cacheDecision" for event in events), hours=HOURS)
        rates = asyncio.run(replay_alone(settings, events))
        for how, name in WORDINGS.items():
            hits, asked = rates[how]
            share = 100 * hits / max(1, asked)
            run.row(f"from the cache, {name}", share, "%", hits=hits, asked=asked)
