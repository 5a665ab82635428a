"""How fast a list is imported: a file as centres have it, with a second number in every other row, some
rows that are there twice and some that cannot be used."""

from __future__ import annotations

import contextlib
import csv
import time
from pathlib import Path

from dialer.office.importing import import_file
from dialer.store.connect import open_writer

_HEADS = ("id", "name", "mobile", "home", "city", "comment")
_CITIES = ("Москва", "Санкт-Петербург", "Казань", "Пермь")


def write_list(path: Path, rows: int) -> None:
    """Write a list of *rows* rows: of each hundred, one is a double and one has no usable number."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(_HEADS)
        for number in range(rows):
            who = number - 1 if number % 100 == 99 else number
            mobile = (
                "12"
                if number % 100 == 50
                else f"8 (916) {who // 10000:03}-{who // 100 % 100:02}-{who % 100:02}"
            )
            home = f"+7495{who:07}" if number % 2 and number % 100 != 50 else ""
            writer.writerow(
                (f"c{who}", f"Контакт Номер {who}", mobile, home, _CITIES[who % len(_CITIES)], "из выгрузки")
            )


def import_list(path: Path, journal: Path) -> tuple[float, dict[str, int]]:
    """Import the list into a new *journal*; rows a second, and what became of them."""
    with contextlib.closing(open_writer(journal)) as connection:
        began = time.perf_counter()
        outcome = import_file(
            connection, path, "bench", region="RU", rejects=journal.with_name(f"{journal.stem}-rejects.csv")
        )
        taken_s = time.perf_counter() - began
    counts = outcome.counts
    became = {"added": counts.contacts_added, "duplicates": counts.duplicates, "rejected": counts.rejected}
    return counts.rows_read / taken_s, became
