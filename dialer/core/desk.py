"""What the floor knows of one campaign and of one trunk while it works. Used by the floor alone."""

from __future__ import annotations

from dialer.core.hopper import Hopper
from dialer.core.ids import AttemptId
from dialer.core.values import Call, CallState, Campaign, CampaignState, Result, Trunk

BURST_S = 0.25
"""A trunk's unused rate is saved for no longer than this, so that a lull makes no flood."""
FAILURES_MAX = 5
"""So many calls in a row that the trunk would not carry, and it rests."""
REST_S = 15.0
REST_S_MAX = 300.0

_IN_FLIGHT = frozenset({CallState.DIALING, CallState.RINGING, CallState.ANSWERED})
_NOT_CARRIED = frozenset({Result.FAILED, Result.NO_ROUTE})


class Desk:
    """A campaign on the floor."""

    def __init__(self, campaign: Campaign, state: CampaignState) -> None:
        self.campaign = campaign
        self.state = state
        self.hopper = Hopper()
        self.live: set[AttemptId] = set()
        self.unserved: set[AttemptId] = set()
        """Calls in flight to which no agent is promised: each will want one."""
        self.last_dialed_at = 0.0

    @property
    def is_running(self) -> bool:
        return self.state is CampaignState.RUNNING

    def index(self, call: Call) -> None:
        """Keep the sets true after *call* changed."""
        if call.state in _IN_FLIGHT and call.agent is None:
            self.unserved.add(call.attempt)
        else:
            self.unserved.discard(call.attempt)
        if call.state is CallState.ENDED:
            self.live.discard(call.attempt)
        else:
            self.live.add(call.attempt)


class TrunkDesk:
    """A trunk on the floor: its caps hold for all campaigns together. *live*: its calls already up."""

    def __init__(self, trunk: Trunk, live: int = 0) -> None:
        self.trunk = trunk
        self.is_up = True
        self.live = live
        self._tokens = 1.0
        self._tokens_at = 0.0
        self._failures = 0
        self._rests = 0
        self._rest_until = 0.0

    def lines(self, at: float) -> int:
        """How many calls more the trunk carries at this moment. To ask changes nothing."""
        if not self.is_up or at < self._rest_until:
            return 0
        return max(0, self.trunk.channels_max - self.live)

    def room(self, at: float) -> int:
        """How many calls the trunk takes at this moment: as many as it has lines for, at its calls per second."""
        return min(self.lines(at), int(self._saved(at) + 1e-9))

    def took(self, at: float) -> None:
        """A call was placed. Only a call that is really placed uses the rate."""
        self.live += 1
        self._tokens = self._saved(at) - 1.0
        self._tokens_at = max(at, self._tokens_at)

    def _saved(self, at: float) -> float:
        rate = self.trunk.calls_per_second_max
        return min(max(1.0, rate * BURST_S), self._tokens + max(0.0, at - self._tokens_at) * rate)

    def gave_back(self, result: Result | None, at: float) -> None:
        """A call ended; what the trunk would not carry again and again makes it rest.

        *result*: None where the trunk was never asked, for a rule of ours forbade the call.
        """
        self.live -= 1
        if result is None:
            return
        if result not in _NOT_CARRIED:
            self._failures = self._rests = 0
            return
        self._failures += 1
        if self._failures >= FAILURES_MAX and at >= self._rest_until:
            self._rest_until = at + min(REST_S_MAX, REST_S * 2**self._rests)
            self._rests += 1
            self._failures = FAILURES_MAX - 1
