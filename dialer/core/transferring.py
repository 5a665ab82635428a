"""What operators ask of a conversation, by keys or by their phone's own buttons: hold, transfer, conference.

1. Only an operator who is in a conversation may ask, and of that one alone. What cannot be done now is refused by a sound, and
   nothing has changed: the conversation goes on.
2. Whom a number means: an operator, by the extension; else what the campaign calls by that short number; else, where the campaign allows it,
   a number from outside, keyed with its country's code (``79161234567``, or ``0079161234567``).
3. A colleague is called only if idle, and on the same server: nobody's conversation, pause or evening is broken into. From the
   call for them on they are promised to it, like any operator.
4. Numbers from outside take the campaign's trunks by the rules of every call (:mod:`dialer.core.thirds`): destinations, channels and calls per
   second, of the server, too; and the do-not-call lists hold, which the store looks at right before, each time. While such a call goes on by
   another trunk, the operator goes on hearing it ring.
5. A phone's own hold key holds like ours. A phone's second call is a consultation beside the conversation. A REFER
   transfers: to whom it names, or, where it names the phone's second call, to whom that one is with.
"""

from __future__ import annotations

import re

import msgspec

from dialer.core import agent as agents
from dialer.core import events as ev
from dialer.core import steps, thirds
from dialer.core import transfer as transfers
from dialer.core.commands import Dismiss, Message, ReportTransfer
from dialer.core.features import NUMBER_DIGITS_MAX, Asked, Feature
from dialer.core.ids import (
    AgentId,
    ChannelId,
    hold_bridge,
    leg_of,
)
from dialer.core.legs import Leg
from dialer.core.state import FloorState
from dialer.core.transfer_cells import RING_S, music, ring_tone
from dialer.core.transfer_facts import Transfer, TransferKind, TransferState
from dialer.core.values import Agent, AgentState, Call, CallState

FEATURES = frozenset(
    {
        Feature.BLIND,
        Feature.CONSULT,
        Feature.COMPLETE,
        Feature.CONFERENCE,
        Feature.BACK,
        Feature.HOLD,
    }
)
"""The codes that are answered here."""

_E164 = re.compile(r"[1-9][0-9]{6,14}\Z")
_S = TransferState
_MAY_LEAVE = frozenset({_S.CALLING, _S.CONSULTING, _S.CONFERENCE})
_MAY_RETURN = frozenset({_S.HELD, _S.CALLING, _S.CONSULTING, _S.CONFERENCE, _S.HANDING})


class _Target(msgspec.Struct, frozen=True):
    """Whom: a colleague, or a number (E.164)."""

    colleague: AgentId | None = None
    number: str = ""


# -- asking ---------------------------------------------------------------------------------


def use(floor: FloorState, agent_id: AgentId, asked: Asked, at: float) -> Message | None:
    """Do what the code asks; the sound to be heard, if any."""
    found = _conversation(floor, agent_id)
    if found is None:
        return "refused"
    agent, call = found
    transfer = floor.transfers.get(call.attempt)
    state = transfer.state if transfer is not None else None
    match asked.feature:
        case Feature.BLIND | Feature.CONSULT if state in (None, _S.HELD):
            kind: TransferKind = "blind" if asked.feature is Feature.BLIND else "consult"
            return None if call_third(floor, agent, call, kind, asked.argument, at) else "refused"
        case Feature.COMPLETE if state in _MAY_LEAVE:
            steps.transfer_step(floor, call.attempt, transfers.CompleteAsked(at=at))
        case Feature.CONFERENCE if state is _S.CONSULTING:
            steps.transfer_step(floor, call.attempt, transfers.ConferenceAsked(at=at))
        case Feature.BACK if state in _MAY_RETURN:
            steps.transfer_step(floor, call.attempt, transfers.BackAsked(at=at))
        case Feature.HOLD if state is None:
            hold(floor, agent, call, at)
            return "done"
        case Feature.HOLD if state is _S.HELD:
            steps.transfer_step(floor, call.attempt, transfers.HoldToggled(at=at))
        case _:
            return "refused"
    return None


def _conversation(floor: FloorState, agent_id: AgentId | None) -> tuple[Agent, Call] | None:
    """The operator, and the conversation that they have at this moment."""
    agent = floor.agents.get(agent_id) if agent_id is not None else None
    if agent is None or agent.state is not AgentState.ON_CALL or agent.attempt is None:
        return None
    call = floor.calls.get(agent.attempt)
    if call is None or call.state is not CallState.CONNECTED or call.agent != agent.id:
        return None
    return agent, call


def hold(floor: FloorState, agent: Agent, call: Call, at: float) -> None:
    """The person hears music."""
    after = _begin(floor, agent, call, "hold", _S.HELD, at, deadline=at + transfers.HOLD_S)
    steps.keep_transfer(floor, None, after)
    floor.out.append(music(after))


