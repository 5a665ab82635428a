"""What a simulated day is made of, and where it is written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

import msgspec

from dialer.core import events as ev
from dialer.core.commands import AnyCommand
from dialer.core.ids import AgentId
from dialer.core.values import AgentCard, Campaign, Centre, Lead, Trunk
from dialer.lab.simulator.people import Diligence, Habits
from dialer.lab.simulator.seen import Told
from dialer.lab.simulator.worlds import World

Kind = Literal["socket", "engine", "journal", "trunk", "refusing", "lying", "doubled", "slow", "lossy"]


LOST_ONE_OF = 20


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something is broken from *at_s* after the beginning on, for *length_s*.

    ``socket``: the event socket is cut. ``engine``: killed, and started again afterwards. ``journal``: saves
    fail. ``trunk``: all trunks are down. ``refusing``: Asterisk makes no channels. ``lying``: joins that happened
    are told as refused. ``doubled``: every event comes twice. ``slow``: events come late, and in any order.
    ``lossy``: one event of :data:`LOST_ONE_OF` never comes.
    """

    kind: Kind
    at_s: float
    length_s: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A day. *leads*: of all campaigns, none called yet. *tick_s*: so often the floor looks at its clocks;
    *check_s*: so often everything is checked (0: after every event; None: never).

    *world*, *told*: the people and operators are those of this world, and as a journal tells; else *habits* and
    *diligence* say how they are."""

    seed: int
    length_s: float
    campaigns: tuple[Campaign, ...]
    trunks: tuple[Trunk, ...]
    cards: tuple[AgentCard, ...]
    leads: tuple[Lead, ...]
    centre: Centre | None = None
    habits: Habits = Habits()
    diligence: Diligence = Diligence()
    world: World | None = None
    told: Told = Told()
    faults: tuple[Fault, ...] = ()
    begins_at: float = 1_772_436_000.0
    """2 March 2026, 10:20 in Moscow."""
    tick_s: float = 1.0
    check_s: float | None = 60.0


class Keeper(Protocol):
    """Where decisions are saved and leads come from: the journal, or something like it."""

    def save(self, events: Sequence[ev.Event], commands: Sequence[AnyCommand], /) -> None:
        """Write a decision, whole or not at all."""

    def fetch(
        self, campaign: Campaign, limit: int, at: float, present: Collection[AgentId]
    ) -> tuple[list[Lead], bool, bool]:
        """Leads that may be dialed, whether any is unfinished, whether there may be more."""

    def load(self, at: float, version: str = "") -> ev.EngineStarted:
        """What an engine that starts finds."""
