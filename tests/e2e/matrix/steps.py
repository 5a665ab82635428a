"""The steps of a call: one campaign with one person and one operator for each, so that each is brought to its
own step and held there.

*point* names the failpoint (:mod:`tests.e2e.matrix.engine`) that holds the call; the other steps last by
themselves: the person rings for long, or talks until the operator ends the call. *begun* late: when
the others are at their steps, for it lasts no longer than a moment, or holds the whole engine.

The person's first call meets *first*; any later one is answered, and talked through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from dialer.core.conduct import Announcement, Choice, LastWord, Machines, Prompt
from dialer.core.values import CallState, Result, RetryRule
from dialer.lab.day import Behaviour, Reaction
from tests.e2e.world import QUICK_RETRY, does

if TYPE_CHECKING:
    from tests.e2e.matrix.centre import Centre

LATER = does("talks", ring_ms=300, talk_ms=1500)
RINGS_MS = 9000
"""How long those ring who are not to answer before the fault."""
PICK_UP_MS = 7000
"""How long the rung operator's phone rings."""
WAIT_S = 6.0
"""How long a person waits for whom nobody comes."""
PRESS_MS = 16_000
"""So long after the answer who is spoken to presses a key: when the others are at their steps."""
WHO = LastWord(who=Prompt(text="This is the laboratory. You were called by its robots, to see what they do."))
MESSAGE = Announcement(
    message=Prompt(
        text="This is the laboratory. Your appointment is tomorrow at ten. Press one to confirm it."
    ),
    keys={"1": "confirm", "9": "refuse"},
)
MACHINES = Machines(
    detect=True, action="message", message=Prompt(text="This is the laboratory. We call again.")
)
ONCE = RetryRule(attempts=1, again_s=None)


RINGS_MS_MOST = 20_000
"""Nobody rings longer than campaigns let it ring."""


def stretched(one: Reaction, tries: int) -> Reaction:
    """The same, but longer the ringing of who is to ring until the fault, where *tries* were too slow for that."""
    if one.ring_ms < RINGS_MS:
        return one
    return msgspec.structs.replace(one, ring_ms=min(RINGS_MS_MOST, one.ring_ms * (1 + tries)))


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the matrix; *name* is the campaign's, too."""

    name: str
    title: str
    first: Reaction
    is_there: Callable[[Centre, Step], bool]
    """Whether the call stands at this step now."""
    point: str = ""
    rules: dict[str, Any] = {}
    leg: Literal["parked", "rung"] = "parked"
    phone: dict[str, Any] = {}
    is_paused: bool = False
    """The operator pauses as soon as the call is placed."""
    is_served_after: bool = True
    """An operator who was paused is ready again when the fault is over."""
    begun: Literal["early", "", "late"] = ""
    """Before the others, for it takes long to come to this step; or when they are at theirs."""
    good: frozenset[Result] = frozenset({Result.TALKED})
    """What becomes of the first call when nothing is broken."""
    chooses: Choice | None = None
    """By a key that the person presses, at this step or after it."""
    is_spoken_to: bool = False
    """By the dialplan, or by its music: never is there silence for long until an operator is there."""

    @property
    def keeps_talking(self) -> bool:
        """Whether the person leaves the ending to the operator."""
        return self.first.behaviour in (Behaviour.WAITS, Behaviour.PRESSES_1) and Result.TALKED in self.good


def _saved(centre: Centre, step: Step) -> bool:
    return centre.has_reached(step) and not centre.calls(step) and _is(CallState.DIALING)(centre, step)


def _sent(centre: Centre, step: Step) -> bool:
    return centre.has_reached(step) and len(centre.calls(step)) == 1 and _is(CallState.DIALING)(centre, step)


def _is(state: CallState) -> Callable[[Centre, Step], bool]:
    def is_there(centre: Centre, step: Step) -> bool:
        attempts = centre.attempts(step)
        return len(attempts) == 1 and attempts[0]["state"] == state

    return is_there


def _held(state: CallState, *, is_over: bool = False) -> Callable[[Centre, Step], bool]:
    def is_there(centre: Centre, step: Step) -> bool:
        calls = centre.calls(step)
        return (
            centre.has_reached(step)
            and _is(state)(centre, step)
            and len(calls) == 1
            and (calls[0].ended_at is not None) is is_over
        )

    return is_there


def _waits(centre: Centre, step: Step) -> bool:
    return _is(CallState.ANSWERED)(centre, step) and centre.attempts(step)[0]["agent"] is None


def _with_the_dialplan(ending: str) -> Callable[[Centre, Step], bool]:
    def is_there(centre: Centre, step: Step) -> bool:
        if not _is(CallState.ENDING)(centre, step):
            return False
        (attempt,), (call, *_) = centre.attempts(step), centre.calls(step)
        return attempt["ending"] == ending and call.ended_at is None and not call.keys

    return is_there


