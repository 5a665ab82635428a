"""Arrivals: between a channel that came in and the floor stands a look into the journal: whose card is it?

1. The floor is told of a call (``CallArrived``) when the journal has told whose it is. What happens to the channel
   meanwhile, its end above all, is told right after that, in its order.
2. A call is told once, though it may be heard of twice: by its event, and by a list of what lives. What lives and was heard of by
   neither the floor nor the journal has arrived while the event socket was cut; the floor is told before it gets the list.
3. Who cannot be looked up (the journal fails, their campaign is not applied any more) is not let wait: the dialplan gets them back,
   and what it writes down itself is told later (``CallMissed``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from dialer.core import events as ev
from dialer.core.commands import SendToOverflow
from dialer.core.ids import ONLY, AttemptId, CampaignId, ServerId, TrunkId
from dialer.core.incoming import Overflow, arrived_at
from dialer.core.values import Campaign
from dialer.engine.choices import Note
from dialer.engine.identity import Clock
from dialer.pbx.inbox import Inbox
from dialer.pbx.wire import Arrival, arrival
from dialer.store.callers import Caller
from dialer.store.errors import StoreError
from dialer.store.journal import Journal

log = logging.getLogger(__name__)

TOLD_KEPT = 4096
"""So many calls that were told are known again."""


class Arrivals:
    """Looks callers up, and tells *inbox*.

    *campaign*: as applied. *is_live*: whether the floor has a call. *has_trunk*: whether there is a trunk of that name, *has_server*: a server. *give_back*: gives
    a channel to the dialplan. *region*: of the numbers that carriers write without a country.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        inbox: Inbox[ev.Event],
        clock: Clock,
        campaign: Callable[[CampaignId], Campaign | None],
        is_live: Callable[[AttemptId], bool],
        has_trunk: Callable[[TrunkId], bool],
        has_server: Callable[[ServerId], bool],
        give_back: Callable[[SendToOverflow], None],
        region: str,
    ) -> None:
        self._journal = journal
        self._inbox = inbox
        self._clock = clock
        self._campaign = campaign
        self._is_live = is_live
        self._has_trunk = has_trunk
        self._has_server = has_server
        self._give_back = give_back
        self.region = region
        self._waiting: dict[AttemptId, list[ev.Event]] = {}
        self._told: dict[AttemptId, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def came(self, one: Arrival, server: ServerId = ONLY) -> None:
        """A call came in. Returns at once."""
        if one.attempt in self._told or one.attempt in self._waiting or self._is_live(one.attempt):
            return
        self._waiting[one.attempt] = []
        task = asyncio.create_task(self._take(one, server))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def put(self, event: ev.Event) -> None:
        """Into the inbox; but what is told of a call that is being looked up waits for that."""
        waiting = self._waiting.get(getattr(event, "attempt", AttemptId(""))) if self._waiting else None
        if waiting is None:
            self._inbox.put(event)
        else:
            waiting.append(event)

    async def listed(self, living: Iterable[ev.LiveChannel], server: ServerId = ONLY) -> None:
        """*living* is about to be told to the floor: calls that nobody was told of have come in (rule 2)."""
        new = [
            found
            for one in living
            if one.arrived
            and (found := arrival(one.channel, one.arrived)) is not None
            and not self._is_live(found.attempt)
        ]
        new = [one for one in new if one.attempt not in self._told and one.attempt not in self._waiting]
        if new:
            try:
                known = {
                    call.attempt for call in await self._journal.find_calls([one.attempt for one in new])
                }
            except StoreError:
                known = set()
            for one in new:
                if one.attempt not in known:
                    self.came(one, server)
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def introduce(self, note: Note, at: float) -> ev.CallMissed | None:
        """The call that *note* tells of, which the journal does not know; None: no campaign takes such calls. Raises StoreError."""
        campaign = self._campaign(CampaignId(note.campaign))
        if campaign is None or not campaign.inbound.numbers:
            return None
        caller = await self._look_up(campaign, note.caller, note.at)
        return ev.CallMissed(
            at=at,
            attempt=AttemptId(note.attempt),
            campaign=campaign.id,
            trunk=self._trunk(note.trunk, campaign),
            did=note.did,
            number=caller.number,
            lead=caller.lead,
            phone=caller.phone,
            arrived_at=min(arrived_at(note.attempt) or note.at, note.at, at),
            choice=note.choice,
            due=note.due,
            server=server if self._has_server(server := ServerId(note.server)) else ONLY,
        )

    async def aclose(self) -> None:
        """Give up what is being looked up."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, one: Arrival, server: ServerId) -> None:
        try:
            event = await self._event(one, server)
            if event is not None:
                self._tell(one.attempt)
                self._inbox.put(event)
        except StoreError as error:
            log.error(
                "Who calls us cannot be looked up; the dialplan speaks with them",
                extra={"action": "arrive", "attempt": one.attempt, "error": str(error)},
            )
            self._refuse(one)
        finally:
            for later in self._waiting.pop(one.attempt, ()):
                self._inbox.put(later)

    async def _event(self, one: Arrival, server: ServerId) -> ev.CallArrived | None:
        campaign = self._campaign(one.campaign)
        if campaign is None:
            log.warning(
                "A call came for a campaign that is not applied",
                extra={"action": "arrive", "attempt": one.attempt, "campaign": one.campaign},
            )
            self._refuse(one)
            return None
        caller = await self._look_up(campaign, one.caller, self._clock())
        return ev.CallArrived(
            at=self._clock(),
            attempt=one.attempt,
            campaign=campaign.id,
            trunk=self._trunk(one.trunk, campaign),
            did=one.did,
            number=caller.number,
            lead=caller.lead,
            phone=caller.phone,
            last_operator=caller.last_operator,
            is_open=caller.is_open,
            server=server,
        )

    async def _look_up(self, campaign: Campaign, caller: str, at: float) -> Caller:
        return await self._journal.find_caller(campaign, caller, at, self.region)

    def _trunk(self, name: str, campaign: Campaign) -> TrunkId:
        """A name that the journal knows: its own, or (a trunk that was taken away a moment ago) the campaign's."""
        return TrunkId(name) if self._has_trunk(TrunkId(name)) else campaign.trunk

    def _refuse(self, one: Arrival) -> None:
        self._tell(one.attempt)
        campaign = self._campaign(one.campaign)
        place: Overflow = campaign.inbound.overflow if campaign is not None else "hang_up"
        if place == "number":  # nobody would know whether there is room for that call
            place = "callback"
        self._give_back(SendToOverflow(attempt=one.attempt, place=place))

    def _tell(self, attempt: AttemptId) -> None:
        while len(self._told) >= TOLD_KEPT:
            del self._told[next(iter(self._told))]
        self._told[attempt] = None
