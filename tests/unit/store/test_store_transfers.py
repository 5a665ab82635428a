"""Transfers in the journal: written as they stand, taken up by the next engine while their call lives."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from dialer.core.commands import SaveCall, SaveTransfer
from dialer.core.ids import AgentId, BridgeId, CampaignId, ChannelId, TrunkId
from dialer.core.transfer_facts import Transfer, TransferState
from dialer.core.values import Call, CallState, Result
from dialer.store import dnc
from dialer.store.journal import Journal


def transfer_of(call: Call, place: int = 1, **changes: object) -> Transfer:
    made = Transfer(
        attempt=call.attempt,
        place=place,
        agent=AgentId("ann"),
        kind="consult",
        state=TransferState.CONSULTING,
        began_at=20.0,
        target="+74951234567",
        line=ChannelId("1.1"),
        aside=ChannelId("1.2"),
        third=ChannelId("third-x-1"),
        trunk=TrunkId("north"),
        refer=ChannelId("1.1"),
        bridge=BridgeId("hold-spring"),
        is_there=True,
        deadline=620.0,
        answered_at=21.0,
    )
    return msgspec.structs.replace(made, **changes)


async def test_a_live_call_s_transfers_are_taken_up_whole(
    journal: Journal, call_for: Callable[..., Call], fetch: Callable[..., Any]
) -> None:
    call = call_for(fetch(50.0)[0][0])
    over = transfer_of(call, state=TransferState.OVER, outcome="returned", ended_at=30.0)
    live = transfer_of(call, 2)
    await journal.save([], [SaveCall(call=call), SaveTransfer(transfer=transfer_of(call))])
    await journal.save([], [SaveTransfer(transfer=over), SaveTransfer(transfer=live)])
    started = (await journal.load()).started(at=40.0, version="1")
    assert started.transfers == (over, live)


async def test_those_of_a_call_that_has_ended_are_history(
    journal: Journal, call_for: Callable[..., Call], fetch: Callable[..., Any], db: sqlite3.Connection
) -> None:
    call = call_for(fetch(50.0)[0][0])
    ended = msgspec.structs.replace(call, state=CallState.ENDED, result=Result.TALKED, ended_at=30.0)
    await journal.save([], [SaveCall(call=call), SaveTransfer(transfer=transfer_of(call))])
    await journal.save([], [SaveCall(call=ended)])
    assert (await journal.load()).transfers == ()
    assert db.execute("SELECT count(*) FROM transfers").fetchone() == (1,)


async def test_the_lists_say_who_is_not_called(journal: Journal, db: sqlite3.Connection) -> None:
    spring = CampaignId("spring")
    assert await journal.barred("+74951234567", spring) == ""
    dnc.add(db, "+7495*", campaign=None, source="test", at=5.0)
    assert await journal.barred("+74951234567", spring) == "blocked"
