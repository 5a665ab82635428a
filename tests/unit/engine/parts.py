"""Stand-ins for the neighbours of the engine's parts: each does what it is told, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec

from dialer.core import events as ev
from dialer.core.commands import AnyCommand, ClearTimer, Originate, SaveCall, SetTimer
from dialer.core.ids import AgentId, AttemptId, CampaignId, LeadId, PhoneId, TrunkId
from dialer.core.values import Call, CallState, Campaign, Lead, Result, Trunk
from dialer.engine.identity import Clock
from dialer.pbx.inbox import Inbox

TRUNK = Trunk(id=TrunkId("north"), host="127.0.0.1")
CAMPAIGN = Campaign(id=CampaignId("spring"), lists=("people",), trunk=TRUNK.id)


async def until(is_so: Callable[[], Any], within_s: float = 8.0) -> None:
    """Wait until *is_so*; fails after *within_s*."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.002)


def attempt(serial: int) -> AttemptId:
    return AttemptId(f"a{serial:020}")


def call(serial: int = 1, **changes: Any) -> Call:
    """An attempt at the lead of the same number, which the test journal holds for 1 to 9."""
    made = Call(
        attempt=attempt(serial),
        campaign=CAMPAIGN.id,
        lead=LeadId(serial),
        contact=serial,  # type: ignore[arg-type]
        phone=PhoneId(2 * serial - 1),
        number=f"+7916{serial:07}",
        ordinal=1,
        trunk=TRUNK.id,
        created_at=1_700_000_000.0,
    )
    return msgspec.structs.replace(made, **changes)


def ended(serial: int = 1, **changes: Any) -> Call:
    """An answered attempt that is over."""
    settings: dict[str, Any] = {
        "state": CallState.ENDED,
        "answered_at": 1_700_000_005.0,
        "ended_at": 1_700_000_009.0,
        "result": Result.TALKED,
    }
    return call(serial, **(settings | changes))


def dialing(serial: int = 1) -> list[AnyCommand]:
    """What the floor says when it places a call."""
    one = call(serial)
    return [
        SaveCall(call=one),
        Originate(
            attempt=one.attempt,
            campaign=one.campaign,
            trunk=one.trunk,
            number=one.number,
            caller_id="",
            ring_s=20.0,
            record=True,
        ),
    ]


class Desk:
    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign


class ScriptedFloor:
    """A floor that answers each event as the test wrote it down, and nothing to the others."""

    def __init__(self) -> None:
        self.desks = {CAMPAIGN.id: Desk(CAMPAIGN)}
        self.seen: list[ev.Event] = []
        self._answers: list[tuple[ev.Event, list[AnyCommand]]] = []

    def on(self, event: ev.Event, *commands: AnyCommand) -> ev.Event:
        self._answers.append((event, list(commands)))
        return event

    def handle(self, event: ev.Event) -> list[AnyCommand]:
        self.seen.append(event)
        return next((commands for one, commands in self._answers if one is event), [])

    def must_note(self, event: ev.Event, commands: list[AnyCommand]) -> bool:
        return bool(commands) or not isinstance(event, ev.Ticked)

    def saw(self, kind: type) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


class Acts:
    """A dispatcher that only notes: what, and how many attempts the journal file held at that moment."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self.commands: list[AnyCommand] = []
        self.attempts_then: list[int] = []
        self._reader = reader

    def dispatch(self, commands: Iterable[AnyCommand], at: float) -> None:
        self.commands += commands
        self.attempts_then.append(self._reader.execute("SELECT count(*) FROM attempts").fetchone()[0])

    def of(self, kind: type) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]


class Shelf:
    """Recordings that only notes."""

    def __init__(self) -> None:
        self.finished: list[Call] = []
        self.kept: list[ev.RecordingStored] = []
        self.asked: list[AttemptId] = []
        self.not_asked: list[AttemptId] = []
        self.forgotten: list[AttemptId] = []
        self.lost: list[Call] = []

    def ask(self, attempt: AttemptId) -> None:
        self.asked.append(attempt)

    def ask_not(self, attempt: AttemptId) -> None:
        self.not_asked.append(attempt)

    def forget(self, attempt: AttemptId) -> None:
        self.forgotten.append(attempt)

    def finish(self, call: Call, *, is_lost: bool = False) -> None:
        (self.lost if is_lost else self.finished).append(call)

    def stored(self, recording: ev.RecordingStored) -> None:
        self.kept.append(recording)


class FakeAri:
    """Notes each request when it comes; *answer* may raise, or be awaited."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.done: list[str] = []
        self.repeatable: dict[str, bool] = {}
        self.answer: Callable[[str, str], Any] = lambda method, path: None

    async def request(
        self, method: str, path: str, *, params: Any = None, json: Any = None, repeatable: bool = False
    ) -> Any:
        what = f"{method} {path}"
        self.began.append(what)
        self.repeatable[what] = repeatable
        answer = self.answer(method, path)
        if asyncio.iscoroutine(answer):
            answer = await answer
        self.done.append(what)
        return answer


class FakeTimers:
    """Takes changes in batches; while *gate* is closed a batch waits."""

    def __init__(self) -> None:
        self.batches: list[list[SetTimer | ClearTimer]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, changes: list[SetTimer | ClearTimer]) -> bool:
        self.batches.append(list(changes))
        await self.gate.wait()
        return True


class FakeJournal:
    """Answers questions for leads, after failing as often as it is told."""

    def __init__(self, leads: list[Lead] | None = None) -> None:
        self.leads = leads or []
        self.failures: list[Exception] = []
        self.asked: list[tuple[CampaignId, int]] = []
        self.present: tuple[AgentId, ...] = ()
        self.is_partial = False
        self.bars = ""
        """The rule that bars every number."""

    async def barred(self, number: str, campaign: CampaignId) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return self.bars

    async def fetch_leads(
        self, campaign: Campaign, limit: int, at: float, present: Collection[AgentId] = ()
    ) -> tuple[list[Lead], bool, bool]:
        self.asked.append((campaign.id, limit))
        self.present = tuple(present)
        if self.failures:
            raise self.failures.pop(0)
        return self.leads, True, self.is_partial


class Box(Inbox[ev.Event]):
    """An inbox that can be looked into."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        super().__init__(**({} if clock is None else {"clock": clock}))
        self.all: list[ev.Event] = []

    def put(self, item: ev.Event) -> None:
        self.all.append(item)
        super().put(item)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.all if isinstance(event, kind)]


def clock() -> Clock:
    return Clock()
