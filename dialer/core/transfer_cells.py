"""What a transfer's state does with a fact: the cells of the table in :mod:`dialer.core.transfer`.

Each is a function of the transfer and the fact, and returns the transfer after it and what is to be done. That a third party who is
of no more use is let go, and an operator who has handed the call over is free, is the floor's business, which sees both states.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from dialer.core.commands import (
    AnyCommand,
    HangUp,
    HoldContact,
    MoveContact,
    MoveLine,
    RingTone,
    StopTone,
    Tell,
)
from dialer.core.ids import line_bridge
from dialer.core.transfer_facts import (
    CompleteAsked,
    Fact,
    MoveRefused,
    Outcome,
    PersonMoved,
    Transfer,
    TransferState,
)

RING_S = 30.0
"""A third party who does not answer in this time is called no longer."""
MOVE_S = 5.0
"""A person's way into another bridge that nobody confirmed in this time has failed."""
HOLD_S = 600.0
"""Nobody hears music for longer than this: who is held is given back to the operator, a consultation ends."""

Step = tuple[Transfer, list[AnyCommand]]
Cell = Callable[..., Step]
_S = TransferState


def music(transfer: Transfer) -> HoldContact:
    """The order that puts the person to the music. They are told nothing: the operator has."""
    return HoldContact(attempt=transfer.attempt, bridge=transfer.bridge, hold_s=HOLD_S, is_told=False)


def move(transfer: Transfer) -> MoveContact:
    """The order that brings the person to where they are to be."""
    assert transfer.person_bridge is not None
    return MoveContact(attempt=transfer.attempt, bridge=transfer.person_bridge)


def stay(transfer: Transfer, fact: Fact) -> Step:
    return transfer, []


def _quiet(transfer: Transfer) -> list[AnyCommand]:
    """The operator hears no ringing tone any more."""
    is_heard = transfer.state is _S.CALLING and transfer.speaker is not None
    return [StopTone(channel=transfer.speaker)] if is_heard and transfer.speaker else []


def _home(transfer: Transfer) -> list[AnyCommand]:
    """The operator is back on their own line; the phone's second channel has served."""
    if transfer.aside is not None:
        return [HangUp(channel=transfer.aside)]
    if transfer.line is None or not transfer.is_with_third:
        return []
    return [MoveLine(channel=transfer.line, bridge=line_bridge(transfer.line))]


def _over(transfer: Transfer, at: float, outcome: Outcome) -> Transfer:
    return replace(transfer, state=_S.OVER, deadline=None, ended_at=at, outcome=outcome)


# -- the third party ------------------------------------------------------------------------


def third_up(transfer: Transfer, fact: Fact) -> Step:
    """They answered: blind, the person goes to them at once; else the operator does."""
    assert transfer.third is not None
    commands = _quiet(transfer)
    if transfer.kind == "blind":
        after = replace(transfer, state=_S.HANDING, answered_at=fact.at, deadline=fact.at + MOVE_S)
        return after, [*commands, move(after)]
    after = replace(transfer, state=_S.CONSULTING, answered_at=fact.at, deadline=fact.at + HOLD_S)
    if transfer.speaker is not None:
        commands.append(MoveLine(channel=transfer.speaker, bridge=line_bridge(transfer.third)))
    return after, commands


def give_back(outcome: Outcome) -> Cell:
    """The person goes back to the operator; if that one is gone, another is found.

    *outcome*: as it will be, when they are there.
    """

    def cell(transfer: Transfer, fact: Fact) -> Step:
        commands = [*_quiet(transfer), *_home(transfer)]
        if transfer.line is None:
            return _over(transfer, fact.at, "left"), commands
        if outcome == "failed":
            commands.append(Tell(channel=transfer.line, message="refused"))
        after = replace(transfer, state=_S.RETURNING, aside=None, deadline=fact.at + MOVE_S, outcome=outcome)
        return after, [*commands, move(after)]

    return cell


def third_left(transfer: Transfer, fact: Fact) -> Step:
    """The conversation with the third party is over, and so is the call."""
    return _over(transfer, fact.at, "completed"), []


# -- what the operator asks -----------------------------------------------------------------


def no_need_to_ask(transfer: Transfer, fact: CompleteAsked) -> Step:
    """Given over while the third party's phone still rings: it goes on as a blind transfer."""
    return replace(transfer, kind="blind", refer=fact.refer or transfer.refer), []


def hand_over(transfer: Transfer, fact: CompleteAsked) -> Step:
    """The operator leaves when the person is there."""
    after = replace(transfer, state=_S.HANDING, deadline=fact.at + MOVE_S, refer=fact.refer or transfer.refer)
    return after, [*_home(transfer), move(after)]


