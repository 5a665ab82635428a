"""What lives in Asterisk, as its lists say it."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core.events import LiveChannel
from dialer.core.ids import BridgeId, ChannelId
from dialer.pbx.adopt import list_live
from dialer.pbx.aliases import Aliases
from dialer.pbx.errors import PbxGarbled
from dialer.pbx.trial import TEST_CHANNEL


class Ari:
    """Answers by path."""

    app = "obzvon"

    def __init__(self, channels: Any, bridges: Any = ()) -> None:
        self.aliases = Aliases()
        self.answers = {"/channels": channels, "/bridges": list(bridges)}

    async def request(self, method: str, path: str, **more: Any) -> Any:
        assert (method, more) == ("GET", {"repeatable": True})
        return self.answers[path]


def channel(name: str, state: str = "Up", context: str = "", app: str = "", data: str = "") -> dict[str, Any]:
    return {"id": name, "state": state, "dialplan": {"context": context, "app_name": app, "app_data": data}}


async def live(*channels: dict[str, Any], bridges: Any = ()) -> list[LiveChannel]:
    return list(await list_live(Ari(list(channels), bridges)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("context", "place"),
    [
        ("obzvon-listen", "listening"),
        ("obzvon-machine", "machine"),
        ("obzvon-announcement", "announcement"),
        ("obzvon-last-word", ""),
        ("obzvon-outbound", ""),
        ("", ""),
    ],
)
async def test_what_the_dialplan_does_with_a_person_is_told_by_the_context(context, place):
    (found,) = await live(channel("a1", context=context, app="Background"))
    assert found == LiveChannel(channel=ChannelId("a1"), is_up=True, place=place)


async def test_who_rings_is_in_our_hands_or_in_a_bridge():
    bridges = [{"id": "line-1", "channels": ["a2"]}]
    found = await live(
        channel("a3", app="Stasis", data="obzvon,contact,,"),
        channel("a1", "Ringing"),
        channel("a2", app="Stasis", data="obzvon,returned"),
        channel("a4", app="Stasis", data="other,contact"),
        bridges=bridges,
    )
    assert found == [
        LiveChannel(channel=ChannelId("a1"), is_up=False, is_ringing=True),
        LiveChannel(channel=ChannelId("a2"), is_up=True, in_app=True, bridge=BridgeId("line-1")),
        LiveChannel(channel=ChannelId("a3"), is_up=True, in_app=True),
        LiveChannel(channel=ChannelId("a4"), is_up=True),
    ]


async def test_a_list_that_is_garbled_is_said_so():
    with pytest.raises(PbxGarbled, match="GET /channels"):
        await live({"id": 5})


async def test_whose_a_channel_is_its_name_tells():
    names = ("PJSIP/trunk-my-lab-0000001f", "PJSIP/101-0000001f", "Local/trunk-lab-0000001f;1", "")
    found = await live(*({**channel(f"x{place}"), "name": name} for place, name in enumerate(names)))
    assert [one.trunk for one in found] == ["my-lab", None, None, None]


async def test_a_test_call_takes_its_trunks_channel_and_is_in_nobodys_hands():
    test = {**channel(f"{TEST_CHANNEL}0123", context="obzvon-trunk-test"), "name": "PJSIP/trunk-lab-00000001"}
    (found,) = await live(test)
    assert (found.trunk, found.in_app) == ("lab", False)
