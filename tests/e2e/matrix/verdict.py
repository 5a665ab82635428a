"""The invariants: what must hold after any fault at any step. The network, the recordings and Asterisk are
the witnesses; the journal is what is held against them.

:func:`judge` gives, for each step, what does not hold, in words.
"""

from __future__ import annotations

import asyncio
import sys
import time
import wave
from array import array
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import redis.asyncio

from dialer.core.results import DEFAULT_RETRY
from dialer.core.values import Result
from dialer.lab.network import NetworkCall
from dialer.lab.voice import RATE_HZ, Heard, hear
from dialer.timers import keys
from tests.e2e.matrix.centre import Centre
from tests.e2e.matrix.faults import Fault
from tests.e2e.matrix.steps import Step
from tests.e2e.world import PATIENCE_S, QUICK_RETRY

CLOCKS_S = 0.5
"""Engine and network look at the same clock, but not in the same instant."""
SOUND_S = 0.8
"""A recording may be so much shorter or longer than the network says that the call was, ..."""
SOUND_SHARE = 0.15
"""... and shorter by this share of it: sound that a busy machine's laboratory did not send is not recorded."""
FAILED_REST_S = 60.0
"""After a fault of ours a contact rests so long."""
HEAR_S = 1.5
"""So much of the beginning and of the end of a recording is listened to."""
SILENCE_S = 6.5
"""Five seconds to press a key, and what it takes to speak again."""
AUDIBLE_RMS = 40.0
UNWRITTEN_S = 1.0
"""An Asterisk that is killed takes so much of a recording with it that was not on the disk yet."""
RETRY = {**DEFAULT_RETRY, **QUICK_RETRY}
Row = dict[str, Any]


async def judge(centre: Centre, fault: Fault) -> dict[str, list[str]]:
    """For each step what is wrong; empty lists where all is well."""
    wrong: dict[str, list[str]] = {}
    channels, bridges = await centre.channels(), await centre.bridges()
    joined = {channel for bridge in bridges for channel in bridge["channels"]}
    health = await _health(centre)
    timers = await _timers(centre)
    for step in centre.steps:
        await asyncio.sleep(0)  # others work beside us
        found = list(_calls_and_results(centre, fault, step))
        found += _conversations(centre, fault, step)
        found += _recordings(centre, fault, step)
        found += _reports(centre, step)
        found += _choices(centre, fault, step)
        found += _silences(centre, fault, step)
        found += _left_alive(centre, step, channels, health, timers)
        found += _operator(centre, fault, step, {one["id"] for one in channels}, joined)
        found += _contact(centre, step, timers)
        wrong[step.name] = found
    return wrong


async def _health(centre: Centre) -> Row | None:
    """The engine's health, once it originates: on a machine that stood still just now it hears first what happened meanwhile."""
    with suppress(AssertionError):  # what is wrong then is judged
        return await centre.until_health(lambda health: health["originating"], "dialing", PATIENCE_S)
    return await centre.health()


async def _timers(centre: Centre) -> dict[str, float]:
    client = redis.asyncio.Redis.from_url(centre.redis.url, decode_responses=True)
    try:
        found: list[Any] = await client.zrange(keys.due("obzvon"), 0, -1, withscores=True)
    finally:
        await client.aclose()
    return {member: score / 1000 for member, score in found}


# -- one result each, one ring each ---------------------------------------------------------


def _calls_and_results(centre: Centre, fault: Fault, step: Step) -> Iterator[str]:
    attempts, calls = centre.attempts(step), centre.calls(step)
    for attempt in attempts:
        if attempt["state"] != "ended" or attempt["result"] is None:
            yield f"attempt {attempt['ordinal']} has no result: it is {attempt['state']}"
    if len(calls) > len(attempts):
        yield f"the person was called {len(calls)} times for {len(attempts)} attempts"
    pairs = _pairs(attempts, calls)
    for call in calls:
        if not any(call is other for _, other in pairs):
            yield f"the network was called at {call.invited_at:.2f} for no attempt of that time"
    for attempt, mine in pairs:
        result = attempt["result"]
        if mine is None:
            if result not in (Result.LOST, Result.FAILED):
                yield f"attempt {attempt['ordinal']} is {result}, but the network was never called"
        elif result not in _true_results(centre, fault, step, mine) and result is not None:
            yield f"attempt {attempt['ordinal']} is {result}, but the network saw {_saw(mine)}"
    if attempts:
        allowed = fault.results.get(step.name, step.good)
        if fault.kills_engine and pairs[0][1] is not None and _was_alone(centre, pairs[0][1]):
            allowed |= {Result.ABANDONED, Result.HUNG_UP, Result.LOST}
        if attempts[0]["result"] not in allowed:
            yield f"the first attempt is {attempts[0]['result']}, and should be {' or '.join(sorted(allowed))}"


