"""What is said of a predictive campaign, or one without operators, before it is started."""

from __future__ import annotations

import re
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.conduct import Abandonment, Announcement, LastWord, Machines, Pacing, Prompt
from dialer.core.ids import AgentId, CampaignId
from dialer.core.pacing import evidence
from dialer.core.pacing.ledger import Ledger
from dialer.core.values import AgentCard, AgentState, Campaign, CampaignState
from dialer.office import conductcautions
from dialer.store import settings
from tests.unit.office.story import ANN, SPRING, Story, at

WHO = LastWord(who=Prompt(text="This is Light and Co., 8 800 000 00 00."))
AHEAD: dict[str, Any] = {"mode": "predictive", "last_word": WHO}


@pytest.fixture
async def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Story]:
    monkeypatch.setattr(conductcautions, "has_voice", lambda: True)  # whatever this machine has
    told = await Story.begin(tmp_path / "journal.sqlite3")
    for number in range(9):
        card = AgentCard(id=AgentId(f"op{number}"), phone=f"2{number:02}", campaigns=(SPRING.id,))
        settings.add_agent(told.db, card)
    yield told
    await told.end()


def apply(story: Story, **changes: Any) -> Campaign:
    campaign = msgspec.structs.replace(SPRING, **changes)
    settings.apply_campaign(story.db, campaign, at("08:30"))
    return campaign


def warned(story: Story, **changes: Any) -> list[str]:
    return list(conductcautions.warnings(story.db, apply(story, **changes), story.path.parent))


def noted(story: Story, **changes: Any) -> str:
    return "\n".join(conductcautions.notes(story.db, apply(story, **changes)))


def alone(story: Story) -> None:
    """The other campaign is over."""
    story.db.execute("UPDATE campaigns SET state = 'stopped' WHERE id = 'autumn'")


# -- warnings ---------------------------------------------------------------------------------


async def test_a_sound_one_is_warned_of_nothing(story: Story) -> None:
    alone(story)
    assert warned(story, **AHEAD) == []
    assert warned(story) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"last_word": LastWord()}, "is not told who is calling: last_word.who is empty"),
        ({"no_agent": "hang_up"}, "these people hear nothing"),
        (
            {"pacing": Pacing(operators_min=11)},
            "10 operators work for the campaign, and pacing.operators_min is 11",
        ),
        ({"ring_s": 15.0}, "no ringing call is ever given up"),
        (
            {"machines": Machines(detect=True), "wait_s": 1.0},
            "only who meets an idle operator at once is served",
        ),
        ({"last_word": LastWord(who=Prompt(sound="who.wav"))}, "who.wav is not there"),
    ],
)
async def test_settings_that_are_unlikely_to_be_meant(
    story: Story, changes: dict[str, Any], said: str
) -> None:
    alone(story)
    [sentence] = warned(story, **{**AHEAD, **changes})
    assert said in sentence


async def test_operators_who_are_rung_for_each_call_are_warned_of(story: Story) -> None:
    alone(story)
    settings.add_agent(story.db, AgentCard(id=ANN, phone="101", leg="rung"))
    [sentence] = warned(story, **AHEAD)
    assert "1 of 10 operators are rung for each call (ann)" in sentence
    assert "(agents.ring at_ring means nothing here)" in sentence
    [sentence] = warned(story, ring_agent="at_answer", **AHEAD)
    assert "means nothing" not in sentence
    assert warned(story, mode="progressive") == []


async def test_a_progressive_campaign_that_shares_operators_would_get_none(story: Story) -> None:
    """The rule is the floor's (``dialer.core.modes``, rule 4): of no better priority, and not over."""
    [sentence] = warned(story, **AHEAD)
    assert (
        "progressive campaign autumn (priority 100) shares operators with this one (priority 100): ann."
        in sentence
    )
    assert warned(story, priority=101, **AHEAD) == []
    for state, count in ((CampaignState.PAUSED, 1), (CampaignState.FINISHED, 0)):
        await story.run("09:10", state, "autumn")
        assert len(warned(story, **AHEAD)) == count
    await story.run("09:20", CampaignState.RUNNING, "autumn")
    ahead = msgspec.structs.replace(SPRING, id=CampaignId("autumn"), **AHEAD)
    settings.apply_campaign(story.db, ahead, at("09:20"))
    assert warned(story, **AHEAD) == []


