"""What is said of a campaign that takes calls before its numbers are given out: what would keep callers from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import chain

from dialer.core.conduct import Prompt
from dialer.core.destinations import may_call
from dialer.core.lanes import may_serve
from dialer.core.values import Campaign, Centre
from dialer.pbx.ournumbers import spellings
from dialer.store.settings import load_agents, load_campaigns, load_trunks
from dialer.store.trunks import trunks_of

SHORT_WAIT_S = 10.0
"""Who is given up sooner has hardly heard the music begin."""


def warnings(connection: sqlite3.Connection, campaign: Campaign, centre: Centre) -> Iterator[str]:
    """Sentences, the gravest first; of a campaign that takes no calls, none."""
    inbound = campaign.inbound
    if not inbound.numbers:
        return
    yield from _taken(connection, campaign)
    if not any(trunk.is_inbound for trunk in load_trunks(connection)):
        yield (
            f"No trunk takes calls, so none comes to {inbound.numbers[0]}: the table [inbound] of a trunk's file"
            " says from where calls may come."
        )
    team = [one.card.id for one in load_agents(connection) if may_serve(one.card.campaigns, campaign.id)]
    if not team:
        yield f"No operator works for the campaign: every caller gets what overflow says ({inbound.overflow})."
    strangers = sorted(set(inbound.skill_weights) - set(team))
    if strangers:
        yield f"inbound.skill_weights names who is no operator of the campaign: {', '.join(strangers)}."
    if inbound.overflow == "number":
        yield from _overflow(connection, campaign, centre)
    if inbound.overflow == "voicemail" and inbound.missed_again_s is None:
        yield "Nobody is called back, and messages are only heard by who listens: `dialer recordings list --voicemail`."
    if 0 < inbound.wait_s < SHORT_WAIT_S:
        yield f"A caller waits no longer than {inbound.wait_s:g} s (inbound.wait_s), less than many phones ring."
    if inbound.greeting == Prompt():
        yield "Callers are not told whom they reached: inbound.greeting is empty."
    if campaign.mode == "announcement":
        yield "The campaign has no operators (mode announcement), but takes calls for them."


def _taken(connection: sqlite3.Connection, campaign: Campaign) -> Iterator[str]:
    """Numbers that are another campaign's, too: the one whose priority is better gets the calls."""
    ours = set(chain.from_iterable(map(spellings, campaign.inbound.numbers)))
    for stored in load_campaigns(connection):
        other = stored.campaign
        if other.id == campaign.id:
            continue
        for number in other.inbound.numbers:
            if number in campaign.inbound.numbers:
                yield f"The number {number} is campaign {other.id}'s, too: only one of them gets its calls."
            elif not ours.isdisjoint(spellings(number)):
                yield (
                    f"The number {number} of campaign {other.id} can be written as one of this campaign's: calls that"
                    " the carrier writes so are refused. Write both with country code and plus sign."
                )


def _overflow(connection: sqlite3.Connection, campaign: Campaign, centre: Centre) -> Iterator[str]:
    number = campaign.inbound.overflow_number
    if not may_call(trunks_of(connection, campaign), campaign, centre, number):
        yield (
            f"No trunk of the campaign may call {number} (inbound.overflow_number): callers are offered a callback."
        )
    for stored in load_campaigns(connection):
        if number in stored.campaign.inbound.numbers:
            yield f"Calls overflow to {number}, which is campaign {stored.campaign.id}'s own number."
