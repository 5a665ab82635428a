"""The dry run of a campaign, against a hand-counted example, against the judgement itself, and by its warnings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.conduct import Abandonment, Pacing
from dialer.core.ids import AgentId
from dialer.core.judging import judge
from dialer.core.trunk import CallerIds
from dialer.core.values import AgentState, CallingHours, Campaign, CampaignState, Caps, Centre, Owners, Result
from dialer.office import conductcautions
from dialer.office.cautions import cautions
from dialer.office.checking import Check, check
from dialer.office.layers import Engine
from dialer.store import dnc, facts, settings
from dialer.store.census import open_census
from tests.examples import examples
from tests.unit.office.story import ANN, CALENDAR, HOURS, SPRING, UP, Story, at

MOSCOW, OMSK, VLADIVOSTOK = "Europe/Moscow", "Asia/Omsk", "Asia/Vladivostok"


@pytest.fixture
async def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Story]:
    monkeypatch.setattr(conductcautions, "has_voice", lambda: True)  # whatever this machine has
    told = await Story.begin(tmp_path / "journal.sqlite3")
    yield told
    await told.end()


def dry_run(
    story: Story,
    when: str,
    *,
    hours: int = 48,
    centre: Centre = Centre(),  # noqa: B008
    never: list[tuple[int, str]] | None = None,
) -> Check:
    return check_at(story, at(when), hours=hours, centre=centre, never=never)


def check_at(
    story: Story,
    now: float,
    *,
    hours: int = 48,
    centre: Centre = Centre(),  # noqa: B008
    never: list[tuple[int, str]] | None = None,
) -> Check:
    campaign = settings.campaign_now(story.db, "spring")
    assert campaign is not None
    tell = None if never is None else lambda contact, reason: never.append((contact, reason))
    with open_census(story.path, campaign, centre, now) as census:
        return check(census, CALENDAR, campaign, centre, now, hours=hours, never=tell)


def table(found: Check) -> dict[str, tuple[int, int]]:
    """New and open by the hour of Monday (``"+1 09"``: of Tuesday), hours in which nobody is open left out."""
    shown = {}
    for hour in found.hours:
        if hour.open:
            day, past = divmod(round(hour.at - at("00:00")), 86_400)
            shown[f"{f'+{day} ' if day else ''}{past // 3600:02}"] = (hour.new, hour.open)
    return shown


def work(number: int) -> tuple[str, str]:
    return "work", f"+7495111220{number}"


def mobile(number: int) -> tuple[str, str]:
    return "mobile", f"+7913111220{number}"


async def test_a_hand_counted_day(story: Story) -> None:
    # Asked at 10:30 on Monday. Work phones: 9-12 and 14-18, mobiles: 9-21, where the person is.
    story.person(work(1), zone=MOSCOW)  # 10 11 | 14 15 16 17
    story.person(work(2), zone=OMSK)  # 13:30 there: 11 12 13 14 (14-18 there)
    story.person(mobile(3), zone=VLADIVOSTOK)  # 17:30 there: 10 11 12 13 (until 21 there)
    retry = story.person(work(4), zone=MOSCOW)
    await story.tried("10:00", retry, Result.BUSY, due="11:30")  # 11 | 14 15 16 17
    later = story.person(work(5), zone=MOSCOW)
    await story.promise("10:00", later, "+3 10:00")  # Thursday
    barred = story.person(work(6), zone=MOSCOW)
    dnc.add(story.db, "+74951112206", at=at("10:10"))  # finished at once
    blocked = story.person(mobile(7), zone=MOSCOW)
    dnc.add(story.db, "+79131112207*", at=at("10:10"))
    bad = story.person(work(8), zone=MOSCOW)
    story.db.execute("UPDATE phones SET is_bad = 1 WHERE contact = ?", (bad,))
    sold = story.person(work(9), zone=MOSCOW)
    await story.over("10:05", await story.dial("10:04", sold), Result.TALKED, finished="order")
    both = story.person(work(0), mobile(0), zone=MOSCOW)  # 10 ... 20
    never: list[tuple[int, str]] = []
    found = dry_run(story, "10:30", hours=12, never=never)
    assert table(found) == {
        "10": (3, 3),  # the first, Vladivostok, and who has both
        "11": (2, 5),  # and Omsk (14:00 there), and the retry
        "12": (0, 3),  # Omsk, Vladivostok, both
        "13": (0, 3),
        "14": (0, 4),  # the first, Omsk until 15 (18 there), the retry, both
        "15": (0, 3),
        "16": (0, 3),
        "17": (0, 3),
        "18": (0, 1),
        "19": (0, 1),
        "20": (0, 1),
    }
    assert found.hours[0].at == at("10:30")
    assert (found.contacts, found.later, found.later_at) == (10, 1, at("+3 10:00"))
    reasons = {one.reason: (one.contacts, one.examples, one.is_done) for one in found.never}
    assert reasons == {
        "bad_number": (1, [bad], False),
        "blocked": (1, [blocked], False),
        "do_not_call": (1, [barred], False),
        "order": (1, [sold], True),
    }
    assert sorted(never) == sorted(
        [(bad, "bad_number"), (blocked, "blocked"), (barred, "do_not_call"), (sold, "order")]
    )
    assert found.one_by_one < 8, "who was never touched is counted by class"
    assert both


async def test_who_is_in_a_list_and_has_no_lead_yet_is_counted(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    story.person(mobile(2), zone=MOSCOW)
    story.db.execute("DELETE FROM leads")
    story.db.execute("UPDATE campaign_lists SET enrolled_to = 0")
    found = dry_run(story, "10:30", hours=4)
    assert (found.contacts, table(found)["10"]) == (2, (2, 2))
    dnc.add(story.db, "+74951112201", at=at("10:10"))
    found = dry_run(story, "10:30", hours=4)
    assert (found.contacts, table(found)["10"], found.never[0].reason) == (2, (1, 1), "do_not_call")


async def test_a_class_that_is_never_called_gives_examples_and_all_of_them(story: Story) -> None:
    people = [story.person(("fax", f"+7495111221{number}"), zone=MOSCOW) for number in range(8)]
    hours = CallingHours(kinds={"work": HOURS.kinds["default"]})
    settings.apply_campaign(story.db, msgspec.structs.replace(SPRING, hours=hours), at("10:00"))
    never: list[tuple[int, str]] = []
    found = dry_run(story, "10:30", never=never)
    [reason] = found.never
    assert (reason.reason, reason.contacts, reason.examples) == ("no_hours", 8, people[:5])
    assert sorted(never) == [(person, "no_hours") for person in people]
    assert dry_run(story, "10:30").never[0].examples == people[:5]


async def test_what_the_caps_count_delays(story: Story) -> None:
    person = story.person(mobile(1), zone=MOSCOW)
    story.person(mobile(2), zone=MOSCOW)
    settings.apply_campaign(
        story.db, msgspec.structs.replace(SPRING, caps=Caps(number_per_24h=1)), at("08:30")
    )
    await story.tried("09:30", person, Result.BUSY, due="09:40")
    found = dry_run(story, "10:00", hours=30)
    assert table(found)["10"] == (1, 1)
    assert table(found)["+1 09"] == (1, 2)
    found = dry_run(story, "10:00", centre=Centre(caps=Caps(contact_per_day=0)))
    assert [(one.reason, one.contacts) for one in found.never] == [("contact_per_day", 2)]


async def test_what_was_put_off_is_due_when_it_was(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    leads, _, _ = await story.journal.fetch_leads(SPRING, 10, at("12:30"))
    assert leads == []
    assert table(dry_run(story, "12:45", hours=3)) == {"14": (1, 1)}
    settings.apply_campaign(story.db, msgspec.structs.replace(SPRING, hours=None), at("12:50"))
    assert table(dry_run(story, "12:55", hours=2)) == {"12": (1, 1), "13": (0, 1)}


async def test_it_agrees_with_the_judgement_hour_by_hour(story: Story) -> None:
    """Each contact is judged at every quarter of an hour: it is open in an hour if it may be dialed in one of them."""
    people = [
        story.person(work(1), mobile(1), zone=MOSCOW),
        story.person(mobile(2), zone=OMSK),
        story.person(mobile(3)),
        story.person(("home", "+74951112244"), zone=VLADIVOSTOK),
        story.person(work(5), zone="Asia/Kathmandu"),
    ]
    await story.tried("09:00", people[0], Result.DECLINED, due="10:00")
    await story.tried("09:10", people[1], Result.BUSY, due="10:20")
    dnc.add(story.db, "+74951112201", campaign="spring", at=at("09:30"))
    found = dry_run(story, "09:45")
    campaign = settings.campaign_now(story.db, "spring")
    assert campaign is not None
    for hour in found.hours:
        count = 0
        for person in people:
            lead = story.lead(person)
            for quarter in range(0, 3600, 900):
                moment = hour.at - hour.at % 3600 + quarter
                state = facts.state_at(story.db, lead)
                assert state is not None
                if moment < at("09:45") or state.due is None or state.due > moment:
                    continue
                known = facts.lead_at(story.db, CALENDAR, campaign, lead, moment, centre=Centre())
                assert known is not None
                if judge(known, campaign, moment).phone is not None:
                    count += 1
                    break
        assert hour.open == count, (hour.at - at("00:00")) / 3600
    assert sum(hour.new for hour in found.hours) == len(people)


async def test_what_opens_at_a_full_hour_is_counted_in_it_whatever_the_fraction(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    apply(story)
    for step in range(examples(200)):
        found = check_at(story, at("08:17") + step * 0.0123456789)
        assert [hour.at % 3600 for hour in found.hours if hour.new] == [0.0]
        assert found.hours[1].new == 1


async def test_a_promise_to_somebody_on_a_list_is_no_call_to_come(story: Story) -> None:
    person = story.person(work(1), zone=MOSCOW)
    apply(story)
    await story.promise("08:40", person, "+9 10:00")
    assert dry_run(story, "09:00").later == 1
    dnc.add(story.db, "+74951112201", source="test", at=at("08:45"))
    found = dry_run(story, "09:00")
    assert found.later == 0
    assert [(one.reason, one.contacts) for one in found.never] == [("do_not_call", 1)]


# -- warnings ----------------------------------------------------------------------------------


def warned(story: Story, when: str = "10:30", *, engine: Engine = UP, centre: Centre = Centre()) -> str:  # noqa: B008
    stored = settings.load_campaign(story.db, "spring")
    found = dry_run(story, when, centre=centre)
    return "\n".join(cautions(story.db, stored, centre, engine, found, story.path.parent))


def apply(story: Story, **changes: Any) -> Campaign:
    campaign = msgspec.structs.replace(SPRING, caller_id="+74950000000", **changes)
    settings.apply_campaign(story.db, campaign, at("08:30"))
    return campaign


async def test_a_sound_campaign_is_warned_of_nothing(story: Story) -> None:
    story.person(work(1), ("mobile", "+79161112201"), zone=MOSCOW)
    apply(story)
    assert warned(story) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hours": None}, "at any time of the day and the night"),
        ({"lists": ()}, "The campaign calls no list"),
        ({"lists": ("nobody",)}, "lists (nobody) hold nobody"),
        (
            {"wait_s": 5.0},
            "waits up to 5 s for an operator (calls.wait_s), and after 2 s the call counts as abandoned",
        ),
        (
            {"wait_s": 5.0, "pacing": Pacing(abandonment=Abandonment(limit_s=5.0))},
            "counts as abandoned only after 5 s (abandonment.limit_s); in many countries it does after 2 s",
        ),
        ({"ring_s": 10.0}, "rings only 10 s"),
        ({"no_agent": "hang_up"}, "hung up on without a word"),
        ({"owners": Owners(away="wait")}, "Cards wait for their owner for ever"),
        ({"caps": Caps(gap_s=300.0)}, "caps.gap_s of 300 s is longer than the pause after busy (180 s)"),
        ({"caps": Caps(number_per_day=1)}, "called once a day at most, so that 3 attempts take 3 days"),
        ({"caps": Caps(contact_per_24h=0)}, "A cap of 0 calls to a contact"),
        (
            {"hours": CallingHours(kinds={"mobile": HOURS.kinds["mobile"]})},
            "1 contacts are never called: no time of a year lies in the hours",
        ),
        (
            {"hours": CallingHours(kinds={"work": (), "default": HOURS.kinds["default"]})},
            "kind work have no calling",
        ),
    ],
)
async def test_settings_that_are_unlikely_to_be_meant(
    story: Story, changes: dict[str, Any], said: str
) -> None:
    story.person(work(1), zone=MOSCOW)
    apply(story, **changes)
    assert said in warned(story)


async def test_hours_for_phones_that_nobody_has_are_warned_of(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    apply(story)
    assert (
        "hours for phones of the kind mobile, and nobody who is left to call has one; there are: work."
        in (warned(story))
    )


async def test_where_no_number_tells_its_zone_the_few_hours_are_warned_of(story: Story) -> None:
    somewhere = ("mobile", "+79161112201")  # in Russia
    story.person(somewhere)
    story.person(work(1), somewhere)  # its other number tells where it is
    apply(story)
    # 09:00-21:00 in all of Russia: 00:00-12:00 in Kamchatka's morning, 10 hours later in Kaliningrad's.
    assert dry_run(story, "00:00").many_zones_open_s == 2 * 2 * 3600
    said = "1 contacts have numbers of several possible time zones only, and are called when all of them allow it"
    assert f"{said}: in the next 48 hours 4 h at most." in warned(story, "00:00")
    story.person(("mobile", "+79161112202"), zone=MOSCOW)
    assert dry_run(story, "00:00").many_zones == 1


async def test_nobody_knows_where_they_are(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    stranger = story.person(("mobile", "+88213000000"))
    apply(story)
    assert "1 contacts are never called, for nobody knows their time zone: hours.unknown_zone" in warned(
        story
    )
    [reason] = dry_run(story, "10:30").never
    assert (reason.reason, reason.examples) == ("unknown_zone", [stranger])


async def test_nobody_to_call_them_and_nobody_to_be_called(story: Story) -> None:
    apply(story)
    sold = story.person(work(1), zone=MOSCOW)
    await story.over("10:05", await story.dial("10:04", sold), Result.TALKED, finished="order")
    assert "Nobody is left to be called." in warned(story)
    await story.promise("10:10", sold, "+9 10:00")
    assert "Nobody may be dialed in the next 48 hours." in warned(story)
    await story.agent("10:20", ANN, AgentState.SIGNED_OUT)
    assert "None of its operators is signed in (it has 1)." in warned(story)
    story.db.execute("""UPDATE agents SET campaigns = '["autumn"]' WHERE id = ?""", (AgentId("ann"),))
    assert "No operator works for the campaign" in warned(story)
    await story.run("10:25", CampaignState.PAUSED)


async def test_the_trunk_and_the_engine(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    assert "Neither the campaign nor its trunk has a caller_id" in warned(story)
    assert "The trunk north does not answer now." in warned(story, engine=Engine(trunks={"north": False}))
    away = Engine(rule="no_engine", says="no engine runs")
    assert "The engine places no calls now: no engine runs." in warned(story, engine=away)


async def test_which_number_a_trunk_shows(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    north = settings.load_trunks(story.db)[0]
    for shown, said in (
        (CallerIds(numbers=("+74950000001",)), ""),
        (CallerIds(campaigns={"spring": ("+74950000001",)}), ""),
        (CallerIds(campaigns={"autumn": ("+74950000001",)}), "Neither the campaign nor its trunk"),
        (CallerIds(regions={"+7812": ("+78120000001",)}), "a number to show for some regions only"),
    ):
        settings.apply_trunk(story.db, msgspec.structs.replace(north, caller_ids=shown), at("08:30"))
        found = warned(story)
        assert (said in found) if said else ("caller_id" not in found and "to show" not in found)


async def test_rules_of_the_centre_that_are_not_in_force(story: Story) -> None:
    story.person(work(1), zone=MOSCOW)
    centre = Centre(caps=Caps(number_per_day=9))
    assert "obzvon.toml has other caps than those in force" in warned(story, centre=centre)
    settings.apply_centre(story.db, centre, at("08:40"))
    assert "obzvon.toml" not in warned(story, centre=centre)
