"""The census: everybody on the floor, counted by what they will be when somebody answers.

1. Time is cut into ticks of one second. Within a tick each fact changes the sums of the pools that it touches by one row; at
   a tick everybody has grown older, and is counted anew.
2. Rows come from tables that are rebuilt every minute, or when the level of answers has moved by more than can be scaled.
3. Operators of the same ``campaigns`` are a team. A campaign's own pool is the teams that serve it, with the calls that nobody else can
   serve; its whole pool is all teams that are connected by campaigns they share. (By Hall's theorem a person is left over when some set of
   campaigns has more calls than operators who serve any of them; these two sets are looked at.)
4. A call counts no longer than the campaign rings, a while added; a person who waits no longer than may be waited, and a while added:
   facts may be lost. A call that has ended is not begun anew by a fact that comes late.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dialer.core.pacing import facts as f
from dialer.core.pacing.answers import AGES, factor
from dialer.core.pacing.book import Book
from dialer.core.pacing.counted import Groups, Leg, Line, Open, Seat
from dialer.core.pacing.outlook import Curve, Pool, Row, Team
from dialer.core.pacing.spells import BIN_OF, LAST
from dialer.core.pacing.tables import Kind, Tables

SCALES = (0.87, 1.15)
"""Within these a row is scaled by the level instead of built anew."""
WAIT_SPARE_S = 3.0
RING_SPARE_S = 20.0
"""For setting up the call, and for facts that come late."""
ENDED_KEPT = 4096
KEPT_S = 6 * 3600.0
"""A call is not known for longer, whatever the facts say."""


class Census(Book):
    """The book, with everybody counted."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = Tables()
        self.kinds: dict[str, Kind] = {}
        self._kind_of: dict[str, Kind] = {}
        self.now = -math.inf
        self.groups = Groups((), ())
        self.open: dict[str, Open] = {}
        self.is_stale = True
        """The sums do not hold: all must be counted anew."""
        self.relief = math.inf
        """By how many operators fewer are expected to be taken than when it was last looked."""
        self._lines: dict[tuple[str, int], Line] = {}
        self._legs: dict[str, Leg] = {}
        self._waiting: dict[str, Leg] = {}
        self._teams: dict[Team, dict[str, Seat]] = {}
        self._is_seated = False
        self._counted_at = 0
        self._count_due = 0
        self._ended: dict[str, None] = {}
        self._tick = 0
        self._grouped_by: frozenset[Team] | None = None
        self._handlers: dict[type, Callable[..., None]] = {
            f.CampaignSet: self._on_campaign,
            f.AgentChanged: self._on_presence,
            f.CallPlaced: self._on_placed,
            f.CallAnswered: self._on_answered,
            f.CallServed: self._on_served,
            f.CallAbandoned: self._on_abandoned,
            f.CallEnded: self._on_ended,
        }

    # -- told -------------------------------------------------------------------------------

    def tell(self, fact: f.AnyFact) -> None:
        """Take note of what happened."""
        self.advance(fact.at)
        handler = self._handlers.get(type(fact))
        if handler is None:
            super().tell(fact)
        else:
            handler(fact)

    def _on_campaign(self, fact: f.CampaignSet) -> None:
        super().tell(fact)
        self.forget_tables()

    def _on_presence(self, fact: f.AgentChanged) -> None:
        known = self.operators.get(fact.agent)
        if known is None:
            before, since, team, whose = "away", fact.at, fact.campaigns, ""
        else:
            before, since, team, whose = known.presence, known.since, known.campaigns, known.campaign
        super().tell(fact)
        one = self.operators[fact.agent]
        if before != one.presence:
            self._learn(before, one.presence, max(0.0, one.since - since), whose)
        if "away" in (before, one.presence) or team != one.campaigns:
            self.is_stale = True
            self._is_seated = False
        self.relief = math.inf
        if self.is_stale:
            self._is_seated = False
            return
        seat = self._teams[team][fact.agent]
        before_row = seat.row
        self._sit(seat)
        row = self._row_of(seat)
        idle = (one.presence == "idle") - (before == "idle")
        wrap_ups = (one.presence == "wrap_up") - (before == "wrap_up")
        for pool in seat.pools:
            pool.idle += idle
            pool.wrap_ups += wrap_ups
            pool.swap(before_row, row)

    def _learn(self, before: str, now: str, lasted: float, campaign: str) -> None:
        if before == "idle":
            self.tables.leaving.waited(lasted, now == "away")
        elif before == "busy":
            self.kind(campaign).times.talked(lasted, now == "wrap_up")
            if now != "wrap_up":
                self.tables.leaving.finished(now == "away")
        elif before == "wrap_up":
            self.kind(campaign).times.wrap_up.add(lasted)
            self.tables.leaving.finished(now == "away")

    def _on_placed(self, fact: f.CallPlaced) -> None:
        if fact.call in self.calls or fact.call in self._ended:
            return
        super().tell(fact)
        kind = self.kind(fact.campaign)
        steps = kind.answers.factor_of(fact.kind, fact.attempt)
        kind.steps += 0.05 * (steps - kind.steps)
        kind.answers.placed(factor(steps))
        line = self._lines.get((fact.campaign, steps))
        if line is None:
            line = self._lines[fact.campaign, steps] = Line(fact.campaign, kind, steps)
            self.is_stale = True
        line.counts[0] += 1
        self._legs[fact.call] = Leg(line, self._tick)
        if not self.is_stale:
            self._count_line(line, 0, 1)

    def _on_answered(self, fact: f.CallAnswered) -> None:
        call = self.calls.get(fact.call)
        if call is None or call.answered_at is not None:
            return
        super().tell(fact)
        leg = self._legs[fact.call]
        age = self._silence(leg)
        if age is not None:
            leg.line.kind.answers.answer(age, call.kind, call.attempt)
        if call.is_waiting:
            self._waiting[fact.call] = leg
            if not self.is_stale:
                self._count_waiting(leg, 1)

    def _on_served(self, fact: f.CallServed) -> None:
        call, one = self.calls.get(fact.call), self.operators.get(fact.agent)
        is_new = call is not None and not call.agent
        super().tell(fact)
        self._no_more(fact.call)
        if is_new and call is not None and one is not None and one.presence == "idle":
            # What told that they are busy may be lost, or late.
            self._on_presence(
                f.AgentChanged(
                    at=fact.at,
                    agent=fact.agent,
                    presence="busy",
                    campaigns=one.campaigns,
                    campaign=call.campaign,
                )
            )

    def _on_abandoned(self, fact: f.CallAbandoned) -> None:
        super().tell(fact)
        self._no_more(fact.call)

    def _on_ended(self, fact: f.CallEnded) -> None:
        call = self.calls.get(fact.call)
        self._ended[fact.call] = None
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        if call is None:
            return
        super().tell(fact)
        leg = self._legs[fact.call]
        age = self._silence(leg)
        if age is not None:
            leg.line.kind.answers.end(age, call.kind, call.attempt, fact.is_ours)
        self._no_more(fact.call)
        del self._legs[fact.call]

    def _silence(self, leg: Leg) -> int | None:
        """It rings no more. Returns its age, if that can be."""
        if not leg.is_ringing:
            return None
        leg.is_ringing = False
        age = self._tick - leg.slot
        if not 0 <= age < AGES:
            return None
        leg.line.counts[age] -= 1
        if not self.is_stale:
            self._count_line(leg.line, max(0, self._counted_at - leg.slot), -1)
        return age

    def _no_more(self, call: str) -> None:
        """It needs no operator who is not counted already."""
        leg = self._legs.get(call)
        if leg is None:
            return
        self._silence(leg)
        if self._waiting.pop(call, None) is not None:
            if not self.is_stale:
                self._count_waiting(leg, -1)
            self.relief += 1.0

    # -- counted ----------------------------------------------------------------------------

    def _count_line(self, line: Line, age: int, count: int) -> None:
        if age >= line.limit:
            return
        curve = line.kind.curves[line.steps]
        row, flow, scale = curve.rows[age], curve.flows[age], line.scale
        if count < 0:
            self.relief += row[len(flow) - 1] * scale
        self.open[line.campaign].ringing += count
        for pool in self.groups.counting[line.campaign]:
            pool.unserved += count
            pool.add(row, count, scale)
            pool.expect(flow, count * scale)

    def _count_waiting(self, leg: Leg, count: int) -> None:
        campaign = leg.line.campaign
        self.open[campaign].waiting += count
        for pool in self.groups.counting[campaign]:
            pool.unserved += count
            pool.add(leg.line.kind.waiting, count)

    def _sit(self, seat: Seat) -> None:
        """Their presence is another."""
        one = seat.one
        seat.since = one.since
        seat.rows = None if one.presence == "idle" else self.kind(one.campaign).rows[one.presence]

    def _row_of(self, seat: Seat) -> Row:
        if seat.rows is None:
            seat.row = self.tables.idle
        else:
            one = seat.one
            seat.row = self.tables.row(self.kind(one.campaign), one.presence, int(self.now - seat.since))
        return seat.row

    def count(self) -> None:
        """Count everybody anew, if need be."""
        if not self.is_stale:
            return
        self.is_stale = False
        if self.tables.is_due(self.now):
            self._forget_calls()
            wait_s = min((one.wait_s for one in self.campaigns.values()), default=2.0)
            self.tables.rebuild(self.kinds.values(), wait_s, self.now)
        self._counted_at = self._tick
        self._seat()
        self._group(frozenset(self._teams))
        points = len(self.tables.grid.instants)
        for pool in self.pools:
            pool.clear(points, sum(len(self._teams[team]) for team in pool.teams))
        self._count_operators()
        self._count_calls()
        for pool in self.pools:
            pool.variation = max([self.kind(name).answers.variation for name in pool.campaigns])
        most = max((pool.operators for pool in self.pools), default=0)
        self._count_due = self._counted_at + (1 if most <= 20 else 2 if most <= 60 else 3)

    def _seat(self) -> None:
        """Who is at work, by teams, if that has changed."""
        if self._is_seated:
            return
        self._is_seated = True
        self._teams = {}
        for one in self.operators.values():
            if one.presence != "away":
                seat = Seat(one)
                self._sit(seat)
                self._teams.setdefault(one.campaigns, {})[one.id] = seat

    def _count_operators(self) -> None:
        for team, seats in self._teams.items():
            pools = self.groups.of_team[team]
            alike: dict[int, list[Seat]] = {}
            now = self.now
            for seat in seats.values():
                seat.pools = pools
                rows = seat.rows
                if rows is None:
                    row: Row | None = self.tables.idle
                else:
                    age = int(now - seat.since)
                    row = rows[BIN_OF[age]] if age < LAST else None
                if row is None:
                    row = self._row_of(seat)
                seat.row = row
                known = alike.get(id(row))
                if known is None:
                    alike[id(row)] = [seat]
                else:
                    known.append(seat)
            for group in alike.values():
                count, first = len(group), group[0]
                for pool in pools:
                    pool.operators += count
                    if first.one.presence == "idle":
                        pool.idle += count
                    elif first.one.presence == "wrap_up":
                        pool.wrap_ups += count
                    pool.add(first.row, count)

    def _count_calls(self) -> None:
        hour = int(self.now // 3600.0) % 24
        for kind in self.kinds.values():
            kind.answers.at_hour(hour)
            kind.level = kind.answers.level
        for one in self.open.values():
            one.ringing = one.waiting = 0
        for line in self._lines.values():
            campaign, kind = line.campaign, line.kind
            curve = kind.curves.get(line.steps)
            if curve is None or not SCALES[0] < kind.level / curve.level < SCALES[1]:
                curve = self.tables.curve(kind, line.steps)
            line.scale = kind.level / curve.level
            line.limit = self._ring_ticks(campaign)
            counts = line.counts[: line.limit]
            ringing = sum(counts)
            if not ringing:
                continue
            self.open[campaign].ringing += ringing
            for pool in self.groups.counting[campaign]:
                pool.unserved += ringing
                pool.add_calls(curve, counts, line.scale)
        for call in [call for call in self._waiting if not self._is_in_time(call)]:
            del self._waiting[call]
        for leg in self._waiting.values():
            self._count_waiting(leg, 1)

    def _is_in_time(self, id_: str) -> bool:
        call = self.calls[id_]
        assert call.answered_at is not None
        return self.now <= call.answered_at + self.campaigns[call.campaign].wait_s + WAIT_SPARE_S

    def _ring_ticks(self, campaign: str) -> int:
        return min(AGES - 3, int(self.campaigns[campaign].ring_s + RING_SPARE_S))

    def _group(self, teams: frozenset[Team]) -> None:
        for line in self._lines.values():
            self.known(line.campaign)
        if self._grouped_by == teams:
            return
        self._grouped_by = teams
        self.groups = Groups(teams, self.campaigns)
        self.open = {name: Open() for name in self.campaigns}
        for name in self.campaigns:  # all that may ring count, whether one so old was answered before or not
            answers = self.kind(name).answers
            if answers.oldest < self._ring_ticks(name):
                answers.oldest = self._ring_ticks(name)
                self.kind(name).curves.clear()

    def _forget_calls(self) -> None:
        """Calls of which nobody told the end."""
        oldest = self.now - KEPT_S
        for id_ in [one.id for one in self.calls.values() if one.placed_at < oldest]:
            self._silence(self._legs.pop(id_))
            self._waiting.pop(id_, None)
            del self.calls[id_]

    # -- what is known ----------------------------------------------------------------------

    @property
    def pools(self) -> tuple[Pool, ...]:
        """All of them."""
        return self.groups.pools

    def next_of(self, campaign: str) -> tuple[Curve, float]:
        """The curve of the campaign's next call, and its scale."""
        kind = self.kind(campaign)
        steps = round(kind.steps)
        curve = kind.curves.get(steps)
        if curve is None:
            curve = self.tables.curve(kind, steps)
        return curve, kind.level / curve.level

    def kind(self, campaign: str) -> Kind:
        """What is known of the campaign's people."""
        kind = self._kind_of.get(campaign)
        if kind is None:
            name = self.name(campaign)
            kind = self.kinds.get(name)
            if kind is None:
                kind = self.kinds[name] = Kind()
                self.is_stale = True
            self._kind_of[campaign] = kind
        return kind

    def forget_tables(self) -> None:
        """All tables are to be worked out anew, and campaigns may have another kind."""
        self.tables.forget()
        self._kind_of.clear()
        for line in self._lines.values():
            line.kind = self.kind(line.campaign)
        self._grouped_by = None
        self._is_seated = False
        self.is_stale = True
        self.relief = math.inf

    def name(self, campaign: str) -> str:
        """The word under which knowledge of the campaign, or account, is kept."""
        known = self.campaigns.get(campaign)
        if known is None and campaign in self.lanes:
            known = self.campaigns[next(iter(self.lanes[campaign]))]
        if known is None:
            if len(self.campaigns) == 1:
                return self.name(next(iter(self.campaigns)))
            return f"campaign:{campaign}"
        return known.rules.knowledge or f"campaign:{known.account or campaign}"

    def known(self, campaign: str) -> f.CampaignSet:
        """The campaign's rules; the usual ones, if nobody has told them."""
        rules = self.campaigns.get(campaign)
        if rules is None:
            self._on_campaign(f.CampaignSet(at=self.now, campaign=campaign))
            rules = self.campaigns[campaign]
        return rules

    # -- time passes ------------------------------------------------------------------------

    def advance(self, at: float) -> None:
        """It is that late. An earlier instant changes nothing."""
        if not at > self.now:
            return
        self.now = at
        tick = math.floor(at)
        if tick == self._tick:
            return
        for _ in range(min(tick - self._tick, AGES)):
            self._shift()
        self._tick = tick
        if tick >= self._count_due:
            self.is_stale = True
            self.relief = math.inf

    def _shift(self) -> None:
        """A second later: every call is older, and has lived through a tick of its age."""
        by_kind: dict[int, list[Line]] = {}
        for line in self._lines.values():
            counts = line.counts
            del counts[-1]
            counts.insert(0, 0)
            by_kind.setdefault(id(line.kind), []).append(line)
        for lines in by_kind.values():
            answers = lines[0].kind.answers
            if len(lines) == 1 and lines[0].steps == 0:
                answers.tick(lines[0].counts, None)
                continue
            counts = [sum(column) for column in zip(*[line.counts for line in lines])]
            exposed = [0.0] * AGES
            for line in lines:
                if any(line.counts):
                    scale = factor(line.steps)
                    exposed = [a + scale * b for a, b in zip(exposed, line.counts)]
            answers.tick(counts, exposed)
