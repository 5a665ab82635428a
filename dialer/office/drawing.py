"""The live board as a picture: everything that it shows is in a :class:`Board`, and nothing else is asked.

1. Names are shown as they are: markup and control characters in them do nothing.
2. Everything fits 80 columns by 24 lines; what does not fit is counted, not lost.
"""

from __future__ import annotations

import io
import re
import time

import msgspec
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.text import Text

from dialer.office.pacingpanel import PacingLine, height_of, pacing_panel
from dialer.office.panels import cell, duration, fitting, in_panel, plain_table
from dialer.office.tables import text_of

LAG_MS = 200
"""An older event that waits is worth a colour."""
WIDTH, HEIGHT = 100, 30
"""Of a picture that goes to no terminal."""
_WIDE = 120

_AGENT_STYLE = {
    "ready": "green",
    "reserved": "cyan",
    "on_call": "bold blue",
    "wrap_up": "yellow",
    "paused": "magenta",
    "arriving": "dim cyan",
    "signed_out": "bright_black",
}
_AGENT_ORDER = tuple(_AGENT_STYLE)
_CAMPAIGN_SIGN = {
    "new": ("○", ""),
    "running": ("▶", "green"),
    "paused": ("‖", "magenta"),
    "stopped": ("■", "red"),
    "finished": ("✓", "bright_black"),
}
_YES_NO = {True: "green", False: "yellow"}
_RESULT_STYLE = {"talked": "green", "abandoned": "red", "failed": "red", "lost": "red"}
_CALLS_WIDE = {
    "dial": ("dialing",),
    "ring": ("ringing",),
    "wait": ("answered", "connecting"),
    "talk": ("connected",),
    "end": ("ending",),
}
_CALLS_NARROW = {"ring": ("dialing", "ringing"), "wait": ("answered", "connecting"), "talk": ("connected",)}
"""Heads of the columns of calls, and the states that each counts."""


class AgentLine(msgspec.Struct, frozen=True, kw_only=True):
    """One operator on the board. *with_whom*: the person on the line, if any."""

    id: str
    name: str = ""
    phone: str = ""
    state: str = "signed_out"
    reason: str = ""
    since: float = 0.0
    with_whom: str = ""


