"""The dispatcher: carries out what was decided and saved.

1. Commands about one channel are carried out in their order, one after the other; those about
   different channels do not wait for each other.
2. What Asterisk refuses comes back as an event: the floor decides what follows.
3. An originate is sent once. Where its fate is unknown (no answer came, or rubbish), nothing is done:
   the channel's own events tell, or the attempt's deadline does.
4. A channel that is gone when we hang it up has told so already; in case it has not, it is told
   after a moment.
5. An originate that could not be sent soon (the machine slept, Asterisk was slow) is not sent at all: the
   operator whom it counted on, and the hour in which the person may be called, may be gone.
6. Asterisk answers a join when it is done. That is told like the event that says the same, which may be
   late or lost: who talks already must not be taken for one who waits.
7. Of several servers the one that has the channel is asked (*route*). An order about a channel that nobody knows goes to each, where it
   does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path

from dialer.core import events as ev
from dialer.core.commands import (
    SAVE_TYPES,
    AnnounceWait,
    AnyCommand,
    ClearTimer,
    CloseLine,
    DialThird,
    FetchLeads,
    ForgetChoice,
    HangUp,
    HoldContact,
    JoinAgent,
    MoveContact,
    Originate,
    RingAgent,
    SendToLastWord,
    SendToOverflow,
    SetTimer,
)
from dialer.core.deskphone import DeskPhone
from dialer.core.destinations import allows, longest
from dialer.core.ids import AttemptId, CampaignId, ChannelId, TrunkId, is_attempt, is_leg, is_third
from dialer.core.values import Campaign, Trunk
from dialer.engine.identity import Clock, new_attempt_id
from dialer.engine.logs import about_command
from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxError, PbxGarbled, PbxRefused, PbxUnreachable, Unsendable
from dialer.pbx.inbox import Inbox
from dialer.pbx.requests import Request, to_request
from dialer.pbx.waiting import Sounds
from dialer.pbx.wire import to_refusal
from dialer.store.errors import StoreError
from dialer.store.journal import Journal
from dialer.store.numberplan import is_costly
from dialer.timers import Timers

log = logging.getLogger(__name__)

GONE_S = 1.0
"""A channel found missing has, by then, surely told its end itself."""
FETCH_AGAIN_S = 1.0
AGAIN_S = 6.0
"""What is refused because something asked before is not done yet is asked again for so long: a bridge goes only when its channel
has heard the sound that it is being told."""
AGAIN_POLL_S = 0.02
GATHER_S = 0.1
"""Changes of timers are gathered for so long: of the three or four that a call makes while it is answered and
joined, Redis is told one."""
SOON_S = 0.25
"""What is due so soon is told at once."""
ORIGINATE_LATE_S = 5.0
"""An originate is sent no later than this after it was decided."""

Route = Callable[[AnyCommand, str], Sequence[AriClient]]


class Dispatcher:
    """Carries commands out; answers come as events into *inbox*.

    *route*: who is given a command about a channel (of the only server: always its client).
    *forget*: clears a choice away that has been written down; called in a thread. *placed*: told of each call that Asterisk has begun.
    """

    def __init__(
        self,
        *,
        route: Route,
        inbox: Inbox[ev.Event],
        journal: Journal,
        timers: Timers,
        recordings: Path,
        clock: Clock,
        trunk: Callable[[TrunkId], Trunk | None],
        campaign: Callable[[CampaignId], Campaign | None],
        forget: Callable[[AttemptId], None],
        phone: Callable[[str], DeskPhone | None] = lambda _: None,
        countries: Callable[[], Sequence[str]] = lambda: (),
        sounds: Sounds = lambda _: {},
        placed: Callable[[AttemptId], None] = lambda _: None,
    ) -> None:
        self._route = route
        self._inbox = inbox
        self._journal = journal
        self._timers = timers
        self._recordings = recordings
        self._clock = clock
        self._trunk = trunk
        self._campaign = campaign
        self._forget = forget
        self._phone = phone
        self._countries = countries
        self._sounds = sounds
        self._placed = placed
        self._chains: dict[str, deque[tuple[AnyCommand, float]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer_changes: dict[tuple[str, str], SetTimer | ClearTimer] = {}
        """The last change of each subject's timer that Redis has not been told."""
        self._is_timer_soon = asyncio.Event()
        self._timer_task: asyncio.Task[None] | None = None

    def dispatch(self, commands: Iterable[AnyCommand], at: float) -> None:
        """Begin to carry out *commands*, decided at the instant *at*; returns at once.

        ``Save...`` commands are not ours.
        """
        for command in commands:
            if type(command) in SAVE_TYPES:
                continue
            if isinstance(command, SetTimer | ClearTimer):
                self._timer_changes[command.kind, command.subject] = command
                if isinstance(command, SetTimer) and command.due < at + SOON_S:
                    self._is_timer_soon.set()
            elif isinstance(command, FetchLeads):
                self._spawn(self._fetch(command))
            elif isinstance(command, ForgetChoice):
                self._spawn(asyncio.to_thread(self._forget, command.attempt))
            else:
                self._chain(command, at)
        if self._timer_changes and (self._timer_task is None or self._timer_task.done()):
            self._timer_task = self._spawn(self._apply_timers())

    @property
    def busy(self) -> int:
        """How many channels have commands under way."""
        return len(self._chains)

    async def aclose(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "A command failed by a fault of ours",
                exc_info=task.exception(),
                extra={"action": "command"},
            )

    # -- timers and leads ---------------------------------------------------------------

    async def _apply_timers(self) -> None:
        """Tell Redis of timers, a little later: most of a call's are overtaken within milliseconds.

        What is due soon is told at once. Should we die meanwhile, the next engine arms all timers anew.
        """
        while self._timer_changes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._is_timer_soon.wait()
            self._is_timer_soon.clear()
            changes, self._timer_changes = self._timer_changes, {}
            await self._timers.apply(list(changes.values()))

    async def _fetch(self, command: FetchLeads) -> None:
        campaign = self._campaign(command.campaign)
        if campaign is None:
            return
        while True:
            at = self._clock()
            try:
                leads, unfinished, is_partial = await self._journal.fetch_leads(
                    campaign, command.limit, at, command.present
                )
                break
            except StoreError as error:
                log.warning(
                    "Leads cannot be read; trying again", extra={"action": "fetch", "error": str(error)}
                )
                await asyncio.sleep(FETCH_AGAIN_S)
        fresh = tuple(
            ev.FreshLead(
                lead=lead,
                attempt=new_attempt_id(),
                more=tuple(new_attempt_id() for _ in range(command.more)),
            )
            for lead in leads
        )
        self._inbox.put(
            ev.LeadsFetched(
                at=self._clock(),
                campaign=campaign.id,
                leads=fresh,
                unfinished=unfinished,
                ask=command.ask,
                is_partial=is_partial,
            )
        )

    # -- Asterisk -----------------------------------------------------------------------

    def _chain(self, command: AnyCommand, at: float) -> None:
        key = _channel(command)
        chain = self._chains.get(key)
        if chain is not None:
            chain.append((command, at))
            return
        self._chains[key] = deque(((command, at),))
        self._spawn(self._run_chain(key))

    async def _run_chain(self, key: str) -> None:
        chain = self._chains[key]
        try:
            while chain:
                command, at = chain.popleft()
                try:
                    await self._act(command, at)
                except Exception:  # what follows on this channel may be its hang-up
                    log.exception("A command failed by a fault of ours", extra=about_command(command))
        finally:
            del self._chains[key]

    async def _act(self, command: AnyCommand, at: float) -> None:
        is_call = isinstance(command, Originate | DialThird)
        if is_call and (late_s := self._clock() - at) > ORIGINATE_LATE_S:
            self._refused(command, Unsendable(f"it could have been sent only {late_s:.1f} s late"))
            return  # by no fault of the trunk: it does not go on by another one
        try:
            trunks: Mapping[TrunkId, Trunk] = {}
            if isinstance(command, DialThird):
                await self._check_third(command)
            if (
                isinstance(command, Originate | DialThird | SendToOverflow)
                and command.trunk is not None
                and (trunk := self._trunk(command.trunk)) is not None
            ):
                trunks = {trunk.id: trunk}
            phone = self._phone(command.phone) if isinstance(command, RingAgent) else None
            phones = {phone.extension: phone} if phone is not None else {}
            if phone is not None and phone.number:
                trunks = self._trunk_of(phone)
            requests = to_request(
                command,
                trunks=trunks,
                phones=phones,
                recordings=self._recordings,
                at=at,
                sounds=self._sounds,
            )
            await self._send(command, requests)
        except PbxError as error:
            self._refused(command, error)
            return
        if isinstance(command, Originate):
            self._placed(command.attempt)
        if isinstance(command, JoinAgent | MoveContact):
            self._inbox.put(ev.Connected(at=self._clock(), attempt=command.attempt, bridge=command.bridge))

    def _trunk_of(self, phone: DeskPhone) -> Mapping[TrunkId, Trunk]:
        """The trunk by which an operator on an outside line is called. Raises Unsendable: it may not call that number."""
        trunk = self._trunk(TrunkId(phone.trunk))
        if trunk is None:
            return {}
        if not allows(trunk, self._countries(), phone.number):
            raise Unsendable(f"phone {phone.extension}: trunk {trunk.id} may not call its number")
        return {trunk.id: trunk}

    async def _check_third(self, command: DialThird) -> None:
        """Whether the number may be called at all is asked right before. Raises Unsendable: not, or nobody knows."""
        try:
            rule = await self._journal.barred(command.number, command.campaign)
        except StoreError as error:
            raise Unsendable(f"whether the number may be called is not known: {error}") from error
        if rule:
            raise Unsendable(f"the number is on a do-not-call list: {rule}")
        trunk = self._trunk(command.trunk)
        named = trunk is not None and longest(trunk.destinations, command.number) is not None
        if is_costly(command.number) and not named:
            raise Unsendable(
                "numbers of that type cost who calls them, and the trunk's destinations do not name it"
            )

    async def _ask(self, ari: AriClient, request: Request) -> None:
        """Send *request*, and again for a moment where that may help. Raises PbxError."""
        until = self._clock() + AGAIN_S
        while True:
            try:
                await ari.request(
                    request.method, request.path, json=request.json, repeatable=request.repeatable
                )
                return
            except PbxRefused as refusal:
                if refusal.status not in request.again or self._clock() > until:
                    raise
            await asyncio.sleep(AGAIN_POLL_S)

    async def _send(self, command: AnyCommand, requests: Sequence[Request]) -> None:
        """To the server that has the channel; where nobody knows which, to each (rule 7). Raises PbxError."""
        clients = self._route(command, _channel(command))
        if not clients:
            raise PbxUnreachable("no Asterisk server to send it to", was_sent=False)
        failure: PbxError | None = None
        gone: list[PbxRefused] = []
        done = 0
        for ari in clients:
            try:
                for request in requests:
                    try:
                        await self._ask(ari, request)
                    except PbxRefused as refusal:
                        if refusal.status not in request.fine:
                            raise
                        gone.append(refusal)
                done += 1
            except PbxError as error:
                failure = error
        if failure is not None and not done:
            raise failure
        if gone and len(gone) >= len(clients):
            self._was_gone(command, gone[0])

    def _was_gone(self, command: AnyCommand, refusal: PbxRefused) -> None:
        if isinstance(command, HangUp) and refusal.status == 404:
            asyncio.get_running_loop().call_later(GONE_S, self._tell_gone, command.channel)

    def _tell_gone(self, channel: str) -> None:
        if is_attempt(channel):
            self._inbox.put(ev.ContactHungUp(at=self._clock(), attempt=AttemptId(channel)))
        elif is_leg(ChannelId(channel)) or is_third(ChannelId(channel)):
            self._inbox.put(ev.LineEnded(at=self._clock(), channel=ChannelId(channel)))

    def _refused(self, command: AnyCommand, error: PbxError) -> None:
        log.info(
            "Asterisk did not do it",
            extra={**about_command(command), "error": str(error)},
        )
        is_unknown = isinstance(error, PbxUnreachable | PbxGarbled) and error.was_sent
        if isinstance(command, Originate | DialThird) and is_unknown:
            return
        event = to_refusal(command, error, self._clock())
        if event is not None:
            self._inbox.put(event)


def _channel(command: AnyCommand) -> str:
    """The channel whose commands *command* stands in line with."""
    match command:
        case Originate() | JoinAgent() | SendToLastWord() | SendToOverflow() | HoldContact() | AnnounceWait():
            return command.attempt
        case MoveContact():
            return command.attempt
        case CloseLine():
            return command.bridge.removeprefix("line-")
        case _:
            return str(getattr(command, "channel", ""))
