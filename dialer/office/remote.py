"""Orders to a running engine, through its HTTP API on the Unix socket in the home folder.

The socket's permissions are the authentication: whoever may open it may give orders. Requests
are few and short, so they block; nothing here may be called from a loop.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

TIMEOUT_S = 10.0
_ANSWER_MAX = 4_000_000


class EngineError(Exception):
    """The engine did not do what it was asked."""


class EngineNotRunning(EngineError):
    """No engine runs in the home folder."""


class EngineRefused(EngineError):
    """The engine answered, and the answer is no. *status*: HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("engine", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(
    home: Path, method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """The engine's answer to one request.

    Raises EngineNotRunning, EngineRefused with the engine's own words, or EngineError.
    """
    connection = _UnixConnection(home / "run" / "engine.sock", timeout_s)
    payload = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if payload else {}
    try:
        connection.request(method, path, payload, headers)
        answer = connection.getresponse()
        content = answer.read(_ANSWER_MAX)
    except (FileNotFoundError, ConnectionRefusedError):
        raise EngineNotRunning(
            f"No engine runs in {home}. Start one with `dialer up` or `dialer serve`."
        ) from None
    except PermissionError:
        raise EngineError(
            f"You may not give orders to the engine in {home}: its socket is another user's."
        ) from None
    except TimeoutError:
        raise EngineError(f"The engine in {home} did not answer within {timeout_s:g} s.") from None
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(f"The engine in {home} broke off: {str(error) or type(error).__name__}.") from None
    finally:
        connection.close()
    try:
        found = json.loads(content) if content else {}
    except ValueError:
        raise EngineError(f"What answers in {home} is no engine: {answer.status} {answer.reason}.") from None
    if not isinstance(found, dict):
        raise EngineError(f"What answers in {home} is no engine: not an object.")
    if answer.status >= 400:
        raise EngineRefused(answer.status, str(found.get("error") or f"{answer.status} {answer.reason}"))
    return found


def health(home: Path, *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """How the engine is (``GET /v1/health``). Raises EngineError."""
    return ask(home, "GET", "/v1/health", timeout_s=timeout_s)


def pacing(home: Path, *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Each campaign's pacing with its last decision (``GET /v1/pacing``). Raises EngineError."""
    return ask(home, "GET", "/v1/pacing?last=1", timeout_s=timeout_s)


def order_campaign(home: Path, campaign: str, order: str) -> None:
    """``start``, ``pause``, ``resume`` or ``stop`` a campaign. Raises EngineError."""
    ask(home, "POST", f"/v1/campaigns/{quote(campaign, safe='')}/{order}")


def order_agent(home: Path, agent: str, order: str, reason: str = "") -> dict[str, Any]:
    """Force an agent ``ready``, to ``pause`` or to ``sign_out``; what came of it. Raises EngineError."""
    return ask(home, "POST", f"/v1/agents/{quote(agent, safe='')}/{order}", {"reason": reason})


def order_trunk(home: Path, trunk: str, order: str) -> bool:
    """``enable``, ``disable`` or ``remove`` a trunk on the engine; False if none runs. Raises EngineError."""
    return _if_running(home, f"/v1/trunks/{quote(trunk, safe='')}/{order}")


def reload(home: Path) -> bool:
    """Have the engine read trunks, campaigns and agents anew; False if none runs. Raises EngineError."""
    return _if_running(home, "/v1/reload")


def tell_leads_added(home: Path, campaign: str) -> bool:
    """Tell the engine of new contacts for a campaign; False if none runs. Raises EngineError."""
    return _if_running(home, f"/v1/campaigns/{quote(campaign, safe='')}/leads-added")


def tell_do_not_call_changed(home: Path) -> bool:
    """Have the engine drop what it holds of numbers that may be barred now; False if none runs.

    Raises EngineError.
    """
    return _if_running(home, "/v1/do-not-call-changed")


def order_callback(home: Path, campaign: str, lead: int, due: float, agent: str | None) -> None:
    """Have a contact called at *due*, by *agent* or by anyone. Raises EngineError."""
    body = {"lead": lead, "due": due, "agent": agent}
    ask(home, "POST", f"/v1/campaigns/{quote(campaign, safe='')}/callback", body)


def _if_running(home: Path, path: str) -> bool:
    try:
        ask(home, "POST", path)
    except EngineNotRunning:
        return False
    return True
