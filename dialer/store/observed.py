"""What people and operators did in a campaign, as the journal has it: the raw matter of a simulated day.

1. Only the newest :data:`ATTEMPTS_MAX` attempts of the period are looked at, by an index: the answer costs the
   same in a journal of any size.
2. A call that we gave up early, or that failed by a fault of ours, says nothing of the person: it is left out.
3. A sample is a sample: nothing is smoothed, no outlier is cut.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import datetime, tzinfo
from typing import Generic, TypeVar

import msgspec

from dialer.core.values import ABANDONED_RESULTS, AgentState, Result

Key = TypeVar("Key", int, str)

ATTEMPTS_MAX = 50_000
ORDINAL_MAX = 6
"""Later attempts count with this one."""
_SAYS_NOTHING = (Result.FAILED, Result.REROUTED, Result.LOST)
_OURS = ("pacing", "stopped")
_WRAP_UP_SLACK_S = 1.0
"""A wrap-up begins within this time of the end of its call."""

_ATTEMPTS = """
SELECT a.created_at, a.rang_at, a.answered_at, a.connected_at, a.ended_at, a.ending, a.result, a.ordinal, p.kind, a.agent
FROM attempts a INDEXED BY attempts_of_campaign JOIN phones p ON p.id = a.phone
WHERE a.campaign = :campaign AND a.created_at >= :since AND a.created_at < :until AND a.state = 'ended' AND a.direction = 'out'
ORDER BY a.created_at DESC LIMIT :most
"""
_WRAP_UP = """
SELECT ended_at - began_at FROM agent_states
WHERE agent = :agent AND began_at >= :ended - :slack AND began_at < :ended + :slack AND state = :wrap_up
AND ended_at IS NOT NULL ORDER BY began_at LIMIT 1
"""


class Chance(msgspec.Struct, frozen=True):
    """Of so many *tried*, people *answered* so many."""

    tried: int = 0
    answered: int = 0

    @property
    def share(self) -> float:
        """Of those tried; 0 if none were."""
        return self.answered / self.tried if self.tried else 0.0


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen from *since* on. Lengths in seconds, oldest first.

    *results*: how calls ended that nobody answered. *hours*: by the clock of the zone that was asked for.
    *setup_s*: until the phone rang. *answer_s*: from then to the answer. *refuse_s*: from the beginning of a call to its
    end, by result, where no phone rang. *kept_waiting*: how long those waited who hung up before an operator was there.
    """

    campaign: str
    since: float
    until: float
    chance: Chance = Chance()
    hours: dict[int, Chance] = {}
    kinds: dict[str, Chance] = {}
    ordinals: dict[int, Chance] = {}
    results: dict[Result, int] = {}
    setup_s: tuple[float, ...] = ()
    answer_s: tuple[float, ...] = ()
    talk_s: tuple[float, ...] = ()
    wrap_up_s: tuple[float, ...] = ()
    kept_waiting_s: tuple[float, ...] = ()


class _Counts(Generic[Key]):
    def __init__(self) -> None:
        self._tried: Counter[Key] = Counter()
        self._answered: Counter[Key] = Counter()

    def add(self, key: Key, *, is_answered: bool) -> None:
        self._tried[key] += 1
        self._answered[key] += is_answered

    def chances(self) -> dict[Key, Chance]:
        return {key: Chance(self._tried[key], self._answered[key]) for key in sorted(self._tried)}


def observe(
    connection: sqlite3.Connection,
    campaign: str,
    since: float,
    until: float,
    *,
    zone: tzinfo | None = None,
    most: int = ATTEMPTS_MAX,
) -> Observed:
    """What the journal has of calls of *campaign* that were begun from *since* until *until*.

    *zone*: of the hours; None: the machine's own.
    """
    rows = connection.execute(
        _ATTEMPTS, {"campaign": campaign, "since": since, "until": until, "most": most}
    ).fetchall()
    hours, kinds, ordinals = _Counts[int](), _Counts[str](), _Counts[int]()
    results: Counter[Result] = Counter()
    setup_s, answer_s, talk_s, wrap_up_s, waits_s = [], [], [], [], []
    tried = answers = 0
    for created, rang, answered, connected, ended, ending, told, ordinal, kind, agent in reversed(rows):
        result = Result(told)
        if result in _SAYS_NOTHING or (ending in _OURS and answered is None):
            continue
        is_answered = result is not Result.MACHINE and (answered is not None or result in ABANDONED_RESULTS)
        tried += 1
        answers += is_answered
        hours.add(datetime.fromtimestamp(created, zone).hour, is_answered=is_answered)
        kinds.add(kind, is_answered=is_answered)
        ordinals.add(min(ordinal, ORDINAL_MAX), is_answered=is_answered)
        if not is_answered:
            results[result] += 1
        if rang is not None:
            setup_s.append(rang - created)
            if is_answered and answered is not None:
                answer_s.append(answered - rang)
        if connected is not None and ended is not None:
            talk_s.append(ended - connected)
            wrapped = connection.execute(
                _WRAP_UP,
                {"agent": agent, "ended": ended, "slack": _WRAP_UP_SLACK_S, "wrap_up": AgentState.WRAP_UP},
            ).fetchone()
            if wrapped is not None:
                wrap_up_s.append(wrapped[0])
        elif result is Result.HUNG_UP and answered is not None and ended is not None:
            waits_s.append(ended - answered)
    return Observed(
        campaign=campaign,
        since=since,
        until=until,
        chance=Chance(tried, answers),
        hours=hours.chances(),
        kinds=kinds.chances(),
        ordinals=ordinals.chances(),
        results=dict(sorted(results.items())),
        setup_s=tuple(setup_s),
        answer_s=tuple(answer_s),
        talk_s=tuple(talk_s),
        wrap_up_s=tuple(wrap_up_s),
        kept_waiting_s=tuple(waits_s),
    )
