"""Time zones as lists name them: names of the IANA time zone database, however their letters are written."""

from __future__ import annotations

from functools import cache, lru_cache

from dialer.store.calendar import near_zones, zone_names


class BadZone(ValueError):
    """A text names no time zone; the message says which are near."""


@lru_cache(4096)
def read_zone(text: str) -> str:
    """The IANA name that *text* means; an empty text stays empty: not known.

    Raises:
        BadZone: there is no such time zone.
    """
    folded = _folded(text)
    if not folded:
        return ""
    found = _by_folded().get(folded)
    if found is not None:
        return found
    near = ", ".join(near_zones(text))
    hint = f"near to it: {near}" if near else "names are such as Europe/Moscow"
    shown = text.strip() if len(text) <= 40 else f"{text[:40]}…"
    raise BadZone(f"there is no time zone {shown!r} ({hint})")


@cache
def _by_folded() -> dict[str, str]:
    return {_folded(name): name for name in zone_names()}


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "_")
