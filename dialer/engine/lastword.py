"""The engine's part in the last word, which the dialplan says with or without it: what is said is made into sound before it is needed
(:mod:`dialer.pbx.prompts`), and what people chose is brought to the floor (:mod:`dialer.engine.choices`).

Nothing here blocks the loop: disk and voice are worked at in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from dialer.core import events as ev
from dialer.core.ids import AttemptId
from dialer.core.values import Campaign, Centre, Trunk
from dialer.engine.choices import Choices, Note
from dialer.engine.identity import Clock
from dialer.pbx import ournumbers
from dialer.pbx.inbox import Inbox
from dialer.pbx.prompts import Prompts
from dialer.pbx.render import CHOICES_FOLDER
from dialer.store.errors import StoreError
from dialer.store.files import SHARED_FOLDER
from dialer.store.journal import Journal

log = logging.getLogger(__name__)

CHOICES_S = 2.0
"""The box of choices is looked through so often."""
CHOICES_AGAIN_S = 10.0
"""A choice that was told and is still in the box is told again after this time."""
SETTLED_S = 5.0
"""A call that the engine is told of is in the journal by then."""


class LastWordDesk:
    """Of the home folder *home*; made before the journal is asked anything. Raises OSError."""

    introduce: Callable[[Note, float], Awaitable[ev.CallMissed | None]] | None = None
    """Who called us, by a note of a call that the journal does not know, at an instant; None: no campaign takes calls
    to that number. Set by the house."""

    def __init__(self, home: Path, *, journal: Journal, inbox: Inbox[ev.Event], clock: Clock) -> None:
        self.choices = Choices(home / SHARED_FOLDER / CHOICES_FOLDER)
        self.prompts = Prompts(home, home / SHARED_FOLDER)
        self._journal = journal
        self._inbox = inbox
        self._clock = clock
        self._prompting = asyncio.Lock()
        self._errands: set[asyncio.Task[None]] = set()

    async def make_prompts(self, campaigns: Sequence[Campaign]) -> None:
        """What *campaigns* (all that there are) say becomes sound; the times of calls, which take longer, soon after.

        What cannot be made is a warning in the log.
        """
        await self._make(self.prompts.make, campaigns)
        self._errands.add(task := asyncio.create_task(self._make(self.prompts.make_times, campaigns)))
        task.add_done_callback(self._errands.discard)

    async def finish_prompts(self) -> None:
        """Wait until all that was to be spoken is."""
        await asyncio.gather(*self._errands, return_exceptions=True)

    async def lay_out_numbers(
        self,
        campaigns: Sequence[Campaign],
        trunks: Sequence[Trunk],
        centre: Centre,
        access: Sequence[str] = (),
    ) -> None:
        """The dialplan learns which number is which campaign's, and which (*access*) operators ring. What cannot be as it is written is a warning in the log."""
        by_id = {trunk.id: trunk for trunk in trunks}
        try:
            cautions = await asyncio.to_thread(
                ournumbers.lay_out, self.prompts.ivr, campaigns, by_id, centre, access
            )
        except OSError as error:
            cautions = [f"Our numbers cannot be laid out, and calls to them would be refused: {error}"]
        for caution in cautions:
            log.warning("%s.", caution, extra={"action": "numbers"})

    def heard(self, event: ev.ContactChose) -> None:
        """Asterisk told of a choice, which goes to the floor now."""
        self.choices.tell(event)

    async def tell_choices(self, again_s: float = -1.0, settled_s: float = 0.0) -> None:
        """Tell the floor what people chose while nobody listened, and what was told more than *again_s* seconds ago and
        is still in the box. A call to us that the journal does not know is told when its note is *settled_s* old: a younger one
        may be on its way there."""
        try:
            notes = self.choices.untold(await asyncio.to_thread(self.choices.read), again_s)
            if not notes:
                return
            calls = await self._journal.find_calls([AttemptId(note.attempt) for note in notes])
        except (OSError, StoreError) as error:
            log.error("The choices of people cannot be read", extra={"action": "choice", "error": str(error)})
            return
        known = {call.attempt: call for call in calls}
        strangers = [note for note in notes if note.is_inbound and note.attempt not in known]
        told = [note for note in notes if note not in strangers]
        for event in await asyncio.to_thread(self.choices.events, told, known, self._clock()):
            self._inbox.put(event)
        for note in strangers:
            if self._clock() - note.at >= settled_s:
                await self._introduce(note)

    async def _introduce(self, note: Note) -> None:
        try:
            event = await self.introduce(note, self._clock()) if self.introduce is not None else None
        except StoreError as error:
            log.error("A call to us cannot be written down", extra={"action": "choice", "error": str(error)})
            return
        if event is None:
            why = f"no campaign takes calls to {note.did}"
            await asyncio.to_thread(self.choices.refuse, f"{note.attempt}.json", why)
            return
        self.choices.tell(event)
        self._inbox.put(event)

    async def keep_telling(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(CHOICES_S)
            await self.tell_choices(CHOICES_AGAIN_S, SETTLED_S)

    async def aclose(self) -> None:
        """Nothing more is spoken."""
        self.prompts.stop()
        for task in list(self._errands):
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)

    async def _make(
        self, make: Callable[[Sequence[Campaign]], list[str]], campaigns: Sequence[Campaign]
    ) -> None:
        async with self._prompting:
            try:
                cautions = await asyncio.to_thread(make, campaigns)
            except OSError as error:
                cautions = [f"What people are told cannot be laid out: {error}"]
        for caution in dict.fromkeys(cautions):
            log.warning("%s.", caution.rstrip("."), extra={"action": "prompts"})
