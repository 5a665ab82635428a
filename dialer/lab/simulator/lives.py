"""A world on the whole floor: its people behind telephones, its operators at desk phones.

The same worlds (:mod:`.worlds`) and the same fates (:mod:`.fates`) as where a rule is judged alone; here the production
floor calls these people, attempt after attempt.

1. Who is called for the n-th time lives through the same, whoever calls and when (but for the answer rate of that hour), and
   an operator comes, rests and goes at the same times: days of one seed that differ in a setting are days of the same people.
2. A wrap-up lasts as the campaign says (``wrap_up = "time"``), or until the operator has closed the card (``"card"``): then
   it is drawn.
3. A call that is given up may be answered for ``World.cancel_s`` more.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from dialer.core.ids import AttemptId, CampaignId
from dialer.core.results import DEFAULT_RESULTS, operator_results, pause_reasons
from dialer.core.values import AgentCard, Campaign, Result
from dialer.lab.simulator.crowd import Crowd
from dialer.lab.simulator.fates import Person, lognormal
from dialer.lab.simulator.people import Story
from dialer.lab.simulator.seats import USUAL_CODES, Seat
from dialer.lab.simulator.seen import Seen, Told
from dialer.lab.simulator.switch import Channel
from dialer.lab.simulator.worlds import HOUR_S, World

if TYPE_CHECKING:
    from dialer.lab.simulator.day import Day

ENDS = {
    Result.BUSY: (17, 486),
    Result.INVALID: (1, 404),
    Result.CONGESTION: (34, 503),
    Result.NO_ROUTE: (3, 404),
    Result.DECLINED: (21, 603),
    Result.NO_ANSWER: (19, 480),
}
"""Q.850 cause and SIP status of the ends that a network brings about."""
_MUSIC = 3.0
"""Who hears music waits so much longer than who hears nothing."""


class Townsfolk(Crowd):
    """The people of a world."""

    def __init__(self, day: Day, world: World, told: Told) -> None:
        super().__init__(day)
        self._world = world
        self._fates: dict[CampaignId, Seen] = {}
        for number, crowd in enumerate(world.crowds):
            self._fates[CampaignId(crowd.campaign)] = Seen(world, crowd, day.plan.seed, number, told)

    def invited(self, person: Channel) -> None:
        day = self._day
        call = day.calls[AttemptId(person.id)]
        fates = self._fates[call.campaign]
        fate = person.fate = fates.called(call.lead, day.at - day.plan.begins_at, person.kind, call.ordinal)
        person.story = Story(
            attempt=person.id, number=person.number, invited_at=day.at, is_unheard=day.is_slow
        )
        day.stories.append(person.story)
        if day.is_trunk_down:
            self._refuse(person, fate.setup_s, Result.CONGESTION, *ENDS[Result.CONGESTION])
        elif not fate.rings:
            end = fates.failure()
            self._refuse(person, fate.end_s, end, *ENDS[end])
        else:
            self._then(person, fate.setup_s, self._rings)
            if fate.answers:
                self._then(person, fate.end_s, self._picks_up)
            else:
                is_patient = fate.end_s >= fate.setup_s + self._world.ring_s
                end = Result.NO_ANSWER if is_patient else Result.DECLINED
                self._refuse(person, fate.end_s, end, *ENDS[end])

    def _picks_up(self, person: Channel) -> None:
        person.story.answered_at = self._day.at
        self._day.answers(person)
        if not person.in_app:
            self.left(person)
        elif person.fate.patience_s < HOUR_S:
            self._then(person, person.fate.patience_s, self._loses_patience)

    def joined(self, person: Channel) -> None:
        if person.story.joined_at is None:
            person.story.joined_at = self._day.at
            self._then(person, person.fate.talk_s, self._hangs_up)

    def held(self, person: Channel) -> None:
        fate: Person = person.fate

        def gives_up(person: Channel) -> None:
            if person.story.joined_at is None:
                self._hangs_up(person)

        self._then(person, min(_MUSIC * fate.patience_s, HOUR_S), gives_up)


class Worker(Seat):
    """An operator of a world."""

    def __init__(self, day: Day, card: AgentCard, number: int, world: World, told: Told) -> None:
        super().__init__(day, card)
        self._number = number
        self._team = world.team
        self._wrap_ups = told.wrap_up_s
        self._own = random.Random(f"operator {number} of day {day.plan.seed}")  # noqa: S311 - work, no secrets
        self._campaigns = {one.id: one for one in day.plan.campaigns}
        self._owes_s = 0.0
        """A pause that was asked for in a call lasts so long."""
        self._calls = 0
        """Which call's end is being waited for."""
        self._is_busy = False

    def begin(self) -> None:
        """Come to work at some time, and go when the day is over, or earlier."""
        team, length_s, later = self._team, self.day.plan.length_s, self.day.later
        comes_s, goes_s = self._own.uniform(0.0, team.arrive_s), length_s
        shift, which, share = self._own.random(), self._own.random(), self._own.random()
        if shift < team.late:
            if which < 0.5:
                comes_s += 0.5 * share * length_s
            else:
                goes_s -= 0.5 * share * length_s
                later(goes_s, self.go_home)
        later(comes_s, self.come)
        for at_s, break_s, going in team.breaks:
            goes, returns_s = self._own.random() < going, self._own.uniform(0.0, team.arrive_s)
            if goes and comes_s < at_s < goes_s:
                later(at_s, partial(self._rest, break_s + returns_s))
        at_s = 0.0
        while team.pauses_per_hour and at_s < length_s:
            at_s += self._own.expovariate(team.pauses_per_hour / HOUR_S)
            pause_s = self._own.uniform(0.5, 1.5) * team.pause_s
            if comes_s < at_s < goes_s:
                later(at_s, partial(self._rest, pause_s))

    def come(self) -> None:
        self._is_home = False
        self._sign_in()

    def talks(self) -> None:
        self._is_busy = True
        self._calls += 1

    def talked(self, campaign: CampaignId) -> None:
        settings = self._campaigns[campaign]
        if settings.wrap_up == "card":
            if self._wrap_ups:
                wrap_up_s = self._own.choice(self._wrap_ups)
            else:
                wrap_up_s = lognormal(self._own, self._team.wrap_up_s, self._team.wrap_up_spread)
            wrap_up_s = min(wrap_up_s, settings.wrap_up_s_max)
            self.day.later(wrap_up_s, partial(self._say, self._last_word(settings)))
        else:
            wrap_up_s = settings.wrap_up_s
            if self._own.random() < self.day.plan.diligence.keys_result:
                result_s = self._own.uniform(0.2, 0.9) * wrap_up_s
                self.day.later(result_s, partial(self._say, self._last_word(settings)))
        self.day.later(wrap_up_s, partial(self._is_done, self._calls))

    def _last_word(self, settings: Campaign) -> str:
        """The result that the operator gives, or (with a card) just that they are ready."""
        results = operator_results(settings)
        codes = USUAL_CODES if results is DEFAULT_RESULTS else [one.code for one in results]
        code = self._own.choice(codes)
        is_silent = self._own.random() >= self.day.plan.diligence.keys_result
        return "43" if settings.wrap_up == "card" and is_silent else f"44{code}"

    def _is_done(self, call: int) -> None:
        if call != self._calls:
            return
        self._is_busy = False
        if self._owes_s:
            owes_s, self._owes_s = self._owes_s, 0.0
            self.day.later(owes_s, self._ready)

    def _rest(self, pause_s: float) -> None:
        """A pause, at once or after the call."""
        if self._is_home:
            return
        reasons = pause_reasons(self.day.plan.campaigns[0])
        self._say(f"42{next(iter(reasons))}")
        if self._is_busy:
            self._owes_s = pause_s
        else:
            self.day.later(pause_s, self._ready)
