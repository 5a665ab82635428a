"""The transition tables as docs/architecture.md shows them, made by asking every cell.

``python -m tests.unit.docs.tables`` prints them, to be pasted when the tables have changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import transfer as transfers
from dialer.core.commands import AnyCommand
from dialer.core.ids import (
    AgentId,
    AttemptId,
    BridgeId,
    CampaignId,
    ChannelId,
    ContactId,
    LeadId,
    PhoneId,
    TrunkId,
)
from dialer.core.transfer_facts import Transfer, TransferState
from dialer.core.values import Agent, AgentCard, AgentState, Call, CallState, Campaign, Centre

AT = 100.0
ATTEMPT = AttemptId("a" + "0" * 20)
LINE = BridgeId("line-101")
CAMPAIGN = Campaign(id=CampaignId("c"), trunk=TrunkId("t"))
_LIVE = (CallState.ANSWERED, CallState.CONNECTING, CallState.CONNECTED)
_CALL_FACTS: dict[type, dict[str, Any]] = {
    ev.OriginateRefused: {"attempt": ATTEMPT, "reason": "no"},
    ev.ContactRang: {"attempt": ATTEMPT},
    ev.ContactAnswered: {"attempt": ATTEMPT},
    calls.AgentReserved: {"agent": AgentId("anna"), "bridge": LINE},
    ev.Connected: {"attempt": ATTEMPT, "bridge": LINE},
    ev.JoinRefused: {"attempt": ATTEMPT, "bridge": LINE, "reason": "no"},
    calls.EndAsked: {"why": "operator"},
    calls.OperatorLost: {"may_wait": True},
    calls.TakenOver: {"agent": AgentId("anna")},
    ev.MachineAnswered: {"attempt": ATTEMPT},
    ev.AnnouncementBegan: {"attempt": ATTEMPT},
    ev.ContactReturned: {"attempt": ATTEMPT},
    ev.ContactChose: {"attempt": ATTEMPT, "choice": "refuse"},
    ev.AnswerFound: {"attempt": ATTEMPT, "answered_at": AT - 5},
    ev.ContactHungUp: {"attempt": ATTEMPT, "cause": 16},
}
PAUSE_S_MAX = 3600.0
CENTRE = Centre(pause_s_max=PAUSE_S_MAX)
_TIMED = (AgentState.ARRIVING, AgentState.WRAP_UP)
_OF_RUNG_ALONE = (agents.LegUp, agents.PhoneBusy)
_PHONES: dict[type, agents.Phone] = {agents.PhoneLost: "lost", agents.PhoneBusy: "in_use"}
_OF_A_BRIDGE = (transfers.PersonMoved, transfers.MoveRefused)
_AGENT_FACTS: dict[type, dict[str, Any]] = {
    agents.SignInAsked: {"channel": ChannelId("new")},
    agents.PauseAsked: {"reason": "lunch"},
    agents.Reserved: {"attempt": ATTEMPT},
    agents.CallMoved: {"attempt": AttemptId("a" + "1" * 20)},
    agents.CallOver: {"wrap_up_s": 10.0},
}


def call_table() -> str:
    """Facts down, states across; ``ended``, which nothing changes, is left out."""
    states = [state for state in CallState if state is not CallState.ENDED]
    rows = []
    for kind in calls.FACTS:
        cells = []
        for state in states:
            call = _call(state)
            after, commands = calls.step(call, kind(at=AT, **_CALL_FACTS.get(kind, {})), CAMPAIGN)
            cells.append(_cell(after != call, state, after.state, commands))
        rows.append([f"`{kind.__name__}`", *cells])
    return _table(["fact", *map(str, states)], rows)


def agent_table(leg: str) -> str:
    """Facts down, states across, for an operator whose line is *leg*; facts that never come left out.

    Who is paused is so by their own word; but where a phone comes back, it was the phone that paused them.
    """
    states = [state for state in AgentState if not (leg == "rung" and state is AgentState.ARRIVING)]
    rows = []
    for kind in agents.FACTS:
        if leg == "parked" and kind in _OF_RUNG_ALONE:
            continue
        card = AgentCard(id=AgentId("anna"), phone="101", leg=leg)  # type: ignore[arg-type]
        more = _AGENT_FACTS.get(kind, {})
        if kind is agents.Reserved and leg == "rung":
            more = {**more, "channel": ChannelId("leg"), "ring_s": 15.0}
        cells = []
        phone = _PHONES.get(kind, "free")
        for state in states:
            agent = _agent(state, leg)
            if kind is agents.PhoneFree and state is AgentState.PAUSED:
                agent = msgspec.structs.replace(agent, reason=agents.PHONE_LOST)
            after, commands = agents.step(agent, kind(at=AT, **more), card, CENTRE, phone)
            cells.append(_cell(after != agent, state, after.state, commands))
        rows.append([f"`{kind.__name__}`", *cells])
    return _table(["fact", *map(str, states)], rows)


def transfer_table() -> str:
    """Facts down, states across, for a consultation with somebody from outside; ``over``, which nothing changes, is left out.

    Where the person enters a bridge, or cannot, it is the one where they are to be.
    """
    states = [state for state in TransferState if state is not TransferState.OVER]
    rows = []
    for kind in transfers.FACTS:
        cells = []
        for state in states:
            transfer = _transfer(state)
            more = {"bridge": transfer.person_bridge} if kind in _OF_A_BRIDGE else {}
            after, commands = transfers.step(transfer, kind(at=AT, **more))
            cells.append(_cell(after != transfer, state, after.state, commands))
        rows.append([f"`{kind.__name__}`", *cells])
    return _table(["fact", *map(str, states)], rows)


def _transfer(state: TransferState) -> Transfer:
    return Transfer(
        attempt=ATTEMPT,
        place=1,
        agent=AgentId("anna"),
        kind="hold" if state is TransferState.HELD else "consult",
        state=state,
        began_at=AT - 10,
        target="+74950000002",
        line=ChannelId("101"),
        third=None if state is TransferState.HELD else ChannelId("third"),
        trunk=None if state is TransferState.HELD else CAMPAIGN.trunk,
        bridge=BridgeId("hold-c"),
        deadline=AT,
    )


def _call(state: CallState) -> Call:
    """A call that came to *state* in the plain way, a rung operator promised to it from the first;
    in ``ending`` one that nobody answered.
    """
    return Call(
        attempt=ATTEMPT,
        campaign=CAMPAIGN.id,
        lead=LeadId(1),
        contact=ContactId(1),
        phone=PhoneId(1),
        number="+74950000001",
        ordinal=1,
        trunk=CAMPAIGN.trunk,
        state=state,
        created_at=0.0,
        answered_at=AT - 1 if state in _LIVE else None,
        agent=None if state is CallState.ENDING else AgentId("boris"),
        connected_at=AT - 0.5 if state is CallState.CONNECTED else None,
    )


def _agent(state: AgentState, leg: str) -> Agent:
    has_call = state in (AgentState.RESERVED, AgentState.ON_CALL)
    has_channel = has_call if leg == "rung" else state is not AgentState.SIGNED_OUT
    is_coming = state is AgentState.ARRIVING or (leg == "rung" and state is AgentState.RESERVED)
    return Agent(
        id=AgentId("anna"),
        state=state,
        channel=ChannelId("101") if has_channel else None,
        has_line=has_channel and not is_coming,
        attempt=ATTEMPT if has_call else None,
        since=AT - PAUSE_S_MAX,
        reason="break" if state is AgentState.PAUSED else "",
        deadline=AT if state in _TIMED or (state is AgentState.RESERVED and leg == "rung") else None,
    )


def _cell(is_changed: bool, before: str, after: str, commands: Sequence[AnyCommand]) -> str:
    orders = ", ".join(f"`{type(one).__name__}`" for one in commands)
    if not is_changed and not orders:
        return "·"
    where = str(after) if after != before else "noted" if is_changed else ""
    return ": ".join(part for part in (where, orders) if part)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(call_table(), agent_table("parked"), agent_table("rung"), transfer_table(), sep="\n\n")
