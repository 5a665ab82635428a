"""The pacer: how many calls to place ahead of operators, and which ringing ones to give up. The rule in words and formulas,
and the names of its figures: ``docs/pacing.md``.

1. A decision deals out the calls (:mod:`.turn`) by what the census knows (:mod:`.census`) and the budgets allow (:mod:`.budget`).
2. When operators have left, and more calls are likely to be abandoned than the budget bears, ringing calls are given up, those first that
   relieve most; an answer that crosses the cancel is abandoned, and that is reckoned with.
3. Nothing is decided anew while nothing has changed that could let another call be placed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dialer.core.pacing import facts as f
from dialer.core.pacing import knowledge as learnt
from dialer.core.pacing.book import Decision, Room
from dialer.core.pacing.budget import BASE, Budget
from dialer.core.pacing.census import Census
from dialer.core.pacing.ledger import DayCount, Ledger, day_of
from dialer.core.pacing.tables import Kind
from dialer.core.pacing.turn import Said, Turn

SHORT_S = 60.0
SHORT = 0.05
"""When this part of the operators (at least one) has left within so long, more than came, calls may be given up."""
CROSSING_S = 0.5
"""An answer within this time crosses our cancel."""
SETUP_S = 10.0
"""A call of which nobody told that it rings is taken to ring after so long."""
BEARS = (1.0, 0.5, 5.0)
"""What is borne before calls are given up: so many abandoned ones at least, or that part of the balance; and besides, of
the answers to come, so many times the target."""


class Pacer(Census):
    """Paces predictive campaigns. Told facts, asked for decisions; see :class:`~.book.Book`."""

    def __init__(self) -> None:
        super().__init__()
        self._budgets: dict[str, Budget] = {}
        self._bases: dict[str, float] = {}
        self._counted: set[str] = set()
        """Accounts whose ledger has changed."""
        self._day = -1
        self._last: Decision | None = None
        self._last_rooms: tuple[Room, ...] = ()
        self._margin = 0.0
        self._moved: list[tuple[float, int]] = []
        """Operators who left (1) or came (-1) of late."""
        self.said: dict[str, Said] = {}

    # -- told -------------------------------------------------------------------------------

    def _on_answered(self, fact: f.CallAnswered) -> None:
        super()._on_answered(fact)
        if (call := self.calls.get(fact.call)) is not None:
            self._counted.add(self.account(call.campaign))

    def _on_abandoned(self, fact: f.CallAbandoned) -> None:
        super()._on_abandoned(fact)
        if (call := self.calls.get(fact.call)) is not None:
            self._counted.add(self.account(call.campaign))

    def _on_campaign(self, fact: f.CampaignSet) -> None:
        super()._on_campaign(fact)
        self._counted.add(fact.account or fact.campaign)

    def _on_presence(self, fact: f.AgentChanged) -> None:
        known = self.operators.get(fact.agent)
        was_there = known is not None and known.presence != "away"
        if was_there != (fact.presence != "away"):
            self._moved.append((self.now, 1 if was_there else -1))
        super()._on_presence(fact)

    # -- asked ------------------------------------------------------------------------------

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """What is to be done now. Ask after each fact, and at least once a second."""
        self.advance(at)
        rooms = tuple(rooms)
        if (
            self.relief <= self._margin
            and self._last is not None
            and rooms == self._last_rooms
            and all(pool.idle <= pool.unserved for pool in self.pools)
        ):
            return self._last
        for room in rooms:
            self.known(room.campaign)
            self.kind(room.campaign)
        self.count()
        give_up: tuple[str, ...] = ()
        if self._moved and self._is_short(rooms):
            give_up = tuple(self._spare(rooms))
            self.count()
        turn = Turn(self, rooms)
        turn.take()
        decision = Decision(place=tuple(turn.place), give_up=give_up, reasons=turn.reasons())
        self._margin = turn.margin
        self._last = None if decision.place or give_up else decision
        self._last_rooms = rooms
        self.relief = 0.0
        return decision

    def _is_short(self, rooms: Sequence[Room]) -> bool:
        """Whether many operators have left of late, or all of one of the campaigns, however short they were there."""
        if not all(self.groups.of_campaign[room.campaign] for room in rooms):
            return True
        since = self.now - SHORT_S
        self._moved = [one for one in self._moved if one[0] >= since]
        gone = sum(count for _, count in self._moved)
        return gone >= max(1.0, SHORT * max([pool.operators for pool in self.pools], default=0))

    def budget(self, campaign: str) -> Budget:
        """What the campaign may risk, as of now: with the others of its account, if there are others."""
        day = day_of(self.now)
        if day != self._day:
            self._day = day
            self._counted.update(self.lanes)
        account = self.account(campaign)
        budget = self._budgets.get(account)
        if budget is None:
            budget = self._budgets[account] = Budget(0.03)
            budget.base = self._bases.get(account, BASE)
            self._counted.add(account)
        if account in self._counted:
            self._counted.discard(account)
            budget.target = self.campaigns[campaign].rules.abandonment.share
            ledger = self.ledgers[account]
            budget.follow(self.now, *ledger.totals(self.now), ledger.held_back(self.now))
        return budget

    def ahead(self, campaign: str, supposed: int = 0, more: int = 0) -> int:
        """How many of the campaign's calls no idle operator covers, even if all others who share them are answered first. *supposed*:
        calls that the pools count already, *more*: those that they do not."""
        calls = self.open[campaign]
        own = calls.ringing + calls.waiting + supposed
        covered = min(
            [pool.idle - (pool.unserved - own) for pool in self.groups.of_campaign[campaign]], default=0
        )
        return own + more - max(0, covered)

    def ahead_in_all(self, campaign: str, supposed: Mapping[str, int], more: int = 0) -> tuple[int, int]:
        """:meth:`ahead` of all campaigns of the account together, and how many of these calls were answered. *supposed*: of each; *more*:
        of *campaign*."""
        own = self.ahead(campaign, supposed.get(campaign, 0), more)
        waiting = min(own, self.open[campaign].waiting)
        for name in self.lanes[self.account(campaign)]:
            if name != campaign and name in self.open:
                others = max(0, self.ahead(name, supposed.get(name, 0)))
                own = max(0, own) + others
                waiting += min(others, self.open[name].waiting)
        return own, waiting

    def taken(self, campaign: str) -> float:
        """Operators who have the campaign's calls, or are expected to."""
        busy = sum(one.presence == "busy" and one.campaign == campaign for one in self.operators.values())
        return busy + self.open[campaign].waiting + self.expected(campaign)

    def expected(self, campaign: str) -> float:
        """Answers expected of the campaign's calls in flight."""
        out = 0.0
        for line in self._lines.values():
            if line.campaign == campaign and (curve := line.kind.curves.get(line.steps)) is not None:
                out += line.scale * sum([a * b for a, b in zip(line.counts[: line.limit], curve.shares) if a])
        return out

    # -- calls given up -------------------------------------------------------------------------

    def _spare(self, rooms: tuple[Room, ...]) -> list[str]:
        """Ringing calls that are better ended."""
        out: list[str] = []
        for room in rooms:
            name = room.campaign
            if pools := self.groups.of_campaign[name]:
                answers, lost = pools[0].expected()
                budget = self.budget(name)
                least, part, times = BEARS
                over = lost - times * budget.target * answers - max(least, part * budget.balance)
                if over > 0.0 and answers > 0.0:
                    out += self._spare_of(name, over, lost / answers)
            elif calls := self.open[name].ringing:  # nobody is at work: whoever answers is abandoned
                out += self._spare_of(name, float(calls), 1.0)
        return out

    def _spare_of(self, name: str, over: float, share: float) -> list[str]:
        """Calls to be ended so that *over* of them fewer are abandoned. *share*: of those who answer, if nothing is done."""
        ring_s_min = self.campaigns[name].rules.ring_s_min
        found = []
        for id_, leg in self._legs.items():
            line = leg.line
            if not leg.is_ringing or line.campaign != name:
                continue
            call = self.calls[id_]
            rang_at = call.placed_at + SETUP_S if call.rang_at is None else call.rang_at
            age = self._counted_at - leg.slot
            if self.now - rang_at < ring_s_min or not 0 <= age < line.limit:
                continue
            curve = line.kind.curves[line.steps]
            relief = line.scale * (curve.shares[age] * share - curve.hazard[age] * CROSSING_S)
            if relief > 0.0:
                found.append((relief, id_))
        found.sort(key=lambda one: (-one[0], one[1]))
        out = []
        for relief, id_ in found:
            if over <= 0.0:
                break
            over -= relief
            self._silence(self._legs[id_])
            out.append(id_)
        return out

    # -- kept -------------------------------------------------------------------------------

    def knowledge(self) -> dict[str, str]:
        """What was learnt, as JSON, by the word that campaigns share it under, or ``campaign:<id>``."""
        bases = {**self._bases, **{name: budget.base for name, budget in self._budgets.items()}}
        out = {}
        for word, kind in self.kinds.items():
            own = {name: base for name, base in bases.items() if self.name(name) == word}
            out[word] = learnt.written(kind.answers, kind.times, self.tables.leaving, own)
        return out

    def take_up(
        self, ledgers: Mapping[str, Iterable[DayCount]], knowledge: Mapping[str, str], at: float
    ) -> None:
        """Go on where another pacer ended: its counts, by account, and what it had learnt. What cannot be read is left
        out: it is learnt anew."""
        self.advance(at)
        for account, days in ledgers.items():
            kept = self.ledgers.get(account)
            rules = kept.rules if kept is not None else self.known(account).rules.abandonment
            self.ledgers[account] = Ledger(rules, days)
            self._budgets.pop(account, None)
        for word, text in knowledge.items():
            found = learnt.read(text)
            if found is None:
                continue
            kind = self.kinds[word] = Kind()
            learnt.restore(found, kind.answers, kind.times, self.tables.leaving)
            self._bases.update(found.bases)
        self._budgets.clear()
        self.forget_tables()
