"""The hopper: the few leads of a campaign that are on the floor, ready to be dialed.

A million leads stay in the store; the hopper asks for more when it runs low. Between the
question and its answer the world goes on, and a lead in the answer may have been dialed and
released meanwhile: dialing it from the stale answer would ring a person twice. So:

1. The hopper remembers which leads were released since it asked, and drops them from the answer;
   they come again with the next one.
2. Questions are numbered. An answer that nobody waits for, or to an earlier question, is dropped.
3. A question that is never answered is asked again: a hopper never waits for ever.
4. What was learnt of a number since the question holds for the answer too.
5. A number that was called since its lead was fetched, for whatever contact and campaign, makes what is
   known of that lead stale (caps count that call): the lead is given up and comes again from the store.
6. Leads that nobody but their owner may have stand apart: they never keep the others from being asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Container, Iterable

import msgspec

from dialer.core.events import FreshLead
from dialer.core.ids import AgentId, LeadId, PhoneId

LOW = 8
"""Below so many leads the hopper asks for more."""
MOST = 400
"""It never asks for more than this at once."""
LOOK_AGAIN_S = 15.0
"""An empty answer is believed for so long, unless a timer or an import says that there is more."""
DROPPED_S = 1.0
"""Leads that may not be dialed any more are looked for again after this: should the store see them in
another light than the floor, they do not go to and fro without a pause."""
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
        self._personal: dict[AgentId, deque[FreshLead]] = {}
        self._held: dict[LeadId, FreshLead] = {}
        self._by_number: dict[str, set[LeadId]] = {}
        self._released: set[LeadId] = set()
        self._bad: set[PhoneId] = set()
        self._doubted: set[str] = set()
        self._asked_at: float | None = None
        self._was_woken = False
        self._dry_until = 0.0

    def __len__(self) -> int:
        """How many leads may be given to anybody."""
        return len(self._leads)

    @property
    def owners(self) -> Collection[AgentId]:
        """The operators for whom leads of their own are at hand."""
        return self._personal.keys()

    def may_ask(self, wanted: int, at: float) -> bool:
        """Whether :meth:`ask` says anything; for the most that may be wanted: whether it could."""
        if self._asked_at is not None:
            return at - self._asked_at >= ASK_AGAIN_S
        return at >= self._dry_until and len(self._leads) < max(LOW, wanted)

    def ask(self, *, wanted: int, live: int, at: float) -> int | None:
        """How many leads to ask the store for now, or None. *live*: the campaign's live calls.

        The store knows nothing of the floor: what is here or live may come in its answer, so
        that many more are asked for.
        """
        if not self.may_ask(wanted, at):
            return None
        if self._asked_at is None:
            self._released.clear()
            self._bad.clear()
            self._doubted.clear()
        self.asked += 1
        self._asked_at = at
        self._was_woken = False
        return min(MOST, max(LOW, 2 * wanted)) + len(self._held) + live

    def fill(
        self,
        fresh: Iterable[FreshLead],
        *,
        live: Container[LeadId],
        at: float,
        ask: int = 0,
        is_unfinished: bool = True,
        is_partial: bool = False,
        owner_of: Callable[[FreshLead], AgentId | None] = lambda _: None,
    ) -> int:
        """Take the store's answer to the question *ask* (0: the present one); how many leads were new.

        *is_partial*: the store did not look to the end. *owner_of*: the only operator who may have a lead.
        """
        if self._asked_at is None or ask not in (0, self.asked):
            return 0
        self._asked_at = None
        taken = 0
        for one in fresh:
            lead, owner = one.lead.id, owner_of(one)
            if owner is None and self._waited_for_owner(lead):
                self.remove(lead)  # its owner had it to themselves for long enough
            if lead in self._held or lead in live or lead in self._released:
                continue
            if not self._doubted.isdisjoint(phone.number for phone in one.lead.phones):
                is_partial = True
                continue
            self._hold(_without(one, self._bad))
            shelf = self._leads if owner is None else self._personal.setdefault(owner, deque())
            shelf.append(self._held[lead])
            taken += 1
        may_be_more = taken or is_partial or self._released or self._was_woken
        self._dry_until = 0.0 if may_be_more else at + LOOK_AGAIN_S
        self.is_exhausted = not is_unfinished and not self._was_woken
        return taken

    def pop(self) -> FreshLead:
        """The next lead."""
        one = self._leads.popleft()
        self._let_go(one.lead.id)
        return one

    def pop_of(self, owner: AgentId) -> FreshLead:
        """The next lead that is for *owner* alone; KeyError if there is none."""
        shelf = self._personal[owner]
        one = shelf.popleft()
        if not shelf:
            del self._personal[owner]
        self._let_go(one.lead.id)
        return one

    def put_back(self, one: FreshLead) -> None:
        """To the end: the lead cannot be dialed at this moment."""
        self._leads.append(one)
        self._hold(one)

    def drop(self, lead: LeadId, at: float) -> None:
        """The lead may not be dialed as things are now; what comes instead is asked for a little later."""
        self.release(lead)
        self._dry_until = max(self._dry_until, at + DROPPED_S)

    def release(self, lead: LeadId) -> None:
        """The lead left the floor; an answer that is on its way does not know that yet."""
        if self._asked_at is not None:
            self._released.add(lead)

    def remove(self, lead: LeadId) -> None:
        """What is at hand of the lead, here or in an answer on its way, is out of date."""
        self.release(lead)
        if self._let_go(lead):
            self._leads = deque(one for one in self._leads if one.lead.id != lead)
            for owner, shelf in list(self._personal.items()):
                self._personal[owner] = deque(one for one in shelf if one.lead.id != lead)
                if not self._personal[owner]:
                    del self._personal[owner]

    def mark_bad(self, phone: PhoneId, number: str) -> None:
        """The number was found bad; what is at hand, here or in an answer on its way, does not know that."""
        if self._asked_at is not None:
            self._bad.add(phone)
        if number not in self._by_number:
            return
        self._leads = deque(_without(one, {phone}) for one in self._leads)
        for owner, shelf in self._personal.items():
            self._personal[owner] = deque(_without(one, {phone}) for one in shelf)

    def doubt(self, number: str) -> None:
        """What is known of *number* is out of date: its leads come again from the store."""
        if self._asked_at is not None:
            self._doubted.add(number)
        for lead in list(self._by_number.get(number, ())):
            self.remove(lead)
            self.wake()

    def wake(self) -> None:
        """There may be more in the store than the last answer said."""
        self._was_woken = True
        self.is_exhausted = False
        self._dry_until = 0.0

    def clear(self) -> None:
        """Give up what is at hand, and what is on its way (the campaign stopped or changed)."""
        self._leads.clear()
        self._personal.clear()
        self._held.clear()
        self._by_number.clear()
        self._asked_at = None

    def begin_anew(self) -> None:
        """What is known of the leads may hold no longer: all of them come again from the store."""
        self.clear()
        self.wake()

    def _waited_for_owner(self, lead: LeadId) -> bool:
        held = self._held.get(lead)
        if held is None or held.lead.owner is None:
            return False
        return any(one.lead.id == lead for one in self._personal.get(held.lead.owner, ()))

    def _hold(self, one: FreshLead) -> None:
        self._held[one.lead.id] = one
        for phone in one.lead.phones:
            self._by_number.setdefault(phone.number, set()).add(one.lead.id)

    def _let_go(self, lead: LeadId) -> bool:
        one = self._held.pop(lead, None)
        if one is None:
            return False
        for phone in one.lead.phones:
            leads = self._by_number.get(phone.number, set())
            leads.discard(lead)
            if not leads:
                self._by_number.pop(phone.number, None)
        return True


def _without(one: FreshLead, bad: Collection[PhoneId]) -> FreshLead:
    """*one* with these numbers marked bad."""
    if not any(phone.id in bad for phone in one.lead.phones):
        return one
    phones = tuple(
        msgspec.structs.replace(phone, is_bad=True) if phone.id in bad else phone for phone in one.lead.phones
    )
    return msgspec.structs.replace(one, lead=msgspec.structs.replace(one.lead, phones=phones))
