"""A drawing: areas, lines and words, written as SVG or painted as PNG.

Both come from the same marks, so they show the same. The SVG asks nothing of anywhere else, and takes any sans-serif font
of the reader's; the PNG is painted by Pillow with the font that is in it (Latin letters).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import msgspec

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
PAPER = "#ffffff"
_SCALE = 2
"""A PNG has so many pixels to the unit, for screens that show it finely."""
_FINE = 2
"""And is painted so much larger, for smooth edges."""


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """What lies within *points*, filled."""

    points: tuple[Point, ...]
    fill: str
    opacity: float = 1.0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line through *points*. *dash*: so long, and as long a gap; 0: whole."""

    points: tuple[Point, ...]
    stroke: str
    width: float = 1.0
    dash: float = 0.0


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """One line of text; *at* is on its baseline."""

    at: Point
    text: str
    size: float = 12.0
    fill: str = "#333333"
    anchor: Anchor = "start"
    is_bold: bool = False


Mark = Area | Line | Words


class Canvas:
    """Marks on a sheet of *width* by *height*, those made later over the others."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.marks: list[Mark] = []

    def area(self, points: Sequence[Point], fill: str, opacity: float = 1.0) -> None:
        """See :class:`Area`."""
        self.marks.append(Area(points=tuple(points), fill=fill, opacity=opacity))

    def box(self, x: float, y: float, width: float, height: float, fill: str, opacity: float = 1.0) -> None:
        """A rectangle."""
        self.area([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], fill, opacity)

    def line(self, points: Sequence[Point], stroke: str, width: float = 1.0, dash: float = 0.0) -> None:
        """See :class:`Line`."""
        self.marks.append(Line(points=tuple(points), stroke=stroke, width=width, dash=dash))

    def words(
        self,
        at: Point,
        text: str,
        *,
        size: float = 12.0,
        fill: str = "#333333",
        anchor: Anchor = "start",
        is_bold: bool = False,
    ) -> None:
        """See :class:`Words`."""
        self.marks.append(Words(at=at, text=text, size=size, fill=fill, anchor=anchor, is_bold=is_bold))

    # -- as a file ------------------------------------------------------------------------------

    def svg(self) -> str:
        """The drawing as an SVG document."""
        parts = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}"'
                f' width="{self.width}" height="{self.height}" font-family={quoteattr(FONT)}>'
            ),
            f'<rect width="{self.width}" height="{self.height}" fill="{PAPER}"/>',
            *(_svg(mark) for mark in self.marks),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def png(self) -> bytes:
        """The drawing as a PNG file."""
        from PIL import Image, ImageDraw, ImageFont

        scale = _SCALE * _FINE
        image = Image.new("RGB", (self.width * scale, self.height * scale), PAPER)
        pen = ImageDraw.Draw(image, "RGBA")
        for mark in self.marks:
            if isinstance(mark, Words):
                continue
            points = [(x * scale, y * scale) for x, y in mark.points]
            if isinstance(mark, Area):
                if len(points) > 2:
                    pen.polygon(points, fill=f"{mark.fill}{round(255 * mark.opacity):02x}")
            else:
                thick = max(1, round(mark.width * scale))
                for piece in _pieces(points, mark.dash * scale):
                    pen.line(piece, fill=mark.stroke, width=thick, joint="curve")
        image = image.resize((self.width * _SCALE, self.height * _SCALE), Image.Resampling.BOX)
        pen = ImageDraw.Draw(image)
        for mark in self.marks:
            if isinstance(mark, Words):
                font = ImageFont.load_default(mark.size * _SCALE)
                side = {"start": "l", "middle": "m", "end": "r"}[mark.anchor]
                place = (mark.at[0] * _SCALE, mark.at[1] * _SCALE)
                weight = 0.4 if mark.is_bold else 0
                pen.text(place, mark.text, fill=mark.fill, font=font, anchor=f"{side}s", stroke_width=weight)
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()


def _svg(mark: Mark) -> str:
    match mark:
        case Area(points=points, fill=fill, opacity=opacity):
            see = f' fill-opacity="{opacity:g}"' if opacity < 1.0 else ""
            return f'<path d="M{_path(points)}Z" fill="{fill}"{see}/>'
        case Line(points=points, stroke=stroke, width=width, dash=dash):
            gaps = f' stroke-dasharray="{dash:g}"' if dash else ""
            return (
                f'<path d="M{_path(points)}" fill="none" stroke="{stroke}" stroke-width="{width:g}"{gaps}/>'
            )
        case Words(at=(x, y), text=text):
            bold = ' font-weight="600"' if mark.is_bold else ""
            side = f' text-anchor="{mark.anchor}"' if mark.anchor != "start" else ""
            return f'<text x="{x:g}" y="{y:g}" font-size="{mark.size:g}" fill="{mark.fill}"{side}{bold}>{escape(text)}</text>'


def _path(points: Sequence[Point]) -> str:
    """Steps are most of what is drawn, so what goes along an axis is written short."""
    found: list[str] = []
    before = ("", "")
    for x, y in points:
        here = (f"{x:.1f}", f"{y:.1f}")
        if not found:
            found.append(f"{here[0]} {here[1]}")
        elif here[1] == before[1] and here[0] != before[0]:
            found.append(f"H{here[0]}")
        elif here[0] == before[0] and here[1] != before[1]:
            found.append(f"V{here[1]}")
        elif here != before:
            found.append(f"L{here[0]} {here[1]}")
        before = here
    return "".join(found)


def _pieces(points: Sequence[Point], dash: float) -> list[list[Point]]:
    """The line in dashes; whole if there are none."""
    if not dash:
        return [list(points)]
    found: list[list[Point]] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        done = 0.0
        while done < length:
            until = min(done + dash, length)
            found.append(
                [(x0 + (x1 - x0) * part / length, y0 + (y1 - y0) * part / length) for part in (done, until)]
            )
            done += 2.0 * dash
    return found
