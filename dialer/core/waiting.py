"""Waiting: what a person who is held with music is told of the time that it will take.

1. People are served in the order of their answers (who called us before others), by whichever operator is idle first. So the wait of
   the person in place *n* is that of the *n*-th operator who becomes free.
2. How often operators become free is what was seen of late: those who may serve the person, who are at
   work now, and who came out of a conversation (or the wrap-up of one) in the last :data:`WINDOW_S`.
   The time since the last one counts too, so that the estimate grows while nobody becomes free.
3. Nothing is said that may be far from the truth: with fewer than :data:`FREED_MIN` such observations,
   or when the estimate is longer than the person will be held at all, no time is told.
4. People ahead are all who answered earlier and whom one of the same operators may serve: where teams
   overlap that is rather too many than too few, and the time told rather too long.
5. Who called us is told their place among such people, too, if the campaign wants that.
6. Nobody is held while all who could serve them are signed out: the music would promise what nobody keeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from dialer.core.commands import AnnounceWait, AnyCommand, HoldContact
from dialer.core.desk import Desk
from dialer.core.ids import AgentId, AttemptId, CampaignId, ServerId
from dialer.core.lanes import Skills, lane, may_serve, skills
from dialer.core.values import Agent, AgentCard, AgentState, Call, Campaign

WINDOW_S = 600.0
"""An operator who became free longer ago says nothing of now."""
FREED_MIN = 3
"""From fewer observations no time is told."""
FREED_KEPT = 512
"""So many observations are kept."""
TELL_S = 30.0
"""The person is told again after so many seconds."""


def estimate(place: int, freed: Sequence[float], at: float) -> float | None:
    """Seconds until it is the turn of the person in *place* (from 1 on); None: not known.

    *freed*: when operators became free, oldest first.
    """
    if len(freed) < FREED_MIN:
        return None
    return place * (at - freed[0]) / (len(freed) - 1)


def expected_s(
    call: Call,
    waiting: Iterable[Call],
    at_work: Mapping[AgentId, Skills],
    freed: Iterable[tuple[float, AgentId]],
    at: float,
) -> float | None:
    """How long the person of *call* will probably wait from *at* on; None: not to be told (rule 3).

    *waiting*: the calls of all who wait. *at_work*: the operators who are, and the lanes that they
    work for. *freed*: who became free and when, oldest first.
    """
    able = {
        agent: skills
        for agent, skills in at_work.items()
        if may_serve(skills, lane(call.campaign, call.server))
    }
    ahead = sum(
        came_before(other, call)
        and any(may_serve(skills, lane(other.campaign, other.server)) for skills in able.values())
        for other in waiting
    )
    seen = [when for when, agent in freed if agent in able and when > at - WINDOW_S]
    expected = estimate(ahead + 1, seen, at)
    left = call.deadline - at if call.deadline is not None else 0.0
    return expected if expected is not None and expected <= left else None


def came_before(call: Call, other: Call) -> bool:
    """Whether the person of *call* is to be served before that of *other*: who called us, before whom we called; among
    them, who answered (or came) first."""
    return _turn(call) < _turn(other)


def _turn(call: Call) -> tuple[bool, float, str]:
    return call.direction == "out", call.answered_at or call.created_at, call.attempt


class Queue:
    """The people who answered and have no operator, in the order in which they are served.

    *calls*, *agents*, *cards*, *desks*: those of the floor, whose only user this is.
    """

    def __init__(
        self,
        calls: Mapping[AttemptId, Call],
        agents: Mapping[AgentId, Agent],
        cards: Mapping[AgentId, AgentCard],
        desks: Mapping[CampaignId, Desk],
    ) -> None:
        self._calls = calls
        self._agents = agents
        self._cards = cards
        self._desks = desks
        self._people: dict[AttemptId, None] = {}
        self._freed: deque[tuple[float, AgentId]] = deque(maxlen=FREED_KEPT)
        self._told: dict[AttemptId, float] = {}

    def __iter__(self) -> Iterator[AttemptId]:
        return iter(self._people)

    def __len__(self) -> int:
        return len(self._people)

    def __contains__(self, attempt: AttemptId) -> bool:
        return attempt in self._people

    def put(self, call: Call) -> None:
        """The person waits, and keeps their turn: also who was promised an operator that came to nothing."""
        last = next(reversed(self._people), None)
        self._people[call.attempt] = None
        if last is not None and came_before(call, self._calls[last]):
            people = sorted((self._calls[attempt] for attempt in self._people), key=_turn)
            self._people = {one.attempt: None for one in people}

    def drop(self, attempt: AttemptId) -> None:
        """The person waits no longer."""
        self._people.pop(attempt, None)
        self._told.pop(attempt, None)

    def callers(self, campaign: CampaignId, server: ServerId) -> list[AttemptId]:
        """The people who called that campaign of ours on that server, and wait."""
        return [
            attempt
            for attempt in self._people
            if (call := self._calls[attempt]).direction == "in"
            and (call.campaign, call.server) == (campaign, server)
        ]

    def freed(self, agent: AgentId, at: float) -> None:
        """That operator came out of a conversation."""
        self._freed.append((at, agent))

    def rules_for(self, call: Call, campaign: Campaign) -> Campaign:
        """*campaign*'s settings, as they hold for the person of *call* (rule 6).

        Who called us waits with music, for as long as ``inbound.wait_s`` says.
        """
        if call.direction == "in":
            wait_s = campaign.inbound.wait_s
            return msgspec.structs.replace(campaign, no_agent="hold", wait_s=wait_s, hold_s=wait_s)
        if campaign.no_agent != "hold" or call.held_at is not None:
            return campaign
        if self.is_anybody_signed_in(campaign.id, call.server):
            return campaign
        return msgspec.structs.replace(campaign, no_agent="last_word")

    def is_anybody_signed_in(self, campaign: CampaignId, server: ServerId) -> bool:
        """Whether an operator who may serve the campaign on that server is signed in, in a pause or not."""
        own = lane(campaign, server)
        return any(may_serve(skills, own) for skills in self._present(AgentState.SIGNED_OUT).values())

    def tell(self, commands: Iterable[AnyCommand], at: float) -> list[AnyCommand]:
        """*commands*, and whoever is held by them is told how long it will take."""
        return [self._with_time(one, at) if isinstance(one, HoldContact) else one for one in commands]

    def tell_again(self, at: float) -> list[AnnounceWait]:
        """Those who are held are told now and then how long it will take."""
        held = [self._calls[attempt] for attempt in self._people if self._calls[attempt].held_at is not None]
        due = [call for call in held if at - self._told.get(call.attempt, call.held_at or at) >= TELL_S]
        self._told |= {call.attempt: at for call in due}
        return [
            AnnounceWait(
                attempt=call.attempt,
                wait_s=self._expected_s(call, at),
                campaign=call.campaign,
                place=self._place(call),
            )
            for call in due
        ]

    def _with_time(self, command: HoldContact, at: float) -> HoldContact:
        self._told[command.attempt] = at
        call = self._calls[command.attempt]
        return msgspec.structs.replace(command, wait_s=self._expected_s(call, at), place=self._place(call))

    def _place(self, call: Call) -> int | None:
        """Which one the person is of those who called that campaign on that server and wait; None: that is not told."""
        if call.direction == "out" or not self._desks[call.campaign].campaign.inbound.is_position_told:
            return None
        others = (self._calls[attempt] for attempt in self.callers(call.campaign, call.server))
        return 1 + sum(came_before(other, call) for other in others)

    def _expected_s(self, call: Call, at: float) -> float | None:
        people = [self._calls[attempt] for attempt in self._people]
        at_work = self._present(AgentState.SIGNED_OUT, AgentState.PAUSED)
        return expected_s(call, people, at_work, self._freed, at)

    def _present(self, *but: AgentState) -> dict[AgentId, Skills]:
        """The operators who are in none of these states, and the lanes that they work for."""
        return {
            agent.id: skills(self._cards[agent.id].campaigns, agent.server)
            for agent in self._agents.values()
            if agent.state not in but
        }
