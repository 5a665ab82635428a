"""How a campaign takes calls that people make to it (requirement C3), as its file says: the section ``[inbound]``.

What the dialplan (``dialplan/50-inbound.conf``) and the engine say to each other of such a call:

1. The attempt id is the dialplan's: ``a``, 13 digits (milliseconds since the epoch, of the arrival), 7 random digits
   (:func:`arrived_at`). The recording lies under the UTC day of that instant.
2. ``Stasis(obzvon,inbound,DID,CALLER,TRUNK,CAMPAIGN)``: DID is one of ``numbers`` as the file writes it, CALLER digits with or
   without a plus sign or empty, as the carrier writes them, TRUNK the trunk's id, CAMPAIGN the campaign's.
3. Out of Stasis they go by ``SendToOverflow``: context ``obzvon-overflow``, extension ``callback``, ``voicemail``, ``number`` or ``hang_up``,
   with ``closed_`` before it outside the hours. Without an engine, or when it died and the absolute timeout of the channel
   passed, the dialplan goes there by itself.
4. What they get there is told as the user event ``ObzvonChoice`` (``later`` with *due*, also for "as soon as possible"; ``voicemail`` from
   the tone on; ``forwarded`` when the other number had answered).
5. Whose call ends without having been joined with an operator (its absolute timeout was never taken away) has a note in the
   box of choices, with all that the journal needs if it never heard of the call: ``CallMissed``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dialer.core.conduct import Prompt

Distribution = Literal["longest_idle", "fewest_calls", "round_robin", "skill"]
Overflow = Literal["hang_up", "callback", "voicemail", "number"]


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to *numbers* are the campaign's. Empty: it takes none."""

    numbers: tuple[str, ...] = ()
    """Our numbers (E.164), or as the carrier writes them."""
    list: str = ""
    """The contact list in which unknown callers open a card; empty: the campaign's first."""
    last_operator: bool = True
    """Who called or was called before goes to their last operator, if idle."""
    distribution: Distribution = "longest_idle"
    """Who else is given the caller."""
    skill_weights: dict[str, int] = {}
    """With ``skill``: operators of a higher weight first; who is not named has 0."""
    wait_s: float = 120.0
    """A caller waits at most so long; then *overflow*."""
    queue_max: int = 50
    """With so many waiting, the next caller overflows at once."""
    is_position_told: bool = True
    greeting: Prompt = Prompt()
    overflow: Overflow = "callback"
    overflow_number: str = ""
    """With ``number``: where the call goes, E.164."""
    outside: Literal["message", "voicemail", "callback"] = "callback"
    """Outside *hours*."""
    outside_message: Prompt = Prompt()
    hours: tuple[str, ...] = ()
    """When operators take calls, in the centre's time zone, such as ``mon-fri 9:00-18:00``; empty: always."""
    holidays: tuple[str, ...] = ()
    zone: str = ""
    """The centre's time zone (IANA name) for *hours*."""
    missed_again_s: float | None = 60.0
    """Who hung up, or asked to be called, is called back after so many seconds (within calling hours); None: not."""
    reserve_share: float = 0.0
    """So many of the campaign's operators at work, as a share, are kept free of outbound calls."""


def arrived_at(attempt: str) -> float | None:
    """When the call with this id of the dialplan's came (rule 1); None: it is not of that form."""
    digits = attempt[1:14]
    return (
        int(digits) / 1000 if len(attempt) == 21 and attempt[1:].isdecimal() and attempt.isascii() else None
    )
