"""People call us: the right operator takes the call, nobody waits in silence or for ever, and no call is lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from dialer.core.conduct import LastWord, Prompt
from dialer.core.ids import CampaignId
from dialer.core.incoming import Inbound
from dialer.lab.callers import HOST, LabCallers
from dialer.lab.day import Line, Person
from dialer.lab.errors import LabError
from dialer.lab.voice import OPERATOR_MARKS_HZ, PERSON_MARKS_HZ, hear_recording, write_voice
from dialer.pbx.speech import has_voice
from tests.e2e.test_crash import HEARD_S, centre
from tests.e2e.test_last_word import SILENCE_S, longest_silence
from tests.e2e.test_waiting import heard
from tests.e2e.world import TRUNK, World, campaign, does, free_ports, number, seat, until

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.skipif(not has_voice(), reason="espeak-ng is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]

DIDS = {
    "sales": "+74951110001",
    "queue": "+74951110002",
    "message": "+74951110003",
    "forward": "+74951110004",
    "closed": "+74951110005",
    "missed": "+74951110006",
    "blend": "+74951110007",
    "spare": "+74951110008",
    "desk": "+74951110009",
}
KNOWN, UNKNOWN, THIRD, FOURTH = "+79160000001", "+79160000002", "+79160000003", "+79160000004"
CALLERS = (KNOWN, UNKNOWN, THIRD, FOURTH)
OTHER = "+79165550000"
PLACE_2_HZ = OPERATOR_MARKS_HZ[-1]
"""The voice that says "you are number two", and nothing else."""
INBOUND = msgspec.structs.replace(TRUNK, is_inbound=True, inbound_from=(HOST,))
ENDS_S = 60.0


def lives(number: str, *plan: Any, voice: int = 0) -> Person:
    """Somebody with a number that exists: a caller whose number cannot exist is taken for one who withholds it."""
    return Person(
        name=f"Person {number[-1]}", voice=voice, lines=(Line(kind="mobile", number=number, plan=plan),)
    )


def taking(name: str, **rules: Any):
    changes = rules.pop("campaign", {})
    fields: dict[str, Any] = {"numbers": (DIDS[name],), "wait_s": 40.0, "missed_again_s": None}
    inbound = Inbound(**(fields | rules))
    return campaign(name, inbound=inbound, last_word=LastWord(language="ru", offers=()), **changes)


@asynccontextmanager
async def callers(world: World, sip_port: int) -> AsyncIterator[LabCallers]:
    made = LabCallers(
        world.folder / "callers",
        sip_server=("127.0.0.1", sip_port),
        numbers=CALLERS,
        port=free_ports(len(CALLERS), world.spans.sip),
        media_port=free_ports(4 * len(CALLERS), world.spans.media, tcp=False, even=True),
    )
    async with made:
        yield made


class Office:
    """A world, and people who call it."""

    def __init__(self, world: World, people: LabCallers) -> None:
        self.world = world
        self.people = people

    async def over(self, name: str, place: int = 0, **wanted: Any) -> dict[str, Any]:
        """The campaign's call in number *place* (from 0), when it is over."""

        def found() -> dict[str, Any] | None:
            calls = [one for one in self.world.attempts(name) if one["direction"] == "in"]
            one = calls[place] if len(calls) > place else None
            return (
                one
                if one and all(one[key] == value for key, value in {"state": "ended", **wanted}.items())
                else None
            )

        try:
            one: dict[str, Any] = await self.world.until(found, f"call {place} to {name}: {wanted}", ENDS_S)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; there is {self.world.attempts(name)}") from None
        return one

    async def talks(self, name: str, place: int, extension: str) -> dict[str, Any]:
        """The call, once it is connected with the operator."""
        one = await self.over(name, place, state="connected")
        assert one["agent"] == f"op{extension}"
        return one

    def orders(self, kind: str, attempt: str) -> list[dict[str, Any]]:
        """What was ordered of that kind for the call, in its order."""
        rows = self.world.rows("SELECT body FROM events ORDER BY id")
        found = [json.loads(row["body"]) for row in rows]
        return [one for one in found if one.get("type") == kind and one.get("attempt") == attempt]

    async def press(self, number: str, key: str) -> None:
        """Press *key* until the call is over: between two sentences nobody listens."""
        call = self.people[number].line
        while call is not None and call.is_up:
            try:
                await self.people[number].keys(key, call=call)
                await self.people[number].wait_until_ended(call, within_s=3.0)
            except LabError:
                continue


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory, asterisk_install) -> AsyncIterator[Office]:
    hours = time.gmtime(time.time() + 12 * 3600).tm_hour
    shut = (f"daily {hours:02}:00-{hours:02}:30",)
    talks = does("talks", talk_ms=2500)
    work = [
        (taking("sales", campaign={"lists": ("sales",)}), [lives(KNOWN, does("on_cue"))]),
        (taking("queue"), []),
        (taking("message", overflow="voicemail"), []),
        (taking("forward", overflow="number", overflow_number=OTHER), []),
        (
            taking(
                "closed",
                hours=shut,
                zone="UTC",
                outside="callback",
                outside_message=Prompt(text="Контора закрыта."),
            ),
            [],
        ),
        (taking("missed", missed_again_s=1.0), [lives(FOURTH, talks, voice=3)]),
        (taking("blend"), [lives(number(), does("on_cue"))]),
        (taking("desk"), []),
    ]
    seats = [
        seat("101", campaigns=("sales",)),
        seat("102", campaigns=("sales",)),
        seat("103", campaigns=("queue",)),
        seat("104", campaigns=("closed",)),
        seat("105", campaigns=("missed",)),
        seat("106", campaigns=("blend",)),
        seat("107", campaigns=("desk",), leg="rung"),
    ]
    extra = [lives(OTHER, talks, voice=5)]
    world = World(
        tmp_path_factory.mktemp("w"), work=work, seats=seats, trunk=INBOUND, parts=frozenset({"network"})
    )
    world.network = type(world.network)(
        world.folder / "network",
        port=world.trunk.port,
        people=[*world.people, *extra],
        media_port=free_ports(64, world.spans.media, tcp=False, even=True),
    )
    async with world:
        words = world.home / "prompts" / "ru"
        words.mkdir(parents=True)
        write_voice(words / "place_2.wav", PLACE_2_HZ, length_s=2.0)
        await world.start_house()
        await world.start_phones()
        assert world.house.asterisk is not None
        async with callers(world, world.house.asterisk.sip_port) as people:
            await world.sign_in()
            for name in ("queue", "message", "forward", "closed", "missed", "desk"):
                await world.order(name)
            yield Office(world, people)


