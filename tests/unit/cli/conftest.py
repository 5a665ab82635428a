"""A home folder, and neighbours that say what a test wants them to say."""

from __future__ import annotations

import json
import socket
import socketserver
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import main
from dialer.core.commands import SaveAgent, SaveCall, SaveCampaignState, SaveLead, SaveLedger
from dialer.core.conduct import Abandonment
from dialer.core.events import RecordingMissing, RecordingStored
from dialer.core.ids import AgentId, AttemptId, CampaignId, ContactId, LeadId, PhoneId, TrunkId
from dialer.core.pacing.ledger import DayCount, Ledger
from dialer.core.values import Agent, AgentState, Call, CallState, CampaignState
from dialer.core.values import Result as How
from dialer.office import orders, trunks
from dialer.office.setup import make_home
from dialer.store import contacts, leads
from dialer.store.connect import open_writer, transaction
from dialer.store.contacts import NewContact
from dialer.store.guard import Guard
from dialer.store.writing import write

Answers = dict[str, tuple[int, Any]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh home folder."""
    make_home(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def dialer(home: Path) -> Callable[..., Result]:
    """Call the command line with *home* as the home folder."""

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, ["--home", str(home), *words], prog_name="dialer")

    return call


class Neighbour:
    """An HTTP server: *answers* by ``METHOD path``; *asked* holds what came. Unknown paths are 404."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.url = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        neighbour = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                key = f"{self.command} {self.path.split('?')[0]}"
                neighbour.asked.append(key)
                neighbour.bodies.append(json.loads(body) if body else None)
                status, answer = neighbour.answers.get(key, (404, {"error": "no such thing"}))
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        for method in ("GET", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._answer)
        return Handler


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, Any]:
        request, _ = super().get_request()
        return request, ("test", 0)


def _run(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def engine(home: Path) -> Iterator[Neighbour]:
    """Somebody who answers on the engine's socket."""
    neighbour = Neighbour()
    neighbour.answers["POST /v1/reload"] = (200, {})
    for _ in _run(_UnixServer(str(home / "run" / "engine.sock"), neighbour.handler())):
        yield neighbour


@pytest.fixture
def asterisk() -> Iterator[Neighbour]:
    """Somebody who answers as ARI does, and lets our user give orders."""
    neighbour = Neighbour()
    neighbour.answers["GET /ari/asterisk/info"] = (200, {"system": {"version": "22.10.1"}})
    neighbour.answers["GET /ari/applications/obzvon"] = (200, {"name": "obzvon"})
    neighbour.answers["GET /ari/endpoints/PJSIP"] = (200, [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), neighbour.handler())
    server.daemon_threads = True
    neighbour.url = f"http://127.0.0.1:{server.server_address[1]}/ari"
    for _ in _run(server):
        yield neighbour


@pytest.fixture
def sip_peer() -> Iterator[tuple[int, list[bytes]]]:
    """A UDP port where somebody answers OPTIONS with 200, after losing the first."""
    came: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, line = self.request
            came.append(data)
            if len(came) > 1:
                line.sendto(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", self.client_address)

    server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    for _ in _run(server):
        yield server.server_address[1], came


# -- a campaign in the middle -------------------------------------------------------------

FIRST = CampaignId("first")


def call(number: int, at: float, state: CallState, **changes: Any) -> SaveCall:
    """The attempt on the contact *number*; one that ended did so 20 s after it began."""
    if changes.get("result") is not None:
        changes |= {"ended_at": at + 20}
    return SaveCall(
        call=Call(
            attempt=AttemptId(f"a{number:020}"),
            campaign=FIRST,
            lead=LeadId(number),
            contact=ContactId(number),
            phone=PhoneId(number),
            number=f"+7916123450{number}",
            ordinal=1,
            trunk=TrunkId("carrier"),
            state=state,
            created_at=at,
            **changes,
        )
    )


class AnyCall(Guard):
    """A guard that forbids nothing: the campaign's hours are not the matter here."""

    def forbids(self, connection: sqlite3.Connection, call: Call) -> str | None:
        return None


def _counts(answered: list[float]) -> tuple[DayCount, ...]:
    """The days of these answered calls, of which the first was abandoned."""
    ledger = Ledger(Abandonment())
    for at in answered:
        ledger.answered(at)
    ledger.abandoned(answered[0])
    return ledger.changes()


@pytest.fixture
def busy_home(home: Path) -> Path:
    """A home folder in the middle of a campaign."""
    trunks.apply(home, [])
    orders.apply_campaigns(home, [])
    orders.add_agent(home, "anna", "101", title="Anna [red]")
    orders.add_agent(home, "boris", "102")
    at = time.time()
    ended = CallState.ENDED
    with closing(open_writer(home / "journal.sqlite3")) as connection:
        people = [
            NewContact(
                key=f"id:{number}",
                name="",
                fields="{}",
                line=number,
                phones=[("main", f"+7916123450{number}")],
            )
            for number in range(1, 10)
        ]
        contacts.add_contacts(
            connection, "first", contacts.begin_import(connection, "first", "p.csv", at), people, at
        )
        leads.enroll(connection, FIRST, at)
        with transaction(connection):
            write(
                connection,
                [
                    RecordingStored(
                        at=at,
                        attempt=AttemptId(f"a{4:020}"),
                        path=f"2026-01-01/a{4:020}.wav",
                        started_at=at - 20,
                        length_s=10.5,
                        size_bytes=336_044,
                        sha256="ab" * 32,
                    ),
                    RecordingMissing(
                        at=at, attempt=AttemptId(f"a{3:020}"), reason="the person hung up at once"
                    ),
                ],
                [
                    SaveCampaignState(campaign=FIRST, state=CampaignState.RUNNING, at=at),
                    *(
                        SaveLedger(campaign=FIRST, count=count)
                        for count in _counts([at - 95, at - 20, at - 10])
                    ),
                    call(1, at - 400, ended, result=How.BUSY),
                    call(2, at - 50, ended, result=How.NO_ANSWER),
                    call(3, at - 100, ended, result=How.ABANDONED, answered_at=at - 95, abandoned_at=at - 93),
                    call(
                        4,
                        at - 30,
                        ended,
                        result=How.TALKED,
                        answered_at=at - 20,
                        connected_at=at - 19,
                        operator_result="order",
                        agent=AgentId("boris"),
                    ),
                    call(
                        5,
                        at - 20,
                        CallState.CONNECTED,
                        answered_at=at - 10,
                        connected_at=at - 9,
                        agent=AgentId("anna"),
                    ),
                    call(6, at - 5, CallState.RINGING),
                    SaveLead(lead=LeadId(1), ordinal=1, due=at + 100),
                    SaveLead(lead=LeadId(2), ordinal=1, due=at + 500),
                    SaveLead(lead=LeadId(4), ordinal=1, due=None, finished="order"),
                    SaveAgent(
                        agent=Agent(
                            id=AgentId("anna"),
                            state=AgentState.ON_CALL,
                            since=at - 9,
                            attempt=AttemptId(f"a{5:020}"),
                        ),
                        at=at - 9,
                    ),
                ],
                AnyCall(),
            )
    return home
