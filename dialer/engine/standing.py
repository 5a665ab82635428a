"""How the engine and its campaigns stand at this moment, as its API tells: the engine's health, and each campaign's pacing."""

from __future__ import annotations

from collections import Counter

import msgspec

from dialer.core.floor import Floor
from dialer.core.values import AgentState, CallState
from dialer.engine.loop import Engine


class ServerHealth(msgspec.Struct, kw_only=True):
    """How one Asterisk server is (*name*: empty for the only one). *is_up*: we hear it; *is_lost*: it is dead. *operators*: signed in there.
    *why_not*: why nothing is originated there."""

    name: str
    is_up: bool
    is_lost: bool
    calls: int
    channels_max: int
    operators: int
    why_not: list[str]


class Health(msgspec.Struct, kw_only=True):
    """How the engine is. *why_not*: why nothing is originated at this moment."""

    engine: str
    pbx_connected: bool
    lag_ms: float
    depth: int
    journal_ok: bool
    timers_ok: bool
    originating: bool
    live_calls: int
    calls: dict[str, dict[str, int]]
    """Live calls by campaign and state."""
    hopper: dict[str, int]
    trunks: dict[str, bool]
    servers: list[ServerHealth]
    why_not: list[str]
    events: int
    transactions: int


class Decided(msgspec.Struct, kw_only=True):
    """Why a campaign got as many calls as it did at the instant *at*: :class:`dialer.core.pacing.book.Reason`."""

    at: float
    placed: int
    limit: str
    figures: dict[str, float]
    note: str
    server: str = ""


class Paced(msgspec.Struct, kw_only=True):
    """A campaign's pacing. *last*: the last decision; *history*: those before and it, the oldest first; none for a
    campaign that is dialed progressively by its mode. *answered*, *abandoned*: within the window of its promise."""

    campaign: str
    mode: str
    state: str
    last: Decided | None
    history: list[Decided]
    answered: int
    abandoned: int
    share_max: float
    """What is promised."""
    bound: tuple[float, float]
    """Between what the true share lies, with the confidence of the campaign's settings."""


def health(engine: Engine, *, version: str, pbx_connected: bool, timers_ok: bool) -> Health:
    """How the engine is now."""
    floor, inbox = engine.floor, engine.inbox
    calls: dict[str, dict[str, int]] = {}
    for desk in floor.desks.values():
        counts = dict.fromkeys(map(str, CallState), 0)
        for attempt in desk.live:
            counts[str(floor.calls[attempt].state)] += 1
        calls[str(desk.campaign.id)] = {state: count for state, count in counts.items() if count}
    why_not = list(floor.why_not_originating().values())
    return Health(
        engine=version,
        pbx_connected=pbx_connected,
        lag_ms=round(max(engine.lag_s, inbox.lag_s) * 1000, 1),
        depth=inbox.depth,
        journal_ok=engine.journal_ok,
        timers_ok=timers_ok,
        originating=not why_not,
        live_calls=len(floor.calls),
        calls=calls,
        hopper={str(desk.campaign.id): len(desk.hopper) for desk in floor.desks.values()},
        trunks={
            str(desk.trunk.id): any(desk.is_up(server) for server in floor.servers.used)
            for desk in floor.trunks.values()
        },
        servers=_servers(floor),
        why_not=why_not,
        events=engine.events,
        transactions=engine.transactions,
    )


def _servers(floor: Floor) -> list[ServerHealth]:
    signed_in = Counter(
        agent.server for agent in floor.agents.values() if agent.state is not AgentState.SIGNED_OUT
    )
    return [
        ServerHealth(
            name=name,
            is_up=desk.is_up,
            is_lost=desk.is_lost,
            calls=desk.live,
            channels_max=desk.server.channels_max,
            operators=signed_in[name],
            why_not=list(floor.why_not_originating(name).values()),
        )
        for name, desk in floor.servers.items()
        if desk.is_used
    ]


def pacing(floor: Floor, at: float, shown: int) -> list[Paced]:
    """Each campaign's pacing at the instant *at*, with its latest decisions, *shown* at most."""
    found = []
    for desk in floor.desks.values():
        campaign = desk.campaign
        history = [
            Decided(
                at=decided_at,
                placed=reason.placed,
                limit=reason.limit,
                figures=reason.figures,
                note=reason.note,
                server=reason.server,
            )
            for decided_at, reason in floor.reasons_of(campaign.id)[-shown:]
        ]
        ledger = floor.ledger(campaign.id)
        answered, abandoned = ledger.totals(at) if ledger is not None else (0, 0)
        found.append(
            Paced(
                campaign=campaign.id,
                mode=campaign.mode,
                state=str(desk.state),
                last=history[-1] if history else None,
                history=history,
                answered=answered,
                abandoned=abandoned,
                share_max=campaign.pacing.abandonment.share,
                bound=ledger.bound(at) if ledger is not None else (0.0, 1.0),
            )
        )
    return found
