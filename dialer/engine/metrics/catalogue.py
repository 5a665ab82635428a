"""Every metric that there is, for the documentation and for what names them elsewhere.

``python -m dialer.engine.metrics.catalogue`` prints the table of ``docs/monitoring.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dialer.engine.metrics.counters import Counters
from dialer.engine.metrics.gauges import GAUGES, TOTALS


class Described(NamedTuple):
    """A metric as Prometheus sees it. *series*: the names that a question may use."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str
    series: tuple[str, ...]


def catalogue() -> list[Described]:
    """All of our own, by name. What is told of the process (``process_...``) is the library's."""
    return sorted([*_read(), *_counted()])


def _read() -> Iterator[Described]:
    for name, (about, labels) in GAUGES.items():
        yield Described(name, "gauge", labels, about, (name,))
    for name, (about, labels) in TOTALS.items():
        yield Described(f"{name}_total", "counter", labels, about, (f"{name}_total",))


def _counted() -> Iterator[Described]:
    for one in Counters().declared:
        family = next(iter(one.describe()))
        labels = tuple(one._labelnames)  # noqa: SLF001 - it has no other way to tell
        if family.type == "counter":
            name = f"{family.name}_total"
            yield Described(name, "counter", labels, family.documentation, (name,))
        else:
            series = tuple(f"{family.name}_{part}" for part in ("bucket", "count", "sum"))
            yield Described(family.name, "histogram", labels, family.documentation, series)


def table() -> str:
    """As Markdown."""
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels) or '–'} | {one.about} |"
        for one in catalogue()
    ]
    return "\n".join(["| name | kind | labels | what it tells |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
