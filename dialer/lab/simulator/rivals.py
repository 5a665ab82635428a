"""Pacing rules of others, written anew from their published descriptions, to be compared with ours.

They know what a :class:`~dialer.core.pacing.book.Book` knows, and serve one campaign at a time, as they do at home. What is described
in words is read like this:

1. *Idle* is who could be given a person at once; *not paused*, as VICIdial says, is who is idle or in a call: its operators are
   paused in wrap-up.
2. A rule that decides every so often decides when it is next asked after that; when it was last is its only clock.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from dialer.core.ids import CampaignId
from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Book, Decision, Room
from dialer.core.pacing.progressive import Demand, place

NOTHING = Decision()


class Progressive(Book):
    """A call for each idle operator who has none in flight or waiting. Of the rules here the only one that knows who works for what."""

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """One for one."""
        idle = [one for one in self.operators.values() if one.presence == "idle"]
        if not idle or not rooms:
            return NOTHING
        if len(rooms) == 1 and not any(one.campaigns for one in idle):
            return self._place(rooms, len(idle) - self._ahead())
        demands = [
            Demand(
                campaign=CampaignId(room.campaign),
                unserved=self.unserved(room.campaign),
                room=room.calls,
                priority=room.priority,
            )
            for room in sorted(rooms, key=lambda one: one.priority)
        ]
        ready = Counter(tuple(CampaignId(name) for name in sorted(one.campaigns)) for one in idle)
        return Decision(place=tuple(campaign for campaign, _ in place(demands, ready)))

    def _ahead(self) -> int:
        """Calls that may yet need an operator."""
        return sum(not call.agent and not call.is_abandoned for call in self.calls.values())

    def _place(self, rooms: Sequence[Room], wanted: int) -> Decision:
        """So many calls, of the first campaign that has any to place."""
        room = min((one for one in rooms if one.calls > 0), key=lambda one: one.priority, default=None)
        if room is None or wanted <= 0:
            return NOTHING
        return Decision(place=(room.campaign,) * min(wanted, room.calls))


class Ratio(Progressive):
    """*ratio* calls in flight or waiting for each idle operator."""

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """So many for each who is idle."""
        if not rooms:
            return NOTHING
        idle = sum(one.presence == "idle" for one in self.operators.values())
        return self._place(rooms, math.floor(self.ratio * idle) - self._ahead())


class Level(Progressive):
    """*level* calls up, conversations among them, for each operator who is not paused."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """Up to the level."""
        return self._place(rooms, self._missing()) if rooms else NOTHING

    def _missing(self) -> int:
        return round(self.level * self._working()) - sum(
            not call.is_abandoned for call in self.calls.values()
        )

    def _working(self) -> int:
        return sum(one.presence in ("idle", "busy") for one in self.operators.values())


class Vicidial(Level):
    """VICIdial's adaptive methods with their defaults.

    *share*: the limit of dropped calls. *method*: what happens above it. *latest_hhmm*: the latest time to call at, which
    ``tapered`` divides by; *zone_h*: the server's zone, in hours east of Greenwich.
    """

    PLACES_S, ADAPTS_S, RECOUNTS_S = 2.5, 15.0, 60.0
    SAMPLES = 15
    LEVEL_MAX = 3.0

    def __init__(
        self,
        share: float = 0.03,
        method: Literal["hard_limit", "average", "tapered"] = "hard_limit",
        *,
        latest_hhmm: int = 2100,
        zone_h: float = 0.0,
    ) -> None:
        super().__init__(1.0)
        self.share = share
        self.method = method
        self.latest_hhmm = latest_hhmm
        self.zone_h = zone_h
        self._places_at = self._samples_at = self._adapts_at = self._recounts_at = -math.inf
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=self.SAMPLES)
        self._answers: deque[float] = deque()
        self._drops: deque[float] = deque()
        self._answered = self._dropped = 0
        self._today = (0, 0)
        """Answered and dropped, as they were counted last."""

    def tell(self, fact: f.AnyFact) -> None:
        """Take note, and of answers and drops also when they were."""
        call = self.calls.get(getattr(fact, "call", ""))
        if call is None:
            pass
        elif isinstance(fact, f.CallAnswered) and call.answered_at is None:
            self._answered += 1
            self._answers.append(fact.at)
        elif isinstance(fact, f.CallAbandoned) and not call.is_abandoned:
            self._dropped += 1
            self._drops.append(fact.at)
        super().tell(fact)

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """Every 2.5 s up to the level, which is another every 15 s."""
        if at >= self._samples_at + 1.0:
            self._samples_at = at
            ready = sum(one.presence == "idle" for one in self.operators.values())
            waiting = sum(call.is_waiting for call in self.calls.values())
            self._samples.append((ready, waiting, self._working()))
        if at >= self._recounts_at + self.RECOUNTS_S:
            self._recounts_at = at
            self._today = (self._answered, self._dropped)
        if self._adapts_at == -math.inf:
            self._adapts_at = at
        elif at >= self._adapts_at + self.ADAPTS_S:
            self._adapts_at = at
            self._adapt(at)
        if not rooms or at < self._places_at + self.PLACES_S:
            return NOTHING
        self._places_at = at
        return self._place(rooms, self._missing())

    def _adapt(self, at: float) -> None:
        ready, waiting, working = (sum(column) for column in zip(*self._samples))
        if working:
            self.level *= 1.0 + (ready - waiting) / working
        self.level = min(self.LEVEL_MAX, max(1.0, self.level))
        for times in (self._answers, self._drops):
            while times and times[0] <= at - 60.0:
                times.popleft()
        if len(self._answers) > 20 and len(self._drops) > 0.5 * len(self._answers):
            self.level /= 2.0
        answered, dropped = self._today
        if answered > 50 and dropped > self.share * answered:
            if self.method == "hard_limit":
                self.level = 1.0
            elif self.method == "average":
                self.level /= 2.0
            else:
                now = datetime.fromtimestamp(at, UTC) + timedelta(hours=self.zone_h)
                left = (self.latest_hhmm - (now.hour * 100 + now.minute)) / 1000.0
                self.level *= min(1.0, left)
        self.level = max(1.0, self.level)


class Omnileads(Progressive):
    """The predictive pacing of OMniLeads 3. *share*: the maximum of abandoned calls; *aggressiveness*: γ while all is well."""

    ALPHA = 0.1
    ANSWERS_MIN = 0.05
    RING_S = 15.0
    WARM_ANSWERS = 50
    GAMMA_MIN = 0.2
    TICKS_ABOVE = 5

    def __init__(self, share: float = 0.03, aggressiveness: float = 1.0) -> None:
        super().__init__()
        self.share = share
        self.aggressiveness = aggressiveness
        self.answer_share = 1.0
        self.dropped = 0.0
        self.ring_s, self._rings = self.RING_S, 0
        self.talk_s, self._talks = 0.0, 0
        self._answered = 0
        self._above = 0
        self._is_progressive = False
        self._ticked_at = -math.inf

    def tell(self, fact: f.AnyFact) -> None:
        """Take note, and average."""
        call = self.calls.get(getattr(fact, "call", ""))
        if call is not None:
            if isinstance(fact, f.CallAnswered) and call.answered_at is None:
                self._answered += 1
                self.answer_share += self.ALPHA * (1.0 - self.answer_share)
                if call.rang_at is not None:
                    self._rings += 1
                    self.ring_s += (fact.at - call.rang_at - self.ring_s) / self._rings
            elif isinstance(fact, f.CallAbandoned) and not call.is_abandoned:
                self.dropped += self.ALPHA * (1.0 - self.dropped)
            elif isinstance(fact, f.CallServed) and not call.agent:
                self.dropped -= self.ALPHA * self.dropped
            elif isinstance(fact, f.CallEnded):
                if call.answered_at is None:
                    if not fact.is_ours:
                        self.answer_share -= self.ALPHA * self.answer_share
                elif call.agent:
                    self._talks += 1
                    self.talk_s += (fact.at - call.answered_at - self.talk_s) / self._talks
        super().tell(fact)

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """Once a second."""
        if not rooms or at < self._ticked_at + 1.0:
            return NOTHING
        self._ticked_at = at
        self._above = self._above + 1 if self.dropped > self.share else 0
        if self._above >= self.TICKS_ABOVE:
            self._is_progressive = True
        elif self.dropped <= 0.8 * self.share:
            self._is_progressive = False
        if self._answered < self.WARM_ANSWERS or self._is_progressive:
            return super().decide(at, rooms)
        free, soon = 0, 0.0
        for one in self.operators.values():
            if one.presence == "idle":
                free += 1
            elif one.presence == "busy":
                left_s = max(1.0, self.talk_s - (at - one.since))
                soon += 1.0 - math.exp(-self.ring_s / left_s)
        share = max(self.ANSWERS_MIN, self.answer_share)
        ringing = self._ahead()
        return self._place(rooms, math.floor((free + soon - ringing * share) / share * self._gamma()))

    def _gamma(self) -> float:
        half = 0.5 * self.share
        if self.dropped <= half:
            return self.aggressiveness
        if self.dropped >= self.share:
            return self.GAMMA_MIN
        part = (self.dropped - half) / half
        return self.aggressiveness + part * (self.GAMMA_MIN - self.aggressiveness)


def rival(name: str, share: float = 0.03) -> Book:
    """A rule by its name: ``progressive``, ``ratio R``, ``level R``, ``vicidial hard_limit`` (``average``, ``tapered``),
    ``omnileads``. *share*: the most abandoned calls that it is to allow. Raises ValueError: there is no such rule."""
    match name.split():
        case ["progressive"]:
            return Progressive()
        case ["ratio", ratio]:
            return Ratio(float(ratio))
        case ["level", level]:
            return Level(float(level))
        case ["vicidial", ("hard_limit" | "average" | "tapered") as method]:
            return Vicidial(share, method)
        case ["omnileads"]:
            return Omnileads(share)
    raise ValueError(f"no pacing rule {name!r}")
