"""The guard and ``dialer why`` agree: who was called might be, and who was refused was kept back by that rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core import judging, rules
from dialer.core.commands import SaveCall, SaveLead
from dialer.core.ids import AttemptId
from dialer.core.values import Call, CallState, Campaign, Caps, Lead, Result
from dialer.office import clocks
from dialer.store import dnc, facts, settings
from dialer.store.errors import CallForbidden
from tests.examples import IS_QUICK
from tests.unit.office.story import CALENDAR, MOSCOW, SPRING, Story, at

OMSK = "Asia/Omsk"


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    told = await Story.begin(tmp_path / "journal.sqlite3")
    yield told
    await told.end()


async def _a_busy_day(story: Story, random: Random) -> list[tuple[float, int, str]]:
    """Calls at random; each that was tried: when, to whom, and the rule by which it was forbidden (or "")."""
    shared = ("home", "+74957778899")
    people = [
        story.person(("mobile", f"+7913111220{number}"), ("work", f"+7495111220{number}"), shared, zone=zone)
        for number, zone in enumerate(("Europe/Moscow", OMSK, "Europe/Kaliningrad", ""))
    ]
    tried: list[tuple[float, int, str]] = []
    live: list[tuple[Call, Lead]] = []
    moment = at("09:05")
    results = [Result.BUSY, Result.NO_ANSWER, Result.INVALID, Result.DECLINED, Result.FAILED, Result.TALKED]
    for _ in range(45):
        moment += random.choice((20, 200, 900, 3600, 3 * 3600))
        for call, dialed in live:
            result = random.choice(results)
            ended = msgspec.structs.replace(call, state=CallState.ENDED, ended_at=moment, result=result)
            after = rules.recycle(dialed, ended, _spring(story), moment)
            save = SaveLead(
                lead=call.lead,
                ordinal=call.ordinal if result is not Result.FAILED else call.ordinal - 1,
                due=after.due,
                finished=after.finished,
                next_phone=after.lead.next_phone,
                bad_phone=after.bad_phone,
                why=result.value,
                at=moment,
            )
            await story.journal.save([ev.Ticked(at=moment)], [SaveCall(call=ended), save])
        live.clear()
        match random.randrange(8):
            case 0:
                dnc.add(story.db, f"+791311122{random.randrange(4):02}", at=moment)
            case 1:
                dnc.remove(story.db, f"+791311122{random.randrange(4):02}", at=moment)
            case 2:
                dnc.add(story.db, "+7495*", campaign=random.choice(("spring", "autumn")), at=moment)
            case 3:
                dnc.remove(story.db, "+7495*", campaign="spring", at=moment)
            case 4:
                caps = Caps(
                    number_per_24h=random.choice((1, 2, 9)), contact_per_day=random.choice((2, 9)), gap_s=600
                )
                settings.apply_campaign(story.db, msgspec.structs.replace(SPRING, caps=caps), moment)
        for person in random.sample(people, 3):
            moment += 1
            state = facts.state_at(story.db, story.lead(person))
            assert state is not None
            if state.due is not None and state.due > moment:
                continue
            lead = facts.lead_at(story.db, CALENDAR, _spring(story), state.lead, moment)
            assert lead is not None
            chosen = judging.judge(lead, _spring(story), moment).phone or lead.phones[0]
            story.serial += 1
            call = Call(
                attempt=AttemptId(f"a{story.serial:020}"),
                campaign=SPRING.id,
                lead=lead.id,
                contact=lead.contact,
                phone=chosen.id,
                number=chosen.number,
                ordinal=lead.ordinal + 1,
                trunk=SPRING.trunk,
                created_at=moment,
            )
            try:
                await story.journal.save([ev.Ticked(at=moment)], [SaveCall(call=call)])
            except CallForbidden as refusal:
                tried.append((moment, person, refusal.rules[call.attempt]))
            else:
                live.append((call, lead))
                tried.append((moment, person, ""))
    return tried


def _spring(story: Story) -> Campaign:
    found = settings.campaign_now(story.db, "spring")
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [27] if IS_QUICK else [0, 3, 11, 27])
async def test_who_was_called_might_be_and_who_was_refused_was_kept_back_by_that_rule(
    story: Story, seed: int
) -> None:
    tried = await _a_busy_day(story, Random(seed))
    assert {rule == "" for _, _, rule in tried} == {True, False}
    for moment, person, forbidden_by in tried:
        answer = story.why(moment, person)
        assert answer.rule == forbidden_by, (clocks.clock(moment, MOSCOW), person, answer.lines)
        if not forbidden_by:
            assert answer.dialed is not None
            assert answer.dialed["created_at"] == moment
