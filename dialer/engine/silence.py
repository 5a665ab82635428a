"""A carrier that died without a word: of a call that does not ring, Asterisk is asked whether the carrier said anything at all.

1. A server says 100 Trying within 200 ms if it has nothing better to say (RFC 3261, 17.2.1). Asterisk sends an INVITE again after 0.5, 1.5 and
   3.5 s, and 7.5 s. So who has said nothing by :data:`SILENT_S` was asked four times, and has not received the call, or is gone.
2. Asterisk by itself gives such a call up after 32 s (timer B, 17.1.1.2). Campaigns ring for less, and who was given up by us cannot be told from
   somebody who did not pick up. A shorter timer B is not to be had: Asterisk keeps it at 64*T1 at least, and a T1 of less than
   500 ms is for private networks alone (17.1.1.1): on the way to a distant carrier everything would be sent twice.
3. Asterisk keeps the last response to each channel. ``HANGUPCAUSE_KEYS()`` names the channel as soon as there is one, a 100 included. It is asked
   once for each call that has not rung by then; what the answer means, the floor decides.
4. Where Asterisk cannot be asked, nothing is told, and the call ends as it ends.

Measured on Asterisk 22.10: the INVITE of a call that was given up is sent again until timer B ends, and the first response to it is
answered by CANCEL: nobody's phone rings for longer than that takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from dialer.core.commands import AnyCommand, HangUp
from dialer.core.events import Event, TrunkSilent
from dialer.core.ids import AttemptId, ChannelId
from dialer.core.values import Call, CallState
from dialer.engine.dispatcher import Route
from dialer.engine.identity import Clock
from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxError
from dialer.pbx.inbox import Inbox

log = logging.getLogger(__name__)

SILENT_S: Final = 6.0
"""From the INVITE on (rule 1): four of them, and two and a half seconds after the last."""
RESPONSES: Final = "HANGUPCAUSE_KEYS()"
"""Of a channel that we called: empty until the first response."""


class Silence:
    """Tells of each call to which its carrier said nothing (:class:`dialer.core.events.TrunkSilent`), into *inbox*.

    *calls*: those on the floor, as they stand. *route*: who has a channel.
    """

    def __init__(
        self,
        *,
        route: Route,
        inbox: Inbox[Event],
        clock: Clock,
        calls: Mapping[AttemptId, Call],
        silent_s: float = SILENT_S,
    ) -> None:
        self._route = route
        self._inbox = inbox
        self._clock = clock
        self._calls = calls
        self._silent_s = silent_s
        self._watches: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, attempt: AttemptId) -> None:
        """Its INVITE has just been sent, as far as is known."""

        def due() -> None:
            self._watches.discard(handle)
            if self._is_dialing(attempt):
                task = asyncio.create_task(self._ask(attempt))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        handle = asyncio.get_running_loop().call_later(self._silent_s, due)
        self._watches.add(handle)

    async def aclose(self) -> None:
        """Watch no more."""
        for handle in self._watches:
            handle.cancel()
        self._watches.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_dialing(self, attempt: AttemptId) -> bool:
        call = self._calls.get(attempt)
        return call is not None and call.state is CallState.DIALING

    async def _ask(self, attempt: AttemptId) -> None:
        command: AnyCommand = HangUp(channel=ChannelId(attempt))
        for ari in self._route(command, attempt):
            try:
                is_silent = await has_no_response(ari, attempt)
            except PbxError as error:
                log.info(
                    "Whether the carrier responds to a call is not known",
                    extra={"action": "silence", "attempt": attempt, "error": str(error)},
                )
                continue
            if is_silent and self._is_dialing(attempt):
                self._inbox.put(TrunkSilent(at=self._clock(), attempt=attempt))
                return


async def has_no_response(ari: AriClient, channel: str) -> bool:
    """Whether nothing has come back for the INVITE of *channel*, which we called. Raises PbxError."""
    found = await ari.request(
        "GET",
        f"/channels/{quote(channel, safe='')}/variable",
        params={"variable": RESPONSES},
        repeatable=True,
    )
    return isinstance(found, dict) and found.get("value") == ""
