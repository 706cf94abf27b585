"""Does the list of roles say who plays them?"""

from __future__ import annotations

from ..trees import MakeTree, agent
from .conftest import ROOT, Run

REGISTRY = """
roles:
  reviewer:
    primary: tree:critic
    fallbacks: [tree:nobody]
    use_when: Before a release.
  ghost:
    primary: tree:spirit
"""


def test_roles_name_their_agents(offline: Run) -> None:
    told = offline("roles", "--root", ROOT, "--json").json
    assert set(told["roles"][0]) == {
        "role",
        "agents",
        "missing",
        "capabilities",
        "model",
        "use_when",
    }
    assert all(":" in name for role in told["roles"] for name in role["agents"])


def test_missing_agents_are_told(run: Run, make_tree: MakeTree) -> None:
    files = {"agents/critic.md": agent("critic"), "agent-registry.yml": REGISTRY}
    said = run("roles", "--root", str(make_tree(files)))
    assert "reviewer: tree:critic" in said.out
    assert "missing: tree:nobody" in said.out
    assert "ghost: nobody" in said.out
    assert "Before a release." in said.out


def test_without_a_registry_it_says_where_one_goes(run: Run, make_tree: MakeTree) -> None:
    said = run("roles", "--root", str(make_tree({"agents/critic.md": agent("critic")})))
    assert (said.status, "agent-registry.yml" in said.out) == (0, True)


def test_with_a_server_its_roles_are_listed(online: Run) -> None:
    said = online("roles")
    assert said.out and "the running server" in said.err