def _pairs(attempts: list[Row], calls: list[NetworkCall]) -> list[tuple[Row, NetworkCall | None]]:
    """Each attempt with the call that came in its time."""
    left = list(calls)
    pairs: list[tuple[Row, NetworkCall | None]] = []
    for attempt in attempts:
        begun, ended = attempt["created_at"], attempt["ended_at"] or float("inf")
        mine = next((one for one in left if begun - CLOCKS_S <= one.invited_at <= ended + CLOCKS_S), None)
        if mine is not None:
            left.remove(mine)
        pairs.append((attempt, mine))
    return pairs


def _true_results(centre: Centre, fault: Fault, step: Step, call: NetworkCall) -> frozenset[Result]:
    results = call.results if call.answered_at is None or call.step > 1 else call.results | step.good
    if fault.kills_calls and call.invited_at < centre.struck_at:
        return frozenset({Result.LOST, Result.TALKED, Result.ABANDONED}) | step.good
    if fault.is_deaf and call.answered_at is not None and call.ended_at is not None:
        return results | {Result.LOST}  # nobody was told of the answer
    return results


def _was_alone(centre: Centre, call: NetworkCall) -> bool:
    """Whether the person answered when there was no engine: the next one was so slow to come."""
    return call.answered_at is not None and centre.struck_at <= call.answered_at <= centre.in_charge_at


def _saw(call: NetworkCall) -> str:
    if call.ended_at is None:
        return "a call that still lasts"
    return f"{' or '.join(sorted(call.results))} (ended by the {call.ended_by})"


# -- nobody is cut off -----------------------------------------------------------------------


def _conversations(centre: Centre, fault: Fault, step: Step) -> Iterator[str]:
    for attempt, call in _pairs(centre.attempts(step), centre.calls(step)):
        if (
            call is None
            or call.answered_at is None
            or (fault.kills_calls and call.invited_at < centre.struck_at)
        ):
            continue
        number = attempt["ordinal"]
        if call.ended_at is None:
            yield f"the person of attempt {number} is still on the line"
        elif call.step == 1 and step.keeps_talking:
            if attempt["result"] == Result.TALKED and attempt["attempt"] not in centre.keyed:
                yield f"the conversation of attempt {number} was ended by us ({attempt['ending']!r})"
        elif attempt["result"] == Result.TALKED and call.ended_by != "person":
            yield f"the conversation of attempt {number} was cut off ({attempt['ending']!r})"


# -- recordings ------------------------------------------------------------------------------


def _recordings(centre: Centre, fault: Fault, step: Step) -> Iterator[str]:
    for attempt, call in _pairs(centre.attempts(step), centre.calls(step)):
        rows = centre.world.rows("SELECT * FROM recordings WHERE attempt = ?", attempt["attempt"])
        number = attempt["ordinal"]
        if call is None or call.answered_at is None:
            if rows and rows[0]["path"]:
                yield f"attempt {number} was not answered, and has a recording"
            continue
        is_dead = fault.kills_calls and call.invited_at < centre.struck_at
        if is_dead and call.answered_at > centre.struck_at:
            continue  # nobody was left to hear it
        if not rows:
            yield f"attempt {number} was answered, and has neither a recording nor a reason why not"
            continue
        if rows[0]["path"] is None:
            is_unwritten = is_dead and centre.struck_at - call.answered_at < 2 * UNWRITTEN_S
            if attempt["result"] == Result.TALKED and not is_unwritten:
                yield f"the recording of attempt {number} is missing: {rows[0]['missing']}"
            continue
        ended = min(call.ended_at or centre.struck_at, centre.struck_at) if is_dead else call.ended_at
        if ended is not None:
            yield from _heard(centre, fault, step, attempt, call, ended - call.answered_at)
    for raw in (centre.world.home / "recordings").glob("*/*.raw"):
        if any(raw.stem == attempt["attempt"] for attempt in centre.attempts(step)):
            yield f"{raw.name} was not made ready"


