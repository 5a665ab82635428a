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
from dialer.core.ids import BridgeId, ChannelId, TrunkId
from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxGarbled
from dialer.pbx.frames import Bridge, Endpoint
from dialer.pbx.trunks import trunk_of
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
    name: str = ""
    state: str = ""
    channelvars: dict[str, str] = {}
    dialplan: _Dialplan = msgspec.field(default_factory=_Dialplan)


async def list_live(ari: AriClient) -> tuple[LiveChannel, ...]:
    """All channels in Asterisk, ours or not, by id. Raises :class:`~dialer.pbx.errors.PbxError`."""
    before = ari.aliases.known
    channels, bridges = await asyncio.gather(
        _list(ari, "/channels", list[_Channel]), _list(ari, "/bridges", list[Bridge])
    )
    place = {channel: BridgeId(bridge.id) for bridge in bridges for channel in bridge.channels}
    ours = {channel.id: ari.aliases.ours(channel.id, channel.channelvars) for channel in channels}
    ari.aliases.listed(before, ours.values())
    return tuple(
        LiveChannel(
            channel=ChannelId(ours[channel.id]),
            is_up=channel.state == "Up",
            is_ringing=channel.state == "Ringing",
            in_app=_is_in_app(channel.dialplan, ari.app),
            bridge=place.get(channel.id),
            place=PLACES.get(channel.dialplan.context, ""),
            arrived=_arrived(channel.dialplan, ari.app),
            trunk=_trunk(channel.name),
        )
        for channel in sorted(channels, key=lambda channel: ours[channel.id])
    )


async def list_endpoints(ari: AriClient, at: float) -> tuple[TrunkChanged | PhoneChanged | PhoneUsed, ...]:
    """How trunks and phones stand, as events of the instant *at*. Raises PbxError."""
    endpoints = await _list(ari, "/endpoints/PJSIP", list[Endpoint])
    found = (read(endpoint, at) for endpoint in endpoints for read in (endpoint_event, phone_use))
    return tuple(event for event in found if event is not None)


def _trunk(name: str) -> TrunkId | None:
    """Whose a channel is, by its name (``PJSIP/ENDPOINT-0000001f``); None: no trunk's."""
    technology, _, rest = name.partition("/")
    endpoint, dash, _ = rest.rpartition("-")
    return trunk_of(endpoint) if technology == "PJSIP" and dash else None


def _is_in_app(dialplan: _Dialplan, app: str) -> bool:
    return dialplan.app_name == "Stasis" and dialplan.app_data.split(",")[0] == app


def _arrived(dialplan: _Dialplan, app: str) -> tuple[str, ...]:
    """Of a call that came in and is in our hands since: what the dialplan said of it (:func:`dialer.pbx.wire.arrival`)."""
    if not _is_in_app(dialplan, app):
        return ()
    _, *args = dialplan.app_data.split(",")
    return tuple(args[1:]) if args[:1] == ["inbound"] else ()


async def _list(ari: AriClient, path: str, kind: type[T]) -> T:
    answer: Any = await ari.request("GET", path, repeatable=True)
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise PbxGarbled(f"GET {path}: {error}") from None
