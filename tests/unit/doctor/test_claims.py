"""Each fault that the doctor claims to find was planted and found, and stands in the documentation."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from dialer.office.doctor import FAULTS
from dialer.office.doctor.findings import warns
from dialer.office.doctor.table import table
from tests.unit.doctor.plants import PLANTED

ROOT = Path(__file__).resolve().parents[3]


def test_every_fault_that_is_claimed_is_planted():
    for name in ("cli.test_doctor", "doctor.test_asterisk", "doctor.test_machine"):
        importlib.import_module(f"tests.unit.{name}")
    assert set(FAULTS) - PLANTED == set()


def test_a_fault_has_its_words():
    for one in FAULTS.values():
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", one.id)
        assert one.what[0].isupper() or one.what.startswith(
            ("rtp_", "force_", "direct_", "espeak", "live_")
        ), one.id
        assert not one.what.endswith("."), one.id
        assert one.mend, one.id
        assert "|" not in one.what + one.mend


def test_a_fault_is_declared_once():
    with pytest.raises(ValueError, match="twice"):
        warns(next(iter(FAULTS)), "again", "again")


def test_the_page_lists_them_all():
    text = (ROOT / "docs/doctor.md").read_text()
    shown = re.search(r"<!-- table: faults -->\n\n(.*?)\n\n<!-- end -->", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == table(), "paste what `python -m dialer.office.doctor.table` prints"