def _begin(
    floor: FloorState,
    agent: Agent,
    call: Call,
    kind: TransferKind,
    state: TransferState,
    at: float,
    **more: object,
) -> Transfer:
    fields: dict[str, object] = {
        "attempt": call.attempt,
        "place": floor.places.get(call.attempt, 0) + 1,
        "agent": agent.id,
        "kind": kind,
        "state": state,
        "began_at": at,
        "line": agent.channel,
        "bridge": hold_bridge(call.campaign),
        **more,
    }
    return msgspec.convert(fields, Transfer)


# -- whom -----------------------------------------------------------------------------------


def _target(floor: FloorState, agent: Agent, call: Call, keyed: str) -> _Target | None:
    """Whom *keyed* means (rule 2); None: nobody who may be called now."""
    colleague = floor.by_phone.get(keyed)
    if colleague is not None:
        is_there = colleague in floor.idle and floor.agents[colleague].server == call.server
        return _Target(colleague=colleague) if is_there and colleague != agent.id else None
    campaign = floor.desks[call.campaign].campaign
    number = campaign.transfer_numbers.get(keyed)
    if number is None and campaign.may_transfer_out:
        digits = keyed.removeprefix("+").removeprefix("00")
        number = f"+{digits}" if _E164.match(digits) else None
    return _Target(number=number) if number is not None else None


def call_third(
    floor: FloorState,
    agent: Agent,
    call: Call,
    kind: TransferKind,
    keyed: str,
    at: float,
    *,
    aside: ChannelId | None = None,
    refer: ChannelId | None = None,
) -> bool:
    """The person hears music, and whom *keyed* means is called; False: refused, and nothing has changed."""
    if len(keyed) > NUMBER_DIGITS_MAX:
        return False
    target = _target(floor, agent, call, keyed)
    if target is None:
        return False
    before = floor.transfers.get(call.attempt)
    transfer = _begin(
        floor, agent, call, kind, _S.CALLING, at, target=keyed, aside=aside, refer=refer, deadline=at + RING_S
    )
    if target.colleague is not None:
        _over(floor, before, at)
        _call_colleague(floor, transfer, call, target.colleague, is_held=before is not None, at=at)
        return True
    trunk = thirds.route(floor, call, target.number, at)
    if trunk is None:
        return False
    _over(floor, before, at)
    transfer = thirds.by_trunk(
        floor, msgspec.structs.replace(transfer, target=target.number), call, trunk, at
    )
    _called(floor, transfer, is_held=before is not None)
    thirds.dial(floor, transfer, call, trunk)
    return True


def _over(floor: FloorState, held: Transfer | None, at: float) -> None:
    """A hold that becomes something else is over."""
    if held is not None:
        after = msgspec.structs.replace(held, state=_S.OVER, deadline=None, ended_at=at, outcome="completed")
        steps.keep_transfer(floor, held, after)


def _called(floor: FloorState, transfer: Transfer, *, is_held: bool) -> None:
    steps.keep_transfer(floor, None, transfer)
    if not is_held:
        floor.out.append(music(transfer))
    if transfer.refer is not None:
        floor.out.append(ReportTransfer(channel=transfer.refer, state="progress"))
    floor.out += ring_tone(transfer)


def _call_colleague(
    floor: FloorState, transfer: Transfer, call: Call, colleague: AgentId, *, is_held: bool, at: float
) -> None:
    """Parked, they are there as soon as their line is open anew; else their phone is rung."""
    if floor.cards[colleague].leg == "parked":
        channel = floor.agents[colleague].channel
        transfer = msgspec.structs.replace(transfer, third=channel, colleague=colleague)
        _called(floor, transfer, is_held=is_held)
        steps.agent_step(floor, colleague, agents.Reserved(at=at, attempt=call.attempt))
        steps.open_anew(floor, colleague)
        return
    ring_s = floor.desks[call.campaign].campaign.agent_ring_s
    leg = leg_of(call.attempt, colleague)
    _called(
        floor,
        msgspec.structs.replace(transfer, third=leg, colleague=colleague, deadline=at + ring_s),
        is_held=is_held,
    )
    fact = agents.Reserved(at=at, attempt=call.attempt, channel=leg, ring_s=ring_s)
    steps.agent_step(floor, colleague, fact)
    steps.ring_leg(floor, colleague, call, ring_s)


# -- the phone's own buttons ----------------------------------------------------------------


def on_held(floor: FloorState, event: ev.PhoneHeld) -> None:
    """Hold by the phone's own key. During a consultation it is the third party who is held, by Asterisk itself."""
    found = _conversation(floor, floor.by_channel.get(event.channel))
    if found is None:
        return
    agent, call = found
    transfer = floor.transfers.get(call.attempt)
    if event.is_held and transfer is None:
        hold(floor, agent, call, event.at)
    elif not event.is_held and transfer is not None and transfer.state is _S.HELD:
        steps.transfer_step(floor, call.attempt, transfers.HoldToggled(at=event.at))


