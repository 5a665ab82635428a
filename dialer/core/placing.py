"""A decision in its parts: what the event led to, and each of the calls that are placed on the occasion.

A call that the journal refuses (the person must not be dialed after all, say) is left out alone; the
rest of the decision is done. And whoever plays the journal again must know which part that was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from dialer.core.commands import ClearTimer, Command, Originate, RingAgent, SaveAgent, SaveCall, SetTimer
from dialer.core.ids import AttemptId

C = TypeVar("C", bound=Command)


def call_of(command: Command) -> AttemptId | None:
    """The attempt that *command* would be left out with; None: it belongs to no attempt alone."""
    match command:
        case Originate(attempt=attempt) | RingAgent(attempt=attempt):
            return attempt
        case SaveCall(call=call):
            return call.attempt
        case SaveAgent(agent=agent):
            return agent.attempt
        case SetTimer(kind="attempt", subject=subject) | ClearTimer(kind="attempt", subject=subject):
            return AttemptId(subject)
        case _:
            return None


def parts(commands: Iterable[C]) -> tuple[list[C], dict[AttemptId, list[C]]]:
    """*commands* without those of the calls that are placed among them; and those, by the call."""
    commands = list(commands)
    placed: dict[AttemptId, list[C]] = {
        command.attempt: [] for command in commands if isinstance(command, Originate)
    }
    first: list[C] = []
    for command in commands:
        attempt = call_of(command)
        (placed.get(attempt, first) if attempt is not None else first).append(command)
    return first, placed
