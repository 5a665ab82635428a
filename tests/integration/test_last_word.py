"""A person who answered and for whom there is no engine hears something, on a real Asterisk.

The call is one of Asterisk's own local channels: one half is the person, who sends a steady tone, the
other half runs our dialplan and is recorded. The recording is then looked at: left, what the person
said; right, what the person heard.
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
import uuid
from array import array
from pathlib import Path

import aiohttp
import pytest

pytestmark = pytest.mark.asterisk

STOCK = "im-sorry&goodbye"


@pytest.fixture
def person(asterisk_home):
    """A place in the dialplan where a person is who says 1004 Hz for ten seconds."""
    for priority, step in enumerate(("Answer", "Playtones,1004", "Wait,30"), 1):
        application, _, argument = step.partition(",")
        asterisk_home.run_cli(
            f"dialplan add extension person,{priority},{application},{argument} into test-person"
        )
    yield "person", "test-person"
    asterisk_home.run_cli("dialplan remove context test-person")


async def hear(asterisk, recording: Path, person: tuple[str, str]) -> tuple[float, float, float]:
    """Place the call and wait for its end: the level of the left and of the right channel, and seconds."""
    pair = base64.b64encode(f"{asterisk.ari_user}:{asterisk.ari_password}".encode()).decode()
    channel = f"test-{uuid.uuid4().hex[:12]}"
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {pair}"}) as session:
        begun = time.monotonic()
        async with session.post(
            f"{asterisk.ari_url}/channels/{channel}",
            params={
                "endpoint": "Local/answered@obzvon-outbound/n",
                "extension": person[0],
                "context": person[1],
                "priority": "1",
            },
            # two underscores: inherited by the other half, which is the one that runs our dialplan
            json={"variables": {"__OBZVON_RECORD": str(recording)}},
        ) as answer:
            assert answer.status == 200, await answer.text()
        while True:
            async with session.get(f"{asterisk.ari_url}/channels/{channel}") as answer:
                if answer.status == 404:
                    break
            assert time.monotonic() - begun < 25, "the call did not end by itself"
            await asyncio.sleep(0.05)
    samples = array("h", recording.read_bytes())
    left, right = samples[0::2], samples[1::2]
    return level(left), level(right), len(left) / 8000


def level(samples: array[int]) -> float:
    """Root mean square of the loudest second."""
    seconds = [samples[start : start + 8000] for start in range(0, max(len(samples) - 7999, 1), 8000)]
    return max(math.sqrt(sum(sample * sample for sample in part) / len(part)) for part in seconds if part)


async def test_without_an_engine_the_last_word_is_said_and_recorded(asterisk_home, person, tmp_path):
    recording = tmp_path / "2026-01-31" / "a0.raw"
    left, right, length_s = await hear(asterisk_home, recording, person)
    assert left > 300, "the person's tone is on the left"
    assert right > 300, "what the person heard is on the right"
    assert 1 < length_s < 20
    assert recording.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OBZVON_PYTHON", "/nonexistent/python"),
        ("OBZVON_PYTHON", "/bin/false"),
        ("OBZVON_LAST_WORD", "no-such-sound"),
    ],
)
async def test_something_is_said_whatever_is_missing(asterisk_home, person, tmp_path, name, value):
    recording = tmp_path / "a1.raw"
    before = asterisk_home.run_cli("dialplan show globals")
    old = next(line.partition("=")[2] for line in before.splitlines() if line.strip().startswith(f"{name}="))
    asterisk_home.run_cli(f'dialplan set global {name} "{value}"')
    try:
        _, right, _ = await hear(asterisk_home, recording, person)
    finally:
        asterisk_home.run_cli(f'dialplan set global {name} "{old}"')
    assert right > 300
