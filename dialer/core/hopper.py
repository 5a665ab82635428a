"""The hopper: the few leads of a campaign that are on the floor, ready to be dialed.

A million leads stay in the store; the hopper asks for more when it runs low. Between the
question and its answer the world goes on, and a lead in the answer may have been dialed and
released meanwhile: dialing it from the stale answer would ring a person twice. So:

1. The hopper remembers which leads were released since it asked, and drops them from the answer;
   they come again with the next one.
2. Questions are numbered. An answer that nobody waits for, or to an earlier question, is dropped.
3. A question that is never answered is asked again: a hopper never waits for ever.
4. What was learnt of a number since the question holds for the answer too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Container, Iterable

import msgspec

from dialer.core.events import FreshLead
from dialer.core.ids import LeadId, PhoneId

LOW = 8
"""Below so many leads the hopper asks for more."""
MOST = 400
"""It never asks for more than this at once."""
LOOK_AGAIN_S = 15.0
"""An empty answer is believed for so long, unless a timer or an import says that there is more."""
ASK_AGAIN_S = 60.0
"""A question that was not answered in this time is lost."""


class Hopper:
    """The leads at hand of one campaign. Used by the floor alone."""

    def __init__(self) -> None:
        self.asked = 0
        """The number of the last question."""
        self.is_exhausted = False
        """The last answer said that all leads are finished, and nothing has happened since."""
        self._leads: deque[FreshLead] = deque()
        self._held: set[LeadId] = set()
        self._released: set[LeadId] = set()
        self._bad: set[PhoneId] = set()
        self._doubted: set[PhoneId] = set()
        self._asked_at: float | None = None
        self._was_woken = False
        self._dry_until = 0.0

    def __len__(self) -> int:
        return len(self._leads)

    def ask(self, *, wanted: int, live: int, at: float) -> int | None:
        """How many leads to ask the store for now, or None. *live*: the campaign's live calls.

        The store knows nothing of the floor: what is here or live may come in its answer, so
        that many more are asked for.
        """
        if self._asked_at is not None:
            if at - self._asked_at < ASK_AGAIN_S:
                return None
        elif at < self._dry_until or len(self._leads) >= max(LOW, wanted):
            return None
        else:
            self._released.clear()
            self._bad.clear()
            self._doubted.clear()
        self.asked += 1
        self._asked_at = at
        self._was_woken = False
        return min(MOST, max(LOW, 2 * wanted)) + len(self._leads) + live

    def fill(
        self,
        fresh: Iterable[FreshLead],
        *,
        live: Container[LeadId],
        at: float,
        ask: int = 0,
        is_unfinished: bool = True,
    ) -> int:
        """Take the store's answer to the question *ask* (0: the present one); how many leads were new."""
        if self._asked_at is None or ask not in (0, self.asked):
            return 0
        self._asked_at = None
        taken = 0
        for one in fresh:
            lead = one.lead.id
            if lead in self._held or lead in live or lead in self._released:
                continue
            if not self._doubted.isdisjoint(phone.id for phone in one.lead.phones):
                continue
            self._leads.append(_without(one, self._bad))
            self._held.add(lead)
            taken += 1
        is_partial = self._released or self._doubted or self._was_woken
        self._dry_until = 0.0 if taken or is_partial else at + LOOK_AGAIN_S
        self.is_exhausted = not is_unfinished and not self._was_woken
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
        if self._asked_at is not None:
            self._released.add(lead)

    def remove(self, lead: LeadId) -> None:
        """What is at hand of the lead, here or in an answer on its way, is out of date."""
        self.release(lead)
        if lead in self._held:
            self._held.discard(lead)
            self._leads = deque(one for one in self._leads if one.lead.id != lead)

    def mark_bad(self, phone: PhoneId) -> None:
        """The number was found bad; what is at hand, here or in an answer on its way, does not know that."""
        if self._asked_at is not None:
            self._bad.add(phone)
        self._leads = deque(_without(one, {phone}) for one in self._leads)

    def doubt(self, phone: PhoneId) -> None:
        """The number may be good after all, as the store will say: its leads come again from there."""
        if self._asked_at is not None:
            self._doubted.add(phone)
        for one in list(self._leads):
            if any(own.id == phone for own in one.lead.phones):
                self.remove(one.lead.id)
        self.wake()

    def wake(self) -> None:
        """There may be more in the store than the last answer said."""
        self._was_woken = True
        self.is_exhausted = False
        self._dry_until = 0.0

    def clear(self) -> None:
        """Give up what is at hand (the campaign stopped or changed)."""
        self._leads.clear()
        self._held.clear()


def _without(one: FreshLead, bad: Collection[PhoneId]) -> FreshLead:
    """*one* with these numbers marked bad."""
    if not any(phone.id in bad for phone in one.lead.phones):
        return one
    phones = tuple(
        msgspec.structs.replace(phone, is_bad=True) if phone.id in bad else phone for phone in one.lead.phones
    )
    return msgspec.structs.replace(one, lead=msgspec.structs.replace(one.lead, phones=phones))
