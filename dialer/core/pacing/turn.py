"""One decision: whose turn it is, what refuses the next call, and how that is told.

1. A call that an idle operator covers is always placed.
2. Otherwise the next call is placed while its risk is at most θ, unless the campaign has fewer operators than it must have, owes
   too much, or the hard cap could break: if all calls ahead of idle operators were answered now, and abandoned (with those of the other
   campaigns of its account).
3. Campaigns take their turns by priority; at equal priority the one with the fewest operators taken or expected to be goes first. Who is
   refused by its own risk does not find its operators taken by one with more: that one's θ is lowered to its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dialer.core.pacing.book import Limit, Reason, Room
from dialer.core.pacing.evidence import lottery

if TYPE_CHECKING:
    from dialer.core.pacing.pacer import Pacer

CEILING = 0.1
"""θ is not lowered for another's sake below this part of the target."""
FEW_OPERATORS = 9
"""They are told how little a share says."""
FIGURES_S = 1.0
NOTE_S = 20.0
"""Figures and notes are not older than that."""


class Said:
    """What was said last of a campaign."""

    def __init__(self) -> None:
        self.limit: Limit = ""
        self.figures_at = self.note_at = -math.inf
        self.figures: dict[str, float] = {}
        self.note = ""


class Turn:
    """One decision: who places how many."""

    def __init__(self, pacer: Pacer, rooms: tuple[Room, ...]) -> None:
        self.pacer = pacer
        self.rooms = rooms
        self.place: list[str] = []
        self.margin = 0.0
        """So many operators fewer taken would not change what was refused."""
        self._placed = {room.campaign: 0 for room in rooms}
        self._limits: dict[str, Limit] = {}
        self._risks: dict[str, float] = {}
        self._thetas: dict[str, float] = {}
        self._refused: list[tuple[int, float, float, str]] = []
        self._taken: dict[str, float] = {}

    def take(self) -> None:
        """Deal out the calls."""
        pacer = self.pacer
        left = {room.campaign: room for room in self.rooms}
        if not left:
            return
        before = [(pool, pool.here()) for pool in pacer.pools]
        several = len(left) > 1
        if several:
            self._taken = {name: pacer.taken(name) for name in left}
        margin = math.inf
        while left:
            if several and len(left) > 1:
                room = min(
                    left.values(), key=lambda one: (one.priority, self._taken[one.campaign], one.campaign)
                )
            else:
                room = next(iter(left.values()))
            name = room.campaign
            limit = room.limit if self._placed[name] >= room.calls else self._refusal(room)
            if limit:
                self._limits[name] = limit
                del left[name]
                margin = min(margin, self._ease(name, limit))
                continue
            self.place.append(name)
            self._placed[name] += 1
            curve, scale = pacer.next_of(name)
            if several:
                self._taken[name] += curve.share * scale
            for pool in pacer.groups.counting[name]:
                pool.suppose(curve, scale)
        self.margin = margin
        for pool, here in before:
            pool.back(here)

    def _ease(self, name: str, limit: Limit) -> float:
        """So many operators fewer taken would still leave the campaign refused."""
        pools = self.pacer.groups.of_campaign[name]
        if limit not in ("risk", "budget") or name not in self._risks or any(pool.is_exact for pool in pools):
            return 0.0
        return math.log(self._risks[name] / self._thetas[name])

    def _refusal(self, room: Room) -> Limit:
        """Why the campaign places no call more; empty: it does."""
        pacer, name = self.pacer, room.campaign
        pools = pacer.groups.of_campaign[name]
        if not pools:
            return "no_operators"
        if all(pool.idle > pool.unserved for pool in pools):
            return ""
        known = pacer.campaigns[name]
        rules = known.rules
        if not known.is_predictive:
            return "not_predictive"
        if pools[0].operators < rules.operators_min:
            return "too_few_operators"
        budget = pacer.budget(name)
        if budget.is_deep:
            return "budget"
        cap = rules.abandonment.share if rules.abandonment.cap is None else rules.abandonment.cap
        if cap < 1.0:
            ahead, waiting = pacer.ahead_in_all(name, self._placed, 1)
            budget.place(ahead, cap)
            if budget.abandoned + ahead > cap * (budget.answered + ahead - waiting) + 1e-9:
                return "cap"
        theta = self._thetas[name] = self._lowered(room, budget.theta, budget.target)
        curve, scale = pacer.next_of(name)
        risk = self._risks[name] = max([pool.risk(curve, scale) for pool in pools])
        if risk <= theta:
            return ""
        if len(self.rooms) > 1:
            self._refused.append((room.priority, self._taken[name], theta, name))
        return "budget" if budget.balance < 0.0 else "risk"

    def _lowered(self, room: Room, theta: float, target: float) -> float:
        """θ, so that nobody who goes first, or has less, finds the operators taken."""
        for priority, taken, other, name in self._refused:
            if priority < room.priority or (priority == room.priority and taken < self._taken[room.campaign]):
                pools = self.pacer.groups.of_campaign[name]
                if any(pool in pools for pool in self.pacer.groups.of_campaign[room.campaign]):
                    theta = min(theta, max(other, CEILING * target))
        return theta

    # -- explained ----------------------------------------------------------------------------

    def reasons(self) -> tuple[Reason, ...]:
        """Why each campaign got as many. The figures are up to a second old."""
        out = []
        now = self.pacer.now
        for room in self.rooms:
            name, limit = room.campaign, self._limits[room.campaign]
            said = self.pacer.said.get(name)
            if said is None:
                said = self.pacer.said[name] = Said()
            if said.limit != limit or not said.figures_at <= now < said.figures_at + FIGURES_S:
                said.limit, said.figures_at, said.figures = limit, now, self._figures(name)
            if not said.note_at <= now < said.note_at + NOTE_S:
                said.note_at, said.note = now, self._note(name)
            out.append(
                Reason(
                    campaign=name,
                    placed=self._placed[name],
                    limit=limit,
                    figures=said.figures,
                    note=said.note,
                )
            )
        return tuple(out)

    def _figures(self, name: str) -> dict[str, float]:
        pacer = self.pacer
        budget = pacer.budget(name)
        calls = pacer.open.get(name)
        kind = pacer.kind(name)
        out: dict[str, float] = {
            "operators": 0.0,
            "idle": 0.0,
            "busy": 0.0,
            "wrap_up": 0.0,
            "in_flight": 0.0 if calls is None else calls.ringing,
            "waiting": 0.0 if calls is None else calls.waiting,
        }
        if pools := pacer.groups.of_campaign.get(name):
            pool = pools[0]
            out["operators"], out["idle"], out["wrap_up"] = pool.operators, pool.idle, pool.wrap_ups
            out["busy"] = pool.operators - pool.idle - pool.wrap_ups
            out["expected_answers"] = pool.answers
        if name in self._risks:
            out["risk"], out["risk_max"] = self._risks[name], self._thetas[name]
        rules = pacer.campaigns[name].rules.abandonment
        cap = rules.share if rules.cap is None else rules.cap
        if cap < 1.0:
            out["cap_room"] = max(
                0.0,
                (cap * budget.answered - budget.abandoned) / (1.0 - cap)
                - (pacer.ahead_in_all(name, {})[0] if pools else 0),
            )
        out["budget"] = budget.balance
        out["stock"] = budget.stock
        out["target"] = budget.target
        out["answered"], out["abandoned"] = budget.answered, budget.abandoned
        out["share"] = budget.abandoned / budget.answered if budget.answered else 0.0
        curve, scale = pacer.next_of(name)
        rates = kind.answers.interval(curve.share * scale)
        out["answer_rate"], out["answer_rate_low"], out["answer_rate_high"] = rates
        out["level"] = kind.level
        return out

    def _note(self, name: str) -> str:
        """What people should know who read the figures."""
        pacer = self.pacer
        pools = pacer.groups.of_campaign.get(name)
        budget = pacer.budget(name)
        rules = pacer.campaigns[name].rules.abandonment
        if not pools:
            return ""
        said = lottery(budget.answered, budget.target, rules.confidence)
        if budget.is_held_back and budget.balance <= 0.0:
            return said.bound_note()
        if pools[0].operators < FEW_OPERATORS or budget.answered < said.enough // 4:
            return said.note()
        return ""
