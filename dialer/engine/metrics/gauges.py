"""Gauges: how things stand, read from the floor and its neighbours when somebody asks. See the package's rules.

What costs a look outside of the process (Redis, disks) is looked at before, in :class:`Outside`, and never waited for long.
"""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dialer.core.desk import TrunkState
from dialer.core.floor import Floor
from dialer.core.ids import ONLY, ServerId
from dialer.core.lanes import campaign_of, server_of
from dialer.core.values import AgentState, Call, CallState, CampaignState

GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "obzvon_build_info": ("Always 1; its labels tell the versions.", ("version", "python")),
    "obzvon_ready": ("1 where /health/ready says so.", ()),
    "obzvon_originating": ("1 where calls may be placed.", ()),
    "obzvon_calls": ("Live calls.", ("campaign", "state", "server", "direction")),
    "obzvon_waiting": ("People who answered, or called us, and have no operator.", ("campaign",)),
    "obzvon_waiting_longest_seconds": ("How long the first of them has waited.", ("campaign",)),
    "obzvon_campaign_state": ("1 for the state that the campaign is in.", ("campaign", "state")),
    "obzvon_leads_at_hand": ("Leads in the hopper.", ("campaign",)),
    "obzvon_operators": ("Operators.", ("state", "server")),
    "obzvon_inbox_events": ("Events that wait to be decided on.", ()),
    "obzvon_inbox_lag_seconds": ("Age of the oldest of them, or what it was in the last batch.", ()),
    "obzvon_commands_under_way": ("Channels for which Asterisk has orders under way.", ()),
    "obzvon_journal_up": ("1 where the last save succeeded.", ()),
    "obzvon_timers_up": ("1 where Redis holds our timers.", ()),
    "obzvon_timers_waiting": ("Timers that wait in Redis; missing while it is away.", ()),
    "obzvon_pbx_up": ("1 where events flow from that Asterisk.", ("server",)),
    "obzvon_abandonment_answered": (
        "Calls that people answered, within the window of the promise.",
        ("campaign",),
    ),
    "obzvon_abandonment_abandoned": ("Those of them that were abandoned.", ("campaign",)),
    "obzvon_abandonment_share": ("Abandoned of answered; missing while nobody answered.", ("campaign",)),
    "obzvon_abandonment_bound": (
        "Between what (side lower, upper) the true share lies, with the campaign's confidence.",
        ("campaign", "side"),
    ),
    "obzvon_abandonment_promised": ("The share that is promised.", ("campaign",)),
    "obzvon_pacing_limit": (
        "1 for what kept the campaign from one more call (on that server), at its last decision.",
        ("campaign", "server", "limit"),
    ),
    "obzvon_trunk_up": ("1 where that Asterisk reaches the trunk.", ("trunk", "server")),
    "obzvon_trunk_state": (
        "1 for the state that the trunk is in: up, down, resting or probing (out of rotation), disabled, removed.",
        ("trunk", "server", "state"),
    ),
    "obzvon_trunk_calls": ("Live calls of the trunk.", ("trunk",)),
    "obzvon_trunk_channels_max": ("Its cap.", ("trunk",)),
    "obzvon_trunk_room": (
        "Calls that it takes at this moment: lines and calls per second.",
        ("trunk", "server"),
    ),
    "obzvon_recordings_pending": ("Recordings of ended calls that are not ready.", ()),
    "obzvon_disk_free_bytes": ("Free space where recordings, and where the journal lies.", ("folder",)),
}
"""Name, meaning, labels."""
TOTALS: dict[str, tuple[str, tuple[str, ...]]] = {
    "obzvon_pbx_connects": ("How often the event socket was connected.", ("server",)),
}
"""Counters that are kept elsewhere, and only read here; ``_total`` is put behind the name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """What was seen outside of the process; None, or missing: not seen in time."""

    timers_waiting: int | None = None
    free_bytes: Mapping[str, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """Where the rest is read: the engine's parts, and what they say of themselves.

    *servers*: of each, whether events flow and how often its socket was connected.
    """

    version: str
    floor: Floor
    clock: Callable[[], float]
    depth: Callable[[], int]
    lag_s: Callable[[], float]
    busy: Callable[[], int]
    journal_ok: Callable[[], bool]
    timers_ok: Callable[[], bool]
    servers: Callable[[], Mapping[ServerId, tuple[bool, int]]]
    recordings_pending: Callable[[], int]


class _Sheet:
    """Families of the table above, filled one value at a time."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def put(self, name: str, value: float, *labels: str) -> None:
        """One value. KeyError: the table does not have it."""
        family = self._families.get(name)
        if family is None:
            if name in GAUGES:
                about, names = GAUGES[name]
                family = GaugeMetricFamily(name, about, labels=names)
            else:
                about, names = TOTALS[name]
                family = CounterMetricFamily(name, about, labels=names)
            self._families[name] = family
        family.add_metric(labels, value)  # type: ignore[attr-defined]

    def families(self) -> Sequence[Metric]:
        return list(self._families.values())


