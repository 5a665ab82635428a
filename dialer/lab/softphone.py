"""A softphone as operators really use them: baresip, without a sound card.

What it says is read from a file, what it hears is written to one (``heard()``), and it is
driven over its control connection: JSON in netstrings, over TCP on loopback. It answers every
call by itself. Keys go out as RFC 4733 events in the sound's own stream, as phones send them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from dialer.lab.errors import LabError, LabProcessDied, LabTimeout
from dialer.lab.phonecall import PhoneCall
from dialer.lab.phones import Phone
from dialer.lab.sipp import end, find_tool, spawn
from dialer.lab.voice import write_voice

_MODULES = (
    "/usr/lib/baresip/modules",
    "/usr/lib/x86_64-linux-gnu/baresip/modules",
    "/usr/local/lib/baresip/modules",
)
_VOICE_S = 60.0
_ANSWER_S_MAX = 45.0
_KEY_S = 0.25
"""baresip lets go of a key only when it is told the next one, or that there is none."""


class Softphone:
    """One baresip, registered at *sip_server* (host, port) as *phone* says (``pick_up`` is always auto).

    It speaks SIP on UDP *port* (and binds TCP *port* and *port* + 1), takes orders on TCP
    *control_port*, and RTP on *media_port* to *media_port* + 15. What is asked of it raises
    LabProcessDied if it is gone, LabTimeout if nothing happens, LabError if there is no call.
    """

    def __init__(
        self,
        folder: Path,
        phone: Phone,
        *,
        sip_server: tuple[str, int],
        port: int,
        control_port: int,
        media_port: int,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.phone = phone
        self.calls: list[PhoneCall] = []
        self._server = f"{sip_server[0]}:{sip_server[1]}"
        self._host, self._port, self._control_port, self._media_port = host, port, control_port, media_port
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: list[dict[str, Any]] = []

    @property
    def is_running(self) -> bool:
        """Whether the softphone was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def line(self) -> PhoneCall | None:
        """The conversation that is up."""
        return next((call for call in reversed(self.calls) if call.is_up), None)

    def heard(self) -> list[Path]:
        """What was heard in each conversation so far: ``.wav`` files, 16 bit, 8 kHz, mono."""
        return sorted(self.folder.glob("dump-*-dec.wav"))

    async def start(self, *, within_s: float = _ANSWER_S_MAX) -> None:
        """Start the softphone and wait until it is registered. Raises LabError."""
        baresip = find_tool("baresip", "baresip-core")
        await asyncio.to_thread(self._write_files)
        self._process = await spawn(
            [baresip, "-f", str(self.folder)], folder=self.folder, output="baresip.out"
        )
        try:
            async with asyncio.timeout(within_s):
                await self._connect()
                while not await self._is_registered():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            await self.stop()
            raise LabTimeout(
                f"softphone {self.phone.extension} is not registered in {within_s:g} s"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Hang up, register no more, and end the softphone."""
        if self.is_running and self._writer is not None:
            with contextlib.suppress(LabError, OSError):
                await self._order("quit")
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1.0)
            await end(self._process)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def __aenter__(self) -> Softphone:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def sign_in(self, code: str = "*40") -> PhoneCall:
        """Call the feature *code* and stay on the line."""
        known = len(self.calls)
        await self._order("dial", f"sip:{code}@{self._server}")
        await self._until(
            lambda: any(call.is_up or call.ended_at for call in self.calls[known:]), f"answer to {code}"
        )
        call = self.calls[known]
        if not call.up_at:
            raise LabError(f"softphone {self.phone.extension}: the call to {code} failed")
        return call

    async def keys(self, digits: str) -> None:
        """Press *digits* in the conversation, one after the other."""
        if self.line is None:
            raise LabError(f"softphone {self.phone.extension} has no conversation")
        for digit in digits:
            await self._order("sndcode", digit)
            await asyncio.sleep(_KEY_S)
            self.line.keys += digit
        await self._order("sndcode", "\x04")

    async def hang_up(self) -> None:
        """End the conversation."""
        call = self.line
        if call is None:
            raise LabError(f"softphone {self.phone.extension} has no conversation")
        await self._order("hangup")
        await self._until(lambda: call.ended_at, "end of the call")

    async def wait_until_on_line(self, *, within_s: float) -> PhoneCall:
        """Wait until a conversation is up."""
        await self._until(lambda: self.line, "a conversation", within_s)
        assert self.line is not None
        return self.line

    async def _connect(self) -> None:
        while True:
            self._check()
            try:
                reader, self._writer = await asyncio.open_connection(self._host, self._control_port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                self._reading = asyncio.create_task(self._read(reader))
                return

    async def _is_registered(self) -> bool:
        answer = await self._order("reginfo")
        return "OK" in str(answer.get("data", "")) and "Expires" in str(answer.get("data", ""))

    async def _order(self, command: str, params: str = "") -> dict[str, Any]:
        self._check()
        if self._writer is None:
            raise LabProcessDied(f"softphone {self.phone.extension} is not connected")
        known = len(self._answers)
        text = json.dumps({"command": command, "params": params}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))
        await self._until(lambda: len(self._answers) > known, f"answer to {command}")
        return self._answers[known]

    async def _until(self, is_so: Callable[[], object], what: str, within_s: float = _ANSWER_S_MAX) -> None:
        def is_over() -> object:
            return is_so() or not self.is_running

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(is_over), within_s)
            except TimeoutError:
                raise LabTimeout(
                    f"softphone {self.phone.extension}: no {what} within {within_s:g} s"
                ) from None
        if not is_so():
            self._check()

    def _check(self) -> None:
        if not self.is_running:
            with contextlib.suppress(OSError):
                words = (self.folder / "baresip.out").read_text(errors="replace").strip().splitlines()
                raise LabProcessDied(f"baresip is not running: {' / '.join(words[-2:])}")
            raise LabProcessDied("baresip is not running")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, ValueError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(length + 1))[:-1])
                self._happened(message)
                async with self._changed:
                    self._changed.notify_all()
        if self._process is not None:
            await end(self._process)
        for call in self.calls:
            call.ended_at = call.ended_at or time.time()
        async with self._changed:
            self._changed.notify_all()

    def _happened(self, message: dict[str, Any]) -> None:
        if message.get("response"):
            self._answers.append(message)
            return
        now, call_id = time.time(), str(message.get("id", ""))
        call = next((call for call in self.calls if call.call_id == call_id), None)
        if call is None and call_id and str(message.get("type", "")).startswith("CALL_"):
            peer = str(message.get("peeruri", "")).partition("@")[0].removeprefix("sip:")
            kind: Literal["dial", "rung"] = "dial" if message.get("direction") == "outgoing" else "rung"
            call = PhoneCall(call_id=call_id, kind=kind, number=peer, began_at=now)
            self.calls.append(call)
        if call is None:
            return
        match message.get("type"):
            case "CALL_ESTABLISHED":
                call.up_at = now
            case "CALL_CLOSED":
                call.ended_at = now
                call.ended_by = "phone" if "by user" in str(message.get("param")) else "server"

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        modules = next((folder for folder in _MODULES if Path(folder).is_dir()), _MODULES[0])
        write_voice(self.folder / "voice.wav", self.phone.mark_hz, length_s=_VOICE_S)
        phone = self.phone
        account = (
            f"<sip:{phone.extension}@{self._server}>;auth_user={phone.extension};auth_pass={phone.secret}"
            ";answermode=auto;regint=60;audio_codecs=pcma\n"
        )
        for name, text in (
            ("accounts", account),
            ("contacts", ""),
            ("config", self._config(modules)),
        ):
            path = self.folder / name
            path.unlink(missing_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)

    def _config(self, modules: str) -> str:
        return "\n".join(
            [
                f"sip_listen {self._host}:{self._port}",
                f"net_interface {self._host}",
                f"rtp_ports {self._media_port}-{self._media_port + 15}",
                f"ctrl_tcp_listen {self._host}:{self._control_port}",
                "call_max_calls 4",
                f"audio_source aufile,{self.folder / 'voice.wav'}",
                # A sound device that leads nowhere.
                "audio_player aubridge,nowhere",
                "audio_alert aubridge,nowhere",
                f"snd_path {self.folder}",
                "ausrc_srate 8000",
                "auplay_srate 8000",
                "ausrc_channels 1",
                "auplay_channels 1",
                "jitter_buffer_delay 5-10",
                f"module_path {modules}",
                *(f"module {name}.so" for name in ("g711", "aufile", "aubridge", "sndfile")),
                "module_tmp account.so",
                "module_app menu.so",
                "module_app ctrl_tcp.so",
                "",
            ]
        )
