"""Asterisk as a part of us: started with our configuration in a folder of ours, ended with us.

It needs no rights, listens on nothing but the loopback address unless it is told to, and is not left behind, unless it was asked to
outlive us (*outlive*): then the next start in the same folder finds it running and owns it again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Container, Iterable
from pathlib import Path

import aiohttp
import msgspec

from dialer.engine.install import AsteriskInstall, default_root, find_asterisk
from dialer.engine.ports import NoFreePort, Ports, choose_ports, is_free
from dialer.engine.process import POLL_S, START_S, STOP_S, EmbeddedError, ServerProcess, environment
from dialer.pbx import console
from dialer.pbx.render import PhoneLine, TrunkLine, render_asterisk, render_lines
from dialer.pbx.renewal import Renewal, renewal, texts
from dialer.pbx.settings import Settings

__all__ = [
    "AsteriskInstall",
    "EmbeddedAsterisk",
    "EmbeddedError",
    "NoFreePort",
    "Ports",
    "choose_ports",
    "default_root",
    "find_asterisk",
]

log = logging.getLogger(__name__)

ALREADY_LOADED = 409
"""ARI's answer to who would load a module that is there."""
NOT_RUNNING = 404
"""And to who would have one read its file again that is not."""


class EmbeddedAsterisk:
    """An Asterisk in *folder*, which is rendered anew at each start.

    *settings*: their ports are of no account, for it has *ports*; None: free ones are chosen. *trunks* and *phones* may be given later
    (:meth:`apply_lines`). *outlive*: keep running when this process ends without :meth:`stop`.
    """

    def __init__(
        self,
        install: AsteriskInstall,
        folder: Path,
        settings: Settings,
        *,
        ports: Ports | None = None,
        trunks: Iterable[TrunkLine] = (),
        phones: Iterable[PhoneLine] = (),
        outlive: bool = False,
    ) -> None:
        self.install = install
        self.folder = folder.absolute()
        self.ari_user = settings.ari_user
        self.ari_password = settings.ari_password
        self.is_adopted = False
        """Whether the last start found it running."""
        self._settings = settings
        self._given_ports = ports
        self._ports = ports
        self._trunks = tuple(trunks)
        self._phones = tuple(phones)
        self._must_reload = True
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
        the configuration of now, as far as it can be without a start (:mod:`dialer.pbx.renewal`).

        :raises EmbeddedError: it did not come up in time, or ended; nothing is left running.
        :raises BadSetting: a value cannot be written into its configuration.
        """
        note = self._server.find()
        if note is not None:
            self._ports = Ports(**note.ports)
            await self._wait_until_up(within_s)
            await self._renew(self._ports)
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
        is_new = await asyncio.to_thread(
            render_lines,
            self.folder,
            trunks=self._trunks,
            phones=self._phones,
            sip=self._settings_on(self.ports).sip,
            modules=self.install.modules,
        )
        self._must_reload |= is_new
        if self.pid is not None and self._must_reload:
            await self._request("PUT", "asterisk/modules/res_pjsip.so")
            self._must_reload = False

    async def reopen_log(self) -> None:
        """Have Asterisk begin its log anew, after it was put aside.

        :raises EmbeddedError: it does not.
        """
        await self._request("PUT", f"asterisk/logging/{self.log_path.name}/rotate")

    async def run_cli(self, command: str, within_s: float = 10.0) -> str:
        """What Asterisk's own command line answers to *command*.

        :raises EmbeddedError: it does not answer.
        """
        try:
            return await console.ask(self.install.argv, self._conf, command, within_s)
        except console.NoAnswer as error:
            raise EmbeddedError(f"Asterisk {error}") from None

    # -- inside ---------------------------------------------------------------------------

    async def _start_on(self, ports: Ports, within_s: float) -> None:
        for port, what, tcp, udp in ((ports.http, "HTTP", True, False), (ports.sip, "SIP", True, True)):
            if not is_free(port, tcp=tcp, udp=udp):
                raise PortTaken(f"Asterisk: port {port} for {what} is taken by another program")
        await asyncio.to_thread(self._render, ports)
        await self._server.spawn(
            [*self.install.argv, "-C", str(self._conf), "-f"],
            folder=self.folder,
            ports={name: getattr(ports, name) for name in Ports.__struct_fields__},
            env=environment(),
        )
        try:
            await self._wait_until_up(within_s)
            await self._check_ports(ports)
            self._must_reload = False
        except BaseException:
            await self._server.stop(STOP_S)
            raise

    def _render(self, ports: Ports) -> None:
        render_asterisk(
            self.folder,
            self._settings_on(ports),
            modules=self.install.modules,
            data=self.install.data,
            trunks=self._trunks,
            phones=self._phones,
        )

    async def _renew(self, ports: Ports) -> None:
        """Have the Asterisk that was found running read what an older version of ours, or older settings, gave it otherwise.

        :raises EmbeddedError: it does not; the next start tries all of it again.
        """
        etc = self.folder / "etc"
        unread = etc / ".unread"
        before = {} if unread.exists() else await asyncio.to_thread(texts, etc)
        unread.touch()
        await asyncio.to_thread(self._render, ports)
        new = renewal(before, await asyncio.to_thread(texts, etc))
        for module in new.loads:
            await self._load(module)
        for module in new.reloads:
            status = await self._request("PUT", f"asterisk/modules/{module}", harmless=(NOT_RUNNING,))
            if status == NOT_RUNNING:
                log.error("A module of Asterisk does not run: %s", module, extra={"action": "configure"})
        for name in new.classes:
            await self.run_cli(f"module reload {name}")
        unread.unlink()
        if new != Renewal():
            log.warning(
                "The running Asterisk had another configuration than is wanted now, and has read it; calls go on",
                extra={"action": "configure", "reloaded": [*new.loads, *new.reloads, *new.classes]},
            )
        if before and new.at_start:
            log.warning(
                "Some of it Asterisk reads at its next start only",
                extra={"action": "configure", "files": new.at_start},
            )

    async def _load(self, module: str) -> None:
        """Without one that does not load people can be served, as before."""
        try:
            await self._request("POST", f"asterisk/modules/{module}", harmless=(ALREADY_LOADED,))
        except EmbeddedError as error:
            log.error("Asterisk did not load a module: %s", error, extra={"action": "configure"})

    def _settings_on(self, ports: Ports) -> Settings:
        replace = msgspec.structs.replace
        sip = replace(self._settings.sip, port=ports.sip)
        return replace(self._settings, http_port=ports.http, rtp=(ports.rtp_first, ports.rtp_last), sip=sip)

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

    async def _request(self, method: str, path: str, *, harmless: Container[int] = ()) -> int:
        """One request to ARI whose answer does not matter, only that it was carried out, or had a *harmless* status; its status."""
        credentials = base64.b64encode(f"{self.ari_user}:{self.ari_password}".encode()).decode()
        try:
            async with (
                aiohttp.ClientSession(
                    headers={"Authorization": f"Basic {credentials}"},
                    timeout=aiohttp.ClientTimeout(total=10),
                ) as session,
                session.request(method, f"{self.ari_url}/{path}") as answer,
            ):
                if answer.status >= 300 and answer.status not in harmless:
                    raise EmbeddedError(f"Asterisk: {method} {path}: status {answer.status}")
                return answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EmbeddedError(f"Asterisk: {method} {path}: {error!r}") from error

    def _last_words(self) -> str:
        return self._server.last_words()


class PortTaken(EmbeddedError):
    """Another program has a port that Asterisk was to use."""
