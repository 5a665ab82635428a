"""Pacing rules for tests: one that does as it is told, and one that dials whatever the floor lets it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Book, Decision, Reason, Room
from dialer.core.pacing.ledger import DayCount


class Told(Book):
    """Places and gives up what a test says, once, as soon as there is room; remembers what it was told and asked."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[f.AnyFact] = []
        self.asked: list[tuple[float, tuple[Room, ...]]] = []
        self.places: tuple[str, ...] = ()
        self.gives_up: tuple[str, ...] = ()
        self.reasons: tuple[Reason, ...] = ()
        self.learnt: dict[str, str] = {}
        self.taken: tuple[dict[str, tuple[DayCount, ...]], dict[str, str]] | None = None

    def tell(self, fact: f.AnyFact) -> None:
        """Take note of what happened."""
        self.facts.append(fact)
        super().tell(fact)

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """What the test wanted."""
        self.asked.append((at, tuple(rooms)))
        decision = Decision(give_up=self.gives_up, reasons=self.reasons)
        self.gives_up = ()
        if any(room.calls for room in rooms):
            decision = msgspec.structs.replace(decision, place=self.places)
            self.places = ()
        return decision

    def knowledge(self) -> Mapping[str, str]:
        """What the test wanted."""
        return self.learnt

    def take_up(
        self, ledgers: Mapping[str, Iterable[DayCount]], knowledge: Mapping[str, str], at: float
    ) -> None:
        """Go on where another one ended."""
        self.taken = {name: tuple(days) for name, days in ledgers.items()}, dict(knowledge)
        super().take_up(ledgers, knowledge, at)


class Eager(Book):
    """Always two calls for each operator at work, and one if there are none; more than it may, now and then.

    It gives up whatever rang for :data:`PATIENCE_S`, and some calls that it should not.
    """

    PATIENCE_S = 7.0

    def __init__(self) -> None:
        super().__init__()
        self._answers: Counter[str] = Counter()

    def tell(self, fact: f.AnyFact) -> None:
        """Take note of what happened."""
        if isinstance(fact, f.CallAnswered) and fact.call in self.calls:
            self._answers[f"campaign:{self.calls[fact.call].campaign}"] += 1
        super().tell(fact)

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """As many as the class says."""
        place: list[str] = []
        reasons = []
        for room in rooms:
            most = 2 * sum(1 for _ in self.team(room.campaign)) or 1
            count = max(0, most - self.unserved(room.campaign))
            place += [room.campaign] * count
            placed = min(count, room.calls)
            limit = room.limit if count > room.calls else "risk"
            reasons.append(
                Reason(campaign=room.campaign, placed=placed, limit=limit, figures={"most": float(most)})
            )
        give_up = [call.id for call in self.calls.values() if at - (call.rang_at or at) >= self.PATIENCE_S]
        return Decision(place=tuple(place), give_up=(*give_up, "nobody"), reasons=tuple(reasons))

    def knowledge(self) -> Mapping[str, str]:
        """So many answers of each campaign."""
        return {name: str(count) for name, count in self._answers.items()}

    def take_up(
        self, ledgers: Mapping[str, Iterable[DayCount]], knowledge: Mapping[str, str], at: float
    ) -> None:
        """Go on where another one ended."""
        self._answers = Counter({name: int(count) for name, count in knowledge.items()})
        super().take_up(ledgers, knowledge, at)
