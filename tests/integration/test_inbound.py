"""People call us and no engine is anywhere, on a real Asterisk: each is spoken to, and what becomes of their call is a file.

A hum stands in place of the voice. The callers are SIPp's, from the address of a trunk that takes calls.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dialer.core.conduct import LastWord, Prompt
from dialer.core.ids import CampaignId, TrunkId
from dialer.core.incoming import Inbound, arrived_at
from dialer.core.values import Campaign, Centre, Trunk
from dialer.lab.callers import HOST, LabCaller, LabCallers
from dialer.lab.day import Behaviour, Line, Person, Reaction
from dialer.lab.errors import LabCallRefused, LabError
from dialer.lab.network import LabNetwork
from dialer.lab.voice import PERSON_MARKS_HZ, RATE_HZ, hear, hear_recording
from dialer.pbx import ournumbers, soundcache
from dialer.pbx.prompts import Prompts
from dialer.pbx.render import CHOICES_FOLDER, TrunkLine
from tests.e2e.world import free_ports, until
from tests.integration.test_last_word_menu import hum, longest_silence_s

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

QUIET_S = 6.5
DIDS = {
    "callback": "+74951110001",
    "voicemail": "+74951110002",
    "number": "+74951110003",
    "hang_up": "+74951110004",
}
OTHER = "+74951119999"
CALLERS = ("+79160000001", "+79160000002", "anonymous")
WITHIN_S = 60.0
TONE_S = 9.0
"""The tone of the voicemail is over by then."""


def campaign(overflow: str) -> Campaign:
    return Campaign(
        id=CampaignId(f"in-{overflow}"),
        trunk=TrunkId("lab"),
        last_word=LastWord(who=Prompt(text="The Example Centre.")),
        inbound=Inbound(
            numbers=(DIDS[overflow],),
            greeting=Prompt(text="Thank you for calling the Example Centre."),
            overflow=overflow,  # type: ignore[arg-type]
            overflow_number=OTHER if overflow == "number" else "",
        ),
    )


class Centrex:
    """An Asterisk that takes calls, and nobody behind it."""

    def __init__(self, asterisk, callers: LabCallers, network: LabNetwork) -> None:
        self.callers = callers
        self.network = network
        self.box = asterisk.folder / "shared" / CHOICES_FOLDER
        self.recordings: Path = asterisk.folder / "recordings"

    def note(self, number: str) -> dict[str, object]:
        """What is written down of the last call of *number*."""
        found = [json.loads(path.read_text()) for path in self.box.glob("*.json")]
        mine = [one for one in found if one.get("caller", "") == number]
        return max(mine, key=lambda one: one["at"], default={})

    def clear(self) -> None:
        for path in self.box.glob("*.json"):
            path.unlink()

    def newest(self) -> Path | None:
        """The recording that was begun last."""
        return max(self.recordings.glob("*/*.raw"), key=lambda path: path.stem, default=None)

    def heard_last(self) -> tuple[int | None, int | None]:
        """Who speaks in the last three seconds of it, left and right."""
        path = self.newest()
        content = b"" if path is None else path.read_bytes()
        samples = array("h", content[: len(content) // 4 * 4])[-2 * 3 * RATE_HZ :]
        return hear(samples[0::2]).mark_hz, hear(samples[1::2]).mark_hz

    async def noted(self, number: str, choice: str | None) -> dict[str, Any]:
        note = await until(
            lambda: (found := self.note(number)).get("choice", "") == choice and found,
            f"a note {choice}",
            WITHIN_S,
        )
        assert isinstance(note, dict)
        return note

    def recording(self, note: dict[str, Any]) -> Path:
        attempt = str(note["attempt"])
        arrived = arrived_at(attempt)
        assert arrived is not None
        assert abs(time.time() - arrived) < 300
        day = time.strftime("%Y-%m-%d", time.gmtime(arrived))
        return self.recordings / day / f"{attempt}.raw"


@pytest.fixture(scope="module")
def laid_out(asterisk_home, tmp_path_factory) -> None:
    network = asterisk_home.trunk_port
    trunk = Trunk(
        id=TrunkId("lab"),
        host=HOST,
        port=network,
        options_interval_s=0,
        is_inbound=True,
        number_format="e164",
    )
    asterisk_home.apply_lines([TrunkLine(trunk=trunk)], [])
    campaigns = [campaign(overflow) for overflow in DIDS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundcache, "speak", hum)
        made = Prompts(tmp_path_factory.mktemp("home"), asterisk_home.folder / "shared")
        assert made.make(campaigns) == []
        assert made.make_times(campaigns) == []
    assert ournumbers.lay_out(made.ivr, campaigns, {trunk.id: trunk}, Centre()) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def centre(asterisk_home, laid_out, tmp_path_factory) -> AsyncIterator[Centrex]:
    folder = tmp_path_factory.mktemp("lab")
    talks = Reaction(behaviour=Behaviour.ON_CUE, ring_ms=300, talk_ms=0)
    people = [
        Person(name="The other number", voice=5, lines=(Line(kind="main", number=OTHER, plan=(talks,)),))
    ]
    network = LabNetwork(
        folder / "n",
        host=HOST,
        port=asterisk_home.trunk_port,
        people=people,
        media_port=free_ports(64, range(25000, 27900), tcp=False, even=True),
    )
    callers = LabCallers(
        folder / "c",
        sip_server=("127.0.0.1", asterisk_home.sip_port),
        numbers=CALLERS,
        port=free_ports(len(CALLERS), range(16000, 16900)),
        media_port=free_ports(4 * len(CALLERS), range(25000, 27900), tcp=False, even=True),
    )
    async with network, callers:
        yield Centrex(asterisk_home, callers, network)


@pytest.fixture(autouse=True)
def emptied(centre: Centrex) -> None:
    centre.clear()


async def press(caller: LabCaller, key: str) -> None:
    """Press *key* until the call is over: between two sentences nobody listens."""
    call = caller.line
    while call is not None and call.is_up:
        try:
            await caller.keys(key, call=call)
            await caller.wait_until_ended(call, within_s=3.0)
        except LabError:
            continue


@pytest.mark.parametrize("written", ["74951110001", "84951110001", "+74951110001", "4951110001"])
async def test_our_number_is_known_however_the_carrier_writes_it(centre: Centrex, written):
    caller = centre.callers[CALLERS[0]]
    await caller.call(written)
    await caller.hang_up()
    note = await centre.noted(CALLERS[0], None)
    assert (note["campaign"], note["did"], note["trunk"]) == ("in-callback", DIDS["callback"], "lab")


@pytest.mark.parametrize("number", ["74951110009", "100"])
async def test_a_number_that_is_not_ours_is_refused_before_the_answer(centre: Centrex, number):
    with pytest.raises(LabCallRefused) as refusal:
        await centre.callers[CALLERS[0]].call(number)
    assert "404" in str(refusal.value)


async def test_who_wants_to_be_called_back_is_written_down_and_thanked(centre: Centrex):
    caller = centre.callers[CALLERS[0]]
    began = time.time()
    call = await caller.call(DIDS["callback"])
    await press(caller, "1")
    note = await centre.noted(CALLERS[0], "later")
    assert began - 1 <= note["due"] <= time.time() + 1
    assert call.ended_by == "server"
    left, _ = hear_recording(centre.recording(note))
    assert left.mark_hz == PERSON_MARKS_HZ[0]
    assert longest_silence_s(centre.recording(note)) <= QUIET_S


async def test_who_presses_nothing_is_spoken_to_to_the_end_and_is_a_missed_call(centre: Centrex):
    caller = centre.callers[CALLERS[1]]
    call = await caller.call(DIDS["callback"])
    await caller.wait_until_ended(call, within_s=WITHIN_S)
    assert call.ended_by == "server"
    note = await centre.noted(CALLERS[1], None)
    assert longest_silence_s(centre.recording(note)) <= QUIET_S


async def test_a_message_is_in_the_recording_and_marked_from_the_tone_on(centre: Centrex):
    caller = centre.callers[CALLERS[1]]
    call = await caller.call(DIDS["voicemail"])
    await until(lambda: call.up_at and time.time() > call.up_at + TONE_S, "the tone")
    await caller.hang_up()
    note = await centre.noted(CALLERS[1], "voicemail")
    left, _ = hear_recording(centre.recording(note))
    assert left.mark_hz == PERSON_MARKS_HZ[1]


async def test_who_withholds_their_number_cannot_be_called_back_and_leaves_a_message(centre: Centrex):
    caller = centre.callers["anonymous"]
    call = await caller.call(DIDS["callback"])
    await until(lambda: call.up_at and time.time() > call.up_at + TONE_S, "the tone")
    await caller.hang_up()
    note = await centre.noted("", "voicemail")
    assert "caller" not in note


async def test_the_other_number_takes_the_call_and_sees_ours(centre: Centrex):
    caller = centre.callers[CALLERS[0]]
    call = await caller.call(DIDS["number"])
    await centre.network.answer(OTHER)
    # Not so many seconds by the clock: on a slow machine nobody says a word in them.
    both = (PERSON_MARKS_HZ[0], PERSON_MARKS_HZ[5])
    await until(lambda: centre.heard_last() == both, "each to hear the other", WITHIN_S)
    await centre.network.hang_up(OTHER)
    await caller.wait_until_ended(call, within_s=WITHIN_S)
    (taken,) = [one for one in centre.network.calls() if one.number == OTHER]
    assert taken.caller_id.endswith(DIDS["number"].removeprefix("+"))
    note = await centre.noted(CALLERS[0], "forwarded")
    assert centre.recording(note) == centre.newest()


async def test_where_nothing_is_offered_they_are_told_so(centre: Centrex):
    caller = centre.callers[CALLERS[0]]
    call = await caller.call(DIDS["hang_up"])
    await caller.wait_until_ended(call, within_s=WITHIN_S)
    note = await centre.noted(CALLERS[0], None)
    _, right = hear_recording(centre.recording(note))
    assert right.rms > 300
