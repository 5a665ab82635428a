"""Lanes: a campaign on one of several Asterisk servers.

1. A person and the operator who talks with them are on one server. So whoever deals out operators (the progressive seats,
   the pacing rule, the queue of those who wait) looks at lanes in place of campaigns: each is served by the operators of its
   server alone.
2. With one server (:data:`~dialer.core.ids.ONLY`) a lane is its campaign, by name and in every way.
3. What is promised, counted and learnt goes by campaign, whatever the server: ledgers, caps, leads, the journal and all reports.
4. Names hold no ``@``, so a lane's name says what it is of: ``spring@north``. The skills of an operator who works for all
   campaigns are ``@north``.
"""

from __future__ import annotations

from collections.abc import Iterable

from dialer.core.ids import ONLY, CampaignId, ServerId

Skills = tuple[CampaignId, ...]
"""The lanes that an operator works for, sorted; empty, or one that begins with ``@``: every campaign (on that server)."""


def lane(campaign: CampaignId, server: ServerId) -> CampaignId:
    """The name of *campaign*'s lane on *server*."""
    return CampaignId(f"{campaign}@{server}") if server else campaign


def campaign_of(lane_: str) -> CampaignId:
    """The campaign whose lane that is."""
    return CampaignId(lane_.partition("@")[0])


def server_of(lane_: str) -> ServerId:
    """The server that the lane is on."""
    return ServerId(lane_.partition("@")[2])


def skills(campaigns: Iterable[CampaignId], server: ServerId) -> Skills:
    """The lanes that an operator on *server* works for; *campaigns*: those of the card, none means all."""
    if server == ONLY:
        return tuple(campaigns)
    return tuple(lane(one, server) for one in campaigns) or (lane(CampaignId(""), server),)


def is_all(skills_: tuple[str, ...]) -> bool:
    """Whether an operator with these skills works for every campaign (of their server)."""
    return not skills_ or skills_[0].startswith("@")


def may_serve(skills_: tuple[str, ...], lane_: str) -> bool:
    """Whether an operator with these skills works for that lane."""
    if not skills_ or lane_ in skills_:
        return True
    return skills_[0].startswith("@") and lane_.endswith(skills_[0])
