"""A day as a picture: operators by what they do, calls, abandoned calls against the promise, and what limited pacing.

Everything shown is counted in equal pieces of the day (:data:`PIECES`), as an average over the piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from dialer.core.conduct import Abandonment
from dialer.core.pacing import bound
from dialer.core.values import AgentState
from dialer.lab.simulator.canvas import Canvas, Point
from dialer.lab.simulator.day import Day
from dialer.lab.simulator.meter import is_abandoned, spells

PIECES = 240
WIDTH, HEIGHT = 1240, 935
_LEFT, _RIGHT = 76, 250
_TOP = 96
_GAP = 44
_PLOT = WIDTH - _LEFT - _RIGHT
_GRID, _AXIS, _FAINT = "#e3e3e3", "#888888", "#666666"

STATES: Mapping[str, tuple[str, frozenset[AgentState]]] = {
    "talking": ("#4477aa", frozenset({AgentState.ON_CALL})),
    "wrapping up": ("#ddaa33", frozenset({AgentState.WRAP_UP})),
    "being rung": ("#66ccee", frozenset({AgentState.RESERVED})),
    "idle": ("#55a868", frozenset({AgentState.READY})),
    "paused": ("#bb88bb", frozenset({AgentState.PAUSED})),
}
"""Bottom to top: what operators do, with its colour."""
CALLS = {"with an operator": "#4477aa", "answered, waiting": "#cc3311", "dialed, ringing": "#bbccdd"}
LIMITS: Mapping[str, tuple[str, str]] = {
    "risk": ("#55a868", "risk of the next call"),
    "budget": ("#cc3311", "budget of abandoned calls"),
    "cap": ("#882255", "hard cap"),
    "lines": ("#4477aa", "lines"),
    "calls_per_second": ("#66ccee", "calls in a second"),
    "no_contacts": ("#999999", "contacts at hand"),
    "too_few_operators": ("#ddaa33", "too few operators"),
    "no_operators": ("#dddddd", "nobody at work"),
    "not_predictive": ("#bb88bb", "a call for each idle operator"),
    "": ("#eeeeee", "nothing"),
}
_RED = "#cc3311"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the picture shows, piece by piece. *limits*: (from, until, what) in seconds after the beginning."""

    length_s: float
    begins_at: float
    operators: dict[str, list[float]]
    calls: dict[str, list[float]]
    share: list[float]
    low: list[float]
    high: list[float]
    limits: list[tuple[float, float, str]]
    lines: int
    promise: Abandonment
    is_progressive: bool = False


def look(day: Day, promise: Abandonment, lines: int) -> Shown:
    """What there is to show of a *day*. *lines*: so many calls may be up at once."""
    begin, length_s = day.plan.begins_at, day.plan.length_s
    piece_s = length_s / PIECES
    operators = {name: [0.0] * PIECES for name in STATES}
    of_state = {state: name for name, (_, states) in STATES.items() for state in states}
    for found in spells(day).values():
        for state, since, until in found:
            if (name := of_state.get(state)) is not None:
                _add(operators[name], since - begin, until - begin, piece_s)
    calls = {name: [0.0] * PIECES for name in CALLS}
    answers, lost = [0] * PIECES, [0] * PIECES
    for story in day.stories:
        end = (day.at if story.ended_at is None else story.ended_at) - begin
        answer = end if story.answered_at is None else story.answered_at - begin
        join = end if story.joined_at is None else story.joined_at - begin
        _add(calls["dialed, ringing"], story.invited_at - begin, min(answer, end), piece_s)
        _add(calls["answered, waiting"], answer, min(join, end), piece_s)
        _add(calls["with an operator"], join, end, piece_s)
        if story.answered_at is not None:
            place = min(PIECES - 1, int(answer / piece_s))
            answers[place] += 1
            lost[place] += is_abandoned(story, promise.limit_s)
    share, low, high = [], [], []
    answered = abandoned = 0
    alpha = bound.alpha_of(promise.confidence)
    for more, gone in zip(answers, lost, strict=True):
        answered, abandoned = answered + more, abandoned + gone
        share.append(abandoned / answered if answered else 0.0)
        least, most = bound.interval(answered, abandoned, alpha) if answered else (0.0, 1.0)
        low.append(least)
        high.append(most)
    marks = [(max(0.0, at - begin), str(reason.limit)) for at, reason in day.reasons if at < day.ends_at]
    limits = [
        (since, until, limit)
        for (since, limit), (until, _) in pairwise([*marks, (length_s, "")])
        if until > since
    ]
    return Shown(
        length_s=length_s, begins_at=begin, operators=operators, calls=calls, share=share, low=low, high=high,
        limits=_joined(limits), lines=lines, promise=promise,
        is_progressive=day.plan.campaigns[0].mode == "progressive",
    )  # fmt: skip


