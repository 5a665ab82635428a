"""Days of a rule among simulated people, with all that it was told and asked written down, to be played again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dialer.core.conduct import Abandonment, Pacing
from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Decision, Room
from dialer.core.pacing.pacer import Pacer
from dialer.lab.simulator.quick import QuickDay
from dialer.lab.simulator.worlds import Team, World
from tests.examples import IS_QUICK

Step = f.AnyFact | tuple[float, tuple[Room, ...], Decision]


class Recorded(Pacer):
    """A pacer that writes down what it is told and asked, and lets each decision be looked at."""

    def __init__(self, look: Callable[[Recorded, Sequence[Room], Decision], None] | None = None) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._look = look

    def tell(self, fact: f.AnyFact) -> None:
        self.steps.append(fact)
        super().tell(fact)

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        decision = super().decide(at, rooms)
        self.steps.append((at, tuple(rooms), decision))
        if self._look is not None:
            self._look(self, rooms, decision)
        return decision


def rules(**abandonment: object) -> Pacing:
    """With this promise."""
    return Pacing(abandonment=Abandonment(**abandonment))  # type: ignore[arg-type]


def play(world: World, seed: int = 1, look: Callable[..., None] | None = None) -> Recorded:
    """Play the day."""
    rule = Recorded(look)
    QuickDay(world, rule, seed).play()
    return rule


def hour(operators: int, minutes: float = 20.0, *, is_whole: bool = False, **fields: object) -> World:
    """A short day; in ``./dev check`` half of it, unless it *is_whole*."""
    if IS_QUICK and not is_whole:
        minutes /= 2
    team = fields.pop("team", Team(operators=operators, arrive_s=5.0))
    return World(length_s=60.0 * minutes, team=team, **fields)  # type: ignore[arg-type]


class Told:
    """A pacer, and a hand that tells it things."""

    def __init__(self, *, campaign: str = "spring", **fields: object) -> None:
        self.pacer = Pacer()
        self.at = 0.0
        self._calls = 0
        self.campaign(campaign, **fields)

    def campaign(self, name: str, **fields: object) -> None:
        self.pacer.tell(f.CampaignSet(at=self.at, campaign=name, **fields))  # type: ignore[arg-type]

    def agents(self, presence: f.Presence, *names: str, campaigns: tuple[str, ...] = ()) -> None:
        for name in names:
            self.pacer.tell(
                f.AgentChanged(
                    at=self.at, agent=name, presence=presence, campaigns=campaigns, campaign="spring"
                )
            )

    def place(self, count: int = 1, campaign: str = "spring", **fields: object) -> list[str]:
        names = [f"call{self._calls + number}" for number in range(count)]
        self._calls += count
        for name in names:
            self.pacer.tell(f.CallPlaced(at=self.at, call=name, campaign=campaign, **fields))  # type: ignore[arg-type]
        return names

    def tell(self, kind: type, **fields: object) -> None:
        self.pacer.tell(kind(at=self.at, **fields))

    def history(self, answered: int, abandoned: int = 0, campaign: str = "spring") -> None:
        """So many calls were answered, each one of three, some seconds after; and so many of them abandoned."""
        for number in range(answered):
            calls = self.place(3, campaign=campaign)
            self.at += 5.0 + number % 5
            self.tell(f.CallAnswered, call=calls[0])
            if number < abandoned:
                self.tell(f.CallAbandoned, call=calls[0])
            for call in calls:
                self.tell(f.CallEnded, call=call)

    def ask(
        self, calls: int = 100, campaign: str = "spring", after: float = 0.0, **fields: object
    ) -> Decision:
        self.at += after
        room = Room(campaign=campaign, calls=calls, **fields)  # type: ignore[arg-type]
        return self.pacer.decide(self.at, (room,))
