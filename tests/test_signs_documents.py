"""Do the dashboard and the alert rules name metrics that there are?"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import REPOSITORY
from orchestr8_index.serve.prometheus import exposition
from orchestr8_index.store import backup

from .serve.learners import Learner, learn

DOCS = REPOSITORY / "docs"
METRIC = re.compile(r"\borchestr8_[a-z0-9_]+")
OF_A_TEAM = {"orchestr8_lag_seconds", "orchestr8_redis_memory_ratio"}  # tests/team asks one
RULES = [
    rule
    for group in yaml.safe_load((DOCS / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, shipped_index: Index) -> set[str]:
    """The names of all samples of a server that has been asked, told and backed up."""
    data = tmp_path_factory.mktemp("exported")

    async def work(learner: Learner) -> str:
        await learner.report()
        await learner.call("querySkills", context="release notes")
        await learner.reply("nope")
        backup.backup(data)
        return exposition(learner.state).decode()

    lines = learn(data, shipped_index, work).splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


def dashboard() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
    return told


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "alerts.yml"])
def test_every_metric_that_is_named_is_exported(name: str, exported: set[str]) -> None:
    named = set(METRIC.findall((DOCS / name).read_text("utf-8")))
    assert len(named) > 5 and named - exported <= OF_A_TEAM


def test_every_metric_is_on_the_dashboard(exported: set[str]) -> None:
    text = (DOCS / "grafana-dashboard.json").read_text("utf-8")
    ignored = {"orchestr8_server_info"}
    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported} - ignored
    assert {name for name in bases if name not in text} == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_when_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"]["summary"] and rule["annotations"]["cure"]
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert panel["targets"] and at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        taken |= cells


def test_the_page_on_operating_links_them() -> None:
    text = Path(REPOSITORY / "docs" / "operating.md").read_text("utf-8")
    assert "](grafana-dashboard.json)" in text and "](alerts.yml)" in text
