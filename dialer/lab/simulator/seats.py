"""Operators at their desk phones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialer.core import events as ev
from dialer.core.ids import CampaignId, ChannelId
from dialer.core.values import AgentCard
from dialer.lab.simulator.switch import Channel

if TYPE_CHECKING:
    from dialer.lab.simulator.day import Day


USUAL_CODES = "1222333445677"
"""Digits of results, each as often as it is given."""


class Seat:
    """An operator at a desk phone: signs in, talks, gives results, has pauses, goes home."""

    def __init__(self, day: Day, card: AgentCard) -> None:
        self.day = day
        self.card = card
        self.line: Channel | None = None
        """Of a parked one: as long as they are signed in."""
        self._rests_at = 0.0
        self._dialed = 0
        self._is_home = True

    def begin(self) -> None:
        """Come to work within the first minute."""
        self.day.later(self._between((0.0, 60.0)), self.come)

    def come(self) -> None:
        """Sign in, and once more if nobody listened."""
        self._is_home = False
        self._rests_at = self.day.at + self._between(self.day.plan.diligence.work_s)
        self._sign_in()

    def _sign_in(self) -> None:
        if self._is_home or self.line is not None or self.day.is_over:
            return
        channel = self._dial("40")
        if channel is None:
            self.day.later(20.0, self._sign_in)
        elif self.card.leg == "parked":
            self.line = channel

    def go_home(self) -> None:
        """Sign out; in a conversation that takes effect when it is over."""
        self._is_home = True
        self._say("41")
        if self.card.leg == "parked" and self.line is not None:
            self.day.later(60.0, self._leave_line)

    def _leave_line(self) -> None:
        """Whoever is still connected (nobody heard the code) puts the receiver down when nobody talks."""
        line = self.line
        if line is None:
            return
        if any(one.bridge == line.bridge for one in self.day.persons()):
            self.day.later(10.0, self._leave_line)
        elif line.id in self.day.channels:
            self.day.end(line.id, 16)

    def talks(self) -> None:
        """A person is on the line."""
        diligence = self.day.plan.diligence
        if self.card.leg == "parked" and self._draw() < diligence.drops:
            self.day.later(self._between((1.0, 30.0)), self._drop)

    def talked(self, campaign: CampaignId) -> None:  # noqa: ARG002 - for others than these
        """The person, whom *campaign* called, is gone: a result, a pause, or just the next one."""
        diligence = self.day.plan.diligence
        if self._draw() < diligence.keys_result:
            result = "44" + self._choose(USUAL_CODES)
            self.day.later(self._between(diligence.result_s), lambda: self._say(result))
        if self.day.at >= self._rests_at and not self._is_home:
            pause_s = self._between(diligence.pause_s)
            self._rests_at = self.day.at + pause_s + self._between(diligence.work_s)
            self.day.later(8.0, lambda: self._say("421"))
            self.day.later(8.0 + pause_s, self._ready)

    def is_rung(self, leg: Channel) -> None:
        """The desk phone rings for a call."""
        diligence = self.day.plan.diligence

        def picks_up() -> None:
            if leg.id in self.day.channels:
                self.day.answers(leg)
                if not leg.in_app:
                    self.day.end(leg.id, 16)

        if self._draw() < diligence.misses:
            self.day.later(120.0, self._ready)  # back at the desk
        else:
            self.day.later(self._between(diligence.pick_up_s), picks_up)

    def line_is_gone(self, channel: Channel) -> None:
        """The parked line dropped, or was hung up; who is still at work signs in again."""
        if channel is self.line:
            self.line = None
            if not self._is_home:
                self.day.later(self._between((5.0, 30.0)), self._sign_in)

    def _ready(self) -> None:
        """Ready again, whatever became of us; who was signed out meanwhile signs in."""
        if self._is_home:
            return
        if self.card.leg == "parked" and self.line is None:
            self._sign_in()
        else:
            self._say("43")
            if self.card.leg == "rung":
                self._dial("40")

    def _drop(self) -> None:
        if self.line is not None and self.line.id in self.day.channels:
            self.day.end(self.line.id, 16)

    def _say(self, code: str) -> None:
        """Key *code* on the line, or dial it as a call of its own."""
        if self.card.leg == "rung":
            self._dial(code)
        elif self.line is not None and self.line.in_app:
            for digit in f"*{code}":
                self.day.emit(ev.DigitPressed(at=self.day.at, channel=self.line.id, digit=digit))

    def _dial(self, code: str) -> Channel | None:
        self._dialed += 1
        return self.day.dials(self.card.phone, code, ChannelId(f"phone-{self.card.phone}-{self._dialed}"))

    def _draw(self) -> float:
        return self.day.rng.random()

    def _choose(self, digits: str) -> str:
        return self.day.rng.choice(digits)

    def _between(self, span: tuple[float, float]) -> float:
        return self.day.rng.uniform(*span)
