"""A supervisor's orders to a campaign: from which states each may be given, and where it leads."""

from __future__ import annotations

from dialer.core.values import CampaignState

ORDERS: dict[str, tuple[frozenset[CampaignState], CampaignState]] = {
    "start": (
        frozenset({CampaignState.NEW, CampaignState.STOPPED, CampaignState.FINISHED, CampaignState.PAUSED}),
        CampaignState.RUNNING,
    ),
    "pause": (frozenset({CampaignState.RUNNING}), CampaignState.PAUSED),
    "resume": (frozenset({CampaignState.PAUSED}), CampaignState.RUNNING),
    "stop": (frozenset({CampaignState.RUNNING, CampaignState.PAUSED}), CampaignState.STOPPED),
}


def why_not(state: CampaignState, order: str) -> str | None:
    """Why a campaign in *state* cannot take *order*; None if it can. An order given twice is no fault."""
    before, after = ORDERS[order]
    if state in before or state is after:
        return None
    allowed = ", ".join(sorted(before))
    return f"the campaign is {state}; {order} is for one that is {allowed}"
