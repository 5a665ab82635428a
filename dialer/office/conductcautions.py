"""What a supervisor would want to know before people are called ahead of operators, or hear a message in place of one.

Two kinds: *warnings* (settings that are lawful and hardly meant, or that the law of many countries forbids), and *notes*: what a
predictive campaign of this team may gain, risks, and cannot know (:mod:`dialer.core.pacing.evidence`).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from dialer.core.conduct import Abandonment, Prompt
from dialer.core.ids import CampaignId
from dialer.core.lanes import may_serve
from dialer.core.pacing.evidence import lottery, percent
from dialer.core.values import AgentState, Campaign, CampaignState
from dialer.pbx.prompts import Prompts
from dialer.pbx.speech import PROGRAM, has_voice
from dialer.store.settings import StoredAgent, load_agents, load_campaigns

GAINS = {5: (58, 75), 10: (57, 80), 20: (58, 86), 50: (58, 91), 100: (57, 93)}
"""By operators: the percentage of their time in conversations and wrap-ups, progressive and predictive, as measured
(``docs/predictive.md``): 30 % answer, they talk 90 s, wrap up 15 s, 3 % is promised, and the cap is the same."""
ANSWERS_A_DAY = 220
"""Of one operator of a small team there, in 8 hours."""
SMALL_TEAM = 10
"""Fewer operators are a small team."""
_AT_WORK = frozenset(AgentState) - {AgentState.SIGNED_OUT}


def warnings(connection: sqlite3.Connection, campaign: Campaign, home: Path) -> Iterator[str]:
    """Sentences, the gravest first."""
    yield from _prompts(campaign, home)
    if campaign.mode == "announcement":
        yield from _announcement(campaign)
        return
    if campaign.mode == "predictive":
        yield from _predictive(connection, campaign)
    if campaign.machines.detect and campaign.machines.listen_s >= campaign.wait_s:
        yield (
            f"It is listened {campaign.machines.listen_s:g} s who answered (machines.listen_s), and a person waits no longer than"
            f" {campaign.wait_s:g} s in all (calls.wait_s): only who meets an idle operator at once is served."
        )


def notes(connection: sqlite3.Connection, campaign: Campaign) -> Iterator[str]:
    """What a predictive campaign may gain and risks, in numbers; for other modes nothing."""
    if campaign.mode != "predictive":
        return
    team = _team(connection, campaign.id)
    at_work = sum(one.agent.state in _AT_WORK for one in team)
    promise = campaign.pacing.abandonment
    if team:
        yield _gain(len(team), at_work)
        yield _lottery(len(team), promise)
    if (cap := promise.cap if promise.cap is not None else promise.share) < 1.0:
        yield _slow_beginning(promise, cap)
    if campaign.machines.detect:
        left_s = min(campaign.wait_s, promise.limit_s) - campaign.machines.listen_s
        yield (
            f"Every person is listened to for up to {campaign.machines.listen_s:g} s first (machines.listen_s); that leaves"
            f" {max(0.0, left_s):.2g} s of the {promise.limit_s:g} s (abandonment.limit_s) to find them an operator."
        )


def calls_ahead_after(cap: float, ahead: int) -> int:
    """So many people must have answered, and none met nobody, that *ahead* calls beyond the idle operators are placed: with all of
    them abandoned, ahead / (answered + ahead) is *cap* at most."""
    return math.ceil(ahead * (1.0 - cap) / cap - 1e-9)


# -- predictive -----------------------------------------------------------------------------


def _predictive(connection: sqlite3.Connection, campaign: Campaign) -> Iterator[str]:
    team = _team(connection, campaign.id)
    promise, least = campaign.pacing.abandonment, campaign.pacing.operators_min
    if team and len(team) < least:
        yield (
            f"{_operators(len(team))} for the campaign, and pacing.operators_min is {least}: it dials as a progressive"
            " campaign does."
        )
    if campaign.last_word.who == Prompt():
        yield (
            "Who answers and meets no operator is not told who is calling: last_word.who is empty. In many countries a name"
            " and a number must be said at once."
        )
    if campaign.no_agent == "hang_up":
        yield (
            "A predictive campaign abandons some calls, and calls.no_agent is hang_up: these people hear nothing, which is"
            " forbidden in many countries; last_word tells them who is calling."
        )
    rung = [one.card.id for one in team if one.card.leg == "rung"]
    if rung:
        early = f" (agents.ring {campaign.ring_agent} means nothing here)"
        yield (
            f"{len(rung)} of {len(team)} operators are rung for each call ({_some(rung)}). In this mode their phones ring when the"
            f" person has answered{early if campaign.ring_agent != 'at_answer' else ''}, and who picks up later than"
            f" {promise.limit_s:g} s after the answer makes it an abandoned call. Park them on the line (`--leg parked`)."
        )
    if campaign.ring_s <= campaign.pacing.ring_s_min:
        yield (
            f"A number rings {campaign.ring_s:g} s (calls.ring_s) and is not given up before {campaign.pacing.ring_s_min:g} s"
            " (pacing.ring_s_min): no ringing call is ever given up for want of operators."
        )
    for other, shared in _progressive_beside(connection, campaign, {one.card.id for one in team}):
        yield (
            f"The progressive campaign {other.id} (priority {other.priority}) shares operators with this one (priority"
            f" {campaign.priority}): {_some(shared)}. It gets none of them while this campaign has people to call; a lower priority"
            " number for it, or operators of its own, changes that."
        )


def _gain(team: int, at_work: int) -> str:
    measured = max((size for size in GAINS if size <= team), default=min(GAINS))
    before, after = GAINS[measured]
    unlike = "" if team >= measured else "; so small a team was not measured, and gains less"
    return (
        f"{_operators(team)} for the campaign, {at_work} of them signed in now. {measured} operators were {before} % of their time in"
        f" conversations and wrap-ups when dialed progressively, and {after} % predictively with 3 % promised{unlike}"
        " (docs/predictive.md; 30 % answer, talks of 90 s)."
    )


def _lottery(team: int, promise: Abandonment) -> str:
    """What the promised share is worth, counted over what so many operators talk to in a day."""
    day = team * ANSWERS_A_DAY
    one_day = lottery(day, promise.share, promise.confidence)
    window = lottery(day * promise.window_days, promise.share, promise.confidence)
    share = percent(promise.share)
    said = (
        f"Some {day} people a day answer a team of {team}. A share of {share} counted over so few is {share} ±"
        f" {100 * one_day.error:.2g} points by chance alone (standard error): with a true {percent(promise.share * 5 / 6)} more"
        f" than {share} are counted on {one_day.broken:.0%} of the days"
    ).replace("% of", " % of")
    if promise.window_days > 1:
        said += f"; over {promise.window_days} days it is ± {100 * window.error:.2g} points"
    if promise.against == "bound":
        said += (
            f". The bound is steered to {share} (abandonment.against): it takes {one_day.needed} answers without an abandoned"
            " call before calls are placed ahead"
        )
    elif team < SMALL_TEAM:
        said += ". Small teams do better to promise less (abandonment.share), and to judge a month, not a day"
    return f"{said}."


def _slow_beginning(promise: Abandonment, cap: float) -> str:
    is_same = cap == promise.share
    said = (
        f"The cap (abandonment.cap) is {'the share itself' if is_same else percent(cap)}, so the beginning is slow: the first call"
        f" beyond the idle operators is placed after {calls_ahead_after(cap, 1)} people have answered and been served, ten at"
        f" once after {calls_ahead_after(cap, 10)}."
    )
    if is_same and 2 * cap < 1.0:
        more = calls_ahead_after(2 * cap, 1), calls_ahead_after(2 * cap, 10)
        said += f" With a cap of {percent(2 * cap)} it were {more[0]} and {more[1]}, and a share above {percent(cap)} could not be ruled out in the beginning."
    return said


def _progressive_beside(
    connection: sqlite3.Connection, campaign: Campaign, team: set[str]
) -> Iterator[tuple[Campaign, Sequence[str]]]:
    """Progressive campaigns that are not over, of no better priority, that share operators of the *team*."""
    agents = load_agents(connection)
    for stored in load_campaigns(connection):
        other = stored.campaign
        is_over = stored.state in (CampaignState.STOPPED, CampaignState.FINISHED)
        if other.id == campaign.id or other.mode != "progressive" or is_over:
            continue
        shared = [
            one.card.id for one in agents if one.card.id in team and may_serve(one.card.campaigns, other.id)
        ]
        if shared and other.priority >= campaign.priority:
            yield other, shared


# -- what is said to people -----------------------------------------------------------------


def _announcement(campaign: Campaign) -> Iterator[str]:
    keys = campaign.announcement.keys
    if "refuse" not in keys.values():
        yield (
            "No key lets the person refuse further calls (announcement.keys): many countries demand one in a recorded message."
        )
    if campaign.last_word.who == Prompt() and "operator" in keys.values():
        yield "Who asks for an operator and gets none is not told who is calling: last_word.who is empty."


def _prompts(campaign: Campaign, home: Path) -> Iterator[str]:
    yield from Prompts(home, home).check(campaign)
    if not has_voice():
        yield (
            f"There is no synthetic voice on this machine ({PROGRAM} is not installed): texts are not said, and people are"
            " offered no choice by a key."
        )


# -- words ----------------------------------------------------------------------------------


def _team(connection: sqlite3.Connection, campaign: CampaignId) -> list[StoredAgent]:
    return [one for one in load_agents(connection) if may_serve(one.card.campaigns, campaign)]


def _operators(count: int) -> str:
    return "1 operator works" if count == 1 else f"{count} operators work"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
