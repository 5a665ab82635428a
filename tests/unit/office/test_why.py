"""Why somebody was dialed or not: each layer, for now and for moments past, on a day told by real saves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core import judging
from dialer.core.commands import SaveTransfer
from dialer.core.ids import CampaignId, TrunkId
from dialer.core.transfer_facts import Transfer, TransferState
from dialer.core.values import AgentState, CallState, CampaignState, Caps, Owners, Result
from dialer.office.layers import RULES, Engine
from dialer.office.whyshow import _told, as_row
from dialer.store import dnc, settings
from tests.unit.office.story import ANN, SPRING, Story, at, layer

MOBILE = ("mobile", "+79131112233")
WORK = ("work", "+74951112233")
OMSK = "Asia/Omsk"  # three hours ahead of Moscow


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    told = await Story.begin(tmp_path / "journal.sqlite3")
    yield told
    await told.end()


def apply(story: Story, when: str, **changes: Any) -> None:
    settings.apply_campaign(story.db, msgspec.structs.replace(SPRING, **changes), at(when))


# -- the campaign and the lead -----------------------------------------------------------------


async def test_a_person_may_be_dialed(story: Story) -> None:
    person = story.person(MOBILE, zone=OMSK)
    answer = story.why("10:00", person)
    assert (answer.rule, answer.says, answer.next_at, answer.when) == ("", "", at("10:00"), "past")
    assert [line.rule for line in answer.lines] == [""] * len(answer.lines)
    assert (
        "calling hours until Mon 21:00 (Asia/Omsk); now Mon 13:00 (Asia/Omsk)" in layer(answer, "number").says
    )
    assert answer.zones == (OMSK,)
    assert answer.dialed is None


@pytest.mark.parametrize(
    ("when", "rule", "until"),
    [
        ("07:00", "no_campaign", "08:00"),
        ("08:10", "campaign_not_running", "09:00"),
        ("11:30", "campaign_not_running", "13:00"),
        ("13:00", "", "13:00"),
        ("17:00", "campaign_not_running", None),
    ],
)
async def test_where_the_campaign_stood(story: Story, when: str, rule: str, until: str | None) -> None:
    await story.run("11:00", CampaignState.PAUSED)
    await story.run("13:00", CampaignState.RUNNING)
    await story.run("16:00", CampaignState.STOPPED)
    answer = story.why(when, story.person(MOBILE, zone="Europe/Moscow"))
    assert answer.rule == rule
    line = layer(answer, "campaign")
    assert line.until == (at(until) if until and rule else None)
    if when == "11:30":
        assert line.says.startswith("paused since Mon 2026-03-02 ")


async def test_the_settings_are_those_of_the_moment(story: Story) -> None:
    person = story.person(MOBILE, zone="Europe/Moscow")
    apply(story, "12:00", hours=None)
    assert story.why("22:00", person).rule == ""
    apply(story, "23:00")
    assert story.why("22:00", person).rule == ""
    assert story.why("23:30", person).rule == "hours"
    assert story.why("08:30", person).rule == "campaign_not_running"


async def test_who_is_in_no_list_of_the_campaign(story: Story) -> None:
    stranger = story.person(MOBILE, name="others")
    answer = story.why("10:00", stranger)
    assert (answer.rule, answer.next_at) == ("not_in_campaign", None)
    assert layer(answer, "lead").says == "its list others is none of the campaign's (people)"
    late = story.person(WORK, when="12:00")
    assert (story.why("11:00", late).rule, story.why("11:00", late).next_at) == (
        "not_in_campaign",
        at("12:00"),
    )
    assert story.why("14:30", late).rule == ""
    with_no_lead = story.person(("work", "+74951112244"))
    story.db.execute("DELETE FROM leads WHERE contact = ?", (with_no_lead,))
    assert "is not enrolled" in layer(story.why("10:00", with_no_lead), "lead").says


async def test_a_list_that_was_taken_out(story: Story) -> None:
    person = story.person(WORK)
    apply(story, "11:00", lists=())
    assert story.why("10:00", person).rule == ""
    answer = story.why("11:30", person)
    assert (answer.rule, answer.next_at) == ("list_removed", None)


async def test_being_dialed_then_not_due_then_due_then_finished(story: Story) -> None:
    person = story.person(WORK)
    call = await story.dial("10:00", person)
    await story.over("10:01", call, Result.BUSY, due="10:04")
    again = await story.dial("10:10", person, agent=ANN)
    await story.over(
        "10:12", again, Result.TALKED, finished="order", connected_at=at("10:11"), operator_result="order"
    )

    before = story.why("09:59:59", person)
    assert before.rule == ""
    assert before.dialed is not None
    assert (before.dialed["attempt"], before.dialed["result"]) == (call.attempt, "busy")
    assert story.why("10:00", person).rule == "", "a moment is just before what happened at it"
    during = story.why("10:00:30", person)
    assert (during.rule, layer(during, "lead").number, layer(during, "lead").until) == (
        "being_dialed",
        WORK[1],
        at("10:01"),
    )
    assert during.dialed is not None
    assert during.dialed["attempt"] == call.attempt
    waiting = story.why("10:02", person)
    assert (waiting.rule, waiting.next_at) == ("not_due", at("10:04"))
    assert "after busy at Mon 2026-03-02" in layer(waiting, "lead").says
    due = story.why("10:05", person)
    assert due.rule == ""
    assert due.dialed is not None
    assert (due.dialed["agent"], due.dialed["operator_result"]) == (ANN, "order")
    done = story.why("10:20", person)
    assert (done.rule, done.next_at) == ("finished", None)
    assert layer(done, "lead").says.startswith("finished: order (after talked) since Mon ")


async def test_a_promised_call(story: Story) -> None:
    person = story.person(WORK)
    await story.promise("10:00", person, "15:00")
    answer = story.why("11:00", person)
    assert (answer.rule, answer.next_at) == ("not_due", at("15:00"))
    assert layer(answer, "lead").says.startswith("promised for Mon 2026-03-02")
    assert story.why("15:30", person).rule == ""
    at_night = story.person(("work", "+74951112244"))
    await story.promise("10:00", at_night, "13:00")
    assert story.why("11:00", at_night).next_at == at("14:00"), "no call between 12:00 and 14:00"


# -- numbers -----------------------------------------------------------------------------------


async def test_hours_are_those_where_the_person_is(story: Story) -> None:
    person = story.person(WORK, zone=OMSK)
    answer = story.why("09:30", person)  # 12:30 in Omsk
    assert (answer.rule, answer.next_at) == ("hours", at("11:00"))
    says = layer(answer, "number").says
    assert "Mon 12:30 (Asia/Omsk)" in says
    assert "mon-fri 09:00-12:00, 14:00-18:00" in says
    evening = story.why("15:00", person)
    assert (evening.rule, evening.next_at) == ("hours", at("+1 06:00"))
    friday = story.why("+4 15:00", person)
    assert friday.next_at == at("+7 06:00"), "over the weekend"


async def test_where_several_zones_are_possible_all_must_allow_it(story: Story) -> None:
    person = story.person(MOBILE)  # Russia has eleven
    answer = story.why("10:00", person)
    assert "time zones, UTC+02:00 to UTC+12:00)" in layer(answer, "number").says
    assert len(answer.zones) > 5
    assert story.why("20:00", person).rule == "hours"


async def test_nobody_knows_where_they_are(story: Story) -> None:
    person = story.person(("mobile", "+79990000000"))
    story.db.execute("UPDATE phones SET number = '+88213000000'")
    answer = story.why("10:00", person)
    assert (answer.rule, answer.next_at) == ("unknown_zone", None)
    apply(story, "11:00", hours=msgspec.structs.replace(SPRING.hours, unknown_zone=OMSK))  # type: ignore[type-var]
    assert story.why("12:00", person).rule == ""


async def test_hours_that_never_come(story: Story) -> None:
    hours = msgspec.structs.replace(SPRING.hours, kinds={"work": SPRING.hours.kinds["mobile"]})  # type: ignore[type-var, union-attr]
    apply(story, "08:10", hours=hours)
    answer = story.why("10:00", story.person(MOBILE, zone=OMSK))
    assert (answer.rule, answer.next_at) == ("no_hours", None)
    assert "mobile: never" in layer(answer, "number").says


async def test_do_not_call_by_its_entry_at_that_moment(story: Story) -> None:
    person = story.person(WORK)
    dnc.add(story.db, WORK[1], campaign="spring", source="court", note="case 7", at=at("11:00"))
    answer = story.why("11:30", person)
    assert (answer.rule, answer.next_at) == ("finished", None)
    assert layer(answer, "number").rule == "do_not_call_campaign"
    says = layer(answer, "number").says
    assert says.startswith(f"entry {WORK[1]} for campaign spring since ")
    assert says.endswith("(court, case 7)")
    assert story.why("10:30", person).rule == ""
    dnc.remove(story.db, WORK[1], campaign="spring", at=at("14:30"))
    assert story.why("14:45", person).rule == ""
    assert story.why("11:30", person).rule == "finished"
    dnc.add(story.db, "+7495*", source="law", at=at("15:00"))
    blocked = story.why("15:30", person)
    assert (blocked.rule, "entry +7495* for all campaigns" in layer(blocked, "number").says) == (
        "blocked",
        True,
    )


async def test_tried_as_often_as_it_may_be(story: Story) -> None:
    apply(story, "08:10", attempts=2)
    person = story.person(WORK)
    await story.tried("10:00", person, Result.NO_ANSWER, due="10:10")
    await story.tried("10:20", person, Result.BUSY, due="10:30")
    answer = story.why("10:40", person)
    assert (answer.rule, layer(answer, "number").says) == ("tried", "2 of 2 attempts: no_answer, busy")
    assert "1 of 2 attempts" in layer(story.why("10:15", person), "number").says
    apply(story, "11:00", attempts_per_contact=2)
    answer = story.why("11:30", person)
    assert (answer.rule, layer(answer, "contact").says) == (
        "tried_contact",
        "2 of 2 attempts on all its numbers",
    )


async def test_a_results_own_limit_and_a_bad_number(story: Story) -> None:
    person = story.person(WORK, MOBILE, zone="Europe/Moscow")
    await story.tried("10:00", person, Result.DECLINED, due="10:01")
    await story.tried("10:05", person, Result.INVALID, due="10:06", phone=1)
    answer = story.why("10:10", person)
    assert answer.rule == "no_number_left"
    assert layer(answer, "contact").says == "none of its 2 numbers may be dialed any more"
    work, mobile = (line for line in answer.lines if line.layer == "number")
    assert (work.rule, work.says) == ("result", "1 times declined, of 1")
    assert (mobile.rule, mobile.says.startswith("invalid at ")) == ("bad_number", True)
    earlier = story.why("10:03", person)
    assert earlier.rule == "", "the other number was good still"
    assert [line.rule for line in earlier.lines if line.layer == "number"] == ["", ""]
    assert any("gave one result as often as it may: 1 times declined" in line.says for line in earlier.lines)


@pytest.mark.parametrize(
    ("caps", "rule", "next_at", "says"),
    [
        (Caps(number_per_24h=2), "number_per_24h", "+1 14:00", "2 calls in 24 hours of 2 allowed"),
        (Caps(contact_per_24h=2), "contact_per_24h", "+1 14:00", "2 calls in 24 hours of 2 allowed"),
        (Caps(number_per_day=2), "number_per_day", "+1 09:00", "2 calls today of 2 allowed"),
        (Caps(contact_per_day=2), "contact_per_day", "+1 09:00", "2 calls today of 2 allowed"),
        (Caps(gap_s=3 * 3600), "gap", "17:05", "at least 3 h between two calls"),
    ],
)
async def test_caps_count_the_calls_of_all_campaigns(
    story: Story, caps: Caps, rule: str, next_at: str, says: str
) -> None:
    apply(story, "08:10", caps=caps, attempts=9)
    person = story.person(WORK)
    settings.apply_campaign(story.db, msgspec.structs.replace(SPRING, id="autumn", caps=Caps()), at("08:10"))
    call = await story.dial("10:30", person, campaign="autumn")
    await story.over("10:31", call, Result.BUSY, due="10:40")
    await story.tried("14:05", person, Result.BUSY, due="14:10")
    answer = story.why("14:30", person)
    # 24 hours after 10:30 is 10:30 of the next day.
    expected = at("+1 10:30") if rule.endswith("24h") else at(next_at)
    assert (answer.rule, answer.next_at) == (rule, expected)
    line = next(line for line in answer.lines if line.rule == rule)
    assert line.says.startswith(says)
    assert layer(story.why("14:04", person), "number").rule == ""


async def test_caps_of_the_centre(story: Story) -> None:
    from dialer.core.values import Centre

    settings.apply_centre(story.db, Centre(caps=Caps(number_per_24h=1)), at("08:10"))
    person = story.person(WORK)
    await story.tried("10:00", person, Result.BUSY, due="10:04")
    answer = story.why("10:30", person)
    assert (answer.rule, answer.next_at) == ("number_per_24h", at("+1 10:00"))
    assert "1 calls in 24 hours of 1 allowed, over all campaigns: " in layer(answer, "number").says


async def test_the_same_number_is_being_called_for_somebody_else(story: Story) -> None:
    one, other = story.person(WORK), story.person(WORK)
    call = await story.dial("10:00", one)
    await story.over("10:05", call, Result.BUSY, due="10:09")
    answer = story.why("10:01", other)
    assert (answer.rule, answer.next_at) == ("number_live", at("10:05"))
    assert layer(answer, "number").says.startswith("campaign spring calls the number since ")
    assert story.why("10:06", other).rule == ""


async def test_what_an_operator_did_with_the_conversation_is_a_part_of_its_story(story: Story) -> None:
    person = story.person(WORK)
    call = await story.dial("10:00", person, agent=ANN)
    moved = Transfer(
        attempt=call.attempt,
        place=1,
        agent=ANN,
        kind="blind",
        state=TransferState.OVER,
        began_at=at("10:02"),
        target="102",
        colleague=ANN,
        outcome="completed",
    )
    await story.save("10:03", [], [SaveTransfer(transfer=moved)])
    during = story.why("10:05", person)
    assert during.dialed is not None
    (told,) = during.dialed["transfers"]
    assert (told["kind"], told["target"], told["outcome"]) == ("blind", "102", "completed")
    assert "was transferred by ann, to 102 (completed)" in "\n".join(_told(during))
    assert as_row(during)["dialed"]["transfers"][0]["began_at"].startswith("2026-03-02T")


async def test_who_is_on_the_line_to_us_is_not_dialed(story: Story) -> None:
    one, other = story.person(WORK), story.person(WORK)
    call = await story.dial(
        "10:00", one, direction="in", state=CallState.ANSWERED, answered_at=at("10:00"), did="+74950000001"
    )
    await story.over("10:05", call, Result.MISSED, due="10:06")
    own, others = story.why("10:01", one), story.why("10:01", other)
    assert own.rule == "being_dialed"
    assert "(they called us) from +7" in layer(own, "lead").says
    assert others.rule == "number_live"
    assert layer(others, "number").says.startswith("the number calls campaign spring since ")


# -- owners and operators ------------------------------------------------------------------------


async def test_a_card_whose_owner_is_away(story: Story) -> None:
    apply(story, "08:10", owners=Owners(away="wait", wait_s=3600.0))
    person = story.person(WORK)
    await story.promise("09:30", person, "10:00", owner=ANN)
    assert story.why("10:05", person).rule == ""
    await story.agent("10:10", ANN, AgentState.PAUSED, "lunch")
    answer = story.why("10:20", person)
    assert (answer.rule, answer.next_at) == ("owner_away", at("11:00"))
    assert "the card is of ann" in layer(answer, "owner").says
    assert "paused (lunch) since" in layer(answer, "owner").says
    apply(story, "10:30")
    assert "anyone may take it" in layer(story.why("10:40", person), "owner").says


async def test_no_operator_was_ready(story: Story) -> None:
    person = story.person(WORK)
    await story.agent("10:10", ANN, AgentState.PAUSED, "lunch")
    await story.agent("10:50", ANN, AgentState.READY)
    answer = story.why("10:20", person)
    assert (answer.rule, answer.next_at) == ("no_operator_idle", at("10:50"))
    line = layer(answer, "operators")
    assert line.says.startswith("none of 1 ready: ann paused (lunch) since Mon ")
    assert line.until == at("10:50")
    assert story.why("10:50", person).rule == ""
    assert layer(story.why("10:05", person), "operators").says.startswith(
        "1 of 1 ready; calls of the campaign"
    )
    await story.agent("11:00", ANN, AgentState.SIGNED_OUT)
    assert layer(story.why("11:10", person), "operators").says == "the only one is signed out"
    story.db.execute("""UPDATE agents SET campaigns = '["autumn"]'""")
    assert story.why("11:10", person).rule == "no_operator"


# -- the engine and the trunk ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broke", "mended", "rule"),
    [
        (ev.PbxDisconnected(at=0.0), ev.PbxConnected(at=0.0), "pbx_away"),
        (ev.JournalFailed(at=0.0, reason="disk full"), ev.JournalRecovered(at=0.0), "journal_fails"),
        (
            ev.EventsLagged(at=0.0, lag_ms=2000.0, is_late=True),
            ev.EventsLagged(at=0.0, lag_ms=1.0, is_late=False),
            "events_lag",
        ),
        (
            ev.TrunkChanged(at=0.0, trunk=TrunkId("north"), is_up=False),
            ev.TrunkChanged(at=0.0, trunk=TrunkId("north"), is_up=True),
            "trunk_down",
        ),
        (ev.Leaving(at=0.0), ev.EngineStarted(at=0.0, version="2"), "engine_leaving"),
    ],
)
async def test_what_kept_the_engine_from_placing_calls(
    story: Story, broke: ev.Event, mended: ev.Event, rule: str
) -> None:
    person = story.person(WORK)
    other = ev.TrunkChanged(at=at("10:15"), trunk=TrunkId("south"), is_up=False)
    await story.save("10:10", [msgspec.structs.replace(broke, at=at("10:10")), other])
    await story.save("10:30", [ev.RecordingMissing(at=at("10:30"), attempt="a", reason="")])  # type: ignore[arg-type]
    await story.save("10:40", [msgspec.structs.replace(mended, at=at("10:40"))])
    await story.save("10:40", [ev.PbxConnected(at=at("10:40"))])
    assert story.why("10:05", person).rule == ""
    answer = story.why("10:20", person)
    assert answer.rule == rule
    line = next(line for line in answer.lines if line.rule)
    assert line.until == (None if rule == "engine_leaving" else at("10:40"))
    assert story.why("10:45", person).rule == ""


async def test_an_engine_that_died_is_known_by_the_next_start(story: Story) -> None:
    person = story.person(WORK)
    await story.save("10:00", [ev.LeadsAdded(at=at("10:00"), campaign=CampaignId("spring"))])
    await story.save(
        "11:00", [ev.EngineStarted(at=at("11:00"), version="1"), ev.PbxConnected(at=at("11:00"))]
    )
    answer = story.why("10:30", person)
    assert (answer.rule, answer.next_at) == ("no_engine", at("11:00"))
    assert layer(answer, "engine").says.startswith("no engine was at work since Mon ")
    assert story.why("09:59", person).rule == ""
    assert story.why("11:01", person).rule == ""


async def test_before_the_first_engine(story: Story) -> None:
    answer = story.why("08:20", story.person(MOBILE, zone=OMSK))
    assert answer.lines[-1].rule == "no_engine"
    assert answer.lines[-1].until == at("08:30")


async def test_everything_is_full(story: Story) -> None:
    apply(story, "08:10", lines_max=1)
    one, other = story.person(WORK), story.person(("work", "+74951112244"))
    call = await story.dial("10:00", one)
    answer = story.why("10:01", other)
    assert (answer.rule, layer(answer, "lines").says) == ("lines_full", "1 calls at once of 1 allowed")
    await story.over("10:02", call, Result.BUSY, due="10:05")
    assert story.why("10:03", other).rule == ""


# -- now and later -----------------------------------------------------------------------------------


async def test_now_the_engine_itself_is_asked(story: Story) -> None:
    person, other = story.person(WORK), story.person(("work", "+74951112244"))
    now = "10:30"
    answer = story.why(now, other, now=now)
    assert (answer.rule, answer.when) == ("", "now")
    assert layer(answer, "turn").says == "leads that are due and go before: 1"
    assert layer(story.why(now, person, now=now), "turn").says == "leads that are due and go before: none"
    away = Engine(rule="not_originating", says="events lag")
    assert story.why(now, person, now=now, engine=away).rule == "not_originating"
    down = Engine(trunks={"north": False})
    assert story.why(now, person, now=now, engine=down).rule == "trunk_down"
    await story.dial("10:29", person)
    assert story.why(now, person, now=now).rule == "being_dialed"


async def test_later_only_what_is_the_persons_is_said(story: Story) -> None:
    person = story.person(WORK)
    answer = story.why("12:30", person, now="10:00", engine=Engine(rule="no_engine", says=""))
    assert (answer.rule, answer.when, answer.next_at) == ("hours", "later", at("14:00"))
    assert {line.layer for line in answer.lines} == {"campaign", "lead", "number"}
    assert story.why("15:00", person, now="10:00").rule == ""


async def test_what_was_put_off_says_the_rule_that_did_it(story: Story) -> None:
    person = story.person(WORK)
    leads, unfinished, _ = await story.journal.fetch_leads(SPRING, 10, at("12:30"))
    assert (leads, unfinished) == ([], True)
    answer = story.why("13:00", person, now="13:00")
    assert (answer.rule, answer.next_at) == ("hours", at("14:00"))
    assert story.why("13:00", person).rule == "hours"


async def test_every_rule_has_words(story: Story) -> None:

    told = Path(judging.__file__).read_text()
    for rule in RULES:
        assert RULES[rule]
    for rule in ("bad_number", "unknown_zone", "no_hours", "tried_contact", "no_number_left"):
        assert f'"{rule}"' in told
        assert rule in RULES