def _heard(
    centre: Centre, fault: Fault, step: Step, attempt: Row, call: NetworkCall, lasted_s: float
) -> Iterator[str]:
    number = attempt["ordinal"]
    length_s, beginning, end = _hear(centre.world.recording(attempt["attempt"]))
    least = (
        lasted_s * (1 - SOUND_SHARE)
        - SOUND_S
        - (fault.sleeps_s if call.ended_at and call.ended_at > centre.struck_at else 0.0)
    )
    least -= centre.starved_s + (UNWRITTEN_S if fault.kills_calls else 0.0)
    # Whoever plays sound and wakes up sends at once what was due while they slept.
    most = lasted_s + SOUND_S + fault.sleeps_s
    if not least <= length_s <= most:
        yield f"the recording of attempt {number} lasts {length_s:.1f} s, the call {lasted_s:.1f} s"
    if fault.kills_calls and call.invited_at > centre.struck_at:
        return  # who was cut off by the death of Asterisk does not know it, and talks on, into the next call
    if centre.starved_s > SOUND_S:
        return  # the laboratory may not have spoken in time
    for heard, where in ((beginning, "beginning"), (end, "end")):
        if length_s > 0.5 and heard[0].mark_hz != call.mark_hz:
            yield f"the person is not heard at the {where} of the recording of attempt {number}"
    is_talk = attempt["result"] == Result.TALKED and (attempt["ended_at"] - attempt["connected_at"]) > 1.0
    if is_talk and end[1].mark_hz != centre.phone(step).phone.mark_hz:
        yield f"the operator is not heard at the end of the recording of attempt {number}"


def _hear(path: Path) -> tuple[float, tuple[Heard, Heard], tuple[Heard, Heard]]:
    """How long a recording is, and who is heard at its beginning and at its end: the person, the operator."""
    with wave.open(str(path), "rb") as file:
        samples = array("h", file.readframes(file.getnframes()))
    if sys.byteorder == "big":
        samples.byteswap()
    some = int(HEAR_S * RATE_HZ) * 2
    first, last = samples[:some], samples[-some:]
    length_s = len(samples) / 2 / RATE_HZ
    return length_s, (hear(first[0::2]), hear(first[1::2])), (hear(last[0::2]), hear(last[1::2]))


# -- what people are told, and what they choose ------------------------------------------------


def _choices(centre: Centre, fault: Fault, step: Step) -> Iterator[str]:
    """What was chosen stands, and has been done."""
    attempts, calls = centre.attempts(step), centre.calls(step)
    if step.chooses is None or not attempts or not calls:
        return
    if not calls[0].keys:
        if not fault.kills_calls:
            yield "the person pressed no key"
        return
    if fault.kills_calls and step.name != "returned":
        return  # pressed on a line that was dead
    if attempts[0]["choice"] != step.chooses:
        yield f"the person chose {step.chooses}, the journal says {attempts[0]['choice']}"
    if step.chooses == "refuse":
        number = calls[0].number
        if not centre.world.rows("SELECT 1 FROM do_not_call WHERE number = ? AND source = 'ivr'", number):
            yield "the person wants no more calls, and is not on the do-not-call list"
    for note in (centre.world.home / "run" / "choices").glob("*.json"):
        if note.stem == attempts[0]["attempt"]:
            yield f"the note {note.name} was not cleared away"


def _silences(centre: Centre, fault: Fault, step: Step) -> Iterator[str]:
    """From the answer until an operator is there, or until the call ends."""
    attempts, calls = centre.attempts(step), centre.calls(step)
    if not step.is_spoken_to or fault.kills_calls or centre.starved_s > SOUND_S or not attempts or not calls:
        return
    first, call = attempts[0], calls[0]
    rows = centre.world.rows("SELECT path FROM recordings WHERE attempt = ?", first["attempt"])
    if call.answered_at is None or call.ended_at is None or not rows or not rows[0]["path"]:
        return
    until = first["connected_at"] if first["connected_at"] is not None else call.ended_at
    longest = _longest_silence(centre.world.recording(first["attempt"]), until - call.answered_at)
    if longest > SILENCE_S + fault.sleeps_s:
        yield f"the person heard nothing for {longest:.1f} s"


def _longest_silence(path: Path, length_s: float) -> float:
    """Of what the person heard in so much of a recording."""
    with wave.open(str(path), "rb") as file:
        samples = array("h", file.readframes(int(length_s * RATE_HZ)))
    if sys.byteorder == "big":
        samples.byteswap()
    heard, step = samples[1::2], RATE_HZ // 10
    longest = present = 0
    for begin in range(0, len(heard) - step + 1, step):
        is_quiet = sum(sample * sample for sample in heard[begin : begin + step]) < AUDIBLE_RMS**2 * step
        present = present + 1 if is_quiet else 0
        longest = max(longest, present)
    return longest * step / RATE_HZ


