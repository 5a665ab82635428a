"""The dialplan and those who speak with it mean the same: contexts, labels, variables, sounds, applications, events."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from dialer.core import commands as c
from dialer.core import events as e
from dialer.core.ids import AttemptId, CampaignId, TrunkId
from dialer.core.incoming import Overflow
from dialer.core.values import Trunk
from dialer.pbx import adopt, requests, wire
from dialer.pbx.frames import Channel, ChannelUserevent, StasisStart
from dialer.pbx.prompts import SAID
from dialer.pbx.render import files_folder

MODULES = {
    "AGI": "res_agi",
    "AMD": "app_amd",
    "Dial": "app_dial",
    "Echo": "app_echo",
    "Gosub": "app_stack",
    "MixMonitor": "app_mixmonitor",
    "Playback": "app_playback",
    "Playtones": "app_playtones",
    "Return": "app_stack",
    "StackPop": "app_stack",
    "Stasis": "app_stasis",
    "StopPlaytones": "app_playtones",
    "UserEvent": "app_userevent",
    "WaitForSilence": "app_waitforsilence",
}
BUILT_IN = {"Answer", "Background", "Goto", "GotoIf", "Hangup", "NoOp", "Ringing", "Set", "Wait", "WaitExten"}
SET_BY_ASTERISK = {
    "EXTEN",
    "AMDSTATUS",
    "BACKGROUNDSTATUS",
    "DIALSTATUS",
    "PLAYBACKSTATUS",
    "STASISSTATUS",
    "SYSTEMNAME",
    "WAITSTATUS",
    "ARG1",
    "ARG2",
}
WRITTEN_BY_SCRIPTS = {"OBZVON_SAID", "OBZVON_NEXT", "OBZVON_TEST_S"}
A = AttemptId("a" + "0" * 20)


OVERFLOW = "${OBZVON_OVERFLOW}"


class Step:
    """One priority. *target*: of a jump, as (context, extension, label)."""

    def __init__(self, context: str, extension: str, label: str, application: str, arguments: str) -> None:
        self.context = context
        self.extension = extension
        self.label = label
        self.application = application
        self.arguments = arguments

    def targets(self) -> list[tuple[str, str, str]]:
        match self.application:
            case "Goto" | "Gosub":
                told = [self.arguments]
            case "GotoIf":
                told = re.sub(r"^.*\]\?", "", self.arguments).split(":")
            case _:
                return []
        return [place for one in told if one for place in self._targets(one)]

    def _targets(self, told: str) -> list[tuple[str, str, str]]:
        """The places that *told* may mean: the campaign's overflow is one of a few."""
        target = self._target(told)
        if OVERFLOW not in target:
            return [target]
        return [self._target(told.replace(OVERFLOW, place)) for place in get_args(Overflow)]

    def _target(self, told: str) -> tuple[str, str, str]:
        parts = re.sub(r"\(.*\)$", "", told).split(",")
        return tuple([self.context, self.extension][: 3 - len(parts)] + parts)  # type: ignore[return-value]


def steps() -> list[Step]:
    found: list[Step] = []
    context = extension = ""
    for path in sorted(files_folder("dialplan").glob("*.conf")):
        for line in path.read_text().splitlines():
            if line.startswith("["):
                context = line.strip("[]")
            elif match := re.match(
                r"(?:exten => ([^,]+),(1)| same => (n)(?:\(([a-z-]+)\))?),(\w+)\((.*)\)$", line
            ):
                extension = match[1] or extension
                found.append(Step(context, extension, match[4] or match[2] or "", match[5], match[6]))
            else:
                assert not line.strip() or line.startswith(";"), f"{path.name}: {line!r} is not understood"
    return found


STEPS = steps()
TEXT = "\n".join(f"{one.application}({one.arguments})" for one in STEPS)


def body(**changes: object) -> dict[str, object]:
    values = {
        "attempt": A,
        "campaign": CampaignId("spring"),
        "trunk": TrunkId("lab"),
        "number": "+442079460123",
        "caller_id": "",
        "ring_s": 20.0,
        "record": True,
    }
    order = c.Originate(**(values | changes))  # type: ignore[arg-type]
    trunks = {TrunkId("lab"): Trunk(id=TrunkId("lab"), host="192.0.2.1")}
    (request,) = requests.to_request(order, trunks=trunks, recordings=Path("/r"), at=0.0)
    assert request.json is not None
    return request.json


def globals_set() -> set[str]:
    text = (files_folder("asterisk-conf") / "extensions.conf").read_text()
    return set(re.findall(r"^(OBZVON_\w+) = ", text, re.MULTILINE))


def test_every_jump_leads_somewhere():
    places = {(one.context, one.extension, one.label) for one in STEPS if one.label}
    for one in STEPS:
        for target in one.targets():
            assert target in places, f"[{one.context}] {one.extension}: {one.application}({one.arguments})"


