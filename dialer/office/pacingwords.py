"""What keeps a campaign from placing one call more, in words, and the figures of a decision as people read them.

The names of limits are those of :data:`dialer.core.pacing.book.Limit`; the figures are explained in ``docs/pacing.md``.
"""

from __future__ import annotations

from collections.abc import Mapping

LIMITS = {
    "": ("nothing", "nothing kept it from placing more"),
    "budget": ("share used up", "as many calls were abandoned as the promise allows, or nearly so"),
    "cap": (
        "cap",
        "if all who may still answer did, and met nobody, the share of abandoned calls would rise above the cap",
    ),
    "risk": (
        "risk",
        "with one call more, the next person who answers would meet no operator more often than the promise allows",
    ),
    "lines": ("lines", "the campaign's or the trunk's lines are all in use"),
    "calls_per_second": ("calls per second", "the trunk takes no more calls in this second"),
    "no_contacts": ("no contacts", "no more contacts are at hand that may be called now"),
    "too_few_operators": (
        "few operators",
        "fewer operators are at work than pacing.operators_min: it dials as a progressive campaign does",
    ),
    "no_operators": ("no operators", "no operator is at work for it"),
    "not_predictive": ("idle operators", "each call needs an idle operator of its own"),
}
"""By limit: a few words, and a clause."""

Figures = Mapping[str, float | None]


def brief(limit: str) -> str:
    """The limit in a few words; one that is not known, as it is."""
    return LIMITS[limit][0] if limit in LIMITS else limit


def clause(limit: str) -> str:
    """The limit as a clause."""
    return LIMITS[limit][1] if limit in LIMITS else limit


def ahead(figures: Figures) -> int | None:
    """So many calls were in flight, or people waiting, beyond the idle operators; None: the figures do not say.

    It is what may be lacking if all of them are answered at once.
    """
    known = [figures.get(name) for name in ("in_flight", "waiting", "idle")]
    if None in known:
        return None
    in_flight, waiting, idle = (float(one or 0.0) for one in known)
    return max(0, round(in_flight + waiting - idle))


def percent(share: float | None) -> str:
    """A share for people: ``2.4 %``; a dash for none."""
    return "–" if share is None else f"{share * 100:.{1 if share < 0.1 else 0}f} %"


def number(value: float | None) -> str:
    """A figure for people: whole ones without a point."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"
