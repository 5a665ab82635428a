"""A supervisor's orders: from which states a campaign takes each, and what came of one to an operator."""

from __future__ import annotations

from typing import Literal

from dialer.core.agent import OF_THE_PHONE
from dialer.core.values import Agent, AgentState, CampaignState

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


def came_of(agent: Agent, order: str) -> Literal["now", "later", "nothing"]:
    """What came of the order to *agent*, who stands as it left them.

    ``later``: when the call (and its wrap-up) is over; ``ready``, also when the phone is free.
    """
    match order:
        case "ready" if agent.state is AgentState.READY:
            return "now"
        case "ready" if agent.state is AgentState.PAUSED and agent.reason in OF_THE_PHONE:
            return "later"
        case "ready" if agent.state not in (AgentState.PAUSED, AgentState.SIGNED_OUT):
            return "later" if agent.pause_asked is None and not agent.sign_out_asked else "nothing"
        case "pause" if agent.state is AgentState.PAUSED:
            return "now"
        case "pause" if agent.pause_asked is not None:
            return "later"
        case "sign_out" if agent.state is AgentState.SIGNED_OUT:
            return "now"
        case "sign_out" if agent.sign_out_asked:
            return "later"
        case _:
            return "nothing"
