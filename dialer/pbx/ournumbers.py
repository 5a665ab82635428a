"""Our own numbers, laid out for the dialplan: who is called there, and what happens where no engine takes the call.

``<ivr>/did/DIGITS`` is one line, ``CAMPAIGN:DID:RECORD:OVERFLOW:FORWARD`` (``dialplan/50-inbound.conf`` reads it).

1. Carriers write one number in many ways: with a plus sign, with the country's code, with or without the digit of long distance (``8 495 …`` in Russia), as if
   from abroad. There is a file for each way that the number's own country knows; the dialplan asks for the digits alone.
2. A way that two campaigns would share belongs to none of them, but a number as it is written in a campaign's file is that campaign's.
3. ``FORWARD`` is what ``Dial(PJSIP/…)`` takes, made here by the rules that hold for every call: a number that no trunk of the campaign
   may call is left out, and a caution says so; the dialplan then offers a callback.
4. Files are replaced whole; one that belongs to nobody any more goes.
5. A number that operators ring from outside (:data:`ACCESS` is all that its files hold) is no campaign's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata

from dialer.core.destinations import allows, countries_of, trunk_ids
from dialer.core.ids import TrunkId
from dialer.core.values import Campaign, Centre, Trunk
from dialer.pbx.dialstring import dial_string
from dialer.pbx.errors import Unsendable
from dialer.pbx.files import read_file, write_file

FOLDER = "did"
ACCESS = "access"
ABROAD = "00"
"""What is dialed for other countries by the recommendation of ITU-T E.164 (E.123); a country's own comes beside it."""
_NOT_DIGITS = re.compile(r"[^0-9]")
_DID = re.compile(r"[+0-9][0-9]{1,31}\Z", re.ASCII)


def spellings(number: str) -> frozenset[str]:
    """The digits by which *number* may be called: its own, and the other ways of its country (rule 1)."""
    own = _NOT_DIGITS.sub("", number)
    if not number.startswith("+"):
        return frozenset({own})
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return frozenset({own})
    national = phonenumbers.national_significant_number(parsed)
    found = {own, national, ABROAD + own}
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is not None:
        if metadata.national_prefix:
            found.add(metadata.national_prefix + national)
        if metadata.preferred_international_prefix:
            found.add(_NOT_DIGITS.sub("", metadata.preferred_international_prefix) + own)
    return frozenset(found)


def lines(
    campaigns: Iterable[Campaign],
    trunks: Mapping[TrunkId, Trunk],
    centre: Centre,
    access: Iterable[str] = (),
) -> tuple[dict[str, str], list[str]]:
    """The content of each file, by its name; and cautions about what cannot be as it is written.

    *access*: the numbers that operators ring from outside.
    """
    campaigns = [one for one in campaigns if one.inbound.numbers]
    cautions: list[str] = []
    owners: dict[str, tuple[Campaign, str] | None] = {}
    written: dict[str, tuple[Campaign, str]] = {}
    for campaign in campaigns:
        for number in campaign.inbound.numbers:
            own = _NOT_DIGITS.sub("", number)
            if not _DID.match(number):
                cautions.append(f"Campaign {campaign.id}: {number!r} is no number that could be called")
            elif own in written and written[own][0] is not campaign:
                other = written[own][0].id
                cautions.append(f"Calls to {number} are campaign {other}'s, and not {campaign.id}'s as well")
            else:
                written[own] = (campaign, number)
    for campaign, number in written.values():
        for way in spellings(number):
            taken = owners.get(way, (campaign, number))
            owners[way] = (campaign, number) if taken == (campaign, number) else None
    owners |= written
    forward = {one.id: _forward(one, trunks, centre, cautions) for one in campaigns}
    texts = {
        way: ":".join(
            (
                one[0].id,
                one[1],
                "yes" if one[0].record else "no",
                one[0].inbound.overflow,
                forward[one[0].id],
            )
        )
        for way, one in owners.items()
        if one is not None
    }
    cautions += [
        f"Access number {number!r} has no digits, by which the dialplan knows a number"
        for number in access
        if not _NOT_DIGITS.sub("", number)
    ]
    ways = {way for number in access for way in spellings(number) if way}
    cautions += [
        f"Calls to {written[way][1]} are operators' (access), and not campaign {written[way][0].id}'s"
        for way in sorted(ways & written.keys())
    ]
    return texts | dict.fromkeys(ways, ACCESS), cautions


def lay_out(
    ivr: Path,
    campaigns: Iterable[Campaign],
    trunks: Mapping[TrunkId, Trunk],
    centre: Centre,
    access: Iterable[str] = (),
) -> list[str]:
    """Write the files, and return cautions. Raises OSError."""
    texts, cautions = lines(campaigns, trunks, centre, access)
    folder = ivr / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in texts.items():
        if read_file(folder / name) != text:
            write_file(folder / name, text)
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink(missing_ok=True)
    return cautions


def _forward(campaign: Campaign, trunks: Mapping[TrunkId, Trunk], centre: Centre, cautions: list[str]) -> str:
    number = campaign.inbound.overflow_number
    if campaign.inbound.overflow != "number" or not number:
        return ""
    countries = countries_of(campaign, centre)
    for name in trunk_ids(campaign):
        trunk = trunks.get(TrunkId(name))
        if trunk is not None and allows(trunk, countries, number):
            try:
                return dial_string(number, trunk)
            except Unsendable:
                break
    cautions.append(
        f"Campaign {campaign.id}: no trunk of it may call {number}, to which its calls would overflow;"
        " callers are offered a callback"
    )
    return ""
