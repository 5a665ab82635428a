"""What the floor decided on one event, as the loop writes it and carries it out, and how it is taken apart when a rule of the
journal refuses a part of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dialer.core import events as ev
from dialer.core.commands import AnyCommand, Originate, SaveCall
from dialer.core.ids import AttemptId
from dialer.core.placing import parts
from dialer.store.errors import CallForbidden, JournalRefused


class Decision(msgspec.Struct, frozen=True, eq=False):
    """An event and what it led to, or one call placed on that occasion (*rest_of*)."""

    event: ev.Event
    commands: list[AnyCommand]
    rest_of: AttemptId | None = None
    """Only what belongs to this call; the event is written with another part."""
    is_late: bool = False
    """It was acted upon already, as one that could not be written."""
    forbidden_by: str = ""
    """The rule that forbids its calls (:mod:`dialer.store.guard`): they are left out."""

    @property
    def is_rest(self) -> bool:
        """Whether the event is written with another part."""
        return self.rest_of is not None


def first_guilty(decisions: Sequence[Decision], refusal: JournalRefused) -> int:
    """How many of *decisions* come before the first that *refusal* speaks of; 0 if it does not tell."""
    rules = refusal.rules if isinstance(refusal, CallForbidden) else {}
    for place, decision in enumerate(decisions):
        if any(isinstance(one, SaveCall) and one.call.attempt in rules for one in decision.commands):
            return place
    return 0


def without_refused(decision: Decision, refusal: JournalRefused) -> Decision:
    """*decision* without what it says of calls that were refused earlier: the floor will hear of that yet, and what
    else came of the event is true all the same."""
    rules = refusal.rules if isinstance(refusal, CallForbidden) else {}
    unknown = rules.keys() - {one.attempt for one in decision.commands if isinstance(one, Originate)}
    if not unknown:
        return decision
    commands = [
        one for one in decision.commands if not (isinstance(one, SaveCall) and one.call.attempt in unknown)
    ]
    return msgspec.structs.replace(decision, commands=commands)


def taken_apart(decision: Decision) -> list[Decision]:
    """What the event led to, and each of the calls that are placed on the occasion."""
    if decision.is_rest:
        return [decision]
    first, placed = parts(decision.commands)
    if not placed:
        return [decision]
    rests = [
        msgspec.structs.replace(decision, commands=rest, rest_of=attempt) for attempt, rest in placed.items()
    ]
    return [msgspec.structs.replace(decision, commands=first), *rests]
