"""What people choose by a key: it holds at once, is written down before its note goes, and is done once."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import (
    AnyCommand,
    ForgetChoice,
    SaveCall,
    SaveCallback,
    SaveChoice,
    SaveDoNotCall,
    SetTimer,
)
from dialer.core.conduct import Choice
from dialer.core.ids import AttemptId
from dialer.core.values import CallState, CampaignState, Result
from tests.unit.core.world import AT, CAMPAIGN, World, campaign, lead, parked


def spoken_to(*numbers: str, **world: Any) -> tuple[World, AttemptId]:
    """Somebody met no operator and hears the last word."""
    w = World(parked("g7"), **{"leads": [lead(1, *numbers)], **world})
    attempt = w.only()
    w.dial("g7", "421")
    w.answers(attempt)
    w.fires(attempt)
    w.look()
    return w, attempt


def over(w: World, attempt: AttemptId) -> None:
    """They hang up."""
    w.later(1).hangs_up(attempt, cause=16)
    assert attempt not in w.floor.calls


def chooses(w: World, attempt: AttemptId, choice: Choice, **whose: Any) -> list[AnyCommand]:
    """The choice is told."""
    return w.tell(ev.ContactChose, attempt=attempt, choice=choice, **whose)


def noted(w: World, attempt: AttemptId, choice: Choice, due: float | None = None) -> list[AnyCommand]:
    """It is told from its note, with what the journal knows of the attempt."""
    call = w.store.calls[attempt]
    whose: dict[str, Any] = {"campaign": call.campaign, "lead": call.lead, "number": call.number}
    return chooses(w, attempt, choice, due=due, **whose)


def kinds(commands: list[AnyCommand]) -> list[str]:
    return [type(one).__name__ for one in commands]


# -- no further calls -------------------------------------------------------------------------


def test_who_refuses_further_calls_is_not_called_on_any_number() -> None:
    w, attempt = spoken_to("+71", "+72")
    commands = chooses(w, attempt, "refuse")
    assert kinds(commands) == ["SaveCall", "SaveDoNotCall", "SaveDoNotCall", "ForgetChoice"]
    barred = [(one.number, one.campaign, one.source) for one in commands if isinstance(one, SaveDoNotCall)]
    assert barred == [("+71", None, "ivr"), ("+72", None, "ivr")], "of the whole centre"
    assert commands[-1] == ForgetChoice(attempt=attempt), "once it is written down"
    assert w.call(attempt).choice == "refuse"
    assert w.call(attempt).state is CallState.ENDING, "the dialplan says goodbye"
    over(w, attempt)
    w.dial("g7", "43")
    w.tick(3600)
    assert len(w.originated()) == 1


def test_it_holds_for_leads_that_are_at_hand_in_other_campaigns() -> None:
    same = [lead(1, "+71"), lead(8, "+71", of="summer")]
    campaigns = [campaign(), campaign("summer", lines_max=0)]
    w, attempt = spoken_to(campaigns=campaigns, leads=same)
    w.is_store_slow = True
    chooses(w, attempt, "refuse")
    assert len(w.floor.desks[campaigns[1].id].hopper) == 0


def test_who_refused_while_no_engine_listened_is_barred_when_one_reads_the_note() -> None:
    w, attempt = spoken_to("+71", "+72")
    over(w, attempt)
    commands = noted(w, attempt, "refuse")
    assert kinds(commands)[:2] == ["SaveChoice", "SaveDoNotCall"]
    assert SaveDoNotCall(number="+71", campaign=None, source="ivr", at=w.at) in commands
    assert commands[-1] == ForgetChoice(attempt=attempt)
    assert w.store.choices == {attempt: "refuse"}


def test_a_note_of_a_call_that_nobody_knows_is_kept() -> None:
    w, attempt = spoken_to()
    over(w, attempt)
    assert chooses(w, attempt, "refuse") == []
    assert chooses(w, AttemptId("a" + "9" * 20), "later", due=w.at + 60) == []
    assert not w.store.do_not_call


# -- another time -----------------------------------------------------------------------------


def test_who_wants_to_be_called_later_is_called_then() -> None:
    w, attempt = spoken_to()
    due = w.at + 7200
    assert kinds(chooses(w, attempt, "later", due=due)) == ["SaveCall", "ForgetChoice"]
    assert (w.call(attempt).callback_at, w.call(attempt).callback_agent) == (due, None)
    over(w, attempt)
    assert (w.store.leads[lead(1).id].due, w.store.leads[lead(1).id].is_promised) == (due, True)
    w.dial("g7", "43")
    w.tick(3600)
    assert len(w.originated()) == 1
    w.tick(due - w.at)
    assert len(w.originated()) == 2


def test_also_when_the_call_had_ended() -> None:
    w, attempt = spoken_to()
    over(w, attempt)
    due = w.at + 7200
    commands = noted(w, attempt, "later", due)
    assert SaveCallback(lead=lead(1).id, due=due, owner=None, at=w.at) in commands
    assert SetTimer(kind="lead", subject="1", due=due, campaign=CAMPAIGN) in commands
    assert w.store.leads[lead(1).id].due == due


def test_and_when_the_campaign_was_finished() -> None:
    w, attempt = spoken_to()
    over(w, attempt)
    w.store.finished[lead(1).id] = "stopped"
    w.tick(60)
    assert w.floor.desks[CAMPAIGN].state is CampaignState.FINISHED
    noted(w, attempt, "later", w.at + 60)
    assert w.floor.desks[CAMPAIGN].state is CampaignState.RUNNING


def test_of_a_lead_that_is_called_again_meanwhile_it_holds_when_that_call_is_over() -> None:
    w, first = spoken_to()
    over(w, first)
    w.dial("g7", "43")
    w.tick(600)
    second = w.only()
    due = w.at + 7200
    commands = noted(w, first, "later", due)
    assert "SaveCallback" not in kinds(commands)
    assert w.call(second).callback_at == due
    w.hangs_up(second, cause=17, sip=486)
    assert w.store.leads[lead(1).id].due == due


def test_a_time_that_has_passed_is_now() -> None:
    w, attempt = spoken_to()
    over(w, attempt)
    w.dial("g7", "43")
    w.later(60)
    noted(w, attempt, "later", w.at - 30)
    assert len(w.originated()) == 2


def test_a_campaign_that_is_not_on_the_floor_is_no_promise_but_what_was_chosen_is_kept() -> None:
    w, attempt = spoken_to()
    over(w, attempt)
    call = w.store.calls[attempt]
    whose: dict[str, Any] = {"campaign": "gone", "lead": call.lead, "number": call.number}
    assert kinds(chooses(w, attempt, "later", due=w.at + 60, **whose)) == ["SaveChoice", "ForgetChoice"]


# -- told again -------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["refuse", "later"])
def test_told_twice_while_the_call_is_live_it_is_the_same(choice: Any) -> None:
    w, attempt = spoken_to()
    due = w.at + 60 if choice == "later" else None
    chooses(w, attempt, choice, due=due)
    before = w.call(attempt)
    assert chooses(w, attempt, choice, due=due)[-1] == ForgetChoice(attempt=attempt)
    assert w.call(attempt) == before


def test_a_note_that_would_not_go_away_does_not_make_another_call_and_another() -> None:
    """The promised call was made meanwhile. What was told and done is not done again."""
    w, attempt = spoken_to()
    over(w, attempt)
    due = w.at + 60
    noted(w, attempt, "later", due)
    w.dial("g7", "43")
    w.tick(60)
    promised = w.only()
    w.answers(promised)
    w.joins(promised)
    w.later(30).hangs_up(promised)
    assert w.store.finished
    assert noted(w, attempt, "later", due) == [ForgetChoice(attempt=attempt)]
    w.tick(60)
    assert len(w.originated()) == 2
    later = noted(w, attempt, "later", w.at + 500)
    assert "SaveCallback" in kinds(later), "another time is another choice"


def test_the_last_choice_is_the_one_that_is_kept() -> None:
    w, attempt = spoken_to()
    chooses(w, attempt, "later", due=w.at + 60)
    chooses(w, attempt, "refuse")
    assert w.call(attempt).choice == "refuse"
    over(w, attempt)
    w.dial("g7", "43")
    w.tick(120)
    assert len(w.originated()) == 1, "they are on the list, whatever was promised before"


@pytest.mark.parametrize("choice", ["wait", "confirm", "operator"])
def test_a_choice_that_is_done_by_the_dialplan_is_only_kept(choice: Any) -> None:
    w, attempt = spoken_to()
    assert kinds(chooses(w, attempt, choice)) == ["SaveCall", "ForgetChoice"]
    over(w, attempt)
    assert noted(w, attempt, choice) == [
        SaveChoice(attempt=attempt, choice=choice),
        ForgetChoice(attempt=attempt),
    ]


# -- a choice is news of the answer, too ------------------------------------------------------


def test_who_makes_a_choice_has_answered_and_is_not_hung_up_on_when_the_ringing_is_over() -> None:
    w = World(parked("g7"))
    attempt = w.only()
    w.rings(attempt)
    commands = chooses(w.later(5), attempt, "refuse")
    saved = [one.call for one in commands if isinstance(one, SaveCall)]
    assert [(one.state, one.ending, one.answered_at) for one in saved] == [
        (CallState.ENDING, "no_agent", AT + 5)
    ]
    w.look()
    w.tick(60)
    assert w.look() == []
    w.hangs_up(attempt, cause=16)
    assert w.call(attempt).result is Result.ABANDONED


def test_who_confirms_an_announcement_that_we_never_heard_of_has_heard_it() -> None:
    w = World(mode="announcement")
    attempt = w.only()
    chooses(w, attempt, "confirm")
    w.later(9).hangs_up(attempt, cause=16)
    assert (w.call(attempt).result, w.call(attempt).choice) == (Result.ANNOUNCED, "confirm")
    assert w.call(attempt).abandoned_at is None
