"""Makes docker/grafana/dashboards/obzvon.json: ``python tools/dashboard.py > docker/grafana/dashboards/obzvon.json``.

A dashboard is a long file of which little is ours: the rows below. A test holds the file against this program, and
the names in its questions against the engine's metrics.
"""  # noqa: INP001

from __future__ import annotations

import json
from typing import Any

SOURCE = {"type": "prometheus", "uid": "prometheus"}
OF_CAMPAIGN = 'campaign=~"$campaign"'
OF_TRUNK = 'trunk=~"$trunk"'
AT_WORK = 'state=~"ready|reserved|on_call|wrap_up"'
WIDTH = 24

Target = tuple[str, str]
"""A question, and the name of its lines."""


def panel(kind: str, title: str, about: str, unit: str, *targets: Target, **settings: Any) -> dict[str, Any]:
    """One panel. *settings*: ``stack``, ``w``, ``h``, ``max``."""
    custom: dict[str, Any] = {}
    if kind == "timeseries":
        custom = {"fillOpacity": 10, "showPoints": "never", "lineWidth": 1}
        if settings.get("stack"):
            custom |= {"fillOpacity": 40, "stacking": {"mode": "normal"}}
    defaults: dict[str, Any] = {"unit": unit, "custom": custom} if custom else {"unit": unit}
    if "max" in settings:
        defaults |= {"min": 0, "max": settings["max"]}
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"w": settings.get("w", 8), "h": settings.get("h", 8), "x": 0, "y": 0},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": question, "legendFormat": name}
            for place, (question, name) in enumerate(targets)
        ],
    }


def lines(title: str, about: str, unit: str, *targets: Target, **settings: Any) -> dict[str, Any]:
    return panel("timeseries", title, about, unit, *targets, **settings)


def figure(title: str, about: str, unit: str, question: str, **settings: Any) -> dict[str, Any]:
    return panel("stat", title, about, unit, (question, ""), **({"w": 4, "h": 4} | settings))


def states(title: str, about: str, question: str, name: str, **settings: Any) -> dict[str, Any]:
    return panel("state-timeline", title, about, "none", (question, name), **settings)


def quantile(share: float, metric: str, by: str, where: str = "") -> str:
    """The quantile of a histogram over the last five minutes."""
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{{{where}}}[5m])))"


