"""People who call us by a trunk: one SIPp process for each, told what to do as desk phones are (:mod:`dialer.lab.phones`).

A caller comes from the carrier's address, so their host is another one of loopback than the phones' (``127.0.0.2``), and asks for one of our numbers.
They speak with a person's voice from the answer on, press keys, wait, hang up when the test says so, and write down who ended the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from dialer.lab.phonecall import PhoneCall
from dialer.lab.phones import LabPhone, Phone
from dialer.lab.scenario import Library
from dialer.lab.sipp import Sipp
from dialer.lab.voice import PERSON_MARKS_HZ, speak

HOST = "127.0.0.2"
_HERE = Path(__file__).parent


class LabCaller(LabPhone):
    """Somebody with a telephone of their own. Made and started by :class:`LabCallers`."""

    @property
    def number(self) -> str:
        """What the carrier says of who calls; ``anonymous`` for who withholds it."""
        return self.phone.extension

    @property
    def mark_hz(self) -> int:
        """The mark of the caller's voice in a recording."""
        return PERSON_MARKS_HZ[self.phone.voice % len(PERSON_MARKS_HZ)]

    async def call(self, number: str) -> PhoneCall:
        """Call one of our *numbers*, as the carrier writes it, and stay on the line from the answer on.

        Raises:
            LabCallRefused: the call is not taken.
        """
        return await self.sign_in(number)


class LabCallers:
    """People with the numbers *numbers*, who call *sip_server* (host, port).

    The n-th speaks SIP on UDP port *port* + n of *host*, and takes RTP from *media_port* + 4 n on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sip_server: tuple[str, int],
        numbers: Iterable[str],
        port: int,
        media_port: int,
        host: str = HOST,
    ) -> None:
        self._callers: dict[str, LabCaller] = {}
        for voice, number in enumerate(numbers):
            caller = Phone(extension=number, secret="none", voice=voice)  # noqa: S106 - a caller has none
            mark = PERSON_MARKS_HZ[voice % len(PERSON_MARKS_HZ)]
            sipp = Sipp(
                f"caller-{voice}",
                folder=folder,
                scenario=compose_caller(caller, mark),
                host=host,
                port=port + voice,
                media_port=media_port + 4 * voice,
                remote=sip_server,
                arguments=("-3pcc", f"{host}:{port + voice}"),
                files={f"person-{mark}.al": speak(mark)},
            )
            self._callers[number] = LabCaller(caller, sipp, host=host, port=port + voice, expires_s=0)

    def __getitem__(self, number: str) -> LabCaller:
        return self._callers[number]

    def __iter__(self) -> Iterator[LabCaller]:
        return iter(self._callers.values())

    async def __aenter__(self) -> LabCallers:
        try:
            for caller in self:
                await caller.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Hang up everywhere."""
        for caller in self:
            await caller.stop()


def compose_caller(caller: Phone, mark_hz: int) -> str:
    """The scenario of one caller."""
    library = Library(_HERE / "phones", _HERE / "caller")
    parameters = {"extension": caller.extension, "voice": f"person-{mark_hz}"}
    parts = []
    for fragment in ("desk", "call", "line", "hook"):
        parts += library.expand(fragment, parameters)
    return library.compose(f"caller {caller.extension}", parts)
