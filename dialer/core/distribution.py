"""Distribution: which of the idle operators is given a person who called us (requirement C3).

1. The operator who spoke with them last, or whose card it is, goes before the rule, if idle (``FloorState.choose``).
2. ``longest_idle``: who has been idle longest. Ties, here and everywhere, go by the operator's name.
3. ``fewest_calls``: who had the fewest conversations in the last :data:`WINDOW_S`, in both directions; among equals the longest
   idle. A window and not a day, so that who comes late is not given every call until they have caught up.
4. ``round_robin``: the next by name after the one who was given a caller of that campaign last.
5. ``skill``: the highest weight (``skill_weights``; who is not named has 0); among equals the longest idle.

What 3 and 4 remember an engine takes up from the journal (:meth:`Turns.take_up`), as far as it tells: of a call that was handed on to a
colleague it names the colleague, and of one that an operator let ring only who took it afterwards.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from dialer.core.ids import AgentId, CampaignId
from dialer.core.incoming import Inbound

WINDOW_S = 3600.0
"""A conversation that began longer ago does not count for ``fewest_calls``."""

Candidate = tuple[float, AgentId]
"""An idle operator, and since when they are."""


class Turns:
    """Who was given whom of late. Used by the floor alone."""

    def __init__(self) -> None:
        self._talks: deque[Candidate] = deque()
        self._counts: Counter[AgentId] = Counter()
        self._last: dict[CampaignId, AgentId] = {}

    def take_up(
        self, talks: Iterable[tuple[AgentId, Sequence[float]]], last: Iterable[tuple[CampaignId, AgentId]]
    ) -> None:
        """What the journal remembers: when the *talks* of each operator began, within the window, and whose turn was *last*."""
        for at, agent in sorted((at, agent) for agent, begun in talks for at in begun):
            self.talked(agent, at)
        self._last.update(last)

    def talked(self, agent: AgentId, at: float) -> None:
        """A conversation of *agent* began."""
        self._talks.append((at, agent))
        self._counts[agent] += 1

    def given(self, campaign: CampaignId, agent: AgentId) -> None:
        """*agent* was promised to a caller of *campaign*."""
        self._last[campaign] = agent

    def choose(
        self, rules: Inbound, campaign: CampaignId, idle: Sequence[Candidate], at: float
    ) -> AgentId | None:
        """Who of *idle* is to have a caller of *campaign*; None if there is nobody. To ask changes nothing but what is forgotten."""
        if not idle:
            return None
        match rules.distribution:
            case "longest_idle":
                return min(idle)[1]
            case "fewest_calls":
                self._forget(at)
                return min(idle, key=lambda one: (self._counts[one[1]], *one))[1]
            case "round_robin":
                last = self._last.get(campaign, AgentId(""))
                return min((agent for _, agent in idle), key=lambda agent: (agent <= last, agent))
            case "skill":
                weights = rules.skill_weights
                return min(idle, key=lambda one: (-weights.get(one[1], 0), *one))[1]

    def _forget(self, at: float) -> None:
        while self._talks and self._talks[0][0] <= at - WINDOW_S:
            _, agent = self._talks.popleft()
            self._counts[agent] -= 1
            if not self._counts[agent]:
                del self._counts[agent]
