"""How a campaign conducts itself where a call does not meet an operator at once: settings of its file.

Frozen values like those of :mod:`dialer.core.values`, which they are a part of.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Language = Literal["ru", "en", "zh"]
"""Of what is said to people: Russian, English, Chinese (Mandarin)."""
Choice = Literal["wait", "refuse", "later", "confirm", "operator", "voicemail", "forwarded"]
"""What a person may choose by a key: wait for an operator, have no further calls, be called at another time;
and after an announcement: confirm it, be connected with an operator. What became of a person who called us and met
nobody: they left a message in the call's recording, or were connected with the campaign's other number."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Something said to a person. *sound*: the name of a recorded file in ``prompts/`` of the home folder, with
    its ending; without one *text* is spoken by a synthetic voice."""

    text: str = ""
    sound: str = ""


class Abandonment(msgspec.Struct, frozen=True, kw_only=True):
    """The share of abandoned calls that the campaign promises not to exceed, and how it is counted.

    A call is *abandoned* when a person answered and was not joined with an operator within *limit_s* of the answer:
    also one who hung up before, and one whose answer crossed our cancel. The share is taken of all calls that a person
    answered in the last *window_days* days (16 CFR 310.4(b)(4)(i): 3 %, 30 days, 2 s).
    """

    share: float = 0.03
    """What the pacer steers to, from below."""
    cap: float | None = None
    """No call is placed ahead of operators that could lift the share above this, if all who may still answer did and
    all were abandoned. None: the same as *share*. More than *share*: more calls ahead in the first hours of a campaign."""
    window_days: int = 30
    limit_s: float = 2.0
    against: Literal["share", "bound"] = "share"
    """``bound``: the share that is steered to *share* is not the one counted but its upper confidence bound."""
    confidence: float = 0.95
    """Of that bound: it holds at all times at once with this probability."""


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """How calls are placed ahead of operators (``mode = "predictive"``)."""

    abandonment: Abandonment = Abandonment()
    operators_min: int = 2
    """With fewer operators at work the campaign is dialed progressively."""
    ring_s_min: float = 15.0
    """A ringing call is not given up before it has rung so long (16 CFR 310.4(b)(4)(ii): 15 s or four rings)."""
    knowledge: str = ""
    """Campaigns that name the same word here share what is learnt of answers and conversations. Empty: its own."""


class LastWord(msgspec.Struct, frozen=True, kw_only=True):
    """What a person hears who answered and meets no operator in time.

    *who*: who is calling, and how to reach them: said at once. *offers*: what they may choose then, in this order by the keys
    1, 2, 3; none: they are told that we are sorry, and goodbye.
    """

    language: Language = "en"
    who: Prompt = Prompt()
    offers: tuple[Literal["wait", "refuse", "later"], ...] = ("wait", "refuse", "later")
    later_max: int = 3
    """So many times to be called at are offered at most."""


class Machines(msgspec.Struct, frozen=True, kw_only=True):
    """Answering machines (mode of any kind). What is doubtful is a person.

    *listen_s*: at most so long it is listened who answered; that time is part of the connect delay, so it is short.
    *action*: what a machine gets. ``message``: *message*, after its tone.
    """

    detect: bool = False
    listen_s: float = 1.2
    action: Literal["hang_up", "message"] = "hang_up"
    message: Prompt = Prompt()

    @property
    def listening_s(self) -> float:
        """So long is listened to each call at most; 0 where nothing is detected."""
        return self.listen_s if self.detect else 0.0


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign without operators (``mode = "announcement"``): *message* is played, and a key taken.

    *keys*: what each key means. *times*: the message is played so many times at most.
    """

    message: Prompt = Prompt()
    keys: dict[str, Choice] = {}
    times: int = 2
