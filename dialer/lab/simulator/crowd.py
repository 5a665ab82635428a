"""The people who are called: what each does, drawn from the day's seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dialer.core.values import Result
from dialer.lab.simulator.people import Story
from dialer.lab.simulator.switch import Channel

if TYPE_CHECKING:
    from dialer.lab.simulator.day import Day

LAST_WORD_S = 6.0
"""The dialplan's last word takes so long."""


class Crowd:
    """Everybody who is called in the course of *day*."""

    def __init__(self, day: Day) -> None:
        self._day = day

    def invited(self, person: Channel) -> None:
        """They are called: their phone rings, or the network refuses."""
        habits, rng = self._day.plan.habits, self._day.rng
        story = person.story = Story(
            attempt=person.id, number=person.number, invited_at=self._day.at, is_unheard=self._day.is_slow
        )
        self._day.stories.append(story)
        setup_s = rng.uniform(*habits.setup_s)
        if self._day.is_trunk_down:
            self._refuse(person, setup_s, Result.CONGESTION, 34, 503)
            return
        draw = rng.random()
        for share, end, cause, sip in (
            (habits.busy, Result.BUSY, 17, 486),
            (habits.invalid, Result.INVALID, 1, 404),
            (habits.congestion, Result.CONGESTION, 34, 503),
        ):
            draw -= share
            if draw < 0:
                self._refuse(person, setup_s, end, cause, sip)
                return
        self._then(person, setup_s, self._rings)
        ring_s = setup_s + rng.uniform(*habits.ring_s)
        draw -= habits.declines
        if draw < 0:
            self._refuse(person, ring_s, Result.DECLINED, 21, 603)
        elif draw < habits.answers:
            self._then(person, ring_s, self._picks_up)

    def _then(self, person: Channel, seconds: float, what: Callable[[Channel], None]) -> None:
        """*what* happens to the person so much later, if they are still on the line."""
        self._day.later(seconds, lambda: what(person) if person.id in self._day.channels else None)

    def _refuse(self, person: Channel, seconds: float, end: Result, cause: int, sip: int) -> None:
        def refuses(person: Channel) -> None:
            person.story.end = end
            self._day.end(person.id, cause, sip)

        self._then(person, seconds, refuses)

    def _rings(self, person: Channel) -> None:
        if not person.is_up:
            person.story.rang_at = self._day.at
            self._day.rings(person)

    def _picks_up(self, person: Channel) -> None:
        person.story.answered_at = self._day.at
        self._day.answers(person)
        rng, habits = self._day.rng, self._day.plan.habits
        if rng.random() < habits.hangs_up:
            self._then(person, rng.uniform(0.05, 0.8), self._hangs_up)
        elif not person.in_app:
            self.left(person)
        else:
            self._then(person, rng.uniform(*habits.patience_s), self._loses_patience)

    def _loses_patience(self, person: Channel) -> None:
        if person.story.joined_at is None and person.in_app and person.bridge is None:
            self._hangs_up(person)

    def _hangs_up(self, person: Channel) -> None:
        self._day.end(person.id, 0)

    def joined(self, person: Channel) -> None:
        """They talk, and after a while have had enough."""
        if person.story.joined_at is None:
            person.story.joined_at = self._day.at
            talk_s = 5.0 + self._day.rng.expovariate(1.0 / max(1.0, self._day.plan.habits.talk_s - 5.0))
            self._then(person, talk_s, self._hangs_up)

    def left(self, person: Channel) -> None:
        """They hear the dialplan's last word."""
        self._then(person, LAST_WORD_S, lambda one: self._day.end(one.id, 16))

    def held(self, person: Channel) -> None:
        """They hear music, for as long as they care to."""

        def gives_up(person: Channel) -> None:
            if person.story.joined_at is None:
                self._hangs_up(person)

        self._then(person, self._day.rng.uniform(*self._day.plan.habits.hold_patience_s), gives_up)