# -- journal and reports ----------------------------------------------------------------------


def _reports(centre: Centre, step: Step) -> Iterator[str]:
    (row,) = centre.world.rows("SELECT * FROM campaign_summary WHERE campaign = ?", step.name)
    attempts = centre.attempts(step)
    talked = sum(attempt["result"] == Result.TALKED for attempt in attempts)
    if (row["attempts"], row["talked"] or 0) != (len(attempts), talked):
        yield f"the report says {row['talked']} of {row['attempts']}, the journal {talked} of {len(attempts)}"
    for attempt in attempts:
        times = [
            attempt[name] for name in ("created_at", "rang_at", "answered_at", "connected_at", "ended_at")
        ]
        known = [at for at in times if at is not None]
        if known != sorted(known):
            yield f"the instants of attempt {attempt['ordinal']} are out of order: {known}"
    talks = centre.world.rows(
        "SELECT sum(state = 'on_call') AS times FROM agent_states WHERE agent = ?", centre.agent(step)["id"]
    )
    if (talks[0]["times"] or 0) != talked:
        yield f"the operator was on {talks[0]['times']} calls, the campaign had {talked}"


def _left_alive(
    centre: Centre,
    step: Step,
    channels: list[Row],
    health: Row | None,
    timers: dict[str, float],
) -> Iterator[str]:
    attempts = {attempt["attempt"] for attempt in centre.attempts(step)}
    if health is None:
        yield "the engine does not answer"
    elif health["calls"].get(step.name):
        yield f"on the floor there are still {health['calls'][step.name]}"
    elif not health["originating"]:
        yield f"nothing is originated: {health['why_not']}"
    for channel in channels:
        if any(attempt in channel["id"] for attempt in attempts):
            yield f"the channel {channel['name']} still lives in Asterisk"
    for timer in timers:
        kind, _, subject = timer.partition(":")
        if (kind == "attempt" and subject in attempts) or (
            kind == "agent" and subject == centre.agent(step)["id"]
        ):
            yield f"the timer {timer} is still in Redis"


# -- people ------------------------------------------------------------------------------------


def _operator(
    centre: Centre, fault: Fault, step: Step, channels: set[str], joined: set[str]
) -> Iterator[str]:
    agent, phone = centre.agent(step), centre.phone(step)
    if agent["state"] != "ready":
        yield f"the operator is {agent['state']} ({agent['reason']}), and should be ready"
    if step.leg == "rung":
        if agent["channel"] is not None:
            yield "the rung operator still has a line"
        return
    lines = [call for call in phone.calls if call.kind == "dial"]
    if not fault.kills_calls and (len(lines) != 1 or not lines[0].is_up):
        yield "the operator's line did not last"
    if agent["channel"] not in channels:
        yield "the operator's line is not in Asterisk"
    elif agent["channel"] not in joined:
        yield "the operator's line is not in its bridge"


def _contact(centre: Centre, step: Step, timers: dict[str, float]) -> Iterator[str]:
    (lead,) = centre.world.rows("SELECT * FROM leads WHERE campaign = ?", step.name)
    attempts = centre.attempts(step)
    if not attempts:
        yield "nobody was ever called"
        return
    last = attempts[-1]
    if last["result"] is None:
        return  # said above
    if last["result"] == Result.TALKED:
        if lead["finished"] != "talked":
            yield f"the contact was reached, but is not finished: due {lead['due']}"
    elif lead["finished"] is None:
        again_s = FAILED_REST_S if last["result"] == Result.FAILED else RETRY[Result(last["result"])].again_s
        assert again_s is not None
        if lead["due"] is None or abs(lead["due"] - last["ended_at"] - again_s) > CLOCKS_S:
            yield f"the contact is due at {lead['due']}, and should be {again_s:g} s after {last['ended_at']}"
        elif lead["due"] < time.time() - CLOCKS_S:
            yield "the contact is due, and was not called again"
        elif f"lead:{lead['id']}" not in timers:
            yield "the contact is to be called again, and no timer is set"
    for before, after in pairwise(attempts):
        rule = RETRY.get(Result(before["result"])) if before["result"] else None
        if before["result"] == Result.TALKED:
            yield f"the contact was spoken to, and called again ({len(attempts)} attempts)"
        elif rule is not None and rule.again_s is not None:
            waited = after["created_at"] - before["ended_at"]
            if waited < rule.again_s - 0.01:
                yield f"called again after {waited:.1f} s, by rule {rule.again_s:g} s"