async def test_what_is_to_be_played_must_be_there(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(story)
    folder = story.path.parent / "prompts"
    folder.mkdir()
    with wave.open(str(folder / "who.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(3200))
    changes = {**AHEAD, "last_word": LastWord(who=Prompt(sound="who.wav"))}
    assert warned(story, **changes) == []
    monkeypatch.setattr(conductcautions, "has_voice", lambda: False)
    [sentence] = warned(story, **changes)
    assert sentence.startswith("There is no synthetic voice on this machine (espeak-ng is not installed)")


async def test_a_campaign_without_operators(story: Story) -> None:
    keys = {"1": "operator", "9": "refuse"}
    message = Announcement(message=Prompt(text="Your order is ready."), keys=keys)  # type: ignore[arg-type]
    assert warned(story, mode="announcement", announcement=message, last_word=WHO) == []
    [sentence] = warned(story, mode="announcement", announcement=message)
    assert "asks for an operator and gets none is not told who is calling" in sentence
    silent = msgspec.structs.replace(message, keys={})
    [sentence] = warned(story, mode="announcement", announcement=silent)
    assert "No key lets the person refuse further calls" in sentence
    assert noted(story, mode="announcement", announcement=message) == ""


# -- notes ------------------------------------------------------------------------------------


async def test_what_the_team_may_gain_and_cannot_know(story: Story) -> None:
    await story.agent("09:00", AgentId("op1"), AgentState.PAUSED, "lunch")
    said = noted(story, **AHEAD)
    assert (
        "10 operators work for the campaign, 2 of them signed in now. 10 operators were 57 % of their time"
        in said
    )
    assert "Some 2200 people a day answer a team of 10." in said
    one_day = evidence.lottery(2200, 0.03)
    assert f"3 % ± {100 * one_day.error:.2g} points by chance alone" in said
    assert "Small teams do better to promise less" not in said
    story.db.execute("""UPDATE agents SET campaigns = '["autumn"]' WHERE id NOT IN ('ann', 'op0', 'op8')""")
    said = noted(story, **AHEAD)
    assert "3 operators work for the campaign, 1 of them" in said
    assert "so small a team was not measured, and gains less" in said
    assert "Small teams do better to promise less" in said
    bound = Pacing(abandonment=Abandonment(against="bound"))
    assert f"it takes {evidence.lottery(660, 0.03).needed} answers without an abandoned call" in noted(
        story, pacing=bound, **AHEAD
    )
    assert noted(story) == ""


async def test_a_tight_cap_makes_a_slow_beginning(story: Story) -> None:
    said = noted(story, **AHEAD)
    assert "The cap (abandonment.cap) is the share itself" in said
    assert "is placed after 33 people have answered and been served, ten at once after 324." in said
    assert "With a cap of 6 % it were 16 and 157" in said
    wide = Pacing(abandonment=Abandonment(cap=0.1))
    said = noted(story, pacing=wide, **AHEAD)
    assert "The cap (abandonment.cap) is 10 %" in said
    assert "after 9 people" in said
    assert "cap" not in noted(story, pacing=Pacing(abandonment=Abandonment(cap=1.0)), **AHEAD)


@pytest.mark.parametrize("cap", [0.01, 0.03, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("ahead", [1, 2, 10])
def test_calls_ahead_are_counted_as_the_ledger_counts_the_worst(cap: float, ahead: int) -> None:
    ledger = Ledger(Abandonment())
    answers = conductcautions.calls_ahead_after(cap, ahead)
    for _ in range(answers - 1):
        ledger.answered(0.0)
    assert ledger.worst(0.0, ahead) > cap
    ledger.answered(0.0)
    assert ledger.worst(0.0, ahead) <= cap + 1e-12


async def test_listening_for_machines_is_part_of_the_delay(story: Story) -> None:
    said = noted(story, machines=Machines(detect=True, listen_s=0.8), **AHEAD)
    assert "listened to for up to 0.8 s first (machines.listen_s); that leaves 1.2 s of the 2 s" in said
    assert "listened" not in noted(story, **AHEAD)


def test_the_figures_are_those_of_the_page() -> None:
    text = (Path(__file__).parents[3] / "docs" / "predictive.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) % \| (\d+) % \|", text, re.MULTILINE)
    assert {int(size): (int(before), int(after)) for size, before, after in rows} == conductcautions.GAINS
