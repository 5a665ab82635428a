"""Who may be given a person right now: the idle operators, longest idle first.

They are kept by skills (the campaigns that they work for; with several servers, the lanes), of which there are few however many
operators there are, so that looking somebody up costs the same with five operators as with five
hundred. Used by the floor alone, which says who is idle.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from dialer.core.ids import AgentId, CampaignId
from dialer.core.lanes import Skills, may_serve


class Idle:
    """The idle operators. *since*, everywhere: when they became idle."""

    def __init__(self) -> None:
        self._groups: dict[Skills, dict[AgentId, float]] = {}
        self._skills: dict[AgentId, Skills] = {}
        self._counts: dict[Skills, int] = {}

    def __len__(self) -> int:
        return len(self._skills)

    def __contains__(self, agent: AgentId) -> bool:
        return agent in self._skills

    @property
    def counts(self) -> Mapping[Skills, int]:
        """How many are idle, by skills."""
        return self._counts

    def put(self, agent: AgentId, campaigns: Skills, since: float) -> bool:
        """*agent* is idle; returns whether that is news."""
        skills = tuple(sorted(campaigns))
        if self._skills.get(agent) == skills and self._groups[skills][agent] == since:
            return False
        self.drop(agent)
        group = self._groups.setdefault(skills, {})
        is_in_order = not group or (since, agent) >= self._last(group)
        group[agent] = since
        if not is_in_order:
            self._groups[skills] = dict(sorted(group.items(), key=lambda item: (item[1], item[0])))
        self._skills[agent] = skills
        self._counts[skills] = len(group)
        return True

    def drop(self, agent: AgentId) -> bool:
        """*agent* is idle no longer; returns whether that is news."""
        skills = self._skills.pop(agent, None)
        if skills is None:
            return False
        group = self._groups[skills]
        del group[agent]
        if group:
            self._counts[skills] = len(group)
        else:
            del self._groups[skills], self._counts[skills]
        return True

    def skills_of(self, agent: AgentId) -> Skills:
        """The campaigns of the idle *agent*, sorted; KeyError if they are not idle."""
        return self._skills[agent]

    def longest(
        self, campaign: CampaignId, but: Container[AgentId] = (), but_of: Container[Skills] = ()
    ) -> AgentId | None:
        """The longest idle operator who works for *campaign*, is not in *but* and has none of the skills *but_of*."""
        best: tuple[float, AgentId] | None = None
        for skills, group in self._groups.items():
            if skills in but_of or not may_serve(skills, campaign):
                continue
            for agent, since in group.items():
                if agent not in but:
                    if best is None or (since, agent) < best:
                        best = since, agent
                    break
        return best[1] if best is not None else None

    def all_of(
        self, campaign: CampaignId, but: Container[AgentId] = (), but_of: Container[Skills] = ()
    ) -> list[tuple[float, AgentId]]:
        """All of whom :meth:`longest` is the first, in no order: since when they are idle, and who."""
        return [
            (since, agent)
            for skills, group in self._groups.items()
            if skills not in but_of and may_serve(skills, campaign)
            for agent, since in group.items()
            if agent not in but
        ]

    def longest_of(self, skills: Skills, but: Container[AgentId] = ()) -> AgentId:
        """The longest idle operator with exactly these *skills* who is not in *but*; there must be one."""
        return next(agent for agent in self._groups[skills] if agent not in but)

    @staticmethod
    def _last(group: dict[AgentId, float]) -> tuple[float, AgentId]:
        agent, since = next(reversed(group.items()))
        return since, agent
