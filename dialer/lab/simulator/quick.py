"""A day of a pacing rule alone, in seconds: any :class:`~dialer.core.pacing.book.Book` among simulated people and operators.

There is no floor here, no journal and no telephone: what a rule is told and asked, and nothing else. For the whole floor
see :mod:`.day`; a rule that is good here is only worth trying there.

1. The day tells facts in the order of time and asks for a decision after all that happened at one instant, and each second.
2. It does as it is told: places each call at once, and ends those given up :attr:`~.worlds.World.cancel_s` later.
3. Who answers gets the operator who has been idle the longest; who waits and is served is the one who has waited longest.
4. It counts strictly, and for itself. Abandoned is who answered and had no operator within the limit: also one who hung up
   before, and one whose answer crossed our cancel.
5. The same world, seed and rule make the same day; another rule meets the same people (:mod:`.fates`).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

import msgspec

from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Limit, Room, Rule
from dialer.lab.simulator.fates import Fates, Person, lognormal
from dialer.lab.simulator.score import Score, Tally
from dialer.lab.simulator.worlds import HOUR_S, World

LAST_WORD_S = 6.0
"""Who met no operator in time hears the dialplan's last word for so long."""
FOUND_OUT_S = (5.0, 40.0)
"""What a lost fact would have told is found out so much later."""
DOUBLED_S = 1.0
"""A doubled fact is told again within so long."""
ENDLESS = 1_000_000


class BadRule(Exception):
    """The rule placed calls that it had no room for."""


class Seat:
    """An operator."""

    __slots__ = ("draw", "fact_due", "groups", "id", "presence", "rest_s", "rests", "since", "spent")

    def __init__(self, number: int, seed: int, groups: tuple[str, ...]) -> None:
        self.id = f"op{number + 1}"
        self.groups = groups
        self.presence: f.Presence = "away"
        self.since = 0.0
        self.rest_s = 0.0
        """They will be away for so long once they are free."""
        self.spent = {"idle": 0.0, "busy": 0.0, "wrap_up": 0.0, "away": 0.0}
        self.draw = random.Random(f"work {seed} {number}")  # noqa: S311 - operators, no secrets
        self.rests = random.Random(f"rests {seed} {number}")  # noqa: S311
        self.fact_due = False
        """A change of theirs was lost."""


