"""The table of ``docs/doctor.md``: ``python -m dialer.office.doctor.table`` prints it."""

from __future__ import annotations

from dialer.office.doctor import FAULTS


def table() -> str:
    """Every fault that is looked for, as Markdown."""
    faults = sorted(FAULTS.values(), key=lambda one: one.id)
    rows = [f"| `{one.id}` | {one.status} | {one.what} | {one.mend} |" for one in faults]
    return "\n".join(["| finding | status | what is wrong | the mend |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
