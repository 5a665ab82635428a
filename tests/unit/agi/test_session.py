"""AGI sessions against an Asterisk made of strings."""

from __future__ import annotations

import io

import pytest

from agi.session import BadArgument, Garbled, HungUp, Refused, Session, quote

ENV = "agi_request: last_word\nagi_uniqueid: a0123\nagi_callerid: +123:4\n\n"


def make_session(*answers: str) -> tuple[Session, io.StringIO]:
    sent = io.StringIO()
    return Session(io.StringIO(ENV + "".join(f"{answer}\n" for answer in answers)), sent), sent


def test_the_call_is_described():
    session, _ = make_session()
    assert session.variables["agi_uniqueid"] == "a0123"
    assert session.variables["agi_callerid"] == "+123:4"


def test_say_tells_whether_the_sound_was_there():
    session, sent = make_session(
        "200 result=0", "200 result=1 (SUCCESS)", "200 result=0", "200 result=1 (FAILED)"
    )
    assert session.say("im-sorry") is True
    assert session.say("missing") is False
    assert sent.getvalue().splitlines()[:2] == ['EXEC "Playback" "im-sorry"', 'GET VARIABLE "PLAYBACKSTATUS"']


@pytest.mark.parametrize(
    ("answer", "value"),
    [("200 result=1 (a (b) c=d)", "a (b) c=d"), ("200 result=1 ()", ""), ("200 result=0", None)],
)
def test_read_variable(answer, value):
    session, _ = make_session(answer)
    assert session.read("X") == value


def test_keys():
    session, sent = make_session("200 result=53", "200 result=0", "200 result=what")
    assert session.wait_for_key(3000) == "5"
    assert session.wait_for_key(3000) is None
    with pytest.raises(Garbled):
        session.wait_for_key(3000)
    assert sent.getvalue().startswith('WAIT FOR DIGIT "3000"\n')


@pytest.mark.parametrize(
    "value", ['x" "y', "back\\slash", 'both\\"', "plain", "", "Пётр", "$ {EXTEN} ; rm", "a,b|c&d"]
)
def test_a_value_stays_one_argument(value):
    session, sent = make_session("200 result=1")
    session.write("NAME", value)
    line = sent.getvalue()
    assert line.count("\n") == 1
    assert unquote(line.strip().removeprefix('SET VARIABLE "NAME" ')) == value


@pytest.mark.parametrize("value", ["a\nHANGUP", "a\rHANGUP", "a\0b", "\x7f"])
def test_a_control_character_is_refused_before_anything_is_sent(value):
    session, sent = make_session("200 result=1")
    with pytest.raises(BadArgument):
        session.write("NAME", value)
    assert sent.getvalue() == ""


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("200 result=-1", HungUp),
        ("200 result=1 (hangup)", HungUp),
        ("511 Command Not Permitted on a dead channel or intercept routine", HungUp),
        ("HANGUP", HungUp),
        ("", HungUp),
        ("510 Invalid or unknown command", Refused),
        ("520-Invalid command syntax.  Proper usage follows:\nUsage: x\n520 End of proper usage.", Refused),
        ("999 what", Garbled),
    ],
)
def test_what_goes_wrong_has_a_name(answer, error):
    session, _ = make_session(answer)
    with pytest.raises(error):
        session.answer()


def test_an_unknown_application_is_refused():
    session, _ = make_session("200 result=-2")
    with pytest.raises(Refused, match="Nonsense"):
        session.run("Nonsense")


def test_the_pipe_may_close_at_any_point():
    with pytest.raises(HungUp):
        Session(io.StringIO(""), io.StringIO())
    session, _ = make_session("200 result=0")
    session.answer()
    with pytest.raises(HungUp):
        session.answer()


class ClosedPipe(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


class LostDisk(io.StringIO):
    def flush(self) -> None:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("pipe", [ClosedPipe, LostDisk])
def test_a_pipe_that_cannot_be_written_is_a_hang_up(pipe):
    session = Session(io.StringIO(ENV + "200 result=0\n"), pipe())
    with pytest.raises(HungUp):
        session.answer()
    session.close()


def test_nothing_is_said_on_standard_error(capfd):
    session, _ = make_session("200 result=1")
    session.write("SECRET", "hush")
    assert capfd.readouterr() == ("", "")


def unquote(text: str) -> str:
    """As Asterisk's reader of AGI commands does it (parse_args of res_agi)."""
    assert text[0] == text[-1] == '"'
    out, is_escaped = [], False
    for char in text[1:-1]:
        if char == "\\" and not is_escaped:
            is_escaped = True
            continue
        assert char != '"' or is_escaped, "the quotes were closed by data"
        out.append(char)
        is_escaped = False
    assert not is_escaped
    return "".join(out)


def test_quote_is_what_asterisk_takes_apart():
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
