"""Orders to Asterisk, and what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dialer.core import commands as c
from dialer.core.ids import AgentId, AttemptId, BridgeId, CampaignId, ChannelId, TrunkId
from dialer.core.values import Trunk

A = AttemptId("a" + "0" * 20)
LINE = ChannelId("1763763201.12")
BRIDGE = BridgeId(f"line-{LINE}")
AT = 1738324800.0  # 2025-01-31T12:00:00Z
HOME = Path("/srv/obzvon/recordings")
LAB = Trunk(id=TrunkId("lab"), host="192.0.2.1")
PLAIN = Trunk(id=TrunkId("plain"), host="192.0.2.1", number_format="e164")
TRUNKS = {trunk.id: trunk for trunk in (LAB, PLAIN)}

ORIGINATE = c.Originate(
    attempt=A,
    campaign=CampaignId("spring"),
    trunk=LAB.id,
    number="+442079460123",
    caller_id="+442079460000",
    ring_s=39.5,
    record=True,
)
RING = c.RingAgent(
    agent=AgentId("ann"),
    phone="101",
    channel=ChannelId(f"leg-{A}"),
    attempt=A,
    number="+442079460123",
    ring_s=15.0,
)
JOIN = c.JoinAgent(attempt=A, agent=AgentId("ann"), bridge=BRIDGE)
OPEN = c.OpenLine(channel=LINE, bridge=BRIDGE)


def changed(command: c.Command, **values: Any) -> Any:
    return type(command)(**({name: getattr(command, name) for name in command.__struct_fields__} | values))
