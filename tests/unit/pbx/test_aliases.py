"""Two ids of one channel: what comes in bears the attempt's, what goes out Asterisk's."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core.events import LiveChannel
from dialer.pbx import frames as f
from dialer.pbx.adopt import list_live
from dialer.pbx.aliases import Aliases
from dialer.pbx.wire import arrival

ATTEMPT = "a17000000001231234567"
REAL = "1763798000.12"
VARIABLES = {"OBZVON_ATTEMPT": ATTEMPT}


def channel(name: str = REAL, **variables: str) -> f.Channel:
    return f.Channel(id=name, channelvars=variables or VARIABLES)


def test_a_frame_bears_the_attempts_id_and_a_request_asterisks() -> None:
    aliases = Aliases()
    frame = aliases.read(f.StasisStart(channel=channel(), args=("inbound",)))
    assert frame.channel.id == ATTEMPT
    assert aliases.path(f"/channels/{ATTEMPT}/play/wait-{ATTEMPT}") == f"/channels/{REAL}/play/wait-{ATTEMPT}"
    assert aliases.path(f"/channels/{ATTEMPT}") == f"/channels/{REAL}"
    assert aliases.body({"channel": ATTEMPT, "role": "x"}) == {"channel": REAL, "role": "x"}


def test_what_is_learnt_holds_for_frames_that_do_not_tell() -> None:
    aliases = Aliases()
    aliases.read(f.StasisStart(channel=channel()))
    bare = f.Channel(id=REAL)
    for frame in (
        f.ChannelDtmfReceived(channel=bare, digit="1"),
        f.ChannelEnteredBridge(bridge=f.Bridge(id="b"), channel=bare),
        f.ChannelUserevent(eventname="x", channel=bare),
    ):
        assert aliases.read(frame).channel.id == ATTEMPT  # type: ignore[union-attr]


def test_calls_that_we_placed_and_other_channels_keep_their_ids() -> None:
    aliases = Aliases()
    for name, variables in (
        (ATTEMPT, VARIABLES),
        ("1763798000.13", {"OBZVON_ATTEMPT": ""}),
        ("1763798000.14", {"OBZVON_ATTEMPT": "../../x"}),
        ("leg-x-y", {"OTHER": "1"}),
    ):
        frame = f.StasisStart(channel=f.Channel(id=name, channelvars=variables))
        assert aliases.read(frame) is frame
    assert not len(aliases)
    assert aliases.path("/channels/1763798000.13") == "/channels/1763798000.13"
    assert aliases.path(f"/bridges/{ATTEMPT}") == f"/bridges/{ATTEMPT}"


def test_it_is_forgotten_with_the_end_of_the_channel() -> None:
    aliases = Aliases()
    aliases.read(f.StasisStart(channel=channel()))
    end = aliases.read(f.ChannelDestroyed(channel=channel(), cause=16))
    assert end.channel.id == ATTEMPT
    assert not len(aliases)


def test_should_its_end_get_lost_a_list_tells() -> None:
    aliases = Aliases()
    aliases.read(f.StasisStart(channel=channel()))
    before = aliases.known
    younger = "a17000000001239999999"
    aliases.read(f.StasisStart(channel=channel("1763798000.99", OBZVON_ATTEMPT=younger)))
    aliases.listed(before, ())
    assert aliases.known == {younger}


def test_the_peer_of_a_dial_is_known_too() -> None:
    aliases = Aliases()
    assert aliases.read(f.Dial(peer=channel())).peer.id == ATTEMPT


class Ari:
    """Lists one channel."""

    app = "obzvon"

    def __init__(self, *channels: dict[str, Any], bridges: tuple[dict[str, Any], ...] = ()) -> None:
        self.aliases = Aliases()
        self._answers = {"/channels": list(channels), "/bridges": list(bridges)}

    async def request(self, method: str, path: str, **more: Any) -> Any:
        return self._answers[path]


def listed(data: str, context: str = "obzvon-arrival") -> dict[str, Any]:
    dialplan = {"context": context, "app_name": "Stasis" if data else "", "app_data": data}
    return {"id": REAL, "state": "Up", "channelvars": VARIABLES, "dialplan": dialplan}


async def test_a_list_tells_who_came_and_where_they_are() -> None:
    ari = Ari(
        listed("obzvon,inbound,+74950000001,89161234567,main,spring"),
        bridges=({"id": "hold-spring", "channels": [REAL]},),
    )
    (one,) = await list_live(ari)  # type: ignore[arg-type]
    assert one == LiveChannel(
        channel=ATTEMPT,  # type: ignore[arg-type]
        is_up=True,
        in_app=True,
        bridge="hold-spring",  # type: ignore[arg-type]
        arrived=("+74950000001", "89161234567", "main", "spring"),
    )
    assert ari.aliases.known == {ATTEMPT}


@pytest.mark.parametrize("data", ["", "obzvon,returned", "other,inbound,1,2,3,4"])
async def test_who_is_elsewhere_by_now_has_not_just_come(data: str) -> None:
    (one,) = await list_live(Ari(listed(data)))  # type: ignore[arg-type]
    assert one.arrived == ()


@pytest.mark.parametrize(
    ("told", "is_whole"),
    [
        (("+74950000001", "89161234567", "main", "spring"), True),
        (("4950000001", "", "main", "spring"), True),
        (("4950000001", "", "", "spring"), True),  # a trunk that has no name of ours is made good later
        (("", "1", "main", "spring"), False),
        (("4950000001", "1", "main"), False),
        (("4950000001", "1", "main", "../x"), False),
        ((), False),
    ],
)
def test_what_the_dialplan_tells_of_a_caller(told: tuple[str, ...], is_whole: bool) -> None:
    found = arrival(ATTEMPT, told)
    assert (found is not None) is is_whole
    assert arrival(REAL, told) is None
    if found is not None:
        assert (found.did, found.caller, found.trunk, found.campaign) == told


@pytest.mark.parametrize("caller", ["anonymous", "+", "++7495", "7+495", "1" * 33])
def test_a_caller_whose_number_is_none_is_not_turned_away(caller: str) -> None:
    found = arrival(ATTEMPT, ("4950000001", caller, "main", "spring"))
    assert found is not None
    assert found.caller == ""
