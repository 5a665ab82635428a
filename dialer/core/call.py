"""One attempt: a transition table and a step function.

====================  ======================================================================
state                 what it means
====================  ======================================================================
``dialing``           saved, and the originate is on its way or at the network
``ringing``           the person's phone rings
``answered``          the person waits for an operator (held: with music), at most until the deadline
``connecting``        the join was sent
``connected``         person and operator talk; only the end matters now
``ending``            we hung up (or gave the person to the last word) and wait for the channel to go
``ended``             the result stands; nothing changes it any more
====================  ======================================================================

Facts come late, twice, in the wrong order, or never. So :data:`TABLE` names a cell for every
pair of state and fact, ``stay`` included, and each waiting state has a deadline.

Rules that cells hold:

1. An answer that crosses our cancel is an answer: the person heard silence (abandoned).
2. A person who was never joined is abandoned, and counted so, whoever hung up; but who it was is told
   apart (``hung_up``: the person themselves).
3. An ended call has a result, and keeps it.
4. The originate is ordered once, by whoever made the call; no cell orders one.
5. A person waits for an operator no longer than ``wait_s`` from the answer on, however often an
   operator was promised and lost; except while an operator's phone rings for them, which the
   campaign's ``agent_ring_s`` limits. Then the campaign's ``no_agent`` says what happens. A join that
   nobody confirmed may have happened all the same, so the person is not offered to another operator
   but gets the last word, which ends it either way.
6. A person who is held (``answered``, with ``held_at``) waits with music, once, and no longer than
   ``hold_s``; then comes the last word. Whoever loses an operator who was promised to them is put back.
   Who heard the last word and chose to wait is held like that, as often as they choose it.
7. A person who answered is abandoned from the instant on at which it is certain that no operator is there in
   the time of :class:`dialer.core.conduct.Abandonment`; that does not end if one comes later. Machines are no
   persons, and a campaign without operators abandons nobody. Certain it is when we give them up, when they are
   gone, and when the time is over and nobody is promised to them: whose operator's phone still rings is counted
   when it is known whether that came too late.
8. What a person chooses by a key while the dialplan has them is kept with the call, at whatever step it is. It also
   tells that they answered, should nobody have heard of that.
9. So does their voice on disk, which the dialplan records from the answer on: who answered, heard the last word and hung up while nobody
   listened here is abandoned like others.

10. Who called us (``direction`` is ``in``) is ``answered`` and held from the beginning on, for ``inbound.wait_s``; where others hear the last
   word, they are sent to ``inbound.overflow``. They are never abandoned: who was not joined is ``missed``.
11. A conversation may be held, transferred and made a conference (:mod:`dialer.core.transfer`) and is ``connected`` all the time. A person who is
   left without anybody in that waits for another operator, with music, as in rule 6; it stays a conversation, and is not abandoned by it.

The facts are in :mod:`dialer.core.call_facts`, what each cell does in :mod:`dialer.core.call_cells`.
"""

from __future__ import annotations

from msgspec.structs import replace

from dialer.core import call_cells as do
from dialer.core.call_cells import (
    ANNOUNCEMENT_S,
    HANG_UP_S,
    JOIN_S,
    LAST_WORD_S,
    MACHINE_S,
    OVERFLOW_S,
    Cell,
    Step,
    channel_of,
    hold_command,
    may_return,
    overflow_command,
    overflown,
)
from dialer.core.call_facts import (
    FACTS,
    AgentLeft,
    AgentReserved,
    EndAsked,
    Expired,
    Fact,
    LeftToDialplan,
    LimitPassed,
    OperatorLost,
    TakenOver,
)
from dialer.core.events import (
    AnnouncementBegan,
    AnswerFound,
    Connected,
    ContactAnswered,
    ContactChose,
    ContactHungUp,
    ContactRang,
    ContactReturned,
    JoinRefused,
    MachineAnswered,
    OriginateRefused,
)
from dialer.core.values import Call, CallState, Campaign

__all__ = [
    "ANNOUNCEMENT_S",
    "FACTS",
    "HANG_UP_S",
    "JOIN_S",
    "LAST_WORD_S",
    "MACHINE_S",
    "OVERFLOW_S",
    "TABLE",
    "AgentLeft",
    "AgentReserved",
    "EndAsked",
    "Expired",
    "Fact",
    "LeftToDialplan",
    "LimitPassed",
    "OperatorLost",
    "Step",
    "TakenOver",
    "channel_of",
    "hold_command",
    "may_return",
    "overflow_command",
    "overflown",
    "step",
]


