"""The dashboard and the alarms ask for metrics that the engine tells, by labels that these have."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from dialer.engine.metrics.catalogue import catalogue
from tests.unit.docker.promql import BadQuestion, names_in

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD = ROOT / "docker/grafana/dashboards/obzvon.json"
ALERTS = ROOT / "docker/prometheus/alerts.yaml"
OF_PROMETHEUS = {"up": {"job", "instance"}}
SCRAPED = {"job", "instance"}
"""Labels that Prometheus puts to everything that it scrapes."""


def known() -> dict[str, set[str]]:
    """Labels by the name of the series."""
    ours = {series: {*one.labels, *SCRAPED} for one in catalogue() for series in one.series}
    for one in catalogue():
        if one.kind == "histogram":
            ours[f"{one.name}_bucket"].add("le")
    process = {family.name: SCRAPED for family in ProcessCollector(registry=CollectorRegistry()).collect()}
    process |= {f"{name}_total": labels for name, labels in process.items()}
    return OF_PROMETHEUS | ours | process


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def questions() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel: {panel['title']}", target["expr"]
    for variable in dashboard()["templating"]["list"]:
        asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert asked is not None
        yield f"variable: {variable['name']}", f"sum by ({asked[2]}) ({asked[1]})"
    for rule in rules():
        yield f"alert: {rule['alert']}", rule["expr"]


@pytest.mark.parametrize(("where", "question"), list(questions()), ids=lambda one: one.replace(" ", "_")[:60])
def test_what_is_asked_for_is_told(where: str, question: str):
    metrics, labels = names_in(question)
    there = known()
    assert metrics, where
    assert metrics <= there.keys(), where
    assert labels <= set().union(*(there[name] for name in metrics)), where


@pytest.mark.parametrize(
    "question",
    ["obzvon_no_such == 1", 'obzvon_calls{colour="red"}', "sum by (colour) (obzvon_calls)"],
)
def test_what_is_not_told_would_be_noticed(question: str):
    metrics, labels = names_in(question)
    there = known()
    assert not metrics <= there.keys() or not labels <= set().union(*(there[name] for name in metrics))


@pytest.mark.parametrize(
    "question", ["sum(", 'obzvon_calls{state="}', "sum by (x (a)", "a b", "rate(obzvon_calls[5x])"]
)
def test_a_question_that_is_none_would_be_noticed(question: str):
    with pytest.raises(BadQuestion):
        names_in(question)


def test_every_metric_is_shown_or_watched():
    """Or it is not worth telling; these are for looking things up."""
    asked = set().union(*(names_in(question)[0] for _, question in questions()))
    unasked = {one.name for one in catalogue() if not asked & set(one.series)}
    assert unasked == {
        "obzvon_build_info",
        "obzvon_commands_under_way",
        "obzvon_pbx_connects_total",
        "obzvon_trunk_room",
        "obzvon_trunk_up",
    }


def test_every_alarm_says_what_is_wrong_and_the_mend():
    for rule in rules():
        assert re.fullmatch(r"Obzvon[A-Z]\w+", rule["alert"])
        assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
        assert rule["annotations"].keys() == {"summary", "mend"}
        assert all(rule["annotations"].values())
        used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        _, labels = names_in(rule["expr"])
        of_series = set().union(*(known()[name] for name in names_in(rule["expr"])[0]))
        assert used <= of_series | labels, rule["alert"]
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_the_dashboard_is_what_its_program_makes():
    made = runpy.run_path(str(ROOT / "tools/dashboard.py"))["dashboard"]()
    assert made == dashboard(), "python tools/dashboard.py > docker/grafana/dashboards/obzvon.json"


def test_panels_lie_beside_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