def leave_conference(transfer: Transfer, fact: CompleteAsked) -> Step:
    """The two others go on talking; the person may still be on the way."""
    if not transfer.is_there:
        return hand_over(transfer, fact)
    after = replace(
        transfer, state=_S.HANDED, handed_at=fact.at, deadline=None, refer=fact.refer or transfer.refer
    )
    return _completed(after, fact.at), _home(transfer)


def begin_conference(transfer: Transfer, fact: Fact) -> Step:
    after = replace(transfer, state=_S.CONFERENCE, deadline=fact.at + MOVE_S)
    return after, [move(after)]


# -- the person -----------------------------------------------------------------------------


def _completed(transfer: Transfer, at: float) -> Transfer:
    """Handed to a colleague, whose call it is from now on; or to somebody else, until they part."""
    return _over(transfer, at, "completed") if transfer.colleague is not None else transfer


def arrived(transfer: Transfer, fact: PersonMoved) -> Step:
    """With the third party."""
    if fact.bridge != transfer.third_bridge:
        return transfer, []
    after = replace(transfer, state=_S.HANDED, handed_at=fact.at, deadline=None)
    return _completed(after, fact.at), []


def joined_conference(transfer: Transfer, fact: PersonMoved) -> Step:
    if fact.bridge != transfer.third_bridge or transfer.is_there:
        return transfer, []
    return replace(transfer, is_there=True, deadline=None), []


def returned(transfer: Transfer, fact: PersonMoved) -> Step:
    if transfer.line is None or fact.bridge != line_bridge(transfer.line):
        return transfer, []
    return _over(transfer, fact.at, transfer.outcome or "returned"), []


def refused(transfer: Transfer, fact: MoveRefused) -> Step:
    """They cannot be put there."""
    if fact.bridge != transfer.person_bridge:
        return transfer, []
    return give_back("failed")(transfer, fact)


def conference_refused(transfer: Transfer, fact: MoveRefused) -> Step:
    return (transfer, []) if transfer.is_there else refused(transfer, fact)


def return_refused(transfer: Transfer, fact: MoveRefused) -> Step:
    return lost_way(transfer, fact) if fact.bridge == transfer.person_bridge else (transfer, [])


def lost_way(transfer: Transfer, fact: Fact) -> Step:
    """They did not come back to the operator: another one is found."""
    return _over(transfer, fact.at, "left"), []


def person_gone(transfer: Transfer, fact: Fact) -> Step:
    """Nothing is left to transfer."""
    commands = [*_quiet(transfer), *_home(transfer)]
    outcome: Outcome = "completed" if transfer.state is _S.HANDED else "ended"
    return _over(transfer, fact.at, outcome), commands


# -- the operator ---------------------------------------------------------------------------


def _aside_too(transfer: Transfer) -> list[AnyCommand]:
    return [HangUp(channel=transfer.aside)] if transfer.aside is not None else []


def operator_left_alone(transfer: Transfer, fact: Fact) -> Step:
    """Nobody is there for the person: another operator is found. (A third party is let go by the floor.)"""
    return _over(replace(transfer, line=None), fact.at, "left"), _aside_too(transfer)


def operator_left_calling(transfer: Transfer, fact: Fact) -> Step:
    """Blind, the third party is called all the same, for that is what was asked."""
    if transfer.kind != "blind":
        return operator_left_alone(transfer, fact)
    return replace(transfer, line=None, aside=None), _aside_too(transfer)


def operator_left_third(transfer: Transfer, fact: Fact) -> Step:
    """The third party answered, and gets the person."""
    after = replace(transfer, state=_S.HANDING, line=None, aside=None, deadline=fact.at + MOVE_S)
    return after, [*_aside_too(transfer), move(after)]


def operator_left_conference(transfer: Transfer, fact: Fact) -> Step:
    if not transfer.is_there:
        return operator_left_third(transfer, fact)
    after = replace(transfer, state=_S.HANDED, line=None, aside=None, handed_at=fact.at, deadline=None)
    return _completed(after, fact.at), _aside_too(transfer)


def operator_gone(transfer: Transfer, fact: Fact) -> Step:
    """Noted: what is under way goes on."""
    if transfer.line is None and transfer.aside is None:
        return transfer, []
    return replace(transfer, line=None, aside=None), _aside_too(transfer)


def ring_tone(transfer: Transfer) -> list[AnyCommand]:
    """What the operator hears while the third party is called."""
    return [RingTone(channel=transfer.speaker)] if transfer.speaker is not None else []
