"""The menu of the last word on a real Asterisk, with no engine anywhere, and a hum in place of the voice: it is as long as its text.

Each call is one of Asterisk's own local channels: one half is the person, who presses keys after so many seconds, the other half runs our
dialplan and is recorded (the right channel is what the person hears).
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from dialer.core.commands import Originate, SendToLastWord
from dialer.core.conduct import LastWord, Prompt
from dialer.core.hours import stretch
from dialer.core.ids import AttemptId, CampaignId, TrunkId
from dialer.core.values import CallingHours, Campaign, DayHours, Trunk
from dialer.lab.day import Behaviour, Line, Reaction
from dialer.lab.day import Person as LabPerson
from dialer.lab.network import LabNetwork
from dialer.pbx import soundcache
from dialer.pbx.client import AriClient
from dialer.pbx.prompts import Prompts
from dialer.pbx.render import CHOICES_FOLDER
from dialer.pbx.requests import recording_path, to_request
from dialer.pbx.speech import RATE_HZ
from tests.e2e.world import free_ports, until

pytestmark = pytest.mark.asterisk

HOURS = CallingHours(kinds={"default": (DayHours(days=(0, 1, 2, 3, 4, 5, 6), stretches=((540, 1260),)),)})
CAMPAIGN = Campaign(
    id=CampaignId("demo"),
    trunk=TrunkId("lab"),
    hours=HOURS,
    last_word=LastWord(language="ru", who=Prompt(text="Это учебный центр.")),
)
AUDIBLE_PEAK = 120
"""Of 32,767."""
QUIET_S = 6.5
"""Nobody hears nothing for longer: 5 s to press a key, and some time to speak again."""
CROWD = 100
CROWD_QUIET_S = 8.0
"""The same when a hundred are spoken to at once by two processors."""


class Person:
    """Somebody who answers. *keys*: what they press, and after how many seconds more; *leaves_s*: after which they hang up."""

    def __init__(self, *keys: tuple[float, str], leaves_s: float | None = None) -> None:
        self.attempt = AttemptId(
            "a" + "".join(secrets.choice("0123456789abcdefghijklmnopqrstuv") for _ in range(20))
        )
        self.keys = keys
        self.leaves_s = leaves_s
        self.began = self.ended = 0.0
        self.recording = Path()


def longest_silence_s(recording: Path) -> float:
    """For how long, in a recording, the person heard nothing."""
    samples = array("h", recording.read_bytes())
    if sys.byteorder == "big":
        samples.byteswap()
    heard, step = samples[1::2], RATE_HZ // 10
    longest = present = 0
    for at in range(0, len(heard) - step, step):
        part = heard[at : at + step]
        present = present + 1 if max(part) < AUDIBLE_PEAK and min(part) > -AUDIBLE_PEAK else 0
        longest = max(longest, present)
    return longest / 10


class Street:
    """Where people live: contexts of the dialplan, one for each way to behave."""

    def __init__(self, asterisk, folder: Path) -> None:
        self.asterisk = asterisk
        self.folder = folder
        self.shared = asterisk.folder / "shared"
        self._contexts: dict[object, str] = {}

    def house(self, person: Person) -> str:
        manner = (person.keys, person.leaves_s)
        if manner not in self._contexts:
            name = self._contexts[manner] = f"test-person-{len(self._contexts)}"
            steps = ["Answer()"]
            for after_s, key in person.keys:
                steps += [f"Wait({after_s})", f"SendDTMF({key})"]
            steps += [f"Wait({person.leaves_s or 100})", "Hangup()"]
            for priority, step in enumerate(steps, 1):
                self.asterisk.run_cli(f"dialplan add extension person,{priority},{step} into {name}")
        return self._contexts[manner]

    async def call(self, people: Sequence[Person], within_s: float) -> None:
        """Call all of *people* at once, and wait until all calls are over."""
        pair = base64.b64encode(f"{self.asterisk.ari_user}:{self.asterisk.ari_password}".encode()).decode()
        houses = [self.house(person) for person in people]
        async with aiohttp.ClientSession(headers={"Authorization": f"Basic {pair}"}) as session:

            async def place(person: Person, house: str) -> None:
                person.recording = self.folder / f"{person.attempt}.raw"
                variables = {
                    "__OBZVON_ATTEMPT": person.attempt,
                    "__OBZVON_RECORD": str(person.recording),
                    "__OBZVON_CAMPAIGN": CAMPAIGN.id,
                    "__OBZVON_KIND": "mobile",
                    "__OBZVON_ZONES": "Europe/Moscow",
                }
                async with session.post(
                    f"{self.asterisk.ari_url}/channels/{person.attempt}",
                    params={
                        "endpoint": "Local/answered@obzvon-outbound/n",
                        "extension": "person",
                        "context": house,
                        "priority": "1",
                    },
                    json={"variables": variables},
                ) as answer:
                    assert answer.status == 200, await answer.text()
                person.began = time.time()

            await asyncio.gather(*map(place, people, houses))
            waiting = {person.attempt: person for person in people}
            deadline = time.monotonic() + within_s
            while waiting:
                assert time.monotonic() < deadline, f"{len(waiting)} calls did not end by themselves"
                async with session.get(f"{self.asterisk.ari_url}/channels") as answer:
                    living = {channel["id"] for channel in await answer.json()}
                for attempt in [attempt for attempt in waiting if attempt not in living]:
                    waiting.pop(attempt).ended = time.time()
                await asyncio.sleep(0.1)

    def choices(self) -> dict[str, dict[str, object]]:
        """What lies in the box, which is emptied."""
        found = {}
        for path in (self.shared / CHOICES_FOLDER).glob("*.json"):
            found[path.stem] = json.loads(path.read_text())
            path.unlink()
        return found


def hum(text: str, language: str) -> array[int]:
    """In place of espeak-ng, which takes seconds for all the times of calls."""
    length = int((0.2 + 0.02 * len(text)) * RATE_HZ)
    return array("h", [6000 if n // 8 % 2 else -6000 for n in range(length)])


@pytest.fixture(scope="module")
def street(asterisk_home, tmp_path_factory) -> Street:
    home = tmp_path_factory.mktemp("home")
    made = Street(asterisk_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundcache, "speak", hum)
        made_prompts = Prompts(home, made.shared)
        assert made_prompts.make([CAMPAIGN]) == []
        assert made_prompts.make_times([CAMPAIGN]) == []
    return made


async def test_who_comes_back_from_us_hears_the_menu_from_its_file(street: Street):
    """ARI has set a variable on the channel, so STAT() would say that no file is there, and the script would have to speak."""
    asterisk, person = street.asterisk, Person()
    house = street.house(person)
    pair = base64.b64encode(f"{asterisk.ari_user}:{asterisk.ari_password}".encode()).decode()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Basic {pair}"}) as session,
        session.ws_connect(f"{asterisk.ari_url}/events?app=obzvon") as socket,
        asyncio.timeout(90),
    ):

        async def ask(method: str, path: str, **options: Any) -> None:
            async with session.request(method, f"{asterisk.ari_url}{path}", **options) as answer:
                assert answer.status in (200, 204), await answer.text()

        async def event(is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            while True:
                found: dict[str, Any] = await socket.receive_json()
                if is_it(found):
                    return found

        variables = {"__OBZVON_CAMPAIGN": CAMPAIGN.id, "__OBZVON_ATTEMPT": person.attempt}
        params = {"endpoint": "Local/answered@obzvon-outbound/n", "extension": "person", "priority": "1"}
        body = {"variables": variables}
        await ask("POST", f"/channels/{person.attempt}", params=params | {"context": house}, json=body)
        ours = (await event(lambda one: one["type"] == "StasisStart"))["channel"]["id"]
        await ask("POST", "/applications/obzvon/subscription", params={"eventSource": f"channel:{ours}"})
        await ask("POST", f"/channels/{ours}/variable", json={"variable": "TIMEOUT(absolute)", "value": "0"})
        (last_word,) = to_request(
            SendToLastWord(attempt=AttemptId(ours)), trunks={}, recordings=street.folder, at=0.0
        )[-1:]
        await ask(last_word.method, last_word.path, json=last_word.json)
        steps: list[tuple[str, str]] = []
        while not steps or steps[-1][0] not in ("WaitExten", "AGI", "Hangup"):
            step = await event(lambda one: one["type"] == "ChannelDialplan")
            steps.append((step["dialplan_app"], step["dialplan_app_data"]))
        await ask("DELETE", f"/channels/{ours}")
    said = [Path(data).name for application, data in steps if application.lower() == "background"]
    assert said == ["who", "menu"]
    assert steps[-1][0] == "WaitExten", "both were heard, and a key is waited for"
    assert "Dangerous function" not in asterisk.log_path.read_text()


def insist(key: str) -> list[tuple[float, str]]:
    """Press *key* until it is heard: between two sentences, while a script starts, nobody listens."""
    return [(3.0, key)] * 8


async def test_with_nobody_there_each_choice_is_taken_and_every_call_ends(street: Street):
    refuses = Person((4.0, "2"))
    early = Person((0.5, "2"))
    later = Person((4.0, "3"), *insist("1"))
    waits = Person((4.0, "1"), *insist("2"))
    wrong = Person((4.0, "7"), *insist("2"))
    silent = Person()
    leaves = Person(leaves_s=1.5)
    chooses_and_leaves = Person((4.0, "2"), leaves_s=0.05)
    people = [refuses, early, later, waits, wrong, silent, leaves, chooses_and_leaves]
    began = time.time()
    await street.call(people, 90.0)
    found = street.choices()
    refused = {
        "refuses": refuses,
        "early": early,
        "waits": waits,
        "wrong": wrong,
        "leaves": chooses_and_leaves,
    }
    assert [
        name for name, one in refused.items() if found.pop(one.attempt, {}).get("choice") != "refuse"
    ] == []
    note = found.pop(later.attempt)
    assert found == {}
    assert note["choice"] == "later"
    due = note["due"]
    assert isinstance(due, float)
    span = stretch(HOURS, "mobile", [ZoneInfo("Europe/Moscow")], due)
    assert span is not None
    assert span[0] <= due < span[1]
    assert due >= began + 3300
    for person in people:
        assert longest_silence_s(person.recording) <= QUIET_S
    assert early.ended < silent.ended - 5, "who knows the menu need not hear it"


@pytest.mark.alone
async def test_a_hundred_at_once_are_all_spoken_to_and_all_their_choices_are_kept(street: Street):
    asterisk, recordings = street.asterisk, street.folder / "recordings"
    trunk = Trunk(id=TrunkId("lab"), host="127.0.0.1", port=asterisk.trunk_port)
    numbers = [f"+7944{place:07}" for place in range(CROWD)]
    presses = Reaction(behaviour=Behaviour.PRESSES_2, ring_ms=200, talk_ms=4000)
    people = [
        LabPerson(name=number, lines=(Line(kind="mobile", number=number, plan=(presses,)),))
        for number in numbers
    ]
    calls = {Person().attempt: number for number in numbers}
    at = time.time()
    media_port = free_ports(4 * CROWD, range(25000, 27900), tcp=False, even=True)
    network = LabNetwork(street.folder / "n", port=asterisk.trunk_port, people=people, media_port=media_port)
    async with network, AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password) as ari:

        async def place(attempt: AttemptId, number: str) -> None:
            command = Originate(
                attempt=attempt,
                campaign=CAMPAIGN.id,
                trunk=trunk.id,
                number=number,
                caller_id="",
                ring_s=30.0,
                record=True,
                wait_s=1.0,
            )
            (one,) = to_request(command, trunks={trunk.id: trunk}, recordings=recordings, at=at)
            await ari.request(one.method, one.path, json=one.json)

        await asyncio.gather(*(place(attempt, number) for attempt, number in calls.items()))
        await until(lambda: sum(1 for call in network.calls() if call.ended_at) == CROWD, "all to end", 180.0)
        seen = network.calls()
    assert {call.ended_by for call in seen} == {"caller"}
    assert {attempt for attempt, note in street.choices().items() if note["choice"] == "refuse"} == set(calls)
    silences = [longest_silence_s(recording_path(recordings, attempt, at)) for attempt in calls]
    print(f"the longest silence of {CROWD}: {max(silences):.1f} s")
    assert max(silences) <= CROWD_QUIET_S