async def test_who_is_not_known_opens_a_card_and_who_is_known_goes_to_their_last_operator(office: Office):
    world = office.world
    await world.phone("102").keys("*421")
    await world.agent_is("102", "paused")
    await world.order("sales")
    await world.attempt("sales", state="ringing")
    await world.network.answer(KNOWN)
    await world.attempt("sales", state="connected")
    await world.phone("101").keys("*45")
    await world.attempt("sales", state="ended")
    # 102 has been idle for longer, but 101 has spoken with them
    await world.phone("102").keys("*43")
    await world.agent_is("102", "ready")
    await world.agent_is("101", "ready")
    await office.people[KNOWN].call("84951110001")
    known = await office.talks("sales", 0, "101")
    await office.people[UNKNOWN].call("74951110001")
    unknown = await office.talks("sales", 1, "102")
    assert (known["number"], unknown["number"]) == (KNOWN, UNKNOWN)
    assert known["did"] == unknown["did"] == DIDS["sales"]
    assert known["contact"] == world.attempts("sales")[0]["contact"]
    (card,) = world.rows("SELECT list FROM contacts WHERE id = ?", unknown["contact"])
    assert card["list"] == "sales"
    await asyncio.gather(*(world.until_recorded(one["attempt"], 2 * HEARD_S) for one in (known, unknown)))
    await office.people[KNOWN].hang_up()
    await world.phone("102").keys("*45")
    for place, caller, operator in ((0, 0, 1), (1, 1, 2)):
        over = await office.over("sales", place, result="talked")
        await world.house.finish_recordings()
        left, right = hear_recording(world.recording(over["attempt"]))
        assert left.mark_hz == PERSON_MARKS_HZ[caller]
        assert right.mark_hz == OPERATOR_MARKS_HZ[operator]


