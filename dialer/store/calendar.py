"""Time zones: which one a number lies in, and calling hours in them, computed once.

1. What a number says of its owner's whereabouts is libphonenumber's word: a number that belongs to a
   place, the place's zones; any other (most countries' mobile numbers), all zones of its country code.
   The library takes some 50 µs for a number and a list may hold a million; so :class:`_Code` follows the
   library's steps over the library's own metadata. A property test holds that both agree.
2. Hours are the same for all numbers of one kind in the same zones: each such pair is computed once
   (:mod:`dialer.core.hours`) and then looked up until its stretch is over.
3. What is not known for certain is not allowed: no zone, or the name of one that is none, gives no hours.
"""

from __future__ import annotations

import difflib
import functools
import re
import zoneinfo
from collections.abc import Callable, Sequence

import msgspec
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberDesc, PhoneNumberType
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE, is_number_type_geographical
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from dialer.core import hours as core
from dialer.core.values import FOREVER, CallingHours
from dialer.store.digits import free_tail, longest
from dialer.store.numberplan import SPECIAL_TYPES, pattern_of

ANY_TIME = (0.0, FOREVER)
"""The stretch of a campaign without calling hours."""

_NO_PLACE = frozenset({"Factory", "localtime"})
"""Names in the database that stand for no place: the second for wherever the machine is."""
_NONE_FOR_S = core.DAY_S
"""That there are no hours in a year to come is believed for so long."""
_SETTINGS_MOST, _PAIRS_MOST = 256, 100_000
DIGITS_MOST = 15


@functools.cache
def zone_names() -> frozenset[str]:
    """The names of all time zones that are known here."""
    return frozenset(zoneinfo.available_timezones()) - _NO_PLACE


def near_zones(name: str) -> list[str]:
    """Up to three names of time zones that *name* may have meant."""
    by_lower = {known.lower(): known for known in zone_names()}
    wanted = name.strip().lower().replace(" ", "_")
    ends = sorted(known for lower, known in by_lower.items() if wanted and lower.endswith(f"/{wanted}"))
    close = [by_lower[lower] for lower in difflib.get_close_matches(wanted, sorted(by_lower), n=3)]
    exact = [by_lower[wanted]] if wanted in by_lower else []
    return list(dict.fromkeys([*exact, *ends, *close]))[:3]


class Calendar:
    """Zones of numbers, and calling hours and days in zones. One for a process is enough; it may be
    asked from several threads.
    """

    def __init__(self) -> None:
        self._codes: dict[str, _Code | None] = {}
        self._zones: dict[str, zoneinfo.ZoneInfo | None] = {}
        self._by_id: dict[int, tuple[CallingHours, _Known]] = {}
        self._by_text: dict[bytes, _Known] = {}

    def known_zone(self, name: str) -> bool:
        """Whether *name* is a time zone's, written exactly so."""
        return name in zone_names()

    def zones_of_number(self, number: str) -> tuple[str, ...]:
        """The time zones where the owner of *number* (E.164) may be, sorted; empty if it tells nothing."""
        digits = number.removeprefix("+")
        if not digits.isdigit() or not digits.isascii():
            return ()
        for length in (1, 2, 3):
            name = digits[:length]
            if name not in self._codes:
                self._codes[name] = _Code(int(name)) if int(name) in COUNTRY_CODE_TO_REGION_CODE else None
            code = self._codes[name]
            if code is not None:
                return code.zones(digits)
        return ()

    def stretch(
        self, hours: CallingHours | None, kind: str, zones: tuple[str, ...], at: float
    ) -> tuple[float, float] | None:
        """The present or next stretch, from and until, in which a phone of *kind* may be called in all *zones*.

        Without *hours* that is always; without *zones*, those of ``hours.unknown_zone``, or never. None:
        not within a year.
        """
        if hours is None:
            return ANY_TIME
        known = self._known(hours)
        pair = kind, zones
        found = known.get(pair)
        if found is None or not found[0] <= at < found[1]:
            if len(known) >= _PAIRS_MOST:
                known.clear()
            found = known[pair] = self._compute(hours, kind, zones, at)
        return found[2]

    def day(self, zones: Sequence[str], at: float) -> tuple[float, float] | None:
        """The person's present day, from and until, in the strictest reading of *zones*; None without any."""
        places = self._places(zones)
        return core.day(places, at) if places else None

    def _compute(self, hours: CallingHours, kind: str, zones: tuple[str, ...], at: float) -> _Found:
        """From when until when it holds, and the stretch."""
        places = self._places(zones or ((hours.unknown_zone,) if hours.unknown_zone else ()))
        found = core.stretch(hours, kind, places, at) if places else None
        if found is None:
            return at, at + _NONE_FOR_S, None
        return min(at, found[0]), found[1], found

    def _places(self, names: Sequence[str]) -> list[zoneinfo.ZoneInfo] | None:
        """The zones of these *names*; None if there is one that is not known (rule 3)."""
        places = []
        for name in names:
            if name not in self._zones:
                if len(self._zones) >= _PAIRS_MOST:
                    self._zones.clear()
                self._zones[name] = zoneinfo.ZoneInfo(name) if self.known_zone(name) else None
            place = self._zones[name]
            if place is None:
                return None
            places.append(place)
        return places

    def _known(self, hours: CallingHours) -> _Known:
        """What was computed for *hours*, or for hours that say the same."""
        mine = self._by_id.get(id(hours))
        if mine is not None and mine[0] is hours:
            return mine[1]
        text = msgspec.json.encode(hours, order="deterministic")
        if len(self._by_text) >= _SETTINGS_MOST:
            self._by_text.clear()
        if len(self._by_id) >= _SETTINGS_MOST:
            self._by_id.clear()
        known = self._by_text.setdefault(text, {})
        self._by_id[id(hours)] = hours, known
        return known


