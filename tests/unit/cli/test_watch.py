"""The live board: it fits, it counts, it shows names as they are, and it says when the engine is down."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from dialer.office import drawing, panels
from dialer.office.drawing import AgentLine, Board, CampaignLine, Health, ServerLamp
from dialer.office.pacingpanel import PacingLine

AT = 1_767_225_600.0
STATES = ("ready", "on_call", "wrap_up", "paused", "reserved", "arriving", "signed_out")


def board(agents: int = 7, campaigns: int = 2) -> Board:
    return Board(
        at=AT,
        agents=tuple(
            AgentLine(
                id=f"op{number}",
                name=f"Operator {number}",
                state=STATES[number % len(STATES)],
                reason="lunch",
                since=AT - 65 * number,
                with_whom=f"+7916000{number:04}",
            )
            for number in range(agents)
        ),
        campaigns=tuple(
            CampaignLine(
                id=f"c{number}",
                title=f"Spring {number}",
                state="running",
                calls={"dialing": 1, "ringing": 2, "connected": 4},
                waiting=1234,
                finished=77,
            )
            for number in range(campaigns)
        ),
        results={"talked": 41, "no_answer": 30, "busy": 9},
        operator_results={"order": 12, "refused_offer": 5},
        retries=31,
        next_retry=AT + 95,
        last_minute={"attempts": 40, "answered": 13, "talked": 11},
        abandoned_share=0.021,
        health=Health(pbx_connected=True, journal_ok=True, originating=True, lag_ms=3.0, live_calls=14),
    )


def drawn(one: Board, width: int = 80, height: int = 24, *, color: bool = False) -> str:
    console = Console(
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=color,
        color_system="truecolor" if color else None,
    )
    console.print(drawing.draw(one, width, height), height=height)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 30), (200, 50)])
def test_it_fits(width: int, height: int) -> None:
    lines = drawn(board(agents=60, campaigns=30), width, height).splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [80, 140])
def test_everything_is_there(width: int) -> None:
    text = drawn(board(), width, 30)
    for shown in (
        "Operator 0",
        "on call",
        "paused lunch",
        "4:20",
        "6/7",
        "Spring 1",
        "1234",
        "77",
        "no answer",
        "30",
    ):
        assert shown in text
    for shown in (
        "refused offer",
        "abandoned",
        "2.1%",
        "retries waiting",
        "in 1:35",
        "lag 3 ms",
        "calls 14",
        "dialing",
    ):
        assert shown in text
    assert ("+79160000001" in text) == (width >= 120)


@pytest.mark.parametrize("width", [80, 140])
def test_what_does_not_fit_is_counted(width: int) -> None:
    lines = drawn(board(agents=60), width, 24).splitlines()
    [more] = [line for line in lines if "more" in line]
    shown = sum("Operator" in line.split("│")[1] for line in lines if line.startswith("│"))
    assert f"… and {60 - shown} more" in more


def test_the_busy_come_first() -> None:
    text = drawn(board(agents=7))
    order = ["on call", "reserved", "ready", "wrap up", "paused", "arriving", "signed out"]
    places = [text.index(f" {state} ") for state in order]
    assert places == sorted(places)


def test_names_are_shown_as_they_are() -> None:
    evil = AgentLine(id="x", name="[bold]A[/]\x1b[2J\x9b", state="ready", since=AT)
    text = drawn(msgspec.structs.replace(board(), agents=(evil,)))
    assert "[bold]A[/]" in text
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_the_engine_is_down() -> None:
    text = drawn(msgspec.structs.replace(board(), health=None, trouble="No engine runs."))
    assert "No engine runs. Below: the journal." in text
    assert "Operator 0" in text
    assert "lag" not in text


def test_why_nothing_is_dialed() -> None:
    ill = Health(
        pbx_connected=False,
        journal_ok=True,
        why_not=["Asterisk is not connected"],
        trunks={"north": False, "south": True},
    )
    text = drawn(msgspec.structs.replace(board(), health=ill))
    assert "✖ Asterisk" in text
    assert "✖ trunk north" in text
    assert "south" not in text
    assert "not dialing: Asterisk is not connected" in text


def test_each_of_several_servers_has_a_lamp() -> None:
    servers = [
        ServerLamp(name="north", is_up=True, calls=12),
        ServerLamp(name="south", is_up=False, is_lost=True),
    ]
    health = Health(pbx_connected=True, journal_ok=True, originating=True, servers=servers)
    text = drawn(msgspec.structs.replace(board(), health=health))
    assert "● north 12" in text
    assert "✖ south 0" in text
    assert "Asterisk" not in text
    assert "dialing" in text


@pytest.mark.parametrize(("share", "color"), [(0.01, "32"), (0.025, "33"), (0.2, "1;31")])
def test_abandonment_is_coloured_by_its_height(share: float, color: str) -> None:
    text = drawn(msgspec.structs.replace(board(), abandoned_share=share), color=True)
    [line] = [line for line in text.splitlines() if f"{share:.1%}" in line]
    assert f"\x1b[{color}m" in line[line.index("abandoned", 40) :]


def paced(count: int = 1, **changes: object) -> Board:
    """A board of *count* predictive campaigns, and one progressive one before them."""
    figures: dict[str, float | None] = {"operators": 12, "idle": 2, "in_flight": 9, "waiting": 1}
    figures |= {"risk": 0.021, "risk_max": 0.034}
    pacing = PacingLine(at=AT - 3, limit="risk", figures=figures, answered=1000, abandoned=19, high=0.031)
    pacing = msgspec.structs.replace(pacing, **changes)
    ahead = [
        CampaignLine(
            id=f"a{number}", title=f"Ahead {number}", mode="predictive", state="running", pacing=pacing
        )
        for number in range(count)
    ]
    one = board(campaigns=1)
    return msgspec.structs.replace(one, campaigns=(*one.campaigns, *ahead))


@pytest.mark.parametrize("width", [80, 140])
def test_pacing_says_how_far_ahead_a_campaign_calls_and_what_limits_it(width: int) -> None:
    lines = drawn(paced(note="little is known yet"), width, 30).splitlines()
    top = next(number for number, line in enumerate(lines) if "Pacing" in line)
    assert lines[top + 1].split() == ["│", "campaign", "mode", "ahead", "limit", "risk", "abandoned", "│"]
    assert " ".join(lines[top + 2].split()[1:-1]) == "Ahead 0 predictive 8 risk 2.1 of 3.4 % 1.9 ≤ 3.1 %"
    assert " ".join(lines[top + 3].split()[1:-1]) == "Spring 0 progressive – – – –"
    assert "Ahead 0: little is known yet" in lines[top + 4]
    assert "Operator 0" in "\n".join(lines)


def test_pacing_is_shown_only_where_somebody_is_called_ahead() -> None:
    assert "Pacing" not in drawn(board())
    stopped = paced()
    stopped = msgspec.structs.replace(
        stopped,
        campaigns=tuple(msgspec.structs.replace(one, state="stopped") for one in stopped.campaigns),
    )
    assert "Pacing" not in drawn(stopped)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (140, 24)])
def test_pacing_of_many_campaigns_fits(width: int, height: int) -> None:
    lines = drawn(paced(9, note="a note that is long " * 20), width, height).splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert "… and 7 more" in "\n".join(lines)
    assert sum("predictive" in line for line in lines) == 3


def test_a_decision_that_is_old_or_was_never_made_is_said_to_be_so() -> None:
    assert "Ahead 0: decided 5:00 ago" in drawn(paced(at=AT - 300), 80, 30)
    none = drawn(paced(at=None, answered=0, limit="risk"), 80, 30)
    [line] = [line for line in none.splitlines() if "Ahead 0" in line and "predictive" in line]
    assert line.split()[4:-1] == ["–", "–", "2.1", "of", "3.4", "%", "–"]


@pytest.mark.parametrize(("abandoned", "color"), [(19, "32"), (25, "33"), (31, "1;31")])
def test_a_share_is_coloured_by_what_was_promised(abandoned: int, color: str) -> None:
    text = drawn(paced(abandoned=abandoned), color=True)
    [line] = [line for line in text.splitlines() if "≤ 3.1 %" in line]
    assert f"\x1b[{color}m{abandoned / 10:.1f} ≤" in line


def test_an_empty_board() -> None:
    text = drawn(Board(at=AT))
    assert "0/0" in text
    assert "–" in text


def test_the_picture_is_an_svg_that_needs_nothing_else() -> None:
    svg = drawing.picture(board())
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.count("http") == 1
    assert "Operator" in svg


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0:00"), (7.9, "0:07"), (750, "12:30"), (3723, "1:02:03"), (360_000, "100:00:00")],
)
def test_durations(seconds: float, text: str) -> None:
    assert panels.duration(seconds) == text
