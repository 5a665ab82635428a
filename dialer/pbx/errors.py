"""What can go wrong between us and Asterisk: the world's mistakes, as a small tree.

1. :class:`PbxError` is the root; whoever sends a request catches this and nothing wider.
2. :class:`PbxUnreachable`: no answer came. ``was_sent`` says whether Asterisk may have acted.
3. :class:`PbxRefused`: Asterisk answered, and the answer is no. One class for each status that
   somebody treats differently.
4. :class:`Unsendable`: we refused ourselves, before a byte was sent.

No message here ever holds a header, so none can hold the password.
"""

from __future__ import annotations


class PbxError(Exception):
    """A request to Asterisk did not succeed.

    *was_sent* is false when the request certainly never reached Asterisk.
    """

    was_sent: bool = True


class PbxUnreachable(PbxError):
    """No answer came from Asterisk: nobody listens, the connection broke, or it took too long."""

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class PbxTimeout(PbxUnreachable):
    """Asterisk took longer to answer than a request may take."""


class PbxGarbled(PbxError):
    """Asterisk (or whatever listens there) answered with something that is not JSON."""


class Unsendable(PbxError, ValueError):
    """A command holds something that may not be written into a request, such as a bad number."""

    was_sent = False


class Undialable(Unsendable):
    """The trunk cannot be asked to call the number; another one may."""


class PbxRefused(PbxError):
    """Asterisk answered with an error. *status*: HTTP status; *message*: Asterisk's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


class BadRequest(PbxRefused):
    """400: Asterisk did not understand a parameter (or, for a bridge, does not know the channel)."""


class Unauthorized(PbxRefused):
    """401 or 403: wrong user or password, or a user that may only read."""


class NotFound(PbxRefused):
    """404: no such channel, bridge, application or path."""


class Conflict(PbxRefused):
    """409: the id is taken, or the channel is not in our application."""


class WrongState(PbxRefused):
    """412 or 422: the channel is not in a state (or place) that allows this."""


class ServerFault(PbxRefused):
    """5xx: Asterisk failed; for an originate often that the endpoint does not exist."""


_BY_STATUS: dict[int, type[PbxRefused]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    412: WrongState,
    422: WrongState,
}


def refused(status: int, message: str) -> PbxRefused:
    """The error for an HTTP *status*."""
    kind = _BY_STATUS.get(status) or (ServerFault if status >= 500 else PbxRefused)
    return kind(status, message)


def reason_of(failure: object) -> str:
    """The kind and, for errors of the operating system, the reason: nothing that could hold a header."""
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return type(failure).__name__