def _returned(centre: Centre, step: Step) -> bool:
    return _waits(centre, step) and centre.attempts(step)[0]["choice"] == "wait"


def _rung(centre: Centre, step: Step) -> bool:
    rung = [call for call in centre.phone(step).calls if call.kind == "rung"]
    return _is(CallState.ANSWERED)(centre, step) and len(rung) == 1 and rung[0].up_at is None


def _wraps_up(centre: Centre, step: Step) -> bool:
    return _is(CallState.ENDED)(centre, step) and centre.agent(step)["state"] == "wrap_up"


STEPS = (
    Step(
        name="saved",
        title="saved, not sent",
        first=does("talks", ring_ms=300, talk_ms=1500),
        point="before_originate",
        rules={"ring_s": 12.0},
        begun="late",
        is_there=_saved,
    ),
    Step(
        name="sent",
        title="sent, no event yet",
        first=does("no_ringing", ring_ms=RINGS_MS, talk_ms=4000),
        point="after_originate",
        is_there=_sent,
    ),
    Step(
        name="ringing",
        title="ringing",
        first=does("talks", ring_ms=RINGS_MS, talk_ms=4000),
        is_there=_is(CallState.RINGING),
    ),
    Step(
        name="answered",
        title="answered, waits for an operator",
        first=does("waits", ring_ms=1500),
        rules={"wait_s": 60.0},
        is_paused=True,
        is_there=_waits,
    ),
    Step(
        name="deserted",
        title="answered, and nobody comes",
        first=does("waits", ring_ms=1000),
        rules={"wait_s": WAIT_S},
        is_paused=True,
        is_served_after=False,
        begun="late",
        good=frozenset({Result.ABANDONED}),
        is_there=_waits,
    ),
    Step(
        name="rung",
        title="operator reserved, their phone rings",
        first=does("waits", ring_ms=300),
        rules={"agent_ring_s": 25.0},
        leg="rung",
        phone={"pick_up": "slow", "pick_up_ms": PICK_UP_MS},
        is_there=_rung,
    ),
    Step(
        name="reserved",
        title="operator reserved, join not sent",
        first=does("waits", ring_ms=300),
        point="before_join",
        begun="late",
        is_there=_held(CallState.CONNECTING),
    ),
    Step(
        name="joining",
        title="join sent, not confirmed",
        first=does("waits", ring_ms=300),
        point="joined",
        begun="late",
        is_there=_held(CallState.CONNECTING),
    ),
    Step(
        name="connected",
        title="connected",
        first=does("waits", ring_ms=300),
        is_there=_is(CallState.CONNECTED),
    ),
    Step(
        name="hungup",
        title="hung up, not handled yet",
        first=does("talks", ring_ms=300, talk_ms=1500),
        point="hung_up",
        is_there=_held(CallState.CONNECTED, is_over=True),
    ),
    Step(
        name="unsaved",
        title="hung up, not saved yet",
        first=does("talks", ring_ms=300, talk_ms=1600),
        point="save_of_the_end",
        begun="late",
        is_there=_held(CallState.CONNECTED, is_over=True),
    ),
    Step(
        name="wrapup",
        title="wrap-up",
        first=does("talks", ring_ms=300, talk_ms=1500),
        rules={"wrap_up_s": 12.0},
        is_there=_wraps_up,
    ),
    Step(
        name="lastword",
        title="in the last word, a choice to come",
        first=does("presses_2", ring_ms=1000, talk_ms=PRESS_MS),
        rules={"wait_s": 1.0, "last_word": WHO},
        is_paused=True,
        is_served_after=False,
        good=frozenset({Result.ABANDONED}),
        chooses="refuse",
        is_spoken_to=True,
        is_there=_with_the_dialplan("no_agent"),
    ),
    Step(
        name="returned",
        title="chose to wait after the last word",
        first=does("presses_1", ring_ms=1000, talk_ms=4000),
        rules={"wait_s": 1.0, "last_word": WHO, "hold_s": 90.0},
        begun="early",
        is_paused=True,
        chooses="wait",
        is_spoken_to=True,
        is_there=_returned,
    ),
    Step(
        name="announcing",
        title="an announcement is played, a choice to come",
        first=does("presses_1", ring_ms=1000, talk_ms=PRESS_MS),
        rules={"mode": "announcement", "announcement": MESSAGE},
        good=frozenset({Result.ANNOUNCED}),
        chooses="confirm",
        is_spoken_to=True,
        is_there=_with_the_dialplan("announcement"),
    ),
    Step(
        name="machine",
        title="a machine is to get a message",
        first=does("talks", ring_ms=300, talk_ms=PRESS_MS),
        rules={"machines": MACHINES, "retry": {**QUICK_RETRY, Result.MACHINE: ONCE}},
        good=frozenset({Result.MACHINE}),
        is_there=_with_the_dialplan("machine"),
    ),
)
BY_NAME = {step.name: step for step in STEPS}
