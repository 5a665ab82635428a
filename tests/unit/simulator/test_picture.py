"""The picture of a day: what it has to show, as SVG and as PNG."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import msgspec
import pytest
from PIL import Image

from dialer.core.conduct import Abandonment
from dialer.core.pacing.book import Limit, Reason
from dialer.lab.simulator import picture
from dialer.lab.simulator.canvas import Canvas
from dialer.lab.simulator.meter import measure
from dialer.lab.simulator.picture import LIMITS, PIECES, Shown, draw, look
from dialer.lab.simulator.plans import simulate
from dialer.lab.simulator.rivals import Level
from tests.unit.simulator.staged import stage

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def day():
    """Half an hour that begins at nine o'clock."""
    played = simulate(stage(5, 30.0).plan(4), lambda: Level(2.0))
    begin = played.plan.begins_at
    limits: tuple[tuple[float, Limit], ...] = ((0.0, "risk"), (600.0, "lines"), (1200.0, "budget"))
    played.reasons[:] = [
        (begin + at, Reason(campaign="spring", placed=0, limit=limit)) for at, limit in limits
    ]
    return played


@pytest.fixture(scope="module")
def shown(day) -> Shown:
    return look(day, Abandonment(), 60)


def words(canvas: Canvas) -> list[str]:
    return [one.text or "" for one in ET.fromstring(canvas.svg()).iter(f"{SVG}text")]


def test_it_shows_what_was_measured(day, shown):
    figures = measure(day, 2.0)
    piece_h = 0.5 / PIECES
    at_work = sum(sum(shown.operators[name]) for name in shown.operators if name != "paused")
    assert at_work * piece_h == pytest.approx(figures.work_h, rel=1e-4)
    busy = sum(shown.operators["talking"]) + sum(shown.operators["wrapping up"])
    assert busy / at_work == pytest.approx(figures.occupancy, rel=1e-4)
    assert shown.share[-1] == pytest.approx(figures.abandoned_share)
    assert all(
        low <= share <= high for low, share, high in zip(shown.low, shown.share, shown.high, strict=True)
    )
    assert max(sum(lines) for lines in zip(*shown.calls.values(), strict=True)) <= figures.lines_max
    assert [limit for _, _, limit in shown.limits] == ["risk", "lines", "budget"]
    assert shown.limits[-1][1] == 1800.0


def test_it_says_what_it_shows(shown):
    said = words(draw(shown, "spring & summer", "a <subtitle>"))
    assert said[:2] == ["spring & summer", "a <subtitle>"]
    for wanted in (
        "Operators", "Lines in use", "Abandoned of the answered, since the morning", "What kept it from one call more",
        "talking", "wrapping up", "idle", "dialed, ringing", "with an operator", "counted", "its bound", "promised",
        "3.00%", "09:00", "09:30", LIMITS["lines"][1], LIMITS["budget"][1],
    ):  # fmt: skip
        assert wanted in said, wanted


def test_the_limit_of_lines_is_drawn_where_it_is_near(shown):
    near = msgspec.structs.replace(shown, lines=8)
    assert "lines there are" in words(draw(near, "", ""))
    assert "lines there are" not in words(draw(shown, "", ""))


def test_a_day_without_limits_says_so(shown):
    calm = msgspec.structs.replace(shown, limits=[])
    assert "the rule does not say" in words(draw(calm, "", ""))
    calm = msgspec.structs.replace(calm, is_progressive=True)
    assert "a call for each idle operator, and none more" in words(draw(calm, "", ""))


def test_every_limit_has_a_colour_and_words():
    assert set(LIMITS) == set(Limit.__args__)  # type: ignore[attr-defined]


def test_nothing_lies_outside_the_sheet(shown):
    for mark in draw(shown, "title", "subtitle").marks:
        points = [mark.at] if hasattr(mark, "at") else mark.points
        for x, y in points:
            assert 0 <= x <= picture.WIDTH
            assert 0 <= y <= picture.HEIGHT


def test_the_png_is_the_same_picture(shown):
    image = Image.open(io.BytesIO(draw(shown, "title", "subtitle").png()))
    assert image.size == (2 * picture.WIDTH, 2 * picture.HEIGHT)
    colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24) or ()}
    for name in ("talking", "wrapping up", "idle"):
        fill = picture.STATES[name][0]
        assert tuple(bytes.fromhex(fill[1:])) in colours, name


def test_marks_become_svg_and_need_nothing_else():
    sheet = Canvas(100, 50)
    sheet.box(0, 0, 10, 10, "#ff0000", 0.5)
    sheet.line([(0, 0), (10, 0)], "#00ff00", 2.0, 3.0)
    sheet.words((5, 5), "<&>", anchor="end", is_bold=True)
    told = sheet.svg()
    root = ET.fromstring(told)
    assert [child.tag.removeprefix(SVG) for child in root] == ["rect", "path", "path", "text"]
    assert "http" not in told.replace("http://www.w3.org/2000/svg", "")
    assert root[1].get("fill-opacity") == "0.5"
    assert root[2].get("stroke-dasharray") == "3"
    assert root[3].text == "<&>"
    assert root[3].get("text-anchor") == "end"
    assert sheet.png().startswith(b"\x89PNG")