async def test_who_waits_is_told_their_place_in_their_language_and_is_served_in_turn(office: Office):
    world = office.world
    await world.phone("103").keys("*421")
    await world.agent_is("103", "paused")
    await world.until(
        lambda: world.house._last_word.prompts.waiting(CampaignId("queue")).get("place_2"), "the sounds", 60
    )
    for place, caller in enumerate((UNKNOWN, THIRD)):
        await office.people[caller].call(DIDS["queue"])
        await office.over("queue", place, state="answered")
    first, second = world.attempts("queue")
    orders = [office.orders("HoldContact", one["attempt"])[0] for one in (first, second)]
    assert [(one["campaign"], one["place"]) for one in orders] == [("queue", 1), ("queue", 2)]
    told_at = time.time()
    await world.until(lambda: time.time() > told_at + 4.0, "some words and music")
    await world.phone("103").keys("*43")
    await office.talks("queue", 0, "103")
    assert world.attempts("queue")[1]["state"] == "answered"
    await world.phone("103").keys("*45")
    await office.talks("queue", 1, "103")
    await office.people[THIRD].hang_up()
    last = await office.over("queue", 1, result="talked")
    await world.house.finish_recordings()
    lasted = last["connected_at"] - last["answered_at"]
    assert longest_silence(world.recording(last["attempt"]), 0.0, lasted) <= SILENCE_S
    told = heard(world.recording(last["attempt"]), 0.0, lasted)
    assert told.mark_hz == PLACE_2_HZ, "their place was told by our own sound"


async def test_a_message_is_kept_and_nobody_calls_back(office: Office):
    world = office.world
    call = await office.people[UNKNOWN].call(DIDS["message"])
    one = await office.over("message", choice="voicemail", state="ending")
    assert call.up_at is not None
    spoken_at = call.up_at + 12
    await world.until(lambda: time.time() > spoken_at, "some words")
    await office.people[UNKNOWN].hang_up()
    one = await office.over("message", choice="voicemail", result="missed")
    await world.house.finish_recordings()
    left, _ = hear_recording(world.recording(one["attempt"]))
    assert left.mark_hz == PERSON_MARKS_HZ[1]
    (lead,) = world.rows("SELECT finished, due FROM leads WHERE id = ?", one["lead"])
    assert lead["finished"] is not None


async def test_the_other_number_takes_the_call(office: Office):
    world = office.world
    trunk, legs = world.house.floor.trunks[INBOUND.id], world.house.floor._state.legs
    await world.until(lambda: trunk.live == 0, "the trunk to be free")
    call = await office.people[THIRD].call(DIDS["forward"])
    # the caller's channel is the call's, the other number's is a leg of its own; Asterisk has told which
    await world.until(
        lambda: trunk.live == 2 and [one.is_seen for one in legs.values()] == [True], "both to count", 20.0
    )
    await office.people[THIRD].wait_until_ended(call, within_s=ENDS_S)
    await world.until(lambda: trunk.live == 0, "the trunk to be free again", 15.0)
    one = await office.over("forward", choice="forwarded", result="missed")
    assert one["state"] == "ended"
    (taken,) = [found for found in world.network.calls() if found.number == OTHER]
    assert taken.answered_at is not None
    (lead,) = world.rows("SELECT finished FROM leads WHERE id = ?", one["lead"])
    assert lead["finished"] is not None


async def test_outside_the_hours_they_are_told_so_and_may_be_called_back(office: Office):
    world = office.world
    await office.people[UNKNOWN].call(DIDS["closed"])
    await office.press(UNKNOWN, "1")
    one = await office.over("closed", choice="later", result="missed")
    assert one["agent"] is None
    sent = office.orders("SendToOverflow", one["attempt"])
    assert [(order["place"], order["is_closed"]) for order in sent] == [("callback", True)]
    # an operator is there, so the callback comes at once
    again = await world.attempt("closed", 1, within_s=ENDS_S)
    assert (again["direction"], again["number"]) == ("out", UNKNOWN)


async def test_who_hangs_up_waiting_is_called_back(office: Office):
    world = office.world
    await world.phone("105").keys("*421")
    await world.agent_is("105", "paused")
    await office.people[FOURTH].call(DIDS["missed"])
    waiting = await office.over("missed", state="answered")
    await office.people[FOURTH].hang_up()
    await office.over("missed", result="missed")
    await world.phone("105").keys("*43")

    def called_back() -> dict[str, Any] | None:
        return next(
            (
                one
                for one in world.attempts("missed")
                if one["direction"] == "out"
                and one["created_at"] > waiting["created_at"]
                and one["result"] == "talked"
            ),
            None,
        )

    again = await world.until(called_back, "the callback", ENDS_S)
    assert (again["number"], again["agent"]) == (FOURTH, "op105")