class QuickDay:
    """One day. Make it, :meth:`play` it, and look at the score."""

    def __init__(self, world: World, rule: Rule, seed: int) -> None:
        self.world = world
        self.rule = rule
        self.begins_at = self.at = world.begins_at
        self.ends_at = world.begins_at + world.length_s
        self.is_over = False
        self.tally = Tally()
        team = world.team
        self.seats = [
            Seat(number, seed, team.groups[number % len(team.groups)]) for number in range(team.operators)
        ]
        self.lists = {
            crowd.campaign: Fates(world, crowd, seed, number) for number, crowd in enumerate(world.crowds)
        }
        self._priority = {crowd.campaign: crowd.priority for crowd in world.crowds}
        self._is_endless = world.lines is None and all(crowd.leads is None for crowd in world.crowds)
        self._rooms = [
            Room(campaign=name, calls=ENDLESS, priority=priority) for name, priority in self._priority.items()
        ]
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._serial = 0
        self._idle: dict[str, Seat] = {}
        self._waiting: dict[str, Person] = {}
        self._in_flight: dict[str, Person] = {}
        self._lines = 0
        self._noise = random.Random(f"noise {seed}")  # noqa: S311
        self._deaf: dict[str, Person] = {}
        """Something about their calls was lost, and is not found out yet."""
        self._is_noisy = world.lost > 0.0 or world.doubled > 0.0

    def play(self) -> Score:
        """From the first sign-in until nobody who was called can answer any more. Raises :class:`BadRule`."""
        world, heap = self.world, self._heap
        for crowd in world.crowds:
            self.rule.tell(
                f.CampaignSet(
                    at=self.at,
                    campaign=crowd.campaign,
                    rules=world.rules,
                    wait_s=world.wait_s,
                    ring_s=world.ring_s,
                )
            )
        self._begin_shifts()
        self._later(world.length_s, self._close, None)
        self._later(1.0, self._tick, None)
        pop = heapq.heappop
        while heap and not (self.is_over and not self._in_flight and not self._waiting):
            self.at, _, what, whom = pop(heap)
            what(whom)
            while heap and heap[0][0] <= self.at:
                _, _, what, whom = pop(heap)
                what(whom)
            self._ask()
        for person in list(self._deaf.values()):
            self._find_out(person)
        for seat in self.seats:
            self._spend(seat)
        return self.tally.score(world, self.seats)

    def _later(self, seconds: float, what: Callable[[Any], None], whom: Any) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (self.at + seconds, self._serial, what, whom))

    def _tick(self, _: None) -> None:
        self._later(1.0, self._tick, None)

    def _close(self, _: None) -> None:
        """The end of the day: nobody is called any more; who answers still is served."""
        self.is_over = True

    # -- the rule ---------------------------------------------------------------------------------

    def _ask(self) -> None:
        self.tally.asked += 1
        decision = self.rule.decide(self.at, self._room())
        for call in decision.give_up:
            person = self._in_flight.get(call)
            if person is not None and not person.is_cancelled:
                person.is_cancelled = True
                self._later(self.world.cancel_s, self._given_up, person)
        if decision.place:
            left = {room.campaign: room.calls for room in self._room()}
            for campaign in decision.place:
                if left.get(campaign, 0) <= 0 or (
                    self.world.lines is not None and self._lines >= self.world.lines
                ):
                    raise BadRule(f"{campaign} has no room for a call at {self.at - self.begins_at:.3f} s")
                left[campaign] -= 1
                self._place(campaign)

    def _room(self) -> list[Room]:
        if self.is_over:
            return []
        if self._is_endless:
            return self._rooms
        lines = ENDLESS if self.world.lines is None else max(0, self.world.lines - self._lines)
        rooms = []
        for campaign, people in self.lists.items():
            left = people.left()
            limit: Limit = "no_contacts" if left <= lines else "lines"
            rooms.append(
                Room(
                    campaign=campaign, calls=min(left, lines), limit=limit, priority=self._priority[campaign]
                )
            )
        return rooms

    def _tell(self, fact: f.AnyFact, person: Person | None = None) -> None:
        """Tell the rule, unless it is lost. *person*: whose call it is about."""
        if not self._is_noisy:
            self.rule.tell(fact)
            return
        if person is not None and person.told is not None:
            person.told.append(fact)
            return
        draw = self._noise.random()
        if draw < self.world.lost:
            if isinstance(fact, f.CallPlaced):  # we know that without being told
                self.rule.tell(fact)
            elif person is not None:
                person.told = [fact]
                self._deaf[person.call] = person
                self._later(self._noise.uniform(*FOUND_OUT_S), self._find_out, person)
            elif isinstance(fact, f.AgentChanged):
                seat = next(one for one in self.seats if one.id == fact.agent)
                if not seat.fact_due:
                    seat.fact_due = True
                    self._later(self._noise.uniform(*FOUND_OUT_S), self._look_at, seat)
            return
        self.rule.tell(fact)
        if draw > 1.0 - self.world.doubled:
            self._later(self._noise.uniform(0.0, DOUBLED_S), self._tell_again, fact)

    def _tell_again(self, fact: f.AnyFact) -> None:
        if isinstance(fact, f.AgentChanged):
            seat = next(one for one in self.seats if one.id == fact.agent)
            if seat.presence != fact.presence:
                return  # a floor knows an old event from a new one
        self.rule.tell(msgspec.structs.replace(fact, at=self.at))

    def _find_out(self, person: Person) -> None:
        self._deaf.pop(person.call, None)
        facts, person.told = person.told or [], None
        for fact in facts:
            if isinstance(fact, f.CallAnswered):
                self.rule.tell(f.CallAnswered(at=self.at, call=fact.call, answered_at=fact.at))
            elif isinstance(fact, f.Fact):
                self.rule.tell(msgspec.structs.replace(fact, at=self.at))  # type: ignore[arg-type]

    def _look_at(self, seat: Seat) -> None:
        seat.fact_due = False
        self.rule.tell(
            f.AgentChanged(at=self.at, agent=seat.id, presence=seat.presence, campaigns=seat.groups)
        )

    # -- calls ------------------------------------------------------------------------------------

    def _place(self, campaign: str) -> None:
        person = self.lists[campaign].next(self.at - self.begins_at)
        person.placed_at = self.at
        self._in_flight[person.call] = person
        self.tally.placed += 1
        self._count_lines(1)
        self._tell(f.CallPlaced(at=self.at, call=person.call, campaign=campaign, kind=person.kind), person)
        if person.rings:
            self._later(person.setup_s, self._rings, person)
        self._later(person.end_s, self._answers if person.answers else self._ends, person)

    def _rings(self, person: Person) -> None:
        if not person.is_over:
            self._tell(f.CallRang(at=self.at, call=person.call), person)

    def _ends(self, person: Person) -> None:
        if not person.is_over:
            del self._in_flight[person.call]
            self._end(person)

    def _given_up(self, person: Person) -> None:
        if not person.is_over and person.answered_at < 0.0:
            self.tally.given_up += 1
            del self._in_flight[person.call]
            self._end(person, is_ours=True)

    def _answers(self, person: Person) -> None:
        if person.is_over:
            return
        del self._in_flight[person.call]
        person.answered_at = self.at
        self.tally.answered[person.campaign] += 1
        self._tell(f.CallAnswered(at=self.at, call=person.call), person)
        if person.is_cancelled:
            self._abandon(person)
            return
        for seat in self._idle.values():
            if not seat.groups or person.campaign in seat.groups:
                self._serve(person, seat)
                return
        self._waiting[person.call] = person
        self._later(min(person.patience_s, self.world.wait_s), self._lost, person)

    def _lost(self, person: Person) -> None:
        if self._waiting.pop(person.call, None) is not None:
            self._abandon(person)

    def _abandon(self, person: Person) -> None:
        person.is_abandoned = True
        self.tally.abandoned[person.campaign] += 1
        self.tally.waits.append(self.at - person.answered_at)
        self._tell(f.CallAbandoned(at=self.at, call=person.call), person)
        if person.patience_s < self.world.wait_s:
            self._end(person)
        else:
            self._later(LAST_WORD_S, self._end, person)

    def _end(self, person: Person, is_ours: bool = False) -> None:
        person.is_over = True
        self._count_lines(-1)
        self._tell(f.CallEnded(at=self.at, call=person.call, is_ours=is_ours), person)

    def _count_lines(self, change: int) -> None:
        if not self.is_over:
            self.tally.lines(self.at, self._lines)
            self._lines += change
            self.tally.lines_max = max(self.tally.lines_max, self._lines)
        else:
            self._lines += change

    # -- operators --------------------------------------------------------------------------------

    def _begin_shifts(self) -> None:
        team, length_s = self.world.team, self.world.length_s
        for seat in self.seats:
            seat.since = self.at
            comes_s, goes_s = seat.rests.uniform(0.0, team.arrive_s), length_s
            is_part, is_early, part = (
                seat.rests.random() < team.late,
                seat.rests.random(),
                seat.rests.random(),
            )
            if is_part and is_early < 0.5:
                comes_s += 0.5 * length_s * part
            elif is_part:
                goes_s -= 0.5 * length_s * part
            self._later(comes_s, self._free, seat)
            if goes_s < length_s:
                self._later(goes_s, self._leave, (seat, length_s))
            if team.pauses_per_hour:
                self._plan_pause(seat)
            for begins_s, break_s, share in team.breaks:
                if seat.rests.random() < share:
                    self._later(
                        begins_s, self._leave, (seat, break_s + seat.rests.uniform(0.0, team.arrive_s))
                    )

    def _plan_pause(self, seat: Seat) -> None:
        self._later(seat.rests.expovariate(self.world.team.pauses_per_hour / HOUR_S), self._pause, seat)

    def _pause(self, seat: Seat) -> None:
        self._leave((seat, lognormal(seat.rests, self.world.team.pause_s, 0.5)))
        self._plan_pause(seat)

    def _leave(self, what: tuple[Seat, float]) -> None:
        """Away for so long: now, or when they are free. Who is away is not sent away, but for the day."""
        seat, seconds = what
        if seat.presence != "away" or seconds >= self.world.length_s:
            seat.rest_s = max(seat.rest_s, seconds)
            if seat.presence == "idle":
                self._rest(seat)

    def _rest(self, seat: Seat) -> None:
        self._turn(seat, "away")
        self._later(seat.rest_s, self._free, seat)
        seat.rest_s = 0.0

    def _free(self, seat: Seat) -> None:
        """They come, or come back, or their wrap-up is over."""
        if seat.rest_s > 0.0:
            self._rest(seat)
            return
        for person in self._waiting.values():
            if not seat.groups or person.campaign in seat.groups:
                del self._waiting[person.call]
                self._serve(person, seat)
                return
        self._turn(seat, "idle")

    def _serve(self, person: Person, seat: Seat) -> None:
        person.agent = seat.id
        if seat.presence == "idle":
            self.tally.idles.append(self.at - seat.since)
        else:
            self.tally.idles.append(0.0)
        self.tally.waits.append(self.at - person.answered_at)
        self._tell(f.CallServed(at=self.at, call=person.call, agent=seat.id), person)
        self._turn(seat, "busy", person.campaign)
        self._later(person.talk_s, self._talked, (person, seat))

    def _talked(self, what: tuple[Person, Seat]) -> None:
        person, seat = what
        self._end(person)
        self._turn(seat, "wrap_up", person.campaign)
        team = self.world.team
        self._later(lognormal(seat.draw, team.wrap_up_s, team.wrap_up_spread), self._free, seat)

    def _turn(self, seat: Seat, presence: f.Presence, campaign: str = "") -> None:
        self._spend(seat)
        if seat.presence == "idle":
            del self._idle[seat.id]
        elif presence == "idle":
            self._idle[seat.id] = seat
        seat.presence = presence
        self._tell(
            f.AgentChanged(
                at=self.at, agent=seat.id, presence=presence, campaigns=seat.groups, campaign=campaign
            )
        )

    def _spend(self, seat: Seat) -> None:
        """Book the time of their presence so far, within the day."""
        seat.spent[seat.presence] += max(0.0, min(self.at, self.ends_at) - min(seat.since, self.ends_at))
        seat.since = self.at
