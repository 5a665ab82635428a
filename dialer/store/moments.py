"""What stood at a moment, now or past: a campaign's state, its operators, the calls under way, the engine.

For ``dialer why``. Everything is read from the histories that decisions leave behind, so an answer about
yesterday is as good as one about now, as far back as they are kept (events for 30 days).

That an engine is gone nobody writes down. It is seen from the next ``EngineStarted``: what was noted last
before it is its last sign of life.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from dialer.core.ids import AgentId, AttemptId, CampaignId, LeadId, TrunkId
from dialer.core.values import AgentState, CampaignState

SIGNS = (
    "EngineStarted",
    "EventsLagged",
    "JournalFailed",
    "JournalRecovered",
    "Leaving",
    "PbxConnected",
    "PbxDisconnected",
    "TrunkChanged",
)
"""Events that tell whether the engine may place calls. Exactly these are in the index ``events_of_engine``."""

_IS_SIGN = f"name IN ({', '.join(repr(name) for name in SIGNS)})"
_SIGNS_BEFORE = (
    f"SELECT id, at, name, body FROM events INDEXED BY events_of_engine WHERE {_IS_SIGN} AND at <= ?"
    " ORDER BY at DESC, id DESC"
)
_SIGNS_AFTER = (
    f"SELECT id, at, name, body FROM events INDEXED BY events_of_engine WHERE {_IS_SIGN} AND at > ?"
    " ORDER BY at, id"
)
_LOOKED_AT_MAX = 20_000
"""Signs of one engine; more of them are not looked through."""
_CALLS_AT = """
SELECT attempt, campaign, trunk, lead, number, agent, created_at, connected_at, ended_at, direction
FROM attempts WHERE created_at < :at AND created_at > :at - :longest AND coalesce(ended_at, 1e12) > :at
UNION ALL
SELECT attempt, campaign, trunk, lead, number, agent, created_at, connected_at, ended_at, direction
FROM attempts INDEXED BY attempts_open
WHERE state <> 'ended' AND created_at <= :at - :longest
"""
_STATES_MAX = 8
"""States that an operator may go through at one instant."""
_LONGEST_S = 6 * 3600.0
"""No call lasts longer; so far back one is looked for that was under way."""


class StateThen(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's state at a moment. *until*: when it changed; None: it lasts."""

    state: CampaignState
    since: float
    until: float | None


class AgentThen(msgspec.Struct, frozen=True, kw_only=True):
    """An operator at a moment; *until*: when the state changed; None: it lasts."""

    agent: AgentId
    state: AgentState
    reason: str
    since: float
    until: float | None
    was_ready: bool
    """Ready at the moment, or just before it: who was ready until then had the call that was placed then."""