async def test_who_calls_us_goes_before_whom_we_call(office: Office):
    world = office.world
    await world.order("blend")
    ours = await world.attempt("blend", state="ringing")
    await office.people[THIRD].call(DIDS["blend"])
    await office.talks("blend", 0, "106")
    gone = await world.attempt("blend", state="ended")
    assert (gone["attempt"], gone["ending"], gone["answered_at"]) == (ours["attempt"], "inbound", None)
    await world.order("blend", "stop")
    await office.people[THIRD].hang_up()
    await office.over("blend", 0, result="talked")


async def test_a_phone_that_is_rung_shows_who_calls_and_takes_the_result(office: Office):
    world = office.world
    await office.people[THIRD].call(DIDS["desk"])
    rung = await world.phone("107").wait_until_rung(within_s=ENDS_S)
    assert rung.number == THIRD
    await office.talks("desk", 0, "107")
    await world.phone("107").keys("*441")
    await office.over("desk", 0, state="connected", operator_result="order")
    await office.people[THIRD].hang_up()
    await office.over("desk", 0, result="talked", operator_result="order")


async def test_no_note_is_left_of_calls_that_the_journal_knows(office: Office):
    """Who was missed left one, which the engine cleared away; who talked with somebody left none."""
    box = office.world.home / "run" / "choices"
    await office.world.until(lambda: not list(box.glob("*.json")), "the notes to be cleared away")
    assert not list(box.rglob("*.json"))


async def test_a_callback_that_is_asked_for_without_an_engine_is_made_by_the_next(tmp_path, asterisk_install):
    work = [(taking("spare"), [lives(THIRD, does("talks", talk_ms=1500), voice=2)])]
    async with centre(tmp_path, work=work, seats=[seat("101")], trunk=INBOUND) as (world, engine):
        port = engine.asterisk.ports["sip"]
        async with callers(world, port) as people:
            office = Office(world, people)
            await world.sign_in()
            await world.phone("101").keys("*421")
            await world.agent_is("101", "paused")
            await world.order("spare")
            await engine.kill()
            began = time.time()
            await people[THIRD].call("84951110008")
            await office.press(THIRD, "1")
            note = await until(partial(next, (world.home / "run/choices").glob("*.json"), None), "a note")
            assert json.loads(note.read_text())["choice"] == "later"
            await engine.start()
            missed = await office.over("spare", result="missed", choice="later")
            assert (missed["number"], missed["direction"]) == (THIRD, "in")
            assert began - 1 < missed["created_at"] < time.time()
            await until(lambda: not note.exists(), "the note to be cleared away")
            path = await until(
                lambda: world.rows(
                    "SELECT path FROM recordings WHERE attempt = ? AND path IS NOT NULL", missed["attempt"]
                ),
                "its recording",
            )
            assert path
            await world.phone("101").keys("*43")
            again = await until(partial(called_back, world, "spare"), "the callback", ENDS_S)
            assert (again["number"], again["agent"]) == (THIRD, "op101")


async def test_who_waits_when_the_engine_dies_is_spoken_to_and_called_back_by_the_next(
    tmp_path, asterisk_install
):
    work = [(taking("spare", wait_s=3.0), [lives(THIRD, does("talks", talk_ms=1500), voice=2)])]
    async with (
        centre(tmp_path, work=work, seats=[seat("101")], trunk=INBOUND) as (world, engine),
        callers(world, engine.asterisk.ports["sip"]) as people,
    ):
        office = Office(world, people)
        await world.sign_in()
        await world.phone("101").keys("*421")
        await world.agent_is("101", "paused")
        await world.order("spare")
        await people[THIRD].call(DIDS["spare"])
        waiting = await office.over("spare", state="answered")
        await engine.kill()
        await office.press(THIRD, "1")
        (raw,) = (world.home / "recordings").glob("*/*.raw")
        assert longest_silence(raw, 0.0, 60.0) <= SILENCE_S
        await engine.start()
        missed = await office.over("spare", result="missed", choice="later")
        assert missed["attempt"] == waiting["attempt"]
        await world.phone("101").keys("*43")
        again = await until(partial(called_back, world, "spare"), "the callback", ENDS_S)
        assert (again["number"], again["agent"]) == (THIRD, "op101")


def called_back(world: World, name: str) -> dict[str, Any] | None:
    """The call of ours in which the person was reached."""
    return next(
        (one for one in world.attempts(name) if one["direction"] == "out" and one["result"] == "talked"), None
    )
