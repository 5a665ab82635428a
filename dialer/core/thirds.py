"""Third parties of a transfer who are called by a trunk: which one, whether the call goes on by the next, and what it tells of them.

The rules are those of contacts' calls (:mod:`dialer.core.routing`). Who was never rung, by a fault of the trunk, is called by the next one in
the same transfer, with a new channel and all their time. Each channel counts among its trunk's and its server's until it is gone
(:mod:`dialer.core.legs`), wanted or not.
"""

from __future__ import annotations

import msgspec

from dialer.core import events as ev
from dialer.core import outside, results, routing, steps
from dialer.core import transfer as transfers
from dialer.core.commands import DialThird, HangUp, OpenLine
from dialer.core.desk import TrunkDesk
from dialer.core.ids import ChannelId, ServerId, TrunkId, attempt_of_third, line_bridge, third_of
from dialer.core.state import FloorState
from dialer.core.transfer_cells import RING_S
from dialer.core.transfer_facts import Transfer, TransferState
from dialer.core.values import Call, Result

_S = TransferState


def route(
    floor: FloorState, call: Call, number: str, at: float, but: tuple[TrunkId, ...] = ()
) -> TrunkDesk | None:
    """The trunk that carries a third party of *call*; None: there is no room."""
    if floor.why_not_originating(call.server) or not floor.servers.desk(call.server).room(at):
        return None
    return routing.choose(floor, floor.desks[call.campaign], number, call.server, at, but=but)


def by_trunk(floor: FloorState, transfer: Transfer, call: Call, trunk: TrunkDesk, at: float) -> Transfer:
    """*transfer*, whose third party is called by *trunk* now, which counts them."""
    third = third_of(call.attempt, transfer.place, len(transfer.tried))
    outside.order(floor, third, trunk, call.server, at)
    return msgspec.structs.replace(
        transfer, third=third, trunk=trunk.trunk.id, is_trunk_down=False, deadline=at + RING_S
    )


def dial(floor: FloorState, transfer: Transfer, call: Call, trunk: TrunkDesk) -> None:
    assert transfer.third is not None
    floor.out.append(
        DialThird(
            channel=transfer.third,
            attempt=call.attempt,
            campaign=call.campaign,
            trunk=trunk.trunk.id,
            number=transfer.target,
            caller_id=trunk.caller_id(floor.desks[call.campaign].campaign, transfer.target),
            ring_s=RING_S,
            server=call.server,
        )
    )


def on_rang(floor: FloorState, event: ev.ThirdRang) -> None:
    """Their trunk carried the call, and it does not go on by another one."""
    transfer = transfer_of(floor, event.channel)
    if transfer is not None and transfer.rang_at is None and transfer.answered_at is None:
        _judge(floor, transfer, event.at, is_carried=True)
        outside.carried(floor, event.channel, event.at)
        steps.keep_transfer(floor, transfer, msgspec.structs.replace(transfer, rang_at=event.at))


def on_answered(floor: FloorState, event: ev.ThirdAnswered) -> None:
    """They get a bridge of their own. Whom nobody wants any more is hung up: the answer crossed our cancel."""
    transfer = transfer_of(floor, event.channel)
    if transfer is None:
        floor.out.append(HangUp(channel=event.channel))
        return
    on_rang(floor, ev.ThirdRang(at=event.at, channel=event.channel))
    bridge = line_bridge(event.channel)
    floor.out.append(OpenLine(channel=event.channel, bridge=bridge, is_mixed=True))


def _judge(floor: FloorState, transfer: Transfer, at: float, *, is_carried: bool) -> None:
    """Whether the third party's trunk carried the call is known now."""
    if transfer.trunk is not None and transfer.third is not None:
        routing.judge(floor, transfer.trunk, transfer.third, at, is_carried=is_carried)


def on_gone(
    floor: FloorState,
    channel: ChannelId,
    at: float,
    end: ev.LineEnded | ev.ThirdRefused | None = None,
) -> bool:
    """Whether a channel that is gone, or could not be made, was a third party's. *end*: how; None: nobody knows.

    Whom their trunk would not carry is called by the next one, in the same transfer (rule 4).
    """
    attempt = attempt_of_third(channel)
    if attempt is None:
        return False
    transfer = transfer_of(floor, channel)
    call = floor.calls.get(attempt)
    if transfer is None or call is None:
        if end is not None:
            outside.ended(floor, channel, at)
    elif end is not None:
        is_unknown = transfer.rang_at is None and transfer.answered_at is None
        is_carried = _is_carried(floor, transfer, call.server, end) if is_unknown else None
        if is_carried is not None:
            _judge(floor, transfer, at, is_carried=is_carried)
        outside.ended(floor, channel, at)
        if transfer.state is _S.CALLING and _goes_on(floor, transfer, call, end, at):
            return True
    if transfer is not None:
        steps.transfer_step(floor, attempt, transfers.ThirdGone(at=at))
    return True


