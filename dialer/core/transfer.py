"""Hold, transfer and conference: a transition table and a step function, beside the call's and the operators'.

====================  ======================================================================
state                 what it means
====================  ======================================================================
``held``              the person hears music, the operator is alone on the line
``calling``           the person hears music, the third party is called, the operator hears it ring
``consulting``        the person hears music, the operator talks with the third party
``conference``        all three talk, or will as soon as the person is there
``handing``           the person is on the way to the third party
``returning``         the person is on the way back to the operator
``handed``            the person talks with somebody from outside; the operator is free
``over``              nothing changes it any more
====================  ======================================================================

The call itself stays ``connected`` through all of it, and its recording, which is of the person's channel, goes on in
whatever bridge that is. The third party has a bridge of their own, as operators have for their lines; there operator and
person come to. Rules that cells hold:

1. The person is never left alone, nor in silence: they are with somebody, on the way to somebody, or hear music; and to the music
   there is a limit (``HOLD_S``), in Asterisk too.
2. A third party who does not come, or goes, gives the person back to the operator. If that one is gone, the person waits for another
   (:class:`dialer.core.call_facts.OperatorLost`), or hears the last word where nobody is at work.
3. An operator who goes while a third party is called *blind* has done their part: it goes on. Who consults has not; but
   a third party who has answered is given the person rather than nobody.
4. A third party who takes over as an operator of ours is from then on the call's operator. Any other one makes it a conversation
   without an operator: it ends when one of the two hangs up.
5. The person's way between bridges is confirmed by their entering them. A way that nobody confirms in time is taken for failed.
6. An event that comes late or twice says of a bridge that is not meant any more, and changes nothing.

The facts are in :mod:`dialer.core.transfer_facts`, what each cell does in :mod:`dialer.core.transfer_cells`.
"""

from __future__ import annotations

from dialer.core import transfer_cells as do
from dialer.core.transfer_cells import HOLD_S, MOVE_S, RING_S, Cell, Step
from dialer.core.transfer_facts import (
    FACTS,
    BackAsked,
    CompleteAsked,
    ConferenceAsked,
    Expired,
    Fact,
    HoldToggled,
    MoveRefused,
    OperatorGone,
    PersonGone,
    PersonMoved,
    ThirdGone,
    ThirdUp,
    Transfer,
    TransferState,
)

__all__ = [
    "FACTS",
    "HOLD_S",
    "MOVE_S",
    "RING_S",
    "TABLE",
    "BackAsked",
    "CompleteAsked",
    "ConferenceAsked",
    "Expired",
    "Fact",
    "HoldToggled",
    "MoveRefused",
    "OperatorGone",
    "PersonGone",
    "PersonMoved",
    "Step",
    "ThirdGone",
    "ThirdUp",
    "step",
]


def step(transfer: Transfer, fact: Fact) -> Step:
    """The transfer after *fact*, and what is to be done. Never fails: the table is total."""
    return TABLE[transfer.state, type(fact)](transfer, fact)