ROWS: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "Now",
        [
            figure(
                "Ready",
                "1: new calls can be served. /health/ready says why not.",
                "none",
                "min(obzvon_ready)",
            ),
            figure(
                "Live calls",
                "In both directions.",
                "none",
                f"sum(obzvon_calls{{{OF_CAMPAIGN}}}) or vector(0)",
            ),
            figure(
                "People who wait",
                "They answered, or called, and have no operator.",
                "none",
                f"sum(obzvon_waiting{{{OF_CAMPAIGN}}})",
            ),
            figure(
                "Operators at work",
                "Ready, on a call, or after one.",
                "none",
                f"sum(obzvon_operators{{{AT_WORK}}})",
            ),
            figure(
                "Calls begun a minute",
                "Both directions.",
                "none",
                f"60 * sum(rate(obzvon_calls_begun_total{{{OF_CAMPAIGN}}}[5m]))",
            ),
            figure(
                "Worst abandonment",
                "Of the promise: 100 % is what is promised.",
                "percentunit",
                f"max(obzvon_abandonment_share{{{OF_CAMPAIGN}}} / obzvon_abandonment_promised{{{OF_CAMPAIGN}}})",
            ),
        ],
    ),
    (
        "Calls",
        [
            lines(
                "Live calls by state",
                "",
                "none",
                (f"sum by (state) (obzvon_calls{{{OF_CAMPAIGN}}})", "{{state}}"),
                stack=True,
            ),
            lines(
                "Live calls by campaign and direction",
                "",
                "none",
                (
                    f"sum by (campaign, direction) (obzvon_calls{{{OF_CAMPAIGN}}})",
                    "{{campaign}} {{direction}}",
                ),
                stack=True,
            ),
            lines(
                "Results a minute",
                "Of the telephone.",
                "none",
                (f"60 * sum by (result) (rate(obzvon_calls_ended_total{{{OF_CAMPAIGN}}}[5m]))", "{{result}}"),
                stack=True,
            ),
            lines(
                "From the answer to an operator",
                "",
                "s",
                (quantile(0.5, "obzvon_answer_wait_seconds", "campaign", OF_CAMPAIGN), "{{campaign}} half"),
                (quantile(0.95, "obzvon_answer_wait_seconds", "campaign", OF_CAMPAIGN), "{{campaign}} 95 %"),
            ),
            lines(
                "Who waits",
                "People, and how long the first of them has.",
                "none",
                (f"obzvon_waiting{{{OF_CAMPAIGN}}}", "{{campaign}} people"),
                (f"obzvon_waiting_longest_seconds{{{OF_CAMPAIGN}}}", "{{campaign}} seconds"),
            ),
            lines(
                "Leads at hand",
                "In the hopper.",
                "none",
                (f"obzvon_leads_at_hand{{{OF_CAMPAIGN}}}", "{{campaign}}"),
            ),
        ],
    ),
    (
        "Operators",
        [
            lines(
                "Operators by state",
                "",
                "none",
                ("sum by (state) (obzvon_operators)", "{{state}}"),
                stack=True,
                w=12,
            ),
            lines(
                "Occupancy",
                "Those with a call or after one, of those at work.",
                "percentunit",
                (
                    f'sum(obzvon_operators{{state=~"reserved|on_call|wrap_up"}}) / sum(obzvon_operators{{{AT_WORK}}})',
                    "occupancy",
                ),
                (f'sum(obzvon_operators{{state="on_call"}}) / sum(obzvon_operators{{{AT_WORK}}})', "talking"),
                max=1,
                w=6,
            ),
            lines(
                "Length of conversations",
                "The average.",
                "s",
                (
                    f"sum by (campaign) (rate(obzvon_talk_seconds_sum{{{OF_CAMPAIGN}}}[15m])) / sum by (campaign) (rate(obzvon_talk_seconds_count{{{OF_CAMPAIGN}}}[15m]))",
                    "{{campaign}}",
                ),
                w=6,
            ),
        ],
    ),
    (
        "Conversations and callers",
        [
            lines(
                "Operators' results a minute",
                "As they give them.",
                "none",
                (
                    f"60 * sum by (campaign, result) (rate(obzvon_operator_results_total{{{OF_CAMPAIGN}}}[5m]))",
                    "{{campaign}} {{result}}",
                ),
                stack=True,
            ),
            lines(
                "Holds and transfers an hour",
                "That are over: what, with whom, and how it ended.",
                "none",
                (
                    f"3600 * sum by (kind, party, outcome) (rate(obzvon_transfers_total{{{OF_CAMPAIGN}}}[15m]))",
                    "{{kind}} {{party}} {{outcome}}",
                ),
                stack=True,
            ),
            lines(
                "Callers who met nobody, an hour",
                "Why, and what they got.",
                "none",
                (
                    f"3600 * sum by (campaign, why, outcome) (rate(obzvon_missed_calls_total{{{OF_CAMPAIGN}}}[15m]))",
                    "{{campaign}} {{why}} {{outcome}}",
                ),
                stack=True,
            ),
        ],
    ),
    (
        "Abandonment and pacing",
        [
            lines(
                "Abandoned, against the promise",
                "Within the window of the promise.",
                "percentunit",
                (f"obzvon_abandonment_share{{{OF_CAMPAIGN}}}", "{{campaign}} counted"),
                (f'obzvon_abandonment_bound{{side="upper", {OF_CAMPAIGN}}} < 1', "{{campaign}} upper bound"),
                (f"obzvon_abandonment_promised{{{OF_CAMPAIGN}}}", "{{campaign}} promised"),
                w=12,
            ),
            lines(
                "Abandoned calls",
                "Within the window of the promise.",
                "none",
                (f"obzvon_abandonment_abandoned{{{OF_CAMPAIGN}}}", "{{campaign}} abandoned"),
                (
                    f"obzvon_abandonment_answered{{{OF_CAMPAIGN}}} * on (campaign) obzvon_abandonment_promised",
                    "{{campaign}} would be the promise",
                ),
                w=6,
            ),
            states(
                "What keeps a campaign from more calls",
                "",
                f"obzvon_pacing_limit{{{OF_CAMPAIGN}}} == 1",
                "{{campaign}} {{server}} {{limit}}",
                w=6,
            ),
        ],
    ),
    (
        "Trunks",
        [
            lines(
                "Answered of seized (ASR)",
                "Over a quarter of an hour.",
                "percentunit",
                (
                    f"sum by (trunk) (increase(obzvon_trunk_answers_total{{{OF_TRUNK}}}[15m])) / sum by (trunk) (increase(obzvon_trunk_seizures_total{{{OF_TRUNK}}}[15m]))",
                    "{{trunk}}",
                ),
                max=1,
            ),
            lines(
                "Post-dial delay",
                "From our order to the ringing.",
                "s",
                (quantile(0.5, "obzvon_trunk_post_dial_delay_seconds", "trunk", OF_TRUNK), "{{trunk}} half"),
                (quantile(0.95, "obzvon_trunk_post_dial_delay_seconds", "trunk", OF_TRUNK), "{{trunk}} 95 %"),
            ),
            lines(
                "Why calls were not answered, a minute",
                "SIP status, else cause of Q.850.",
                "none",
                (
                    f"60 * sum by (trunk, status) (rate(obzvon_trunk_failures_total{{{OF_TRUNK}}}[5m]))",
                    "{{trunk}} {{status}}",
                ),
                stack=True,
            ),
            lines(
                "Channels",
                "Live calls, and the cap.",
                "none",
                (f"obzvon_trunk_calls{{{OF_TRUNK}}}", "{{trunk}}"),
                (f"obzvon_trunk_channels_max{{{OF_TRUNK}}}", "{{trunk}} cap"),
            ),
            lines(
                "Calls a second",
                "",
                "none",
                (
                    f'sum by (trunk) (rate(obzvon_calls_begun_total{{direction="out", {OF_TRUNK}}}[1m]))',
                    "{{trunk}}",
                ),
            ),
            states(
                "Rotation", "", f"obzvon_trunk_state{{{OF_TRUNK}}} == 1", "{{trunk}} {{server}} {{state}}"
            ),
        ],
    ),
    (
        "The engine",
        [
            lines(
                "Events: how long they wait",
                "",
                "s",
                ("max(obzvon_inbox_lag_seconds)", "oldest now"),
                ("histogram_quantile(0.99, sum by (le) (rate(obzvon_event_lag_seconds_bucket[5m])))", "99 %"),
            ),
            lines(
                "Requests to Asterisk, 95 %",
                "By server and request.",
                "s",
                (quantile(0.95, "obzvon_ari_request_seconds", "server, request"), "{{server}} {{request}}"),
            ),
            lines(
                "The journal's saves",
                "",
                "s",
                (
                    "histogram_quantile(0.5, sum by (le) (rate(obzvon_journal_save_seconds_bucket[5m])))",
                    "half",
                ),
                (
                    "histogram_quantile(0.99, sum by (le) (rate(obzvon_journal_save_seconds_bucket[5m])))",
                    "99 %",
                ),
            ),
            lines(
                "Errors a minute",
                "Refusals of Asterisk may be harmless: a channel that is gone already.",
                "none",
                (
                    "60 * sum by (server, kind) (rate(obzvon_ari_failures_total[5m]))",
                    "Asterisk {{server}} {{kind}}",
                ),
                ("60 * sum(rate(obzvon_journal_failures_total[5m]))", "journal"),
                ("60 * sum(rate(obzvon_recordings_missing_total[5m]))", "recordings missing"),
            ),
            lines(
                "Connections",
                "1: up.",
                "none",
                ("obzvon_pbx_up", "Asterisk {{server}}"),
                ("obzvon_timers_up", "Redis"),
                ("obzvon_journal_up", "journal"),
                ("obzvon_originating", "may place calls"),
                max=1,
            ),
            lines("Recordings that are not ready", "", "none", ("obzvon_recordings_pending", "recordings")),
            lines("Free disk", "", "bytes", ("obzvon_disk_free_bytes", "{{folder}}")),
            lines(
                "Events and timers",
                "",
                "none",
                ("rate(obzvon_events_total[1m])", "events a second"),
                ("obzvon_timers_waiting", "timers that wait"),
                ("obzvon_inbox_events", "events that wait"),
            ),
            lines(
                "The process",
                "",
                "none",
                ('rate(process_cpu_seconds_total{job="obzvon"}[1m])', "cores"),
                ('process_resident_memory_bytes{job="obzvon"} / 1e9', "memory, GB"),
                (
                    'process_open_fds{job="obzvon"} / process_max_fds{job="obzvon"}',
                    "open files, of those allowed",
                ),
            ),
        ],
    ),
]


def laid_out() -> list[dict[str, Any]]:
    """The panels in their places: rows from the top, each panel beside the last one as long as there is room."""
    made: list[dict[str, Any]] = []
    top = 0
    for title, panels in ROWS:
        made.append(
            {
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
                "panels": [],
            }
        )
        top += 1
        left = height = 0
        for one in panels:
            place = one["gridPos"]
            if left + place["w"] > WIDTH:
                top, left, height = top + height, 0, 0
            place["x"], place["y"] = left, top
            left, height = left + place["w"], max(height, place["h"])
            made.append(one)
        top += height
    return [one | {"id": place} for place, one in enumerate(made, start=1)]


def variable(name: str, title: str, question: str) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": title,
        "datasource": SOURCE,
        "query": {"query": question, "refId": name},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard() -> dict[str, Any]:
    """The whole file."""
    return {
        "uid": "obzvon",
        "title": "Obzvon",
        "tags": ["obzvon"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                variable("campaign", "Campaign", "label_values(obzvon_campaign_state, campaign)"),
                variable("trunk", "Trunk", "label_values(obzvon_trunk_channels_max, trunk)"),
            ]
        },
        "panels": laid_out(),
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1, ensure_ascii=False))
