"""The hopper: the few leads of a campaign that are on the floor, ready to be dialed.

A million leads stay in the store; the hopper asks for more when it runs low. Between the
question and its answer the world goes on, and a lead in the answer may have been dialed and
released meanwhile: dialing it from the stale answer would ring a person twice. So the hopper
remembers which leads were released since it asked, and drops them from the answer; they come
again with the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable

from dialer.core.events import FreshLead
from dialer.core.ids import LeadId

LOW = 8
"""Below so many leads the hopper asks for more."""
MOST = 400
"""It never asks for more than this at once."""
LOOK_AGAIN_S = 15.0
"""An empty answer is believed for so long, unless a timer or an import says that there is more."""


class Hopper:
    """The leads at hand of one campaign. Used by the floor alone."""

    def __init__(self) -> None:
        self._leads: deque[FreshLead] = deque()
        self._held: set[LeadId] = set()
        self._released: set[LeadId] = set()
        self._is_asking = False
        self._was_woken = False
        self._dry_until = 0.0

    def __len__(self) -> int:
        return len(self._leads)

    @property
    def is_asking(self) -> bool:
        """Whether an answer of the store is on its way."""
        return self._is_asking

    def ask(self, *, wanted: int, live: int, at: float) -> int | None:
        """How many leads to ask the store for now, or None. *live*: the campaign's live calls.

        The store knows nothing of the floor: what is here or live may come in its answer, so
        that many more are asked for.
        """
        if self._is_asking or at < self._dry_until or len(self._leads) >= max(LOW, wanted):
            return None
        self._is_asking = True
        self._was_woken = False
        self._released.clear()
        return min(MOST, max(LOW, 2 * wanted)) + len(self._leads) + live

    def fill(self, fresh: Iterable[FreshLead], *, live: Container[LeadId], at: float) -> int:
        """Take the store's answer; returns how many leads were new."""
        self._is_asking = False
        taken = 0
        for one in fresh:
            lead = one.lead.id
            if lead in self._held or lead in live or lead in self._released:
                continue
            self._leads.append(one)
            self._held.add(lead)
            taken += 1
        self._dry_until = 0.0 if taken or self._released or self._was_woken else at + LOOK_AGAIN_S
        return taken

    def pop(self) -> FreshLead:
        """The next lead."""
        one = self._leads.popleft()
        self._held.discard(one.lead.id)
        return one

    def put_back(self, one: FreshLead) -> None:
        """To the end: the lead cannot be dialed at this moment."""
        self._leads.append(one)
        self._held.add(one.lead.id)

    def release(self, lead: LeadId) -> None:
        """The lead left the floor; an answer that is on its way does not know that yet."""
        if self._is_asking:
            self._released.add(lead)

    def wake(self) -> None:
        """There may be more in the store than the last answer said."""
        self._was_woken = True
        self._dry_until = 0.0

    def clear(self) -> None:
        """Give up what is at hand (the campaign stopped or changed)."""
        self._leads.clear()
        self._held.clear()