def test_nobody_who_is_called_sends_us_elsewhere():
    """Dial() calls wherever a SIP 3xx says, whether we may call there or not, unless it is told not to (option i)."""
    dials = [one.arguments.split(",") for one in STEPS if one.application == "Dial"]
    assert dials
    assert all("i" in options for _, _, options in dials)


def test_every_path_ends_or_goes_on():
    """Asterisk hangs up where a path has no further step, with a cause that is not ours to choose."""
    last: dict[tuple[str, str], Step] = {(one.context, one.extension): one for one in STEPS}
    for where, one in last.items():
        assert one.application in {"Goto", "Hangup", "Return", "NoOp"}, where


@pytest.mark.parametrize(
    ("context", "extension"),
    [
        (str(body()["context"]), str(body()["extension"])),
        (str(body(message_times=2)["context"]), str(body(message_times=2)["extension"])),
        (requests.LAST_WORD_CONTEXT, "s"),
        *((requests.OVERFLOW_CONTEXT, place) for place in get_args(Overflow)),
        *((requests.OVERFLOW_CONTEXT, f"closed_{place}") for place in get_args(Overflow)),
        (requests.TELL_CONTEXT, "call_over"),
        *((context, "s") for context in adopt.PLACES),
    ],
)
def test_where_the_engine_sends_people_or_finds_them_is_there(context, extension):
    assert any((one.context, one.extension) == (context, extension) for one in STEPS)


def test_every_place_that_the_floor_tells_apart_has_a_context_and_its_event():
    """Who is found in one of these contexts is taken for what the dialplan says there by its event."""
    said = {one.context: one.arguments.split(",")[0] for one in STEPS if one.application == "UserEvent"}
    assert said.pop("obzvon-overflow") == "ObzvonChoice"
    assert said == {"obzvon-machine": "ObzvonMachine", "obzvon-announcement": "ObzvonAnnouncing"}
    assert adopt.PLACES == {
        "obzvon-listen": "listening",
        "obzvon-machine": "machine",
        "obzvon-announcement": "announcement",
    }


def test_what_the_dialplan_says_of_a_call_is_understood():
    times = {"${OBZVON_ANSWERED}": "1763763201.250", "${OBZVON_HEARD}": "1763763202.500"}
    understood = []
    for one in STEPS:
        if one.application == "UserEvent":
            name, *fields = one.arguments.split(",")
            told = {key: times.get(value, value) for key, value in (field.split(": ") for field in fields)}
            frame = ChannelUserevent(eventname=name, channel=Channel(id=A), userevent=dict(told))
            understood.append(wire.to_event(frame, 5.0))
    assert understood == [
        e.MachineAnswered(at=5.0, attempt=A, listened_s=1.25),
        e.AnnouncementBegan(at=5.0, attempt=A, listened_s=1.25),
        e.ContactChose(at=5.0, attempt=A, choice="voicemail"),
        e.ContactChose(at=5.0, attempt=A, choice="forwarded"),
    ]


def test_who_is_given_to_the_engine_is_understood():
    found = set()
    for one in STEPS:
        if one.application == "Stasis" and one.arguments.split(",")[1] not in {
            "feature",
            "dialed",
            "inbound",
        }:
            app, *args = re.sub(r"\$\{\w+\}", "", one.arguments).split(",")
            assert app == requests.APP
            event = wire.to_event(StasisStart(channel=Channel(id=A), args=tuple(args)), 5.0)
            found.add(type(event))
    assert found == {e.ContactAnswered, e.ContactReturned, e.LegAnswered}


def test_who_calls_us_is_understood():
    (stasis,) = [one for one in STEPS if one.arguments.startswith("obzvon,inbound,")]
    values = {"DID": "+74951110001", "CALLER": "89160000001", "TRUNK": "carrier", "CAMPAIGN": "spring"}
    told = re.sub(r"\$\{OBZVON_(\w+)\}", lambda found: values[found[1]], stasis.arguments).split(",")[2:]
    came = wire.arrival(A, told)
    assert came is not None
    assert (came.did, came.caller, came.trunk, came.campaign) == tuple(values.values())
    withheld = wire.arrival(A, ["+74951110001", "", "carrier", "spring"])
    assert withheld is not None
    assert withheld.caller == ""


def test_every_variable_that_is_read_is_written_by_somebody():
    variables = body()["variables"]
    assert isinstance(variables, dict)
    written = (
        set(re.findall(r"Set\((\w+)=", TEXT))
        | WRITTEN_BY_SCRIPTS
        | SET_BY_ASTERISK
        | globals_set()
        | set(variables)
    )
    read = set(re.findall(r"\$\{(\w+)[}:]", TEXT))
    assert read <= written, read - written


def test_nothing_is_told_to_the_dialplan_in_vain():
    variables = body()["variables"]
    assert isinstance(variables, dict)
    read = set(re.findall(r"\$\{(\w+)[}:]", TEXT))
    by_scripts = {"OBZVON_KIND", "OBZVON_ZONES", "OBZVON_DIALPLAN"}  # the last is asked for by the doctor
    assert set(variables) | globals_set() <= read | by_scripts


