"""What a campaign says of its conduct is a document and comes back, whatever it says."""

from __future__ import annotations

import string
from itertools import permutations
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.core.conduct import Abandonment, Announcement, Choice, LastWord, Machines, Pacing, Prompt
from dialer.core.ids import CampaignId, TrunkId
from dialer.core.incoming import Distribution, Inbound, Overflow
from dialer.core.values import Campaign
from dialer.office.campaignshow import differing, flat
from dialer.store import conducttext, documents, files
from dialer.store.documents import BadFile
from tests.examples import examples

WORDS = st.text(string.ascii_lowercase + string.digits + "-_", max_size=32)
TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=60)
SOUNDS = st.just("") | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}\.wav", fullmatch=True)
PROMPTS = st.builds(Prompt, text=TEXTS, sound=SOUNDS)
OFFERS = [one for count in range(4) for one in permutations(("wait", "refuse", "later"), count)]
SHARES = st.floats(0.0001, 0.5)
NO_KEYS = {"wait", "voicemail", "forwarded"}
"""For a message the first is the same as operator; the others are no keys, but what becomes of a caller."""
CHOICES = [one for one in get_args(Choice) if one not in NO_KEYS]
NUMBERS = st.from_regex(r"\+[1-9][0-9]{6,13}", fullmatch=True)
LINES = ("mon-fri 09:00-18:00", "sat,sun 10:00-12:00, 13:00-16:00", "daily 00:00-24:00")


@st.composite
def inbounds(draw: st.DrawFn) -> Inbound:
    """Ways to take calls that contradict themselves in nothing."""
    numbers = tuple(draw(st.lists(NUMBERS, unique=True, max_size=3)))
    overflow = draw(st.sampled_from(get_args(Overflow)))
    distribution = draw(st.sampled_from(get_args(Distribution)))
    weights = draw(st.dictionaries(st.sampled_from(["ann", "bob"]), st.integers(-1000, 1000)))
    hours = tuple(draw(st.lists(st.sampled_from(LINES), max_size=2)))
    return Inbound(
        numbers=numbers,
        list=draw(WORDS),
        last_operator=draw(st.booleans()),
        distribution=distribution,
        skill_weights=weights if distribution == "skill" else {},
        wait_s=draw(st.floats(0, 3600)),
        queue_max=draw(st.integers(0, 10000)),
        is_position_told=draw(st.booleans()),
        greeting=draw(PROMPTS),
        overflow=overflow,
        overflow_number="+999" + draw(NUMBERS)[1:11] if overflow == "number" else "",
        outside=draw(st.sampled_from(["message", "voicemail", "callback"])),
        outside_message=draw(PROMPTS),
        hours=hours,
        holidays=tuple(draw(st.sampled_from([[], ["2027-01-08"]]))),
        zone=draw(st.sampled_from(["Europe/Moscow", "Asia/Shanghai"])),
        missed_again_s=draw(st.none() | st.floats(0, 604800)),
        reserve_share=draw(st.floats(0, 1)),
    )


@st.composite
def campaigns(draw: st.DrawFn) -> Campaign:
    """Campaigns that contradict themselves in nothing."""
    share = draw(SHARES)
    limit_s = draw(st.floats(0.1, 60.0))
    machines = Machines(
        detect=draw(st.booleans()),
        listen_s=draw(st.floats(0.01, min(10.0, limit_s), exclude_max=True)),
        message=draw(PROMPTS),
        action="hang_up",
    )
    if machines.message != Prompt():
        machines = msgspec.structs.replace(machines, action=draw(st.sampled_from(["hang_up", "message"])))
    announcement = Announcement(
        message=draw(PROMPTS),
        keys=draw(st.dictionaries(st.sampled_from("0123456789*#"), st.sampled_from(CHOICES), max_size=12)),
        times=draw(st.integers(1, 9)),
    )
    modes = ["progressive", "predictive", *["announcement"] * (announcement.message != Prompt())]
    return Campaign(
        id=CampaignId("c"),
        trunk=TrunkId("t"),
        mode=draw(st.sampled_from(modes)),
        pacing=Pacing(
            abandonment=Abandonment(
                share=share,
                cap=draw(st.none() | st.floats(share, 1.0)),
                window_days=draw(st.integers(1, 366)),
                limit_s=limit_s,
                against=draw(st.sampled_from(["share", "bound"])),
                confidence=draw(st.floats(0.5, 0.9999)),
            ),
            operators_min=draw(st.integers(1, 1000)),
            ring_s_min=draw(st.floats(0.0, 300.0)),
            knowledge=draw(WORDS),
        ),
        last_word=LastWord(
            language=draw(st.sampled_from(["ru", "en", "zh"])),
            who=draw(PROMPTS),
            offers=draw(st.sampled_from(OFFERS)),
            later_max=draw(st.integers(1, 9)),
        ),
        machines=machines,
        announcement=announcement,
        inbound=draw(inbounds()),
    )


@settings(max_examples=examples(30), deadline=None)
@given(campaigns())
def test_it_comes_back_from_its_file(campaign: Campaign) -> None:
    text = documents.dump(files.campaign_document(campaign))
    assert files.campaign_from(documents.parse(text, "c.toml", "campaign"), "c.toml") == campaign


@settings(max_examples=examples(10), deadline=None)
@given(campaigns())
def test_all_of_it_is_shown_and_what_differs_is_marked(campaign: Campaign) -> None:
    shown, differs = flat(campaign), differing(campaign)
    plain = conducttext.conduct_tables(Campaign(id=CampaignId("c"), trunk=TrunkId("t")))
    for name, table in conducttext.conduct_tables(campaign).items():
        for key, value in table.items():
            assert shown[f"{name}.{key}"] == value
            assert (f"{name}.{key}" in differs) == (value != plain[name][key])


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ('hours = ["mon-fri 9-18"]\nzone = "Europe/Moscow"', "inbound.hours[1]"),
        ('hours = ["mon-fri 09:00-18:00"]', "inbound.zone"),
        ('holidays = ["2027-02-30"]\nzone = "Europe/Moscow"', "inbound.holidays[1]"),
        ('zone = "Europe/Moskow"', "inbound.zone"),
        ('overflow = "number"', "inbound.overflow_number"),
        ('overflow = "number"\noverflow_number = "+74951234567"', "inbound.overflow_number"),
        ("skill_weights = { ann = 3 }", "inbound.skill_weights"),
        ('numbers = ["+7 495 123"]', "inbound.numbers[1]"),
        ('missed_again_s = "later"', "inbound.missed_again_s"),
    ],
)
def test_what_would_keep_callers_away_is_a_mistake_at_its_line(lines: str, where: str) -> None:
    numbers = "" if "numbers" in lines else 'numbers = ["+74951234567"]\n'
    text = f'id = "c"\ntrunk = "t"\n[inbound]\n{numbers}{lines}\n'
    with pytest.raises(BadFile) as failure:
        files.campaign_from(documents.parse(text, "c.toml", "campaign"), "c.toml")
    assert [mistake.path for mistake in failure.value.mistakes] == [where]
