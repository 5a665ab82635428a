"""The engine's part in the last word, which the dialplan says with or without it: what is said is made into sound before it is needed
(:mod:`dialer.pbx.prompts`), and what people chose is brought to the floor (:mod:`dialer.engine.choices`).

Nothing here blocks the loop: disk and voice are worked at in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from dialer.core import events as ev
from dialer.core.ids import AttemptId
from dialer.core.values import Campaign
from dialer.engine.choices import Choices
from dialer.engine.identity import Clock
from dialer.pbx.inbox import Inbox
from dialer.pbx.prompts import Prompts
from dialer.pbx.render import CHOICES_FOLDER
from dialer.store.errors import StoreError
from dialer.store.journal import Journal

log = logging.getLogger(__name__)

SHARED_FOLDER = "run"
"""Of the home folder: in it lies what the engine and the scripts that Asterisk runs tell each other."""
CHOICES_S = 2.0
"""The box of choices is looked through so often."""
CHOICES_AGAIN_S = 10.0
"""A choice that was told and is still in the box is told again after this time."""


class LastWordDesk:
    """Of the home folder *home*; made before the journal is asked anything. Raises OSError."""

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

    def heard(self, event: ev.ContactChose) -> None:
        """Asterisk told of a choice, which goes to the floor now."""
        self.choices.tell(event)

    async def tell_choices(self, again_s: float = -1.0) -> None:
        """Tell the floor what people chose while nobody listened, and what was told more than *again_s* seconds ago and
        is still in the box."""
        try:
            notes = self.choices.untold(await asyncio.to_thread(self.choices.read), again_s)
            if not notes:
                return
            calls = await self._journal.find_calls([AttemptId(note.attempt) for note in notes])
        except (OSError, StoreError) as error:
            log.error("The choices of people cannot be read", extra={"action": "choice", "error": str(error)})
            return
        for event in self.choices.events(notes, {call.attempt: call for call in calls}, self._clock()):
            self._inbox.put(event)

    async def keep_telling(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(CHOICES_S)
            await self.tell_choices(CHOICES_AGAIN_S)

    async def aclose(self) -> None:
        """Nothing more is spoken."""
        self.prompts.is_over = True
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
