"""How a campaign conducts itself, as its file says it: ``[pacing]``, ``[abandonment]``, ``[last_word]``,
``[machines]``, ``[announcement]`` as the values of :mod:`dialer.core.conduct`, and back. ``[inbound]`` has a module of
its own (:mod:`dialer.store.inboundtext`).

1. A table is a value of its own, with two exceptions: what is promised of abandonment is a part of the pacing, and what is said
   to a person (:class:`~dialer.core.conduct.Prompt`) is two keys, the text under a name of its own and ``sound``.
2. What two keys together must not say is told here; what a key may hold, by the schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dialer.core.conduct import Announcement, LastWord, Machines, Pacing, Prompt
from dialer.core.values import Campaign
from dialer.store import inboundtext
from dialer.store.hourtext import Found

TABLES = ("pacing", "abandonment", "last_word", "machines", "announcement", "inbound")
"""Tables of a campaign's file that are made values of here."""
_PROMPTS = {"last_word": "who", "machines": "message", "announcement": "message"}
"""By table: the field that is something said, and the key of its text."""
_SOUND = "sound"
_MESSAGE = "a text, or a recorded file as `sound`"


def conduct_from(document: Mapping[str, Any]) -> dict[str, Any]:
    """The campaign's fields that the tables of a checked *document* say."""
    pacing = {**document.get("pacing", {}), "abandonment": document.get("abandonment", {})}
    return {
        "pacing": msgspec.convert(pacing, Pacing),
        "last_word": msgspec.convert(_prompted(document, "last_word"), LastWord),
        "machines": msgspec.convert(_prompted(document, "machines"), Machines),
        "announcement": msgspec.convert(_prompted(document, "announcement"), Announcement),
        "inbound": inboundtext.inbound_from(document.get("inbound", {})),
    }


def conduct_tables(campaign: Campaign) -> dict[str, dict[str, Any]]:
    """Each table with all its keys, as :func:`conduct_from` reads them."""
    pacing = msgspec.to_builtins(campaign.pacing)
    tables = {"pacing": pacing, "abandonment": pacing.pop("abandonment")}
    for name, key in _PROMPTS.items():
        value = getattr(campaign, name)
        table = tables[name] = {**msgspec.to_builtins(value), key: getattr(value, key).text}
        table[_SOUND] = getattr(value, key).sound
    tables["inbound"] = inboundtext.inbound_table(campaign.inbound)
    tables["last_word"]["offers"] = list(campaign.last_word.offers)
    return tables


def contradictions(document: Mapping[str, Any], campaign: Campaign) -> Iterator[Found]:
    """What two keys together must not say."""
    promise, machines = campaign.pacing.abandonment, campaign.machines
    if promise.cap is not None and promise.cap < promise.share:
        what = f"{promise.cap:g} is less than share, which could then never be reached"
        yield ("abandonment", "cap"), what, f"{promise.share:g} or more, or left out"
    is_announced = campaign.mode == "announcement"
    if machines.detect and not is_announced and machines.listen_s >= promise.limit_s:
        is_long = "listen_s" in document.get("machines", {})
        keys = ("machines", "listen_s") if is_long else ("abandonment", "limit_s")
        what = (
            f"it is listened {machines.listen_s:g} s who answered (machines.listen_s), and an operator must be there within"
            f" {promise.limit_s:g} s (abandonment.limit_s), so nobody could be served in time"
        )
        yield keys, what, "machines.listen_s less than abandonment.limit_s, or machines.detect = false"
    if machines.action == "message" and machines.message == Prompt():
        yield ("machines", "message"), 'is missing, for action is "message"', _MESSAGE
    if is_announced and campaign.announcement.message == Prompt():
        yield ("announcement", "message"), 'is missing, for mode is "announcement"', _MESSAGE
    yield from inboundtext.contradictions(document.get("inbound", {}))


def _prompted(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table whose prompt is a value of its own."""
    table, key = dict(document.get(name, {})), _PROMPTS[name]
    return {**table, key: {"text": table.get(key, ""), "sound": table.pop(_SOUND, "")}}
