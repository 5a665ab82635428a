"""What the census counts: calls, operators, and the pools in which they meet."""

from __future__ import annotations

from collections.abc import Collection

from dialer.core.lanes import may_serve
from dialer.core.pacing.answers import AGES
from dialer.core.pacing.book import Operator
from dialer.core.pacing.outlook import Pool, Row, Team
from dialer.core.pacing.tables import Kind


class Line:
    """The calls of one campaign with one factor that nobody has answered, by age. *limit*: the ages that count."""

    def __init__(self, campaign: str, kind: Kind, steps: int) -> None:
        self.campaign = campaign
        self.kind = kind
        self.steps = steps
        self.counts = [0] * AGES
        self.limit = AGES
        self.scale = 1.0


class Leg:
    """A call in flight. *slot*: the tick in which it was placed."""

    __slots__ = ("is_ringing", "line", "slot")

    def __init__(self, line: Line, slot: int) -> None:
        self.line = line
        self.slot = slot
        self.is_ringing = True


class Seat:
    """An operator at work. *rows*: their table (idle: none). *row*: as which they count in *pools*."""

    __slots__ = ("one", "pools", "row", "rows", "since")

    def __init__(self, one: Operator) -> None:
        self.one = one
        self.since = one.since
        self.rows: list[Row | None] | None = None
        self.row: Row = ()
        self.pools: tuple[Pool, ...] = ()


class Open:
    """Calls of one campaign that may yet need an operator. *waiting*: answered already."""

    __slots__ = ("ringing", "waiting")

    def __init__(self) -> None:
        self.ringing = 0
        self.waiting = 0


class Groups:
    """The pools of teams and campaigns. A campaign's own pool comes first in *of_campaign*, then the whole one, if that is
    another."""

    def __init__(self, teams: Collection[Team], campaigns: Collection[str]) -> None:
        serving = {
            name: frozenset(team for team in teams if may_serve(team, name)) for name in sorted(campaigns)
        }
        pools: dict[frozenset[Team], Pool] = {}
        self.of_campaign: dict[str, tuple[Pool, ...]] = dict.fromkeys(campaigns, ())
        """Where the campaign's risk is looked at."""
        for name, own in serving.items():
            for group in dict.fromkeys((own, _connected(own, serving.values()))):
                if not group:
                    continue
                if group not in pools:
                    inside = frozenset(one for one, by in serving.items() if by and by <= group)
                    pools[group] = Pool(group, inside)
                self.of_campaign[name] += (pools[group],)
        self.pools = tuple(pools.values())
        self.counting = {
            name: tuple(pool for pool in self.pools if name in pool.campaigns) for name in campaigns
        }
        """Where the campaign's calls count."""
        self.of_team = {team: tuple(pool for pool in self.pools if team in pool.teams) for team in teams}


def _connected(own: frozenset[Team], others: Collection[frozenset[Team]]) -> frozenset[Team]:
    """*own*, with all teams that are connected by campaigns they share."""
    whole, before = own, None
    while whole != before:
        before = whole
        for other in others:
            if other & whole:
                whole |= other
    return whole
