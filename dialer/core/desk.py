"""What the floor knows of one campaign and of one trunk while it works. Used by the floor alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from dialer.core.destinations import longest
from dialer.core.hopper import Hopper
from dialer.core.ids import ONLY, AgentId, AttemptId, ChannelId, ServerId, TrunkId
from dialer.core.rate import Rate
from dialer.core.trunk import Rotation, Trunk
from dialer.core.values import TRUNK_ENDINGS, Call, CallState, Campaign, CampaignState

FAILURES_MAX = 5
"""So many calls in a row that the trunk would not carry, and it rests."""
REST_S = 15.0
REST_S_MAX = 300.0

WINDOW = 20
"""So many calls of a trunk are looked at, the last ones."""
WINDOW_MIN = 10
"""From fewer no share is told."""
WINDOW_S = 300.0
"""Older calls tell nothing of a trunk."""
SHARE_MAX = 0.5
"""A trunk that does not carry so many of its calls rests."""

TrunkState = Literal["up", "down", "resting", "probing", "disabled", "removed"]

_IN_FLIGHT = frozenset({CallState.DIALING, CallState.RINGING, CallState.ANSWERED})


class Desk:
    """A campaign on the floor."""

    def __init__(self, campaign: Campaign, state: CampaignState) -> None:
        self.campaign = campaign
        self.state = state
        self.hopper = Hopper()
        self.live: set[AttemptId] = set()
        self.incoming: set[AttemptId] = set()
        """Those of the live ones that people made to us: they use up none of the campaign's lines."""
        self.unserved: set[AttemptId] = set()
        """Calls in flight to which no agent is promised: each will want one."""
        self.unserved_on: dict[ServerId, set[AttemptId]] = {}
        """The same, by server."""
        self.last_dialed_at = 0.0
        self.last_dialed_on: dict[ServerId, float] = {}
        self.turns: dict[TrunkId, int] = {}
        """Whose turn it is among its trunks (:mod:`dialer.core.routing`)."""

    @property
    def is_running(self) -> bool:
        return self.state is CampaignState.RUNNING

    def index(self, call: Call) -> None:
        """Keep the sets true after *call* changed."""
        mine = self.unserved_on.setdefault(call.server, set())
        is_in_flight = call.state in _IN_FLIGHT or (
            call.state is CallState.ENDING and call.ending in TRUNK_ENDINGS
        )
        if is_in_flight and call.agent is None:
            self.unserved.add(call.attempt)
            mine.add(call.attempt)
        else:
            self.unserved.discard(call.attempt)
            mine.discard(call.attempt)
        if call.state is CallState.ENDED:
            self.live.discard(call.attempt)
            self.incoming.discard(call.attempt)
        else:
            self.live.add(call.attempt)
            if call.direction == "in":
                self.incoming.add(call.attempt)


