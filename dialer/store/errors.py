"""What can go wrong with the store. The message of each error is a whole sentence for a person."""

from __future__ import annotations

from dialer.core.ids import AttemptId


class StoreError(Exception):
    """The store cannot do what was asked."""


class JournalError(StoreError):
    """A transaction failed and left nothing behind: a full disk, a lock held too long, an I/O error.

    Trying again later may succeed.
    """


class JournalRefused(JournalError):
    """The journal's own rules refuse the transaction (an unknown lead, a second attempt of one
    ordinal). Nothing was written, and trying again will not help: the caller is at fault.
    """


class CallForbidden(JournalRefused):
    """Calls that must not be placed (:mod:`dialer.store.guard`). *rules*: by attempt, the rule that forbids it.

    Nothing was written; without these calls it can be.
    """

    def __init__(self, rules: dict[AttemptId, str]) -> None:
        told = ", ".join(f"{attempt} ({rule})" for attempt, rule in rules.items())
        super().__init__(f"Nobody may be called now by: {told}.")
        self.rules = rules


class JournalTooNew(StoreError):
    """The journal was written by a newer version of the program, which this one cannot read."""


class NotInStore(StoreError):
    """Something named by its id is not in the store."""


class Conflict(StoreError):
    """What is to be written contradicts what is there (two agents on one phone, say)."""


class AlreadyClaimed(StoreError):
    """Another engine holds the claim. *pid*: of that process; None when it could not be read."""

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid
