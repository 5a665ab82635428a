"""What would keep callers from a campaign is said before its numbers are given out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.conduct import Prompt
from dialer.core.ids import CampaignId
from dialer.core.incoming import Inbound
from dialer.core.values import Centre
from dialer.office import inboundcautions
from dialer.store import settings
from dialer.store.trunks import apply_trunks
from tests.unit.office.story import SPRING, Story, at

OURS = "+74951234567"
SOUND: dict[str, Any] = {"numbers": (OURS,), "greeting": Prompt(text="Light and Co.")}


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    told = await Story.begin(tmp_path / "journal.sqlite3")
    trunk = next(one for one in settings.load_trunks(told.db) if one.id == SPRING.trunk)
    apply_trunks(told.db, [msgspec.structs.replace(trunk, is_inbound=True)], at("08:00"))
    yield told
    await told.end()


def warned(story: Story, **rules: Any) -> list[str]:
    campaign = msgspec.structs.replace(SPRING, inbound=Inbound(**(SOUND | rules)))
    settings.apply_campaign(story.db, campaign, at("08:30"))
    return list(inboundcautions.warnings(story.db, campaign, Centre(countries=("+7",))))


async def test_a_sound_one_is_warned_of_nothing(story: Story) -> None:
    assert warned(story) == []


async def test_one_that_takes_no_calls_is_not_spoken_of(story: Story) -> None:
    assert warned(story, numbers=(), greeting=Prompt(), overflow="number") == []


async def test_a_number_of_two_campaigns(story: Story) -> None:
    other = msgspec.structs.replace(SPRING, id=CampaignId("summer"), inbound=Inbound(numbers=(OURS,)))
    settings.apply_campaign(story.db, other, at("08:20"))
    (said,) = warned(story)
    assert "summer" in said
    other = msgspec.structs.replace(other, inbound=Inbound(numbers=("84951234567",)))
    settings.apply_campaign(story.db, other, at("08:25"))
    (said,) = warned(story)
    assert "can be written as" in said


async def test_no_trunk_that_takes_calls(story: Story) -> None:
    trunk = settings.load_trunks(story.db)
    apply_trunks(story.db, [msgspec.structs.replace(one, is_inbound=False) for one in trunk], at("08:10"))
    (said,) = warned(story)
    assert said.startswith("No trunk takes calls")


async def test_nobody_to_take_them(story: Story) -> None:
    story.db.execute("UPDATE agents SET campaigns = '[\"autumn\"]'")
    (said,) = warned(story)
    assert said.startswith("No operator works")


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        ({"overflow": "number", "overflow_number": "+882160000000"}, "+882160000000"),
        ({"distribution": "skill", "skill_weights": {"nobody": 3}}, "nobody"),
        ({"overflow": "voicemail", "missed_again_s": None}, "--voicemail"),
        ({"wait_s": 3.0}, "3 s"),
        ({"greeting": Prompt()}, "greeting"),
    ],
)
async def test_what_is_hardly_meant(story: Story, rules: dict[str, Any], word: str) -> None:
    (said,) = warned(story, **rules)
    assert word in said