def _add(pieces: list[float], since: float, until: float, piece_s: float) -> None:
    """Spread a stretch of time over the pieces that it lies in."""
    since, until = max(0.0, since), min(until, piece_s * len(pieces))
    if until <= since:
        return
    first, last = int(since / piece_s), min(len(pieces) - 1, int(until / piece_s))
    if first == last:
        pieces[first] += (until - since) / piece_s
        return
    pieces[first] += first + 1 - since / piece_s
    for place in range(first + 1, last):
        pieces[place] += 1.0
    pieces[last] += until / piece_s - last


def _joined(stretches: Iterable[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    found: list[tuple[float, float, str]] = []
    for since, until, what in stretches:
        if found and found[-1][2] == what and found[-1][1] == since:
            found[-1] = (found[-1][0], until, what)
        else:
            found.append((since, until, what))
    return found


def draw(shown: Shown, title: str, subtitle: str) -> Canvas:
    """The picture."""
    sheet = Canvas(WIDTH, HEIGHT)
    sheet.words((_LEFT, 38), title, size=20, fill="#111111", is_bold=True)
    sheet.words((_LEFT, 62), subtitle, size=13, fill=_FAINT)
    top = float(_TOP)
    for panel, height in ((_operators, 240.0), (_calls, 190.0), (_abandoned, 170.0), (_limits, 80.0)):
        panel(_Frame(sheet, shown, top, height), shown)
        top += height + _GAP
    _hours(sheet, shown, top - _GAP)
    return sheet


class _Frame:
    """A panel: its scale, its grid and its legend."""

    def __init__(self, sheet: Canvas, shown: Shown, top: float, height: float) -> None:
        self.sheet = sheet
        self.top, self.height = top, height
        self.most = 1.0
        self._shown = shown
        self._legends = 0

    def begin(self, title: str, most: float, *, is_share: bool = False, step: float = 0.0) -> None:
        step = step or (_step(most) if is_share else max(1.0, _step(most)))
        self.most = most if is_share else step * math.ceil(most / step - 1e-9)
        self.sheet.words((_LEFT, self.top - 9), title, size=13, fill="#111111", is_bold=True)
        value = 0.0
        while value <= self.most * 1.0001:
            y = self.y(value)
            self.sheet.line([(_LEFT, y), (_LEFT + _PLOT, y)], _AXIS if value == 0 else _GRID)
            told = f"{100 * value:g} %" if is_share else f"{value:g}"
            self.sheet.words((_LEFT - 8, y + 4), told, size=11, fill=_FAINT, anchor="end")
            value = round(value + step, 9)
        for x, _ in _ticks(self._shown):
            self.sheet.line([(x, self.top), (x, self.top + self.height)], _GRID)

    def y(self, value: float) -> float:
        return self.top + self.height * (1.0 - min(1.0, value / self.most))

    def stack(self, layers: Mapping[str, Sequence[float]], colours: Mapping[str, str]) -> None:
        below = [0.0] * PIECES
        for name, values in layers.items():
            above = [low + value for low, value in zip(below, values, strict=True)]
            if any(values):
                self.sheet.area([*_steps(self, above), *reversed(_steps(self, below))], colours[name])
            below = above

    def legend(
        self, text: str, colour: str, note: str = "", *, dash: float = 0.0, is_line: bool = False
    ) -> None:
        x, y = _LEFT + _PLOT + 18, self.top + 9 + 20 * self._legends
        self._legends += 1
        if is_line:
            self.sheet.line([(x, y), (x + 14, y)], colour, 2.0, dash)
        else:
            self.sheet.box(x, y - 7, 14, 14, colour)
        self.sheet.words((x + 21, y + 4), text, size=12)
        if note:
            self.sheet.words((WIDTH - 16, y + 4), note, size=12, fill=_FAINT, anchor="end")


def _steps(frame: _Frame, values: Sequence[float]) -> list[Point]:
    """A line of steps, one for each piece."""
    width = _PLOT / PIECES
    found: list[Point] = []
    for place, value in enumerate(values):
        y = frame.y(value)
        found += [(_LEFT + place * width, y), (_LEFT + (place + 1) * width, y)]
    return found


def _step(most: float) -> float:
    """A round distance between lines of the grid, of which there are three to seven."""
    raw = max(most, 1e-9) / 5.0
    unit = 10.0 ** math.floor(math.log10(raw))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * 0.999)


def _operators(frame: _Frame, shown: Shown) -> None:
    totals = [sum(values) for values in zip(*shown.operators.values(), strict=True)]
    frame.begin("Operators", max(1.0, round(max(totals) + 0.4)))
    frame.stack(shown.operators, {name: colour for name, (colour, _) in STATES.items()})
    whole = sum(totals) or 1.0
    for name, (colour, _) in reversed(tuple(STATES.items())):
        share = sum(shown.operators[name]) / whole
        if share >= 0.0005:
            frame.legend(name, colour, f"{share:.1%}")


def _calls(frame: _Frame, shown: Shown) -> None:
    totals = [sum(values) for values in zip(*shown.calls.values(), strict=True)]
    most = max(1.0, max(totals))
    is_limit_near = shown.lines <= 1.5 * most
    frame.begin("Lines in use", max(most, float(shown.lines)) if is_limit_near else most)
    frame.stack(shown.calls, CALLS)
    for name, colour in reversed(tuple(CALLS.items())):
        frame.legend(name, colour, f"{sum(shown.calls[name]) / PIECES:.1f}")
    if is_limit_near:
        y = frame.y(shown.lines)
        frame.sheet.line([(_LEFT, y), (_LEFT + _PLOT, y)], "#333333", 1.5, 6)
        frame.legend("lines there are", "#333333", f"{shown.lines}", dash=4, is_line=True)


def _abandoned(frame: _Frame, shown: Shown) -> None:
    promise = shown.promise
    later = shown.share[PIECES // 8 :]
    most = max(2.0 * promise.share, 1.15 * max(later, default=0.0), 1.1 * min(shown.high[-1], 1.0), 0.01)
    frame.begin("Abandoned of the answered, since the morning", min(1.0, most), is_share=True)
    frame.sheet.area([*_steps(frame, shown.high), *reversed(_steps(frame, shown.low))], _RED, 0.14)
    frame.sheet.line(_steps(frame, shown.share), _RED, 2.0)
    y = frame.y(promise.share)
    frame.sheet.line([(_LEFT, y), (_LEFT + _PLOT, y)], "#333333", 1.5, 6)
    frame.legend("counted", _RED, f"{shown.share[-1]:.2%}", is_line=True)
    frame.legend("its bound", "#f8dfda", f"{shown.low[-1]:.1%} to {shown.high[-1]:.1%}")
    frame.legend("promised", "#333333", f"{promise.share:.2%}", dash=4, is_line=True)


def _limits(frame: _Frame, shown: Shown) -> None:
    """The share of each piece of the day in which each limit was the one."""
    frame.begin("What kept it from one call more", 1.0, is_share=True, step=0.5)
    piece_s = shown.length_s / PIECES
    shares: dict[str, list[float]] = {}
    for since, until, what in shown.limits:
        _add(shares.setdefault(what, [0.0] * PIECES), since, until, piece_s)
    if not shares:
        text = (
            "a call for each idle operator, and none more"
            if shown.is_progressive
            else "the rule does not say"
        )
        middle = (_LEFT + _PLOT / 2, frame.top + frame.height / 2 + 4)
        frame.sheet.words(middle, text, size=12, fill=_FAINT, anchor="middle")
    order = sorted(shares, key=lambda what: -sum(shares[what]))
    frame.stack(
        {what: shares[what] for what in order}, {what: colour for what, (colour, _) in LIMITS.items()}
    )
    whole = sum(map(sum, shares.values()))
    for what in order:
        if (share := sum(shares[what]) / whole) >= 0.005:
            frame.legend(LIMITS[what][1], LIMITS[what][0], f"{share:.0%}")


def _hours(sheet: Canvas, shown: Shown, y: float) -> None:
    sheet.line([(_LEFT, y), (_LEFT + _PLOT, y)], _AXIS)
    for x, text in _ticks(shown):
        sheet.line([(x, y), (x, y + 5)], _AXIS)
        sheet.words((x, y + 19), text, size=11, fill=_FAINT, anchor="middle")


def _ticks(shown: Shown) -> list[tuple[float, str]]:
    """Where on the sheet which time of the day is."""
    step_s = next((step for step in (300, 900, 1800, 3600) if shown.length_s / step <= 12), 7200)
    first = math.ceil(shown.begins_at / step_s) * step_s
    found = []
    at = first
    while at <= shown.begins_at + shown.length_s:
        minutes = at // 60 % 1440
        x = _LEFT + _PLOT * (at - shown.begins_at) / shown.length_s
        found.append((x, f"{minutes // 60:02.0f}:{minutes % 60:02.0f}"))
        at += step_s
    return found
