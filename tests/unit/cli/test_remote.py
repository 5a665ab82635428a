"""Orders reach the engine, and every way in which it may fail has its message."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from dialer.office import remote


def test_orders_go_to_their_paths(home: Path, engine: object) -> None:
    engine.answers |= {  # type: ignore[attr-defined]
        "POST /v1/campaigns/spring/start": (200, {}),
        "POST /v1/campaigns/spring/leads-added": (200, {}),
        "POST /v1/agents/anna/pause": (200, {}),
        "GET /v1/health": (200, {"live_calls": 4}),
    }
    remote.order_campaign(home, "spring", "start")
    remote.order_agent(home, "anna", "pause", "lunch")
    assert remote.tell_leads_added(home, "spring")
    assert remote.reload(home)
    assert remote.health(home) == {"live_calls": 4}
    assert engine.asked == [  # type: ignore[attr-defined]
        "POST /v1/campaigns/spring/start",
        "POST /v1/agents/anna/pause",
        "POST /v1/campaigns/spring/leads-added",
        "POST /v1/reload",
        "GET /v1/health",
    ]
    assert engine.bodies[1] == {"reason": "lunch"}  # type: ignore[attr-defined]


def test_a_refusal_is_told_in_the_engines_words(home: Path, engine: object) -> None:
    engine.answers["POST /v1/campaigns/x/start"] = (409, {"error": "it is finished"})  # type: ignore[attr-defined]
    with pytest.raises(remote.EngineRefused, match="it is finished") as caught:
        remote.order_campaign(home, "x", "start")
    assert caught.value.status == 409


def test_a_name_cannot_leave_its_place_in_the_path(home: Path, engine: object) -> None:
    with pytest.raises(remote.EngineRefused):
        remote.order_campaign(home, "../reload?x=", "start")
    assert engine.asked == ["POST /v1/campaigns/..%2Freload%3Fx%3D/start"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", [b"<html>", b"[1]"])
def test_what_is_no_engine_is_said_to_be_none(home: Path, engine: object, answer: bytes) -> None:
    engine.answers["GET /v1/health"] = (200, answer)  # type: ignore[attr-defined]
    with pytest.raises(remote.EngineError, match="is no engine"):
        remote.health(home)


def test_no_engine(home: Path) -> None:
    with pytest.raises(remote.EngineNotRunning, match="dialer up"):
        remote.health(home)
    assert remote.reload(home) is False


def test_the_socket_of_an_engine_that_died(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(home / "run" / "engine.sock"))
    with pytest.raises(remote.EngineNotRunning):
        remote.health(home)


def test_an_engine_that_is_silent_or_breaks_off(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(home / "run" / "engine.sock"))
        line.listen()
        with pytest.raises(remote.EngineError, match=r"did not answer within 0\.05 s"):
            remote.health(home, timeout_s=0.05)
        line.accept()[0].close()

        def break_off() -> None:
            other = line.accept()[0]
            other.recv(65536)
            other.close()

        thread = threading.Thread(target=break_off)
        thread.start()
        with pytest.raises(remote.EngineError, match="broke off"):
            remote.health(home)
        thread.join()


def test_the_engine_of_another_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(remote._UnixConnection, "connect", refuse)
    with pytest.raises(remote.EngineError, match="may not give orders"):
        remote.health(home)