_S = TransferState
TABLE: dict[tuple[TransferState, type], Cell] = {
    # -- held ---------------------------------------------------------------------------
    (_S.HELD, HoldToggled): do.give_back("returned"),
    (_S.HELD, ThirdUp): do.stay,
    (_S.HELD, ThirdGone): do.stay,
    (_S.HELD, CompleteAsked): do.stay,
    (_S.HELD, ConferenceAsked): do.stay,
    (_S.HELD, BackAsked): do.give_back("returned"),
    (_S.HELD, PersonMoved): do.stay,
    (_S.HELD, MoveRefused): do.stay,
    (_S.HELD, OperatorGone): do.operator_left_alone,
    (_S.HELD, PersonGone): do.person_gone,
    (_S.HELD, Expired): do.give_back("returned"),
    # -- calling ------------------------------------------------------------------------
    (_S.CALLING, HoldToggled): do.stay,
    (_S.CALLING, ThirdUp): do.third_up,
    (_S.CALLING, ThirdGone): do.give_back("failed"),
    (_S.CALLING, CompleteAsked): do.no_need_to_ask,
    (_S.CALLING, ConferenceAsked): do.stay,
    (_S.CALLING, BackAsked): do.give_back("returned"),
    (_S.CALLING, PersonMoved): do.stay,
    (_S.CALLING, MoveRefused): do.stay,
    (_S.CALLING, OperatorGone): do.operator_left_calling,
    (_S.CALLING, PersonGone): do.person_gone,
    (_S.CALLING, Expired): do.give_back("failed"),
    # -- consulting ---------------------------------------------------------------------
    (_S.CONSULTING, HoldToggled): do.stay,
    (_S.CONSULTING, ThirdUp): do.stay,
    (_S.CONSULTING, ThirdGone): do.give_back("returned"),
    (_S.CONSULTING, CompleteAsked): do.hand_over,
    (_S.CONSULTING, ConferenceAsked): do.begin_conference,
    (_S.CONSULTING, BackAsked): do.give_back("returned"),
    (_S.CONSULTING, PersonMoved): do.stay,
    (_S.CONSULTING, MoveRefused): do.stay,
    (_S.CONSULTING, OperatorGone): do.operator_left_third,
    (_S.CONSULTING, PersonGone): do.person_gone,
    (_S.CONSULTING, Expired): do.give_back("returned"),
    # -- conference ---------------------------------------------------------------------
    (_S.CONFERENCE, HoldToggled): do.stay,
    (_S.CONFERENCE, ThirdUp): do.stay,
    (_S.CONFERENCE, ThirdGone): do.give_back("returned"),
    (_S.CONFERENCE, CompleteAsked): do.leave_conference,
    (_S.CONFERENCE, ConferenceAsked): do.stay,
    (_S.CONFERENCE, BackAsked): do.give_back("returned"),
    (_S.CONFERENCE, PersonMoved): do.joined_conference,
    (_S.CONFERENCE, MoveRefused): do.conference_refused,
    (_S.CONFERENCE, OperatorGone): do.operator_left_conference,
    (_S.CONFERENCE, PersonGone): do.person_gone,
    (_S.CONFERENCE, Expired): do.give_back("failed"),
    # -- handing ------------------------------------------------------------------------
    (_S.HANDING, HoldToggled): do.stay,
    (_S.HANDING, ThirdUp): do.stay,
    (_S.HANDING, ThirdGone): do.give_back("failed"),
    (_S.HANDING, CompleteAsked): do.stay,
    (_S.HANDING, ConferenceAsked): do.stay,
    (_S.HANDING, BackAsked): do.give_back("returned"),
    (_S.HANDING, PersonMoved): do.arrived,
    (_S.HANDING, MoveRefused): do.refused,
    (_S.HANDING, OperatorGone): do.operator_gone,
    (_S.HANDING, PersonGone): do.person_gone,
    (_S.HANDING, Expired): do.give_back("failed"),
    # -- returning ----------------------------------------------------------------------
    (_S.RETURNING, HoldToggled): do.stay,
    (_S.RETURNING, ThirdUp): do.stay,
    (_S.RETURNING, ThirdGone): do.stay,
    (_S.RETURNING, CompleteAsked): do.stay,
    (_S.RETURNING, ConferenceAsked): do.stay,
    (_S.RETURNING, BackAsked): do.stay,
    (_S.RETURNING, PersonMoved): do.returned,
    (_S.RETURNING, MoveRefused): do.return_refused,
    (_S.RETURNING, OperatorGone): do.operator_left_alone,
    (_S.RETURNING, PersonGone): do.person_gone,
    (_S.RETURNING, Expired): do.lost_way,
    # -- handed -------------------------------------------------------------------------
    (_S.HANDED, HoldToggled): do.stay,
    (_S.HANDED, ThirdUp): do.stay,
    (_S.HANDED, ThirdGone): do.third_left,
    (_S.HANDED, CompleteAsked): do.stay,
    (_S.HANDED, ConferenceAsked): do.stay,
    (_S.HANDED, BackAsked): do.stay,
    (_S.HANDED, PersonMoved): do.stay,
    (_S.HANDED, MoveRefused): do.stay,
    (_S.HANDED, OperatorGone): do.operator_gone,
    (_S.HANDED, PersonGone): do.person_gone,
    (_S.HANDED, Expired): do.stay,
    # -- over ---------------------------------------------------------------------------
    **{(_S.OVER, kind): do.stay for kind in FACTS},
}
"""Every pair of state and fact; a test refuses blanks."""