def read(inside: Inside, outside: Outside, *, is_ready: bool) -> Sequence[Metric]:
    """How things stand. On the loop, for the floor is its own; some milliseconds for hundreds of calls."""
    sheet = _Sheet()
    floor, at = inside.floor, inside.clock()
    sheet.put("obzvon_build_info", 1, inside.version, platform.python_version())
    sheet.put("obzvon_ready", is_ready)
    sheet.put("obzvon_originating", not floor.why_not_originating())
    sheet.put("obzvon_inbox_events", inside.depth())
    sheet.put("obzvon_inbox_lag_seconds", inside.lag_s())
    sheet.put("obzvon_commands_under_way", inside.busy())
    sheet.put("obzvon_journal_up", inside.journal_ok())
    sheet.put("obzvon_timers_up", inside.timers_ok())
    sheet.put("obzvon_recordings_pending", inside.recordings_pending())
    if outside.timers_waiting is not None:
        sheet.put("obzvon_timers_waiting", outside.timers_waiting)
    for folder, free in (outside.free_bytes or {}).items():
        sheet.put("obzvon_disk_free_bytes", free, folder)
    for server, (is_up, connects) in inside.servers().items():
        sheet.put("obzvon_pbx_up", is_up, server)
        sheet.put("obzvon_pbx_connects", connects, server)
    _calls(sheet, floor.calls.values())
    _campaigns(sheet, floor, at)
    _pacing(sheet, floor)
    _operators(sheet, floor)
    _trunks(sheet, floor, inside.servers(), at)
    return sheet.families()


def _calls(sheet: _Sheet, calls: Iterable[Call]) -> None:
    counts = Tally((call.campaign, str(call.state), call.server, call.direction) for call in calls)
    for labels, count in counts.items():
        sheet.put("obzvon_calls", count, *labels)


def _campaigns(sheet: _Sheet, floor: Floor, at: float) -> None:
    waiting: dict[str, list[float]] = {}
    for call in floor.calls.values():
        if call.state is CallState.ANSWERED and call.agent is None:
            since = call.answered_at if call.answered_at is not None else at
            waiting.setdefault(call.campaign, []).append(since)
    for desk in floor.desks.values():
        campaign = desk.campaign.id
        people = waiting.get(campaign, [])
        sheet.put("obzvon_waiting", len(people), campaign)
        sheet.put("obzvon_waiting_longest_seconds", max(0.0, at - min(people, default=at)), campaign)
        sheet.put("obzvon_leads_at_hand", len(desk.hopper), campaign)
        for state in CampaignState:
            sheet.put("obzvon_campaign_state", desk.state is state, campaign, str(state))
        ledger = floor.ledger(campaign)
        if ledger is None:
            continue
        answered, abandoned = ledger.totals(at)
        lower, upper = ledger.bound(at)
        sheet.put("obzvon_abandonment_answered", answered, campaign)
        sheet.put("obzvon_abandonment_abandoned", abandoned, campaign)
        if answered:
            sheet.put("obzvon_abandonment_share", abandoned / answered, campaign)
        sheet.put("obzvon_abandonment_bound", lower, campaign, "lower")
        sheet.put("obzvon_abandonment_bound", upper, campaign, "upper")
        sheet.put("obzvon_abandonment_promised", ledger.rules.share, campaign)


def _pacing(sheet: _Sheet, floor: Floor) -> None:
    for lane, reasons in floor.reasons.items():
        if reasons and campaign_of(lane) in floor.desks:
            limit = reasons[-1][1].limit or "none"
            sheet.put("obzvon_pacing_limit", 1, campaign_of(lane), server_of(lane), limit)


def _operators(sheet: _Sheet, floor: Floor) -> None:
    counts = Tally((str(agent.state), agent.server) for agent in floor.agents.values())
    servers = {server for _, server in counts} or {ONLY}
    for state in AgentState:
        for server in sorted(servers):
            sheet.put("obzvon_operators", counts[str(state), server], str(state), server)


def _trunks(sheet: _Sheet, floor: Floor, servers: Iterable[ServerId], at: float) -> None:
    for desk in floor.trunks.values():
        trunk = desk.trunk.id
        if desk.is_removed and not desk.live:
            continue
        sheet.put("obzvon_trunk_calls", desk.live, trunk)
        sheet.put("obzvon_trunk_channels_max", desk.trunk.channels_max, trunk)
        for server in servers:
            if not desk.serves(server):
                continue
            sheet.put("obzvon_trunk_up", desk.is_up(server), trunk, server)
            sheet.put("obzvon_trunk_room", desk.room(at, server), trunk, server)
            for state in get_args(TrunkState):
                sheet.put("obzvon_trunk_state", desk.state(server) == state, trunk, server, state)