class TrunkDesk:
    """A trunk on the floor: its caps hold for all campaigns together. *live*: its channels in use, in both directions, by whomever
    (:mod:`dialer.core.legs`).

    1. A call is placed only if a channel is free and the rate allows it; what is saved of the rate is a quarter of a second.
    2. Rotation: of each call we learn whether the trunk carried it (it rang, was answered, or the person's side refused it) or not; of
       many neither (we gave it up, nobody knows). :data:`FAILURES_MAX` in a row that were not, or :data:`SHARE_MAX` of the
       last :data:`WINDOW` (of :data:`WINDOW_MIN` at least, and none older than :data:`WINDOW_S`), and it rests.
    3. When the rest is over one call at a time probes. If it is carried, the trunk is back; if not, it rests twice as long. Other
       calls that end meanwhile change nothing. A trunk that was well for :data:`WINDOW_MIN` calls begins with the short rest again.
    4. What OPTIONS say holds for one server and at once.
    5. The next engine takes the rotation up as it was (:meth:`take_up`): a rest ends when it would have ended, and then a call probes.
       Of the calls that were looked at it knows none: a trunk in rotation has its five failures, and its ten good calls, before it anew.
    """

    def __init__(self, trunk: Trunk, live: int = 0, at: float = 0.0) -> None:
        """*at*: when an engine took it up, who knows nothing of the calls just before, and so has saved nothing of the rate."""
        self.trunk = trunk
        self.live = live
        self.kept: set[AgentId] = set()
        """Idle operators who are called by it for each call: a channel is kept free for each (:mod:`dialer.core.outside`)."""
        self.down: set[ServerId] = set()
        """The servers from which it does not answer."""
        self.is_disabled = False
        self.is_removed = False
        self.probe: AttemptId | ChannelId | None = None
        """The call (or the third party's channel) that probes a trunk whose rest is over."""
        self.noted: dict[ServerId, str] = {}
        """Its state as it was written down last (:mod:`dialer.core.routing`)."""
        self.rotation_noted = Rotation()
        """And its rotation."""
        self._shown: dict[str, int] = {}
        self._rate = Rate(0.0, at)
        self._calls: deque[tuple[float, bool]] = deque(maxlen=WINDOW)
        self._rests = 0
        self._since_rest = 0
        self._rest_until: float | None = None

    @property
    def rotation(self) -> Rotation:
        """What the next engine must know."""
        return Rotation(rests=self._rests, rest_until=self._rest_until, probe=self.probe)

    def take_up(self, before: Rotation, at: float, *, is_live: Callable[[str], bool]) -> None:
        """Stand in rotation as the engine before this one left it. *is_live*: whether that call is still to tell something.

        No rest lasts longer than :data:`REST_S_MAX` from now: the clock may have been set back.
        """
        self._rests = before.rests
        if before.rest_until is not None:
            self._rest_until = min(before.rest_until, at + REST_S_MAX)
            self.probe = before.probe if before.probe is not None and is_live(before.probe) else None

    def is_up(self, server: ServerId = ONLY) -> bool:
        """Whether it answers OPTIONS from *server*, as far as is known."""
        return server not in self.down

    def state(self, server: ServerId = ONLY) -> TrunkState:
        """In one word."""
        if self.is_removed:
            return "removed"
        if self.is_disabled:
            return "disabled"
        if server in self.down:
            return "down"
        if self._rest_until is None:
            return "up"
        return "resting" if self.probe is None else "probing"

    def serves(self, server: ServerId) -> bool:
        """Whether *server* has it."""
        return not self.trunk.servers or server in self.trunk.servers

    def is_usable(self, at: float, server: ServerId = ONLY) -> bool:
        """Whether it takes calls at all, if there is room."""
        if self.is_removed or self.is_disabled or server in self.down or not self.serves(server):
            return False
        return self._rest_until is None or (at >= self._rest_until and self.probe is None)

    def lines(self, at: float, server: ServerId = ONLY) -> int:
        """How many calls more the trunk carries at this moment. To ask changes nothing."""
        return self._free(at, server, len(self.kept))

    def free(self, at: float, server: ServerId = ONLY) -> int:
        """The same for operators who are called by it: also the channels that are kept for them."""
        return self._free(at, server, 0)

    def _free(self, at: float, server: ServerId, kept: int) -> int:
        if not self.is_usable(at, server):
            return 0
        free = max(0, self.trunk.channels_max - self.live - kept)
        return free if self._rest_until is None else min(1, free)

    def may_ask(self, at: float) -> bool:
        """Whether its calls per second allow one more at this moment."""
        return self._rate.room(self.trunk.calls_per_second_max, at) > 0

    def room(self, at: float, server: ServerId = ONLY) -> int:
        """How many calls the trunk takes at this moment: as many as it has lines for, at its calls per second."""
        return min(self.lines(at, server), self._rate.room(self.trunk.calls_per_second_max, at))

    def took(self, at: float, attempt: AttemptId | ChannelId | None = None) -> None:
        """A call was placed."""
        self.live += 1
        self.asked(at, attempt)

    def asked(self, at: float, attempt: AttemptId | ChannelId | None = None) -> None:
        """The order for a call that counts goes out. Only a call that is really placed uses the rate."""
        self._rate.took(self.trunk.calls_per_second_max, at)
        if self._rest_until is not None and at >= self._rest_until and self.probe is None:
            self.probe = attempt

    def came(self) -> None:
        """A call came in by it."""
        self.live += 1

    def gave_back(self, attempt: AttemptId | ChannelId | None = None) -> None:
        """A call ended."""
        self.live -= 1
        if attempt is not None and self.probe == attempt:
            self.probe = None  # it told nothing: the next one probes

    def judged(self, attempt: AttemptId | ChannelId, at: float, *, is_carried: bool) -> str:
        """Whether the trunk carried the call is known now; why its rotation changed by that, or nothing."""
        if self._rest_until is not None:
            if self.probe != attempt:
                return ""
            self.probe = None
            if is_carried:
                self._calls.clear()
                self._rest_until = None
                self._since_rest = 0
                return "a probing call was carried"
            return self._rest(at, "a probing call was not carried")
        self._calls.append((at, is_carried))
        self._since_rest += 1
        recent = [was_carried for when, was_carried in self._calls if when > at - WINDOW_S]
        failed = recent.count(False)
        well = ""
        if self._rests and self._since_rest >= WINDOW_MIN and failed < SHARE_MAX * len(recent):
            self._rests = 0
            well = f"{self._since_rest} calls went well: its next rest is a short one"
        in_a_row = [was_carried for _, was_carried in self._calls][-FAILURES_MAX:]
        if len(in_a_row) == FAILURES_MAX and not any(in_a_row):
            return self._rest(at, f"{FAILURES_MAX} calls in a row were not carried")
        if len(recent) >= WINDOW_MIN and failed >= SHARE_MAX * len(recent):
            return self._rest(at, f"{failed} of {len(recent)} calls were not carried")
        return well

    def _rest(self, at: float, why: str) -> str:
        rest_s = min(REST_S_MAX, REST_S * 2**self._rests)
        self._rest_until = at + rest_s
        self._rests += 1
        self._calls.clear()
        return f"{why}: rests {rest_s:g} s"

    def caller_id(self, campaign: Campaign, number: str) -> str:
        """What the person at *number* is to see; of several numbers the next in turn."""
        if campaign.caller_id:
            return campaign.caller_id
        ids = self.trunk.caller_ids
        region = longest(ids.regions, number)
        if several := ids.campaigns.get(campaign.id, ()):
            whose = f"campaign {campaign.id}"
        elif several := ids.regions[region] if region is not None else ():
            whose = f"region {region}"
        elif several := ids.numbers:
            whose = ""
        else:
            return self.trunk.caller_id
        turn = self._shown.get(whose, 0)
        self._shown[whose] = turn + 1
        return several[turn % len(several)]