class CampaignLine(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign on the board. *calls*: the live ones by state. *waiting*: leads that are not finished.
    *pacing*: as the engine has it, None if it does not say."""

    id: str
    title: str = ""
    state: str = "new"
    mode: str = "progressive"
    calls: dict[str, int] = {}
    waiting: int = 0
    finished: int = 0
    pacing: PacingLine | None = None


class ServerLamp(msgspec.Struct, frozen=True, kw_only=True):
    """How one Asterisk server is; *name*: empty for the only one."""

    name: str
    is_up: bool
    is_lost: bool = False
    calls: int = 0
    operators: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine says of itself (a part of ``GET /v1/health``)."""

    servers: list[ServerLamp] = []
    pbx_connected: bool = False
    lag_ms: float = 0.0
    depth: int = 0
    journal_ok: bool = False
    timers_ok: bool = True
    originating: bool = False
    live_calls: int = 0
    why_not: list[str] = []
    trunks: dict[str, bool] = {}


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the board at the instant *at*. *health*: None when no engine answers, then *trouble* says why.

    *retries*: leads that wait for their time; *next_retry*: when the first is due. *last_minute*:
    attempts begun, answered and talked in the last 60 s. *abandoned_share*: of the answered, None if none.
    """

    at: float
    agents: tuple[AgentLine, ...] = ()
    campaigns: tuple[CampaignLine, ...] = ()
    results: dict[str, int] = {}
    operator_results: dict[str, int] = {}
    retries: int = 0
    next_retry: float | None = None
    last_minute: dict[str, int] = {}
    abandoned_share: float | None = None
    health: Health | None = None
    trouble: str = ""


# -- drawing ------------------------------------------------------------------------------


def draw(board: Board, width: int, height: int) -> Layout:
    """The picture of *board* for a terminal of *width* by *height*."""
    head, body = Layout(_head(board), size=2), Layout()
    frame = Layout()
    room = height - 2
    lower = 9 if room < 26 else 11
    paced = [one for one in board.campaigns if one.state == "running"]
    if any(one.mode != "progressive" for one in paced):
        paced.sort(key=lambda one: one.mode != "predictive")
        size = height_of(paced, board.at, room)
        frame.split_column(head, body, Layout(pacing_panel(paced, board.at, size), size=size))
        room -= size
        lower = 8
    else:
        frame.split_column(head, body)
    if width >= _WIDE:
        body.split_row(
            Layout(_agents(board, room - 2, is_wide=True), ratio=5),
            Layout(_campaigns(board, room - 2, is_wide=True), ratio=5),
            right := Layout(ratio=3),
        )
        right.split_column(
            Layout(_results(board, (room - 9) // 2), ratio=1),
            Layout(_operator_results(board, (room - 9) // 2), ratio=1),
            Layout(_rates(board), size=9),
        )
    else:
        upper, below = Layout(), Layout(size=lower)
        body.split_column(upper, below)
        upper.split_row(
            Layout(_agents(board, room - lower - 2, is_wide=False), ratio=1),
            Layout(_campaigns(board, room - lower - 2, is_wide=False), ratio=1),
        )
        below.split_row(
            Layout(_results(board, lower - 2), ratio=4),
            Layout(_operator_results(board, lower - 2), ratio=5),
            Layout(_rates(board), ratio=6),
        )
    return frame


def picture(board: Board, *, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The board as an SVG document that needs nothing from anywhere else."""
    console = Console(
        record=True,
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(draw(board, width, height), height=height)
    # Rich's own format fetches a font from the network; any fixed-width font of the reader's will do.
    code_format = re.sub(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="dialer watch", code_format=code_format, unique_id="obzvon")


def _head(board: Board) -> RenderableType:
    now = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(board.at))
    first = Text.assemble(("Obzvon ", "bold"), now, "  ")
    health = board.health
    if health is None:
        second = Text(f"▲ {text_of(board.trouble)} Below: the journal.", style="bold red")
    else:
        reasons = [text_of(why) for why in health.why_not]
        if not any(one.state == "running" for one in board.campaigns):
            reasons.append("no campaign runs")
        if board.agents and all(one.state == "signed_out" for one in board.agents):
            reasons.append("nobody is signed in")
        if health.trunks and not any(health.trunks.values()):
            reasons.append("no trunk answers")
        first.append(f"not dialing: {'; '.join(reasons)}" if reasons else "dialing", _YES_NO[not reasons])
        second = Text("  ").join(
            [
                *(
                    [
                        _lamp(text_of(f"{one.name} {one.calls}"), one.is_up)
                        for one in health.servers
                        if one.name
                    ]
                    or [_lamp("Asterisk", health.pbx_connected)]
                ),
                _lamp("journal", health.journal_ok),
                _lamp("timers", health.timers_ok),
                Text(
                    f"lag {health.lag_ms:.0f} ms, {health.depth} events",
                    "yellow" if health.lag_ms > LAG_MS else "",
                ),
                Text(f"calls {health.live_calls}"),
                *(
                    _lamp(text_of(f"trunk {name}"), False)
                    for name, is_up in health.trunks.items()
                    if not is_up
                ),
            ]
        )
    for line in (first, second):
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(first, second)


def _lamp(name: str, is_well: bool) -> Text:
    return Text(f"● {name}" if is_well else f"✖ {name}", style="green" if is_well else "bold red")


def _agents(board: Board, room: int, *, is_wide: bool) -> Panel:
    table = plain_table("operator", "state", ">for", *(["with"] if is_wide else []))
    ordered = sorted(board.agents, key=lambda one: (_place(one.state), one.since, one.id))
    for one in fitting(ordered, table, room):
        state = f"{one.state} {one.reason}" if one.state == "paused" and one.reason else one.state
        is_in = one.state != "signed_out"
        table.add_row(
            cell(one.name or one.id),
            Text(text_of(state).replace("_", " "), style=_AGENT_STYLE.get(one.state, "")),
            Text(duration(board.at - one.since) if is_in and one.since else ""),
            *([cell(one.with_whom)] if is_wide else []),
            style="" if is_in else "bright_black",
        )
    counts = {state: sum(one.state == state for one in board.agents) for state in _AGENT_ORDER}
    signed_in = len(board.agents) - counts["signed_out"]
    return in_panel(table, f"Operators {signed_in}/{len(board.agents)}", f"{counts['ready']} ready")


def _place(state: str) -> int:
    order = ("on_call", "reserved", "ready", "wrap_up", "paused", "arriving", "signed_out")
    return order.index(state) if state in order else len(order)


def _campaigns(board: Board, room: int, *, is_wide: bool) -> Panel:
    columns = _CALLS_WIDE if is_wide else _CALLS_NARROW
    table = plain_table("campaign", *(f">{head}" for head in columns), ">left", ">done")
    for one in fitting(list(board.campaigns), table, room):
        sign, style = _CAMPAIGN_SIGN.get(one.state, ("?", ""))
        counts = [sum(one.calls.get(state, 0) for state in states) for states in columns.values()]
        table.add_row(
            Text.assemble((f"{sign} ", style), cell(one.title or one.id)),
            *(Text(str(count) if count else "·") for count in counts),
            Text(str(one.waiting)),
            Text(str(one.finished)),
        )
    return in_panel(table, "Campaigns", f"{sum(one.state == 'running' for one in board.campaigns)} running")


def _results(board: Board, room: int) -> Panel:
    return _counts("Attempts today", board.results, room, _RESULT_STYLE)


def _operator_results(board: Board, room: int) -> Panel:
    return _counts("Operators' results", board.operator_results, room, {})


def _counts(title: str, counts: dict[str, int], room: int, styles: dict[str, str]) -> Panel:
    table = plain_table("", ">", header=False)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for name, count in fitting(ordered, table, room, header=0):
        table.add_row(Text(text_of(name).replace("_", " "), style=styles.get(name, "")), Text(str(count)))
    return in_panel(table, title, str(sum(counts.values())))


def _rates(board: Board) -> Panel:
    table = plain_table("", ">", header=False)
    minute = board.last_minute
    for name, key in (
        ("attempts a minute", "attempts"),
        ("answers a minute", "answered"),
        ("talks a minute", "talked"),
    ):
        table.add_row(Text(name), Text(str(minute.get(key, 0))))
    share = board.abandoned_share
    style = "" if share is None else "green" if share <= 0.02 else "yellow" if share <= 0.03 else "bold red"
    table.add_row(Text("abandoned"), Text("–" if share is None else f"{share:.1%}", style=style))
    table.add_row(Text("retries waiting"), Text(str(board.retries)))
    due = board.next_retry
    wait = "–" if due is None else "now" if due <= board.at else f"in {duration(due - board.at)}"
    table.add_row(Text("next retry"), Text(wait))
    return in_panel(table, "Rates and timers", "")