def _goes_on(
    floor: FloorState, transfer: Transfer, call: Call, end: ev.LineEnded | ev.ThirdRefused, at: float
) -> bool:
    if transfer.trunk is None or not _may_go_on(floor, transfer, call.server, end):
        return False
    tried = (*transfer.tried, transfer.trunk)
    trunk = route(floor, call, transfer.target, at, but=tried)
    if trunk is None:
        return False
    after = by_trunk(floor, msgspec.structs.replace(transfer, tried=tried), call, trunk, at)
    steps.keep_transfer(floor, transfer, after)
    dial(floor, after, call, trunk)
    return True


def on_trunk_down(floor: FloorState, trunk: TrunkDesk, server: ServerId, at: float) -> None:
    """The trunk is dead: third parties on it who were never rung, and whom another one could carry, are called by that when their
    channel is gone."""
    for transfer in list(floor.transfers.values()):
        call = floor.calls[transfer.attempt]
        is_there = (transfer.trunk, call.server, transfer.state) == (trunk.trunk.id, server, _S.CALLING)
        if not is_there or transfer.third is None or transfer.rang_at is not None or transfer.is_trunk_down:
            continue
        but = (*transfer.tried, trunk.trunk.id)
        if routing.able(floor, floor.desks[call.campaign], transfer.target, server, at, but):
            steps.keep_transfer(floor, transfer, msgspec.structs.replace(transfer, is_trunk_down=True))
            floor.out.append(HangUp(channel=transfer.third))


def on_joined(floor: FloorState, event: ev.LineJoined) -> None:
    """Their channel is in a bridge."""
    attempt = attempt_of_third(event.channel)
    if (
        attempt is not None
        and transfer_of(floor, event.channel)
        and event.bridge == line_bridge(event.channel)
    ):
        steps.transfer_step(floor, attempt, transfers.ThirdUp(at=event.at))


def on_refused(floor: FloorState, event: ev.ThirdRefused) -> None:
    """They were not called at all."""
    on_gone(floor, event.channel, event.at, event)


def transfer_of(floor: FloorState, channel: ChannelId) -> Transfer | None:
    """The transfer whose third party's channel that is, if it still wants one."""
    attempt = attempt_of_third(channel)
    transfer = floor.transfers.get(attempt) if attempt is not None else None
    is_theirs = transfer is not None and transfer.third == channel and transfer.has_third
    return transfer if is_theirs else None


# -- what it tells of the trunk (:mod:`dialer.core.routing`, rules 2 and 4) ---------------------


def _is_carried(
    floor: FloorState, transfer: Transfer, server: ServerId, end: ev.LineEnded | ev.ThirdRefused
) -> bool | None:
    """Whether the trunk carried the call to a third party, who was neither rung nor answered; None: that is not told (rule 4)."""
    if transfer.is_trunk_down or transfer.trunk is None:
        return None
    if isinstance(end, ev.ThirdRefused):
        return None if end.is_ours else False
    if end.cause is None:
        return None
    said = results.told(end.cause, end.tech_cause)
    if said is Result.NO_ROUTE and end.cause == 0:
        said = Result.HUNG_UP  # by themselves, as a contact may (:func:`dialer.core.results.classify`)
    return routing.told_by(floor, transfer.trunk, server, said, end.cause, end.tech_cause)


def _may_go_on(
    floor: FloorState, transfer: Transfer, server: ServerId, end: ev.LineEnded | ev.ThirdRefused
) -> bool:
    """Whether the call to a third party, who was neither rung nor answered, certainly reached nobody by a fault of its trunk (rule 2)."""
    if transfer.trunk is None or transfer.rang_at is not None or transfer.answered_at is not None:
        return False
    if isinstance(end, ev.ThirdRefused):
        return not end.is_ours
    if transfer.is_trunk_down:
        return end.cause is not None
    return routing.is_fault(floor, transfer.trunk, server, end.cause, end.tech_cause)