def step(call: Call, fact: Fact, campaign: Campaign) -> Step:
    """The call after *fact*, and what is to be done. Never fails: the table is total."""
    after, commands = TABLE[call.state, type(fact)](call, fact, campaign)
    if after is not call and do.is_abandoned(after, campaign, fact.at):
        after = replace(after, abandoned_at=fact.at)
    return after, commands


_S = CallState
TABLE: dict[tuple[CallState, type], Cell] = {
    # -- dialing ------------------------------------------------------------------------
    (_S.DIALING, OriginateRefused): do.refused,
    (_S.DIALING, ContactRang): do.rang,
    (_S.DIALING, ContactAnswered): do.answered,
    (_S.DIALING, AgentReserved): do.reserve_early,
    (_S.DIALING, AgentLeft): do.agent_forgotten,
    (_S.DIALING, OperatorLost): do.stay,
    (_S.DIALING, TakenOver): do.stay,
    (_S.DIALING, Connected): do.stay,
    (_S.DIALING, JoinRefused): do.stay,
    (_S.DIALING, EndAsked): do.end_asked,
    (_S.DIALING, Expired): do.end("no_answer"),
    (_S.DIALING, LeftToDialplan): do.stay,
    (_S.DIALING, LimitPassed): do.stay,
    (_S.DIALING, MachineAnswered): do.machine,
    (_S.DIALING, AnnouncementBegan): do.announcing,
    (_S.DIALING, ContactReturned): do.returned,
    (_S.DIALING, ContactChose): do.chose_unheard,
    (_S.DIALING, AnswerFound): do.answer_found,
    (_S.DIALING, ContactHungUp): do.gone,
    # -- ringing ------------------------------------------------------------------------
    (_S.RINGING, OriginateRefused): do.stay,  # the answer to the request came after its events
    (_S.RINGING, ContactRang): do.stay,
    (_S.RINGING, ContactAnswered): do.answered,
    (_S.RINGING, AgentReserved): do.reserve_early,
    (_S.RINGING, AgentLeft): do.agent_forgotten,
    (_S.RINGING, OperatorLost): do.stay,
    (_S.RINGING, TakenOver): do.stay,
    (_S.RINGING, Connected): do.stay,
    (_S.RINGING, JoinRefused): do.stay,
    (_S.RINGING, EndAsked): do.end_asked,
    (_S.RINGING, Expired): do.end("no_answer"),
    (_S.RINGING, LeftToDialplan): do.stay,
    (_S.RINGING, LimitPassed): do.stay,
    (_S.RINGING, MachineAnswered): do.machine,
    (_S.RINGING, AnnouncementBegan): do.announcing,
    (_S.RINGING, ContactReturned): do.returned,
    (_S.RINGING, ContactChose): do.chose_unheard,
    (_S.RINGING, AnswerFound): do.answer_found,
    (_S.RINGING, ContactHungUp): do.gone,
    # -- answered -----------------------------------------------------------------------
    (_S.ANSWERED, OriginateRefused): do.stay,
    (_S.ANSWERED, ContactRang): do.stay,
    (_S.ANSWERED, ContactAnswered): do.stay,
    (_S.ANSWERED, AgentReserved): do.join,
    (_S.ANSWERED, AgentLeft): do.wait_again,
    (_S.ANSWERED, OperatorLost): do.stay,
    (_S.ANSWERED, TakenOver): do.stay,
    (_S.ANSWERED, Connected): do.stay,
    (_S.ANSWERED, JoinRefused): do.stay,
    (_S.ANSWERED, EndAsked): do.end_asked,
    (_S.ANSWERED, Expired): do.waited_long,
    (_S.ANSWERED, LeftToDialplan): do.left,
    (_S.ANSWERED, LimitPassed): do.past_limit,
    (_S.ANSWERED, MachineAnswered): do.stay,
    (_S.ANSWERED, AnnouncementBegan): do.stay,
    (_S.ANSWERED, ContactReturned): do.stay,
    (_S.ANSWERED, ContactChose): do.chose,
    (_S.ANSWERED, AnswerFound): do.stay,
    (_S.ANSWERED, ContactHungUp): do.gone,
    # -- connecting ---------------------------------------------------------------------
    (_S.CONNECTING, OriginateRefused): do.stay,
    (_S.CONNECTING, ContactRang): do.stay,
    (_S.CONNECTING, ContactAnswered): do.stay,
    (_S.CONNECTING, AgentReserved): do.stay,
    (_S.CONNECTING, AgentLeft): do.wait_again,
    (_S.CONNECTING, OperatorLost): do.stay,
    (_S.CONNECTING, TakenOver): do.stay,
    (_S.CONNECTING, Connected): do.connected,
    (_S.CONNECTING, JoinRefused): do.wait_again,
    (_S.CONNECTING, EndAsked): do.end_asked,
    (_S.CONNECTING, Expired): do.last_word,
    (_S.CONNECTING, LeftToDialplan): do.left,
    (_S.CONNECTING, LimitPassed): do.stay,
    (_S.CONNECTING, MachineAnswered): do.stay,
    (_S.CONNECTING, AnnouncementBegan): do.stay,
    (_S.CONNECTING, ContactReturned): do.stay,
    (_S.CONNECTING, ContactChose): do.chose,
    (_S.CONNECTING, AnswerFound): do.stay,
    (_S.CONNECTING, ContactHungUp): do.gone,
    # -- connected ----------------------------------------------------------------------
    (_S.CONNECTED, OriginateRefused): do.stay,
    (_S.CONNECTED, ContactRang): do.stay,
    (_S.CONNECTED, ContactAnswered): do.stay,
    (_S.CONNECTED, AgentReserved): do.stay,
    (_S.CONNECTED, AgentLeft): do.end("agent_gone"),
    (_S.CONNECTED, OperatorLost): do.operator_lost,
    (_S.CONNECTED, TakenOver): do.taken_over,
    (_S.CONNECTED, Connected): do.stay,
    (_S.CONNECTED, JoinRefused): do.stay,
    (_S.CONNECTED, EndAsked): do.end_asked,
    (_S.CONNECTED, Expired): do.stay,
    (_S.CONNECTED, LeftToDialplan): do.stay,
    (_S.CONNECTED, LimitPassed): do.stay,
    (_S.CONNECTED, MachineAnswered): do.stay,
    (_S.CONNECTED, AnnouncementBegan): do.stay,
    (_S.CONNECTED, ContactReturned): do.stay,
    (_S.CONNECTED, ContactChose): do.chose,
    (_S.CONNECTED, AnswerFound): do.stay,
    (_S.CONNECTED, ContactHungUp): do.gone,
    # -- ending -------------------------------------------------------------------------
    (_S.ENDING, OriginateRefused): do.refused_too_late,
    (_S.ENDING, ContactRang): do.rang_too_late,
    (_S.ENDING, ContactAnswered): do.answered_too_late,
    (_S.ENDING, AgentReserved): do.stay,
    (_S.ENDING, AgentLeft): do.stay,
    (_S.ENDING, OperatorLost): do.stay,
    (_S.ENDING, TakenOver): do.stay,
    (_S.ENDING, Connected): do.stay,
    (_S.ENDING, JoinRefused): do.stay,
    (_S.ENDING, EndAsked): do.stay,
    (_S.ENDING, Expired): do.hang_up_again,
    (_S.ENDING, LeftToDialplan): do.left_again,
    (_S.ENDING, LimitPassed): do.stay,
    (_S.ENDING, MachineAnswered): do.stay,
    (_S.ENDING, AnnouncementBegan): do.stay,
    (_S.ENDING, ContactReturned): do.returned,
    (_S.ENDING, ContactChose): do.chose,
    (_S.ENDING, AnswerFound): do.answer_found_too_late,
    (_S.ENDING, ContactHungUp): do.gone,
    # -- ended --------------------------------------------------------------------------
    (_S.ENDED, OriginateRefused): do.stay,
    (_S.ENDED, ContactRang): do.stay,
    (_S.ENDED, ContactAnswered): do.stay,
    (_S.ENDED, AgentReserved): do.stay,
    (_S.ENDED, AgentLeft): do.stay,
    (_S.ENDED, OperatorLost): do.stay,
    (_S.ENDED, TakenOver): do.stay,
    (_S.ENDED, Connected): do.stay,
    (_S.ENDED, JoinRefused): do.stay,
    (_S.ENDED, EndAsked): do.stay,
    (_S.ENDED, Expired): do.stay,
    (_S.ENDED, LeftToDialplan): do.stay,
    (_S.ENDED, LimitPassed): do.stay,
    (_S.ENDED, MachineAnswered): do.stay,
    (_S.ENDED, AnnouncementBegan): do.stay,
    (_S.ENDED, ContactReturned): do.stay,
    (_S.ENDED, ContactChose): do.stay,
    (_S.ENDED, AnswerFound): do.stay,
    (_S.ENDED, ContactHungUp): do.stay,
}
"""Every pair of state and fact; a test refuses blanks."""