class CallThen(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that was under way at a moment."""

    attempt: AttemptId
    campaign: CampaignId
    trunk: TrunkId
    lead: LeadId
    number: str
    agent: AgentId | None
    created_at: float
    connected_at: float | None
    ended_at: float | None
    direction: str = "out"
    """``in``: the person called us."""

    def is_connected_at(self, at: float) -> bool:
        """Whether the person talked with an operator then."""
        return self.connected_at is not None and self.connected_at <= at


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why no call could be placed. *rule*: no_engine, engine_leaving, pbx_away, events_lag, journal_fails, trunk_down.

    *until*: when it was over; None: it lasts, or that is not known.
    """

    rule: str
    says: str
    since: float | None
    until: float | None


def campaign_state_at(connection: sqlite3.Connection, campaign: CampaignId, at: float) -> StateThen | None:
    """Where the campaign stood at *at*; None: it was not there yet."""
    row = connection.execute(
        "SELECT id, state, at FROM campaign_states WHERE campaign = ? AND at <= ? ORDER BY at DESC, id DESC LIMIT 1",
        (campaign, at),
    ).fetchone()
    if row is None:
        return None
    after = connection.execute(
        "SELECT at FROM campaign_states WHERE campaign = ? AND at > ? ORDER BY at, id LIMIT 1", (campaign, at)
    ).fetchone()
    return StateThen(state=CampaignState(row[1]), since=row[2], until=after[0] if after else None)


def next_running(connection: sqlite3.Connection, campaign: CampaignId, at: float) -> float | None:
    """When the campaign ran again, after *at*; None: it never did so far."""
    row = connection.execute(
        "SELECT min(at) FROM campaign_states WHERE campaign = ? AND at > ? AND state = 'running'",
        (campaign, at),
    ).fetchone()
    return None if row[0] is None else float(row[0])


def agents_at(connection: sqlite3.Connection, campaign: CampaignId, at: float) -> list[AgentThen]:
    """The operators who work for the campaign (by their present cards), as they stood at *at*."""
    found = []
    for identity, campaigns in connection.execute("SELECT id, campaigns FROM agents ORDER BY id").fetchall():
        served = msgspec.json.decode(campaigns)
        if served and campaign not in served:
            continue
        found.append(agent_at(connection, AgentId(identity), at))
    return found


def agent_at(connection: sqlite3.Connection, agent: AgentId, at: float) -> AgentThen:
    """One operator as they stood at *at*; who was never seen was signed out."""
    rows = connection.execute(
        "SELECT state, reason, began_at, ended_at FROM agent_states WHERE agent = ? AND began_at <= ?"
        " ORDER BY began_at DESC, id DESC LIMIT ?",
        (agent, at, _STATES_MAX),
    ).fetchall()
    state, reason, since, until = rows[0] if rows else (AgentState.SIGNED_OUT, "", 0.0, None)
    return AgentThen(
        agent=agent,
        state=AgentState(state),
        reason=reason,
        since=since,
        until=until,
        was_ready=any(one[0] == AgentState.READY and (one[3] is None or one[3] >= at) for one in rows),
    )


def next_ready(connection: sqlite3.Connection, agents: Sequence[AgentId], at: float) -> float | None:
    """When one of *agents* was ready, after *at*; None: none was so far."""
    sql = "SELECT min(began_at) FROM agent_states WHERE agent = ? AND began_at > ? AND state = 'ready'"
    found = [connection.execute(sql, (agent, at)).fetchone()[0] for agent in agents]
    return min((one for one in found if one is not None), default=None)


def calls_at(connection: sqlite3.Connection, at: float) -> list[CallThen]:
    """The attempts that were begun before *at* and had not ended then."""
    names = CallThen.__struct_fields__
    rows = connection.execute(_CALLS_AT, {"at": at, "longest": _LONGEST_S})
    return [msgspec.convert(dict(zip(names, row, strict=True)), CallThen) for row in rows]


def leads_before(connection: sqlite3.Connection, lead: LeadId, at: float, most: int) -> int:
    """How many of the campaign's leads that are due at *at* go before this one, counted up to *most*."""
    campaign, priority, due = connection.execute(
        "SELECT campaign, priority, due FROM leads WHERE id = ?", (lead,)
    ).fetchone()
    found = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM leads WHERE campaign = ? AND finished IS NULL AND due <= ?"
        " AND (priority, due, id) < (?, ?, ?) LIMIT ?)",
        (campaign, at, priority, due, lead, most),
    )
    return int(found.fetchone()[0])


def troubles_at(connection: sqlite3.Connection, trunk: TrunkId, at: float) -> list[Trouble]:
    """What kept the engine from placing calls through *trunk* at *at*, as far as events tell."""
    signs, start = _signs(connection, at)
    if start is None:
        known_from = connection.execute("SELECT min(at) FROM events").fetchone()[0]
        first = _next(connection, at, "EngineStarted")
        if first is not None and known_from is not None and known_from >= first:
            return [Trouble(rule="no_engine", says="no engine had run yet", since=None, until=first)]
        return []
    gone = _gone(connection, start, at)
    return [gone] if gone is not None else list(_standing(connection, signs, start, trunk, at))