def test_scripts_are_told_of_a_choice_that_somebody_made_before_hanging_up():
    """A context that takes keys has a way to note them down where the person is gone before the script began."""
    for context in {one.context for one in STEPS if one.application == "WaitExten"}:
        (on_hang_up,) = [
            one for one in STEPS if (one.context, one.extension, one.application) == (context, "h", "AGI")
        ]
        (menu,) = [
            one for one in STEPS if (one.context, one.extension, one.application) == (context, "s", "AGI")
        ]
        assert on_hang_up.arguments == menu.arguments


def test_sounds_are_those_that_the_engine_lays_out():
    said = set(re.findall(r"\$\{OBZVON_CAMPAIGN\}/([a-z]+)", TEXT)) | set(
        re.findall(r"OBZVON_(?:WHY|MENU)=([a-z]+)", TEXT)
    )
    assert "?busy:${OBZVON_WHY}" in TEXT
    said.add("busy")
    assert set(SAID) <= said
    others = {"goodbye", "menu", "still", "alone", "busy", "nobody", "callback", "voicemail"}
    assert said == {*SAID, *others}


def test_every_application_has_its_module():
    lines = (files_folder("asterisk-conf") / "modules.list").read_text().splitlines()
    listed = {line.split()[1] for line in lines if line and not line.startswith("#")}
    used = {one.application for one in STEPS}
    assert used <= BUILT_IN | MODULES.keys(), used - BUILT_IN - MODULES.keys()
    assert {MODULES[one] for one in used & MODULES.keys()} <= listed


def test_amd_is_asked_with_the_call_and_not_by_its_file():
    """What stands in amd.conf would hold wherever an argument is left out."""
    kept = [
        line
        for line in (files_folder("asterisk-conf") / "amd.conf").read_text().splitlines()
        if line[:1] not in (";", "")
    ]
    assert kept == ["[general]"]
    assert len(requests.amd_arguments(1.2).split(",")) == 9, "all that AMD() takes"
    (listen,) = [one for one in STEPS if one.application == "AMD"]
    assert listen.arguments == "${OBZVON_LISTEN}"


def test_nothing_is_heard_while_it_is_listened():
    """AMD() takes the pulse of a tone for silence: the ringing begins after it."""
    for extension in ("answered", "announce"):
        path = [
            one.application for one in STEPS if (one.context, one.extension) == ("obzvon-outbound", extension)
        ]
        gosub = path.index("Gosub")
        assert not {"Ringing", "Playtones", "Background", "Playback"} & set(path[:gosub])


def test_who_waits_in_vain_is_offered_the_rest_by_an_unspent_key():
    """Whoever is given to the engine may come back by the absolute timeout: T must know; and a key of the menu before means another thing there."""
    waiting = [
        one.context for one in STEPS if (one.application, one.arguments) == ("Stasis", "obzvon,returned")
    ]
    assert waiting == ["obzvon-last-word", "obzvon-announcement"]
    for context in waiting:
        path = [
            f"{one.application}({one.arguments})"
            for one in STEPS
            if (one.context, one.extension) == (context, "s")
        ]
        before = path[: path.index("Stasis(obzvon,returned)")]
        since = before[len(before) - before[::-1].index("Set(OBZVON_WAITED=yes)") :]
        assert {"Set(OBZVON_PLACE=waiting)", "Set(OBZVON_KEY=)"} <= set(since)
        (timeout,) = [one for one in STEPS if (one.context, one.extension, one.label) == (context, "T", "1")]
        assert '"${OBZVON_PLACE}" = "waiting"' in timeout.arguments
        assert timeout.targets() == [("obzvon-last-word", "s", "1")]


def test_who_has_been_in_our_hands_is_not_asked_about_files():
    """Asterisk blocks STAT() on a channel for which ARI set a variable in Stasis, and it reads as nothing: as if no file were there."""
    asked = {one.context for one in STEPS if "STAT(" in one.arguments}
    assert asked == {"obzvon-arrival", "obzvon-machine"}, "before anybody is ours"
    arrival = [f"{one.application}({one.arguments})" for one in STEPS if one.context == "obzvon-arrival"]
    stasis = next(place for place, one in enumerate(arrival) if one.startswith("Stasis("))
    assert not [one for one in arrival[stasis:] if "STAT(" in one]
    # who leads there: each before its own Stasis()
    leads = {one.context for one in STEPS for target in one.targets() if target[0] in asked}
    assert leads - asked == {"obzvon-inbound", "obzvon-listen"}
    for context in ("obzvon-inbound", "obzvon-listen"):
        assert not [one for one in STEPS if one.context == context and one.application == "Stasis"]
    path = [one for one in STEPS if one.context == "obzvon-outbound"]
    for place, one in enumerate(path):
        if one.arguments.startswith("obzvon-listen"):
            before = [earlier for earlier in path[:place] if earlier.extension == one.extension]
            assert not [earlier for earlier in before if earlier.application == "Stasis"]
