"""What can go wrong with the laboratory itself."""

from __future__ import annotations


class LabError(Exception):
    """The laboratory could not do what was asked of it."""


class LabToolMissing(LabError):
    """A program that the laboratory is made of is not installed."""


class LabProcessDied(LabError):
    """A process of the laboratory ended by itself."""


class LabCallRefused(LabError):
    """The server refused what a laboratory phone asked. *status*: the SIP status."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what} was refused with SIP status {status}")
        self.status = status


class LabTimeout(LabError):
    """Something that was waited for did not happen in time."""