_Sign = tuple[int, float, str, str]


def _signs(connection: sqlite3.Connection, at: float) -> tuple[list[_Sign], _Sign | None]:
    """The signs since the last start of an engine, newest first, and that start."""
    signs: list[_Sign] = []
    for row in connection.execute(_SIGNS_BEFORE, (at,)):
        sign = tuple(row)
        if sign[2] == "EngineStarted" or len(signs) >= _LOOKED_AT_MAX:
            return signs, sign
        signs.append(sign)
    return signs, None


def _next(connection: sqlite3.Connection, at: float, name: str, **wanted: Any) -> float | None:
    """When the sign *name* with these fields came next, before an engine started anew."""
    for _, when, found, body in connection.execute(_SIGNS_AFTER, (at,)):
        if found == name and all(msgspec.json.decode(body).get(key) == one for key, one in wanted.items()):
            return float(when)
        if found == "EngineStarted":
            return None
    return None


def _gone(connection: sqlite3.Connection, start: _Sign, at: float) -> Trouble | None:
    """Whether the engine that began with *start* was gone at *at*, by its last sign of life."""
    following = None
    for sign in connection.execute(_SIGNS_AFTER, (at,)):
        if sign[2] == "EngineStarted":
            following = sign
            break
    if following is None:
        return None
    last = connection.execute(
        "SELECT at FROM events WHERE id < ? ORDER BY id DESC LIMIT 1", (following[0],)
    ).fetchone()
    last_at = max(start[1], float(last[0])) if last is not None else start[1]
    if last_at >= at:
        return None
    return Trouble(rule="no_engine", says="no engine was at work", since=last_at, until=float(following[1]))


def _standing(
    connection: sqlite3.Connection, signs: list[_Sign], start: _Sign, trunk: TrunkId, at: float
) -> list[Trouble]:
    newest: dict[str, tuple[float, dict[str, Any]]] = {}
    for _, when, name, text in signs:
        body = msgspec.json.decode(text)
        if name == "TrunkChanged" and body["trunk"] != trunk:
            continue
        newest.setdefault(_SUBJECT[name], (when, {**body, "name": name}))
    found = []
    if "leaving" in newest:
        since, _ = newest["leaving"]
        found.append(Trouble(rule="engine_leaving", says="the engine was leaving", since=since, until=None))
    since, body = newest.get("pbx", (start[1], {"name": ""}))
    if body["name"] != "PbxConnected":
        until = _next(connection, at, "PbxConnected")
        found.append(Trouble(rule="pbx_away", says="no connection to Asterisk", since=since, until=until))
    if "lag" in newest and newest["lag"][1]["is_late"]:
        until = _next(connection, at, "EventsLagged", is_late=False)
        found.append(Trouble(rule="events_lag", says="events lagged", since=newest["lag"][0], until=until))
    if "journal" in newest and newest["journal"][1]["name"] == "JournalFailed":
        since, body = newest["journal"]
        until = _next(connection, at, "JournalRecovered")
        says = f"the journal failed: {body['reason']}"
        found.append(Trouble(rule="journal_fails", says=says, since=since, until=until))
    if "trunk" in newest and not newest["trunk"][1]["is_up"]:
        until = _next(connection, at, "TrunkChanged", trunk=trunk, is_up=True)
        says = f"the trunk {trunk} did not answer"
        found.append(Trouble(rule="trunk_down", says=says, since=newest["trunk"][0], until=until))
    return found


_SUBJECT = {
    "Leaving": "leaving",
    "PbxConnected": "pbx",
    "PbxDisconnected": "pbx",
    "EventsLagged": "lag",
    "JournalFailed": "journal",
    "JournalRecovered": "journal",
    "TrunkChanged": "trunk",
}