def on_phone_dialed(floor: FloorState, event: ev.PhoneDialed) -> None:
    """A second call of the phone: a consultation, if there is a conversation to consult about."""
    found = _conversation(floor, floor.by_phone.get(event.phone))
    if found is not None:
        agent, call = found
        transfer = floor.transfers.get(call.attempt)
        is_free = transfer is None or transfer.state is _S.HELD
        if is_free and call_third(floor, agent, call, "consult", event.number, event.at, aside=event.channel):
            return
    floor.out.append(Dismiss(channel=event.channel, message="refused"))


def on_referred(floor: FloorState, event: ev.PhoneReferred) -> None:
    """Transfer by the phone's own key."""
    if not _refer(floor, event):
        floor.out.append(ReportTransfer(channel=event.channel, state="declined"))


def _refer(floor: FloorState, event: ev.PhoneReferred) -> bool:
    found = _conversation(floor, floor.by_channel.get(event.channel) or _beside(floor, event.channel))
    if found is None:
        return False
    agent, call = found
    transfer = floor.transfers.get(call.attempt)
    if event.other is not None or (transfer is not None and transfer.aside == event.channel):
        # Some phones ask on the one of their two channels, some on the other.
        is_ours = transfer is not None and transfer.aside in (event.other, event.channel)
        if transfer is None or not is_ours or transfer.state not in _MAY_LEAVE:
            return False
        fact = transfers.CompleteAsked(at=event.at, refer=event.channel)
        steps.transfer_step(floor, call.attempt, fact)
        return True
    if transfer is not None and transfer.state is not _S.HELD:
        return False
    return call_third(floor, agent, call, "blind", event.to, event.at, refer=event.channel)


def _beside(floor: FloorState, channel: ChannelId) -> AgentId | None:
    """Whose phone's second channel that is."""
    attempt = floor.by_aside.get(channel)
    return floor.transfers[attempt].agent if attempt is not None else None


def whose(floor: FloorState, channel: ChannelId) -> AgentId | None:
    """The operator who keys on that channel: their line, or their phone's second one."""
    return floor.by_channel.get(channel) or _beside(floor, channel)


def on_aside_gone(floor: FloorState, channel: ChannelId, at: float) -> bool:
    """A channel is gone; whether it was a phone's second one. Who ends a consultation by its hook goes back to the person."""
    attempt = floor.by_aside.get(channel)
    if attempt is None:
        return False
    transfer = floor.transfers[attempt]
    is_consulting = transfer.state in (_S.CONSULTING, _S.CONFERENCE)
    if is_consulting or (transfer.state is _S.CALLING and transfer.kind == "consult"):
        steps.transfer_step(floor, attempt, transfers.BackAsked(at=at))
    else:
        steps.keep_transfer(floor, transfer, msgspec.structs.replace(transfer, aside=None))
    return True


def is_known(floor: FloorState, channel: ChannelId) -> bool:
    """Whether that is a third party's channel that is still wanted, or a phone's second one."""
    return thirds.transfer_of(floor, channel) is not None or channel in floor.by_aside


# -- time, and a new engine -----------------------------------------------------------------

_UNKNOWN_WHILE_AWAY = frozenset({_S.CALLING, _S.CONFERENCE, _S.HANDING, _S.RETURNING})
"""While no events come, or they lag, a third party may have answered, or a person arrived, without our knowing."""


def expire(floor: FloorState, at: float) -> None:
    """Deadlines of transfers stand in no timer: they are looked for with every tick."""
    for attempt, transfer in list(floor.transfers.items()):
        if transfer.deadline is None or at < transfer.deadline:
            continue
        if transfer.state in _UNKNOWN_WHILE_AWAY and floor.is_deaf(floor.calls[attempt].server):
            continue
        steps.transfer_step(floor, attempt, transfers.Expired(at=at))


def restore(floor: FloorState, kept: tuple[Transfer, ...]) -> None:
    """Take up what the journal remembers of calls that had not ended, over or not."""
    for one in kept:
        if one.attempt not in floor.calls:
            continue
        floor.places[one.attempt] = max(one.place, floor.places.get(one.attempt, 0))
        if one.state is _S.OVER:
            continue
        floor.transfers[one.attempt] = one
        if one.aside is not None:
            floor.by_aside[one.aside] = one.attempt
        if one.has_third and one.colleague is None and one.third is not None and one.trunk is not None:
            server = floor.calls[one.attempt].server
            floor.legs.began(Leg(channel=one.third, trunk=one.trunk, server=server, since=one.began_at))
