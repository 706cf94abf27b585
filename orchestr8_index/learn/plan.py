"""The order in which a pattern's agents may work: dependencies without a cycle, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from ..errors import InvalidParams

Dependencies = Mapping[str, Sequence[str]]


def check_dependencies(sequence: Sequence[str], dependencies: Dependencies) -> None:
    """Raises InvalidParams for agents outside of the sequence, and for a cycle; it names them."""
    names = {*dependencies, *(name for required in dependencies.values() for name in required)}
    if unknown := sorted(names - set(sequence)):
        raise InvalidParams({"dependencies": f"not in agent_sequence: {', '.join(unknown)}"})
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        cycle = " → ".join(reversed(error.args[1]))
        raise InvalidParams({"dependencies": f"they form a cycle: {cycle}"}) from None


def derive_groups(sequence: Sequence[str], dependencies: Dependencies) -> list[list[str]]:
    """Topological levels: groups of agents that may work in parallel. Without dependencies each
    agent is a group."""
    if not dependencies:
        return [[agent] for agent in dict.fromkeys(sequence)]
    sorter = TopologicalSorter({agent: dependencies.get(agent, ()) for agent in sequence})
    sorter.prepare()
    groups, place = [], {agent: number for number, agent in enumerate(sequence)}
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        groups.append(ready)
        sorter.done(*ready)
    return groups


def check_groups(
    sequence: Sequence[str], dependencies: Dependencies, groups: Sequence[Sequence[str]]
) -> None:
    """Raises InvalidParams unless each agent is in one group, after all that it depends on."""
    placed: dict[str, int] = {}
    for number, group in enumerate(groups):
        for agent in group:
            if agent in placed:
                raise InvalidParams({"parallel_groups": f"{agent} stands in two places"})
            placed[agent] = number
    if set(placed) != set(sequence):
        different = ", ".join(sorted(set(placed) ^ set(sequence)))
        raise InvalidParams({"parallel_groups": f"other agents than agent_sequence: {different}"})
    for agent, required in dependencies.items():
        late = [name for name in required if placed[name] >= placed[agent]]
        if late:
            sentence = f"{agent} depends on {', '.join(late)} and must stand in a later group"
            raise InvalidParams({"parallel_groups": sentence})
