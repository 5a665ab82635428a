"""What one engine knew in memory alone, were it not written down: the rotation of trunks, whose turn it is to have a caller, who talks
on over a dead server.

Each question is answered by an index, and costs by what there is now (trunks, servers, operators, campaigns) or by what happened in
the last :data:`~dialer.core.distribution.WINDOW_S`, however long the history is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from dialer.core.distribution import WINDOW_S
from dialer.core.ids import AgentId, AttemptId, CampaignId, ChannelId, ServerId, TrunkId
from dialer.core.trunk import Rotation, TrunkNoted
from dialer.core.values import Campaign

SERVERS_SQL = """
WITH RECURSIVE found (server) AS (
    SELECT min(server) FROM trunk_states INDEXED BY trunk_states_of_server WHERE trunk = :trunk
    UNION ALL SELECT (
        SELECT min(s.server) FROM trunk_states s INDEXED BY trunk_states_of_server
        WHERE s.trunk = :trunk AND s.server > found.server
    ) FROM found WHERE found.server IS NOT NULL
) SELECT server FROM found WHERE server IS NOT NULL
"""
"""The servers that ever said something of a trunk, each found by one step in the index."""
PRESENT_SQL = (
    "SELECT id, at, state, why, rests, rest_until, probe FROM trunk_states INDEXED BY trunk_states_of_server"
    " WHERE trunk = ? AND server = ? ORDER BY id DESC LIMIT 1"
)
TALKS_SQL = (
    "SELECT began_at FROM agent_states INDEXED BY agent_states_by_time"
    " WHERE agent = ? AND began_at > ? AND state = 'on_call' ORDER BY began_at"
)
TURN_SQL = (
    "SELECT agent FROM attempts INDEXED BY attempts_in"
    " WHERE campaign = ? AND direction = 'in' AND agent IS NOT NULL ORDER BY created_at DESC LIMIT 1"
)

PresentRow = tuple[int, float, str, str, int, float | None, str | None]


def present_rows(connection: sqlite3.Connection, trunk: str) -> Iterator[tuple[str, PresentRow]]:
    """The last row of ``trunk_states`` for each server that said something of *trunk*."""
    for (server,) in connection.execute(SERVERS_SQL, {"trunk": trunk}).fetchall():
        yield server, connection.execute(PRESENT_SQL, (trunk, server)).fetchone()


def trunks_noted(connection: sqlite3.Connection, trunks: Iterable[TrunkId]) -> Iterator[TrunkNoted]:
    """How each of *trunks* stood last, of which anything was noted. Its rotation is in every row, so the youngest has it."""
    for trunk in trunks:
        rows = dict(present_rows(connection, trunk))
        if rows:
            _, _, _, _, rests, until, probe = max(rows.values())
            rotation = Rotation(
                rests=rests, rest_until=until, probe=AttemptId(probe) if probe is not None else None
            )
            down = tuple(ServerId(server) for server, row in rows.items() if row[2] == "down")
            yield TrunkNoted(trunk=trunk, rotation=rotation, down=down)


def left_channels(connection: sqlite3.Connection) -> tuple[tuple[ServerId, tuple[ChannelId, ...]], ...]:
    """What ``SaveLeft`` wrote."""
    found: dict[ServerId, list[ChannelId]] = {}
    for server, channel in connection.execute("SELECT server, channel FROM left_channels ORDER BY 1, 2"):
        found.setdefault(ServerId(server), []).append(ChannelId(channel))
    return tuple((server, tuple(channels)) for server, channels in found.items())


def talks(
    connection: sqlite3.Connection, agents: Iterable[AgentId], at: float
) -> Iterator[tuple[AgentId, tuple[float, ...]]]:
    """When the conversations of each of *agents* began, in the window that ends with *at*."""
    for agent in agents:
        begun = tuple(row[0] for row in connection.execute(TALKS_SQL, (agent, at - WINDOW_S)))
        if begun:
            yield agent, begun


def turns(
    connection: sqlite3.Connection, campaigns: Iterable[Campaign]
) -> Iterator[tuple[CampaignId, AgentId]]:
    """Who was given a caller last, of those of *campaigns* that go round by turns."""
    for campaign in campaigns:
        if campaign.inbound.distribution == "round_robin":
            row = connection.execute(TURN_SQL, (campaign.id,)).fetchone()
            if row is not None:
                yield campaign.id, AgentId(row[0])