_Found = tuple[float, float, tuple[float, float] | None]
_Known = dict[tuple[str, tuple[str, ...]], _Found]
_Match = Callable[[str], object]


class _Code:
    """The time zones of the numbers of one country code (rule 1)."""

    def __init__(self, code: int) -> None:
        self._length = len(str(code))
        self._code = code
        self._country = _zones_of_prefix(str(code))
        self._mobile_has_place = is_number_type_geographical(PhoneNumberType.MOBILE, code)
        regions = [
            PhoneMetadata.metadata_for_region(name, None) for name in COUNTRY_CODE_TO_REGION_CODE[code]
        ]
        self._regions = [_Region(one, is_alone=len(regions) == 1) for one in regions if one is not None]
        self._free = min((region.free for region in self._regions), default=0)
        by_prefix = max((len(one) for one in _BY_PREFIX if one.startswith(str(code))), default=DIGITS_MOST)
        self._first = max([by_prefix, *(self._length + region.first for region in self._regions)])
        self._found: dict[tuple[int, str], tuple[str, ...]] = {}

    def zones(self, digits: str) -> tuple[str, ...]:
        """The zones of the number with these *digits*, country code first."""
        # What is known of a number holds for all of its length that differ in digits which never matter.
        key = len(digits), digits[: max(len(digits) - self._free, self._first)]
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _PAIRS_MOST:
                self._found.clear()
            found = self._found[key] = self._find(digits)
        return found

    def _find(self, digits: str) -> tuple[str, ...]:
        national = digits[self._length :]
        if not self._regions:
            return self._ask_library(national)
        for region in self._regions:
            if region.leading is not None:
                if region.leading(national):
                    return self._zones_in(region, digits, national)
            elif region.exists(national):
                return self._zones_in(region, digits, national)
        return ()

    def _zones_in(self, region: _Region, digits: str, national: str) -> tuple[str, ...]:
        if not region.exists(national):
            return ()
        has_place = (self._mobile_has_place or region.fixed(national)) and not region.special(national)
        return _zones_of_prefix(digits) if has_place else self._country

    def _ask_library(self, national: str) -> tuple[str, ...]:
        """Of a code that is no country's (+800, +883 ...)."""
        zeros = len(national) - len(national.lstrip("0"))
        number = PhoneNumber(
            country_code=self._code,
            national_number=int(national or "0"),
            italian_leading_zero=True if zeros else None,
            number_of_leading_zeros=zeros if zeros > 1 else None,
        )
        return _known_only(time_zones_for_number(number))


class _Region:
    """What the library knows of one region's numbers, compiled: all by the number without its country code."""

    def __init__(self, metadata: PhoneMetadata, *, is_alone: bool) -> None:
        leading = None if is_alone else metadata.leading_digits
        self.leading: _Match | None = re.compile(leading).match if leading else None
        own = f"(?={pattern_of(metadata.general_desc)}\\Z)"
        special = [pattern_of(getattr(metadata, name)) for name in SPECIAL_TYPES]
        fixed, mobile = pattern_of(metadata.fixed_line), pattern_of(metadata.mobile)
        both = metadata.same_mobile_and_fixed_line_pattern
        descs = [metadata.general_desc, metadata.fixed_line, metadata.mobile]
        descs += [getattr(metadata, name) for name in SPECIAL_TYPES]
        self.free = min(_free(desc) for desc in descs)
        """So many digits at a number's end matter to none of these patterns."""
        self.first = 0 if leading is None else longest(leading) or DIGITS_MOST
        """So many digits at its beginning tell whether it is the region's."""
        self.special: _Match = re.compile(f"(?:{'|'.join(special)})\\Z").match
        self.fixed: _Match = re.compile(f"(?:{fixed})\\Z").match
        self.exists: _Match = re.compile(
            f"{own}(?:{'|'.join([*([] if both else [mobile]), fixed, *special])})\\Z"
        ).match


def _free(desc: PhoneNumberDesc | None) -> int:
    """The digits at a number's end that do not matter to the pattern of a type of number."""
    if desc is None or not desc.national_number_pattern:
        return DIGITS_MOST
    return free_tail(desc.national_number_pattern)


def _zones_of_prefix(digits: str) -> tuple[str, ...]:
    """The zones of the longest beginning of *digits* that the library knows."""
    for length in range(min(TIMEZONE_LONGEST_PREFIX, len(digits)), 0, -1):
        found = _BY_PREFIX.get(digits[:length])
        if found is not None:
            return found
    return ()


def _known_only(zones: Sequence[str]) -> tuple[str, ...]:
    return () if UNKNOWN_TIMEZONE in zones else tuple(sorted(zones))


_BY_PREFIX: dict[str, tuple[str, ...]] = {
    prefix: _known_only(zones) for prefix, zones in TIMEZONE_DATA.items()
}
