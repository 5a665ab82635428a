"""What a supervisor would want to know before a campaign starts: settings that are lawful and yet unlikely to be meant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from dialer.core.results import DEFAULT_RETRY, operator_results, retry_rule
from dialer.core.values import AgentState, Campaign, Caps, Centre, Trunk
from dialer.office import conductcautions, inboundcautions
from dialer.office.checking import HOUR_S, Check
from dialer.office.layers import Engine
from dialer.store import moments
from dialer.store.hourtext import SAFE
from dialer.store.schema import LIST_REMOVED
from dialer.store.settings import StoredCampaign, load_centre, load_trunks

LIMIT_S = 2.0
"""A person who waits longer: in many countries such a call counts as abandoned."""
NARROW_SHARE = 1 / 6
"""Who may be called for a smaller share of the time (4 hours a day) is hardly reached."""
RING_S = 15.0
"""A shorter ringing is not allowed in many countries, and few answer so soon."""


def cautions(
    connection: sqlite3.Connection,
    stored: StoredCampaign,
    centre: Centre,
    engine: Engine,
    found: Check,
    home: Path,
) -> list[str]:
    """Sentences, the gravest first. *centre*: the rules that the check went by. *found*: what it found. *home*: the home folder."""
    campaign = stored.campaign
    trunk = next((one for one in load_trunks(connection) if one.id == campaign.trunk), None)
    return [
        *_people(campaign, found),
        *_operators(connection, campaign, found.at),
        *_trunk(campaign, trunk, engine),
        *_hours(campaign, found),
        *_caps(campaign, centre),
        *_calls(campaign),
        *conductcautions.warnings(connection, campaign, home),
        *inboundcautions.warnings(connection, campaign, centre),
        *_centre(connection, centre),
    ]


def _people(campaign: Campaign, found: Check) -> Iterator[str]:
    removed = sum(one.contacts for one in found.never if one.reason == LIST_REMOVED)
    if not campaign.lists and campaign.inbound.numbers:
        return  # it takes calls, and calls back
    if not campaign.lists:
        yield "The campaign calls no list: `lists` is empty."
    elif found.contacts == removed:
        yield f"The campaign's lists ({', '.join(campaign.lists)}) hold nobody."
    elif not any(hour.open for hour in found.hours):
        if found.later:
            yield f"Nobody may be dialed in the next {len(found.hours)} hours."
        else:
            yield "Nobody is left to be called."


def _operators(connection: sqlite3.Connection, campaign: Campaign, at: float) -> Iterator[str]:
    if campaign.mode == "announcement" and "operator" not in campaign.announcement.keys.values():
        return
    agents = moments.agents_at(connection, campaign.id, at)
    if not agents:
        yield "No operator works for the campaign: `dialer agent add NAME --phone N`."
    elif all(one.state is AgentState.SIGNED_OUT for one in agents):
        yield f"None of its operators is signed in (it has {len(agents)})."


def _trunk(campaign: Campaign, trunk: Trunk | None, engine: Engine) -> Iterator[str]:
    if trunk is None:
        yield f"The trunk {campaign.trunk} was never applied: `dialer trunk apply`."
        return
    if engine.rule:
        yield f"The engine places no calls now: {engine.says}."
    elif not engine.trunks.get(trunk.id, True):
        yield f"The trunk {trunk.id} does not answer now."
    shown = trunk.caller_id or trunk.caller_ids.numbers or trunk.caller_ids.campaigns.get(campaign.id)
    if not campaign.caller_id and not shown and trunk.caller_ids.regions:
        yield f"The trunk {trunk.id} has a number to show for some regions only: elsewhere people see none, or the carrier's."
    elif not campaign.caller_id and not shown:
        yield "Neither the campaign nor its trunk has a caller_id: people see no number, or the carrier's."


def _hours(campaign: Campaign, found: Check) -> Iterator[str]:
    if campaign.hours is None:
        yield "There are no calling hours: people are called at any time of the day and the night."
        return
    rules = {one.reason: one.contacts for one in found.never if not one.is_done}
    if count := rules.get("unknown_zone"):
        yield f"{count} contacts are never called, for nobody knows their time zone: hours.unknown_zone names none."
    if count := rules.get("no_hours"):
        yield f"{count} contacts are never called: no time of a year lies in the hours of all their time zones."
    if found.many_zones and found.many_zones_open_s < NARROW_SHARE * HOUR_S * len(found.hours):
        yield (
            f"{found.many_zones} contacts have numbers of several possible time zones only, and are called when all of them"
            f" allow it: in the next {len(found.hours)} hours {found.many_zones_open_s / HOUR_S:.2g} h at most. A column of"
            " time zones in the list (`timezone`) says where they are."
        )
    for kind, days in campaign.hours.kinds.items():
        is_written = any(one.stretches for one in days) and days != SAFE.kinds.get(kind)
        if is_written and found.kinds and kind not in {"default", *found.kinds}:
            yield (
                f"There are calling hours for phones of the kind {kind}, and nobody who is left to call has one; there are:"
                f" {', '.join(found.kinds)}. The kind is told at the import, by the column."
            )
        if not any(one.stretches for one in days):
            yield f"Phones of the kind {kind} have no calling hours at all."


def _caps(campaign: Campaign, centre: Centre) -> Iterator[str]:
    caps = (campaign.caps, centre.caps)
    gap_s = max(one.gap_s for one in caps)
    early = [
        f"{result.value} ({rule.again_s:g} s)"
        for result in DEFAULT_RETRY
        if (rule := retry_rule(campaign, result)).again_s is not None
        and rule.counts
        and rule.attempts > 1
        and 0 < rule.again_s < gap_s
    ]
    if early:
        yield (
            f"caps.gap_s of {gap_s:g} s is longer than the pause after {', '.join(early)}: the gap goes before the retry"
            " rule."
        )
    for scope, attempts in (("number", campaign.attempts), ("contact", campaign.attempts_per_contact or 0)):
        day, hours = _least(caps, f"{scope}_per_day"), _least(caps, f"{scope}_per_24h")
        most = min(day, hours)
        if most == 0:
            yield f"A cap of 0 calls to a {scope} means that nobody is called."
        elif most < attempts:
            yield (
                f"A {scope} is called {'once' if most == 1 else f'{most:g} times'} a day at most, so that {attempts} attempts take"
                f" {-(-attempts // most):g} days."
            )


def _least(caps: Sequence[Caps], name: str) -> float:
    return min((limit for one in caps if (limit := getattr(one, name)) is not None), default=float("inf"))


def _calls(campaign: Campaign) -> Iterator[str]:
    if campaign.mode != "announcement" and campaign.wait_s > (limit_s := campaign.pacing.abandonment.limit_s):
        yield (
            f"An answered person waits up to {campaign.wait_s:g} s for an operator (calls.wait_s), and after {limit_s:g} s"
            " the call counts as abandoned (abandonment.limit_s)."
        )
    if campaign.mode != "announcement" and campaign.pacing.abandonment.limit_s > LIMIT_S:
        yield (
            f"A call counts as abandoned only after {campaign.pacing.abandonment.limit_s:g} s (abandonment.limit_s); in many"
            f" countries it does after {LIMIT_S:g} s."
        )
    if campaign.ring_s < RING_S:
        yield f"A number rings only {campaign.ring_s:g} s (calls.ring_s); fewer than {RING_S:g} s are forbidden in many countries."
    if campaign.no_agent == "hang_up":
        yield "A person for whom no operator is free is hung up on without a word (calls.no_agent)."
    waits = campaign.owners.away == "wait" and campaign.owners.wait_s is None
    if waits and any(one.again_s is not None for one in operator_results(campaign)):
        yield "Cards wait for their owner for ever (owners.wait_s): those of an operator who left are never called."


def _centre(connection: sqlite3.Connection, centre: Centre) -> Iterator[str]:
    if load_centre(connection).caps != centre.caps:
        yield "obzvon.toml has other caps than those in force: the engine reads it at its start and at every apply."
