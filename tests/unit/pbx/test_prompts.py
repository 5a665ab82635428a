"""What campaigns say is laid out before it is needed: spoken once, checked, whole, and never offered what cannot be told."""

from __future__ import annotations

import json
import os
import wave
from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from dialer.core.conduct import Announcement, LastWord, Machines, Prompt
from dialer.core.ids import CampaignId, TrunkId
from dialer.core.incoming import Inbound
from dialer.core.values import Campaign
from dialer.pbx import phrases
from dialer.pbx import soundcache as module
from dialer.pbx.prompts import Desk, Prompts
from dialer.pbx.soundcache import BadSound
from dialer.pbx.speech import NoVoice, SpeechError, VoiceHangs


def campaign(name: str = "demo", **changes) -> Campaign:
    word = LastWord(language="ru", who=Prompt(text="Это центр."))
    made = Campaign(id=CampaignId(name), trunk=TrunkId("north"), last_word=word)
    return msgspec.structs.replace(made, **changes)


def word(**changes) -> LastWord:
    return msgspec.structs.replace(campaign().last_word, **changes)


def recorded(
    path: Path, *, channels: int = 1, width: int = 2, rate_hz: int = 8000, frames: int = 800
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(bytes(frames * channels * width))
    return path


class Voice:
    """In place of espeak-ng: a quick one, that notes what it said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.failure: Exception | None = None

    def __call__(self, text: str, language: str) -> array[int]:
        if self.failure is not None:
            raise self.failure
        self.said.append(text)
        return array("h", [1000, -1000] * (40 + len(text)))


@pytest.fixture
def voice(monkeypatch) -> Voice:
    made = Voice()
    monkeypatch.setattr(module, "speak", made)
    return made


@pytest.fixture
def prompts(tmp_path) -> Prompts:
    return Prompts(tmp_path / "home", tmp_path / "home" / "run")


def desk(prompts: Prompts, name: str = "demo") -> Desk:
    return msgspec.json.decode((prompts.ivr / f"{name}.json").read_bytes(), type=Desk)


def length(path: Path) -> int:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return file.getnframes()


def test_who_calls_and_what_may_be_chosen_lie_where_the_dialplan_looks(prompts, voice):
    assert prompts.make([campaign()]) == []
    assert prompts.make_times([campaign()]) == []
    folder = prompts.ivr / "demo"
    for name in ("who", "menu", "still", "alone", "goodbye"):
        assert length(folder / f"{name}.wav") > 0
    found = desk(prompts)
    assert found.offers == {"1": "wait", "2": "refuse", "3": "later"}
    assert found.has_who
    for sound in found.sounds.values():
        assert length(Path(f"{sound}.wav")) > 0
    parts = [found.sounds[name] for name in ("sorry", "wait_1", "refuse_2", "later_3")]
    pauses = 3 * int(module.PAUSE_S * 8000)
    assert length(folder / "menu.wav") == sum(length(Path(f"{part}.wav")) for part in parts) + pauses


def test_a_text_is_spoken_once_whoever_says_it(prompts, voice, tmp_path):
    prompts.make([campaign(), campaign("other")])
    assert len(voice.said) == len(set(voice.said))
    before = len(voice.said)
    prompts.make([campaign()])
    Prompts(tmp_path / "home", tmp_path / "home" / "run").make([campaign()])
    assert len(voice.said) == before
    prompts.make([campaign(last_word=word(who=Prompt(text="Это  другой центр.")))])
    assert voice.said[before:] == ["Это  другой центр."]


def test_calls_at_another_time_are_offered_as_soon_as_times_can_be_told(prompts, voice):
    prompts.make([campaign()])
    assert desk(prompts).offers == {"1": "wait", "2": "refuse"}
    assert len(voice.said) < 20, "nobody waits for ninety sounds before the first call"
    prompts.make_times([campaign()])
    assert desk(prompts).offers == {"1": "wait", "2": "refuse", "3": "later"}
    prompts.make([campaign()])
    assert desk(prompts).offers == {"1": "wait", "2": "refuse", "3": "later"}, "they are there: at once"


def test_who_stops_is_not_kept_waiting_by_times(prompts, voice):
    prompts.make([campaign()])
    prompts.stop()
    before = len(voice.said)
    prompts.make_times([campaign()])
    assert len(voice.said) == before


def test_without_offers_there_is_no_menu(prompts, voice):
    prompts.make([campaign(last_word=word(offers=()))])
    assert desk(prompts).offers == {}
    assert not (prompts.ivr / "demo" / "menu.wav").exists()
    assert (prompts.ivr / "demo" / "who.wav").exists()
    prompts.make([campaign()])
    assert (prompts.ivr / "demo" / "menu.wav").exists()
    prompts.make([campaign(last_word=word(offers=("wait",)))])
    assert not (prompts.ivr / "demo" / "alone.wav").exists(), "nothing is left to offer then"


def test_without_a_text_of_its_own_our_regret_is_said_first(prompts, voice):
    prompts.make([campaign(last_word=word(who=Prompt()))])
    found = desk(prompts)
    assert not found.has_who
    assert (prompts.ivr / "demo" / "who.wav").resolve() == Path(found.sounds["sorry"] + ".wav")


def test_without_a_voice_nothing_is_offered_and_it_is_said_once(prompts, voice):
    voice.failure = NoVoice("espeak-ng is not installed (Debian: apt-get install espeak-ng)")
    (caution,) = prompts.make([campaign(), campaign("other")])
    assert "apt-get install espeak-ng" in caution
    assert "no choice by a key" in caution
    found = desk(prompts)
    assert (found.offers, found.sounds) == ({}, {})
    assert not (prompts.ivr / "demo" / "who.wav").exists()


def test_a_voice_that_hangs_is_not_asked_again_and_again(prompts, monkeypatch):
    asked = []

    def hang(text: str, language: str) -> array[int]:
        asked.append(text)
        raise VoiceHangs("espeak-ng did not speak within 10 s")

    monkeypatch.setattr(module, "speak", hang)
    (caution,) = prompts.make([campaign(), campaign("other")])
    assert "did not speak" in caution
    assert len(asked) == 1


def test_one_text_that_cannot_be_spoken_is_one_sound_less(prompts, monkeypatch, voice):
    def speak(text: str, language: str) -> array[int]:
        if "центр" in text:
            raise SpeechError("nothing in the text can be spoken in this language")
        return array("h", voice(text, language))

    monkeypatch.setattr(module, "speak", speak)
    (caution,) = prompts.make([campaign()])
    assert "campaign demo, who" in caution
    assert (prompts.ivr / "demo" / "who.wav").resolve() == Path(desk(prompts).sounds["sorry"] + ".wav")


def test_a_recorded_file_is_taken_as_it_is_now(prompts, voice):
    path = recorded(prompts.folder / "us.wav")
    one = campaign(last_word=word(who=Prompt(text="Это центр.", sound="us.wav")))
    assert prompts.make([one]) == []
    first = (prompts.ivr / "demo" / "who.wav").resolve()
    assert first.read_bytes() == path.read_bytes()
    recorded(path, frames=1600)
    prompts.make([one])
    assert length((prompts.ivr / "demo" / "who.wav").resolve()) == 1600
    assert length(first) == 800, "who is being told it goes on being told it"
    assert "Это центр." not in voice.said


def test_a_phrase_may_be_recorded_too(prompts, voice):
    path = recorded(prompts.folder / "ru" / "goodbye.wav", frames=333)
    assert prompts.make([campaign()]) == []
    assert length(prompts.ivr / "demo" / "goodbye.wav") == 333
    assert path.exists()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"channels": 2}, "has 2 channels, 16 bit, 8000 Hz; telephones take 1 channel, 16 bit, 8000 Hz"),
        ({"rate_hz": 44_100}, "44100 Hz"),
        ({"width": 1}, "8 bit"),
        ({"frames": 0}, "more than nothing"),
        ({"frames": 8000 * 301}, "at most 300 s"),
    ],
)
def test_a_recorded_file_of_another_form_is_told_and_the_text_spoken(prompts, voice, form, message):
    recorded(prompts.folder / "us.wav", **form)
    one = campaign(last_word=word(who=Prompt(text="Это центр.", sound="us.wav")))
    (caution,) = prompts.make([one])
    assert message in caution
    assert str(prompts.folder / "us.wav") in caution
    assert "Это центр." in voice.said
    assert [message in one for one in prompts.check(one)] == [True]


@pytest.mark.parametrize(
    "content", [b"", b"ID3 an mp3", b"RIFF\x10\0\0\0WAVE", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x07\0"]
)
def test_what_is_no_wav_is_told(prompts, voice, content):
    prompts.folder.mkdir(parents=True)
    (prompts.folder / "us.wav").write_bytes(content)
    with pytest.raises(BadSound, match="no WAV file"):
        prompts._sounds.read("us.wav")


@pytest.mark.parametrize(
    "name", ["../secrets.toml", "/etc/passwd", "us.mp3", "a b.wav", "..wav", "x/y/z.wav", "ru/../a.wav"]
)
def test_a_name_leads_nowhere_else(prompts, voice, name):
    with pytest.raises(BadSound, match="no name"):
        prompts._sounds.read(name)


def test_a_missing_file_is_told(prompts):
    (caution,) = prompts.check(campaign(last_word=word(who=Prompt(sound="us.wav"))))
    assert "us.wav is not there" in caution


def test_desks_of_campaigns_that_are_gone_go(prompts, voice):
    prompts.make([campaign(), campaign("other")])
    prompts.make([campaign()])
    assert [path.name for path in prompts.ivr.glob("*.json")] == ["demo.json"]


def test_messages_of_announcements_and_machines_are_laid_out(prompts, voice):
    announced = campaign(
        mode="announcement",
        announcement=Announcement(
            message=Prompt(text="Наш заказ готов."), keys={"1": "confirm", "9": "refuse"}, times=3
        ),
        machines=Machines(detect=True, action="message", message=Prompt(text="Перезвоните нам.")),
    )
    prompts.make([announced])
    folder = prompts.ivr / "demo"
    assert (folder / "message.wav").exists()
    assert (folder / "machine.wav").exists()
    found = desk(prompts)
    assert (found.keys, found.times) == ({"1": "confirm", "9": "refuse"}, 3)
    assert {"confirmed", "refused", "wrong", "goodbye"} <= found.sounds.keys()
    prompts.make([campaign()])
    assert not (folder / "message.wav").exists()


def test_a_file_appears_whole_or_not_at_all(prompts, voice, monkeypatch):
    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "os", SimpleNamespace(**{**vars(os), "fsync": fail}))
    with pytest.raises(OSError, match="No space"):
        prompts.make([campaign()])
    assert [path for path in prompts.folder.rglob("*") if path.is_file()] == []


def test_a_path_that_the_dialplan_would_misread_is_refused(tmp_path, voice):
    bad = Prompts(tmp_path / "a,b", tmp_path / "a,b" / "run")
    with pytest.raises(OSError, match="allowed"):
        bad.make([campaign()])


def test_the_desk_is_what_the_scripts_read(prompts, voice):
    from agi.desk import load

    prompts.make([campaign()])
    found = load(str(prompts.ivr), "demo")
    assert found.problem == ""
    assert found.offers == {"1": "wait", "2": "refuse"}
    assert found.language == "ru"
    assert json.loads((prompts.ivr / "demo.json").read_text())["campaign"] == "demo"


# -- calls to us, and waiting ----------------------------------------------------------------


def taking(**changes: Any) -> Campaign:
    fields: dict[str, Any] = {"numbers": ("+74951234567",), "greeting": Prompt(text="Здравствуйте.")}
    return campaign(inbound=Inbound(**(fields | changes)))


def test_who_calls_us_finds_a_greeting_and_an_offer_where_the_dialplan_looks(prompts, voice):
    assert prompts.make([taking()]) == []
    folder = prompts.ivr / "demo"
    for name in ("greeting", "busy", "closed", "nobody", "voicemail", "callback", "goodbye"):
        assert length(folder / f"{name}.wav") > 0
    assert desk(prompts).recall == {"1": "callback"}, "times cannot be told yet"
    prompts.make_times([taking()])
    assert desk(prompts).recall == {"1": "callback", "2": "later"}
    parts = [desk(prompts).sounds[name] for name in ("callback_1", "later_2")]
    pause = int(module.PAUSE_S * 8000)
    assert length(folder / "callback.wav") == sum(length(Path(f"{part}.wav")) for part in parts) + pause


def test_the_message_outside_the_hours_is_the_campaigns_own(prompts, voice):
    prompts.make([taking(outside_message=Prompt(text="Контора закрыта."))])
    assert "Контора закрыта." in voice.said
    assert phrases.inbound_phrases("ru", {})["closed"] not in voice.said


def test_a_campaign_that_takes_no_calls_any_more_offers_none(prompts, voice):
    prompts.make([taking()])
    prompts.make([campaign()])
    assert not (prompts.ivr / "demo" / "callback.wav").exists()
    assert not (prompts.ivr / "demo" / "greeting.wav").exists()
    assert desk(prompts).recall == {}


def test_without_a_voice_no_callback_is_offered(prompts, voice):
    voice.failure = NoVoice("espeak-ng is not installed")
    prompts.make([taking()])
    assert desk(prompts).recall == {}
    assert not (prompts.ivr / "demo" / "callback.wav").exists()


def test_places_and_times_are_told_in_the_language_of_the_campaign_as_soon_as_they_are_made(prompts, voice):
    demo, other = CampaignId("demo"), CampaignId("other")
    made = [taking(), campaign("other", last_word=word(language="en"))]
    prompts.make(made)
    assert prompts.waiting(demo) == {}
    prompts.make_times(made)
    assert set(prompts.waiting(demo)) == set(phrases.waiting("ru")) == set(prompts.waiting(other))
    assert "Ваш номер в очереди: 3." in voice.said
    assert "You are number 3 in the queue." in voice.said
    assert prompts.waiting(demo)["place_3"] != prompts.waiting(other)["place_3"]
    for sound in prompts.waiting(demo).values():
        assert length(Path(f"{sound}.wav")) > 0
    assert prompts.waiting(CampaignId("nobody")) == {}
    before = len(voice.said)
    prompts.make(made)  # as at the next start
    assert set(prompts.waiting(demo)) == set(phrases.waiting("ru"))
    assert len(voice.said) == before


def test_where_nobody_ever_waits_nothing_is_made_for_it(prompts, voice):
    quiet = campaign(last_word=word(offers=()))
    prompts.make([quiet])
    prompts.make_times([quiet])
    assert prompts.waiting(quiet.id) == {}


@pytest.mark.parametrize(
    ("wait_s", "name"),
    [
        (None, "hold"),
        (0.0, "hold_1"),
        (60.0, "hold_1"),
        (60.1, "minutes_2"),
        (1200.0, "minutes_20"),
        (1201.0, "minutes_25"),
        (3600.0, "minutes_60"),
        (3601.0, "hold"),
    ],
)
def test_nobody_waits_longer_than_told(wait_s, name):
    assert phrases.told_wait(wait_s) == name
    for language in ("ru", "en", "zh"):
        assert phrases.waiting(language)[name]


def test_a_place_is_told_up_to_twenty():
    assert [phrases.told_place(place) for place in (1, 20, 21)] == ["place_1", "place_20", "place_more"]
    for language in ("ru", "en", "zh"):
        assert {phrases.told_place(place) for place in range(1, 30)} <= set(phrases.waiting(language))
