"""What lives in Asterisk right now: asked once after each connect, so that nothing is forgotten there.

While the socket was closed, channels went on and bridges stayed; Asterisk does not tell the story
again. So we list what is, and the core compares that with what it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec

from dialer.core.events import LiveChannel, PhoneChanged, PhoneUsed, TrunkChanged
from dialer.core.ids import BridgeId, ChannelId
from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxGarbled
from dialer.pbx.frames import Bridge, Endpoint
from dialer.pbx.wire import endpoint_event, phone_use

T = TypeVar("T")
Place = Literal["", "listening", "machine", "announcement"]
PLACES: Final[Mapping[str, Place]] = {
    "obzvon-listen": "listening",
    "obzvon-machine": "machine",
    "obzvon-announcement": "announcement",
}
"""What the dialplan does with a person, by the context where they are."""


class _Dialplan(msgspec.Struct):
    context: str = ""
    app_name: str = ""
    app_data: str = ""


class _Channel(msgspec.Struct):
    id: str
    state: str = ""
    dialplan: _Dialplan = msgspec.field(default_factory=_Dialplan)


async def list_live(ari: AriClient) -> tuple[LiveChannel, ...]:
    """All channels in Asterisk, ours or not, by id. Raises :class:`~dialer.pbx.errors.PbxError`."""
    channels, bridges = await asyncio.gather(
        _list(ari, "/channels", list[_Channel]), _list(ari, "/bridges", list[Bridge])
    )
    place = {channel: BridgeId(bridge.id) for bridge in bridges for channel in bridge.channels}
    return tuple(
        LiveChannel(
            channel=ChannelId(channel.id),
            is_up=channel.state == "Up",
            is_ringing=channel.state == "Ringing",
            in_app=_is_in_app(channel.dialplan, ari.app),
            bridge=place.get(channel.id),
            place=PLACES.get(channel.dialplan.context, ""),
        )
        for channel in sorted(channels, key=lambda channel: channel.id)
    )


async def list_endpoints(ari: AriClient, at: float) -> tuple[TrunkChanged | PhoneChanged | PhoneUsed, ...]:
    """How trunks and phones stand, as events of the instant *at*. Raises PbxError."""
    endpoints = await _list(ari, "/endpoints/PJSIP", list[Endpoint])
    found = (read(endpoint, at) for endpoint in endpoints for read in (endpoint_event, phone_use))
    return tuple(event for event in found if event is not None)


def _is_in_app(dialplan: _Dialplan, app: str) -> bool:
    return dialplan.app_name == "Stasis" and dialplan.app_data.split(",")[0] == app


async def _list(ari: AriClient, path: str, kind: type[T]) -> T:
    answer: Any = await ari.request("GET", path, repeatable=True)
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise PbxGarbled(f"GET {path}: {error}") from None
