"""A carrier that wants what real ones want: registration, digest, TLS, encrypted voice. It is an Asterisk of its own.

SIPp, of which the rest of the laboratory's network is made, has none of these. The carrier:

1. has *accounts*: who knows the password may call, and may register; calls in come to who is registered. And it serves who calls
   from one of *addresses* without a password, and sends their calls in by :meth:`LabCarrier.call_in`;
2. listens for UDP and TCP on *port* and for TLS on the next one, with a throw-away certificate (:attr:`LabCarrier.certificate`),
   which is its own authority;
3. has *people*, each a number and a :class:`Manner`; who calls another number is told that there is none (404);
4. dies with us, and leaves nothing but its folder.

*argv*, *modules* and *data* are those of the machine's Asterisk (:func:`dialer.engine.install.find_asterisk`; the laboratory does
not look for it itself).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dialer.lab.errors import LabError, LabProcessDied, LabTimeout
from dialer.lab.sipp import end, spawn
from dialer.pbx import console

START_S_MAX = 60.0
CERTIFICATE_LASTS = timedelta(days=30)
_ASK_S_MAX = 10.0
_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_NUMBER = re.compile(r"\+?[0-9*#]{2,30}\Z")
_MODULES = (
    "res_timing_timerfd",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_crypto",
    "res_srtp",
    "codec_ulaw",
    "codec_alaw",
    "codec_a_mu",
    "bridge_simple",
    "bridge_softmix",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_session",
    "res_pjsip_pubsub",
    "res_rtp_asterisk",
    "res_pjsip_sdp_rtp",
    "res_pjsip_authenticator_digest",
    "res_pjsip_outbound_authenticator_digest",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_registrar",
    "res_pjsip_caller_id",
    "res_pjsip_nat",
    "res_pjsip_dtmf_info",
    "res_pjsip_rfc3326",
    "res_pjsip_dlg_options",
    "chan_pjsip",
    "pbx_config",
    "res_clioriginate",
    "app_dial",
    "app_echo",
    "app_milliwatt",
    "app_playtones",
    "app_verbose",
    "func_channel",
    "func_callerid",
    "func_strings",
    "func_logic",
    "func_timeout",
)


class Manner(StrEnum):
    """What becomes of a call to a number."""

    TALKS = "talks"
    """Rings a moment, answers, and is heard."""
    ECHOES = "echoes"
    """Answers, and says what it hears."""
    SILENT = "silent"
    """Answers and sends silence."""
    MUTE = "mute"
    """Answers and sends not one packet: what a firewall or a wrong address makes of a call."""
    RINGS = "rings"
    """Rings and is not answered."""
    BUSY = "busy"
    CONGESTED = "congested"
    UNKNOWN = "unknown"


_MANNERS: Mapping[Manner, Sequence[str]] = {
    Manner.TALKS: ("Ringing()", "Wait(0.3)", "Answer()", "Milliwatt()"),
    Manner.ECHOES: ("Answer()", "Echo()"),
    Manner.SILENT: ("Answer()", "Playtones(0/1000)", "Wait(600)"),
    Manner.MUTE: ("Answer()", "Wait(600)"),
    Manner.RINGS: ("Ringing()", "Wait(120)"),
    Manner.BUSY: ("Hangup(17)",),
    Manner.CONGESTED: ("Hangup(34)",),
    Manner.UNKNOWN: ("Hangup(1)",),
}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of the carrier who proves who they are by digest. *srtp*: how their voice must be encrypted."""

    name: str
    password: str
    srtp: Literal["off", "sdes", "dtls"] = "off"


class LabCarrier:
    """The carrier, while the ``async with`` block lasts."""

    def __init__(
        self,
        folder: Path,
        *,
        argv: Sequence[str],
        modules: Path,
        data: Path,
        port: int,
        media: tuple[int, int],
        accounts: Iterable[Account] = (),
        addresses: Iterable[str] = (),
        people: Mapping[str, Manner] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder.absolute()
        self.host = host
        self.port = port
        self._argv = tuple(argv)
        self._modules = modules
        self._data = data
        self._media = media
        self._accounts = tuple(accounts)
        self._addresses = tuple(addresses)
        self._people = dict(people or {})
        self._process: asyncio.subprocess.Process | None = None
        for text in (*(one.name for one in self._accounts), *(one.password for one in self._accounts)):
            if not _SAFE.match(text):
                raise ValueError("an account's name and password are of letters, digits and _.-")
        for number in self._people:
            if not _NUMBER.match(number):
                raise ValueError(f"{number!r} is no number")

    @property
    def tls_port(self) -> int:
        return self.port + 1

    @property
    def certificate(self) -> Path:
        """The certificate that it shows, which is its own authority (PEM)."""
        return self.folder / "etc" / "certificate.pem"

    @property
    def _key(self) -> Path:
        return self.folder / "etc" / "key.pem"

    @property
    def log_path(self) -> Path:
        return self.folder / "log" / "messages.log"

    async def __aenter__(self) -> LabCarrier:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until it listens. Raises LabError."""
        for name in ("etc", "run", "log", "spool", "db", "db/keys"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(self._make_certificate)
        for name, text in self._files().items():
            (self.folder / "etc" / name).write_text(text, encoding="utf-8")
        conf = str(self.folder / "etc" / "asterisk.conf")
        self._process = await spawn(
            [*self._argv, "-C", conf, "-f"], folder=self.folder, output="log/console.log"
        )
        try:
            async with asyncio.timeout(START_S_MAX):
                while True:
                    with contextlib.suppress(LabError):
                        await self.ask("core waitfullybooted")
                        break
                    if self._process.returncode is not None:
                        raise LabProcessDied(f"the carrier ended while starting; see {self.log_path}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise LabTimeout(f"the carrier did not start in {START_S_MAX:g} s; see {self.log_path}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it with all its calls."""
        if self._process is not None:
            await end(self._process)

    async def call_in(self, number: str, *, caller: str, account: str = "", address: str = "") -> None:
        """Call our *number* from *caller*: at where *account* is registered, or at *address* (``HOST:PORT``). Who calls talks.

        Raises LabError: it cannot be called.
        """
        for text in (number, caller):
            if not _NUMBER.match(text):
                raise ValueError(f"{text!r} is no number")
        target = f"{number}@{account}" if account else f"out/sip:{number}@{address}"
        local = f"Local/{caller.lstrip('+')}@callers"
        await self.ask(f"dialplan set global LAB_TARGET {target}")
        await self.ask(f"channel originate {local} application Milliwatt")

    async def registered(self) -> list[str]:
        """The accounts that are registered now."""
        text = await self.ask("pjsip show contacts")
        return [one.name for one in self._accounts if re.search(rf"Contact:\s+{one.name}/", text)]

    async def calls(self) -> int:
        """How many calls are up."""
        lines = (await self.ask("core show channels concise")).splitlines()
        return sum(one.startswith("PJSIP/") for one in lines)  # a caller has Local channels, too

    async def ask(self, command: str) -> str:
        """What its own command line answers. Raises LabError."""
        conf = self.folder / "etc" / "asterisk.conf"
        try:
            said = await console.ask(self._argv, conf, command, _ASK_S_MAX)
        except console.NoAnswerInTime as error:
            raise LabTimeout(f"the carrier {error}") from None
        except console.NoAnswer as error:
            raise LabError(f"the carrier {error}") from None
        if said.startswith("No such command"):
            raise LabError(f"the carrier does not know {command!r}")
        return said

    # -- its files ------------------------------------------------------------------------

    def _make_certificate(self) -> None:
        """One that vouches for itself, and its key; made once."""
        if self.certificate.exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Laboratory carrier")])
        names = [x509.IPAddress(ipaddress.ip_address(self.host)), x509.DNSName("localhost")]
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + CERTIFICATE_LASTS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
        )
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        self._key.touch(mode=0o600)
        self._key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _files(self) -> dict[str, str]:
        return {
            "asterisk.conf": self._asterisk(),
            "modules.conf": "\n".join(["[modules]", "autoload = no", *_loads(self._modules)]) + "\n",
            "logger.conf": "[general]\n[logfiles]\nmessages.log => notice,warning,error\n",
            "rtp.conf": "[general]\nrtpstart = {}\nrtpend = {}\n".format(*self._media),
            "pjsip.conf": self._pjsip(),
            "extensions.conf": self._extensions(),
            "indications.conf": "[general]\ncountry = us\n[us]\ndescription = US\nringcadence = 2000,4000\nring = 440+480/2000,0/4000\n",
            **dict.fromkeys(("cdr.conf", "cel.conf"), "[general]\nenable = no\n"),
            **dict.fromkeys(
                (
                    "ccss.conf",
                    "features.conf",
                    "udptl.conf",
                    "acl.conf",
                    "manager.conf",
                    "pjproject.conf",
                    "stasis.conf",
                    "codecs.conf",
                    "dsp.conf",
                ),
                "",
            ),
        }

    def _asterisk(self) -> str:
        own = {name: self.folder / name for name in ("etc", "run", "log", "spool", "db")}
        return (
            f"[directories]\nastetcdir => {own['etc']}\nastmoddir => {self._modules}\nastvarlibdir => {self._data}\n"
            f"astdbdir => {own['db']}\nastkeydir => {own['db']}\nastdatadir => {self._data}\nastagidir => {own['spool']}\n"
            f"astspooldir => {own['spool']}\nastrundir => {own['run']}\nastlogdir => {own['log']}\n"
        )

    def _pjsip(self) -> str:
        transports = "".join(
            f"[{kind}]\ntype = transport\nprotocol = {kind}\nbind = {self.host}:{self.port}\n"
            for kind in ("udp", "tcp")
        )
        keys = f"cert_file = {self.certificate}\npriv_key_file = {self._key}\n"
        transports += f"[tls]\ntype = transport\nprotocol = tls\nbind = {self.host}:{self.tls_port}\nmethod = tlsv1_2\n{keys}"
        shared = (
            "context = people\ndisallow = all\nallow = alaw,ulaw\ndirect_media = no\nrtp_symmetric = yes\n"
            f"media_address = {self.host}\nbind_rtp_to_media_address = yes\nrewrite_contact = yes\n"
        )
        parts = [
            (
                "[global]\ntype = global\nuser_agent = Laboratory carrier\n"
                "endpoint_identifier_order = username,auth_username,ip\n"
            ),
            transports,
        ]
        for one in self._accounts:
            media = _ENCRYPTION[one.srtp]
            parts.append(
                f"[{one.name}]\ntype = aor\nmax_contacts = 2\nremove_existing = yes\n"
                f"[{one.name}]\ntype = auth\nauth_type = userpass\nusername = {one.name}\npassword = {one.password}\n"
                f"[{one.name}]\ntype = endpoint\naors = {one.name}\nauth = {one.name}\n{shared}{media}"
            )
        parts.append(f"[out]\ntype = endpoint\nidentify_by = ip\n{shared}")
        if self._addresses:
            matches = "".join(f"match = {address}\n" for address in self._addresses)
            parts.append(f"[out]\ntype = identify\nendpoint = out\n{matches}")
        return "\n".join(parts)

    def _extensions(self) -> str:
        lines = ["[people]"]
        for number, manner in self._people.items():
            lines += _extension(number, _MANNERS[manner])
        lines += _extension("_[+0-9].", _MANNERS[Manner.UNKNOWN])
        steps = (
            "Set(CALLERID(num)=${EXTEN})",
            "Set(CALLERID(name)=)",
            "Dial(PJSIP/${LAB_TARGET},60)",
            "Hangup()",
        )
        lines += ["[callers]", *_extension("_X.", steps)]
        return "\n".join(lines) + "\n"


_ENCRYPTION = {
    "off": "",
    "sdes": "media_encryption = sdes\n",
    "dtls": (
        "media_encryption = dtls\ndtls_auto_generate_cert = yes\ndtls_verify = fingerprint\ndtls_setup = actpass\n"
    ),
}


def _extension(number: str, steps: Sequence[str]) -> list[str]:
    first, *rest = steps
    return [f"exten => {number},1,{first}", *(f" same => n,{step}" for step in rest)]


def _loads(modules: Path) -> list[str]:
    return [f"load = {name}.so" for name in _MODULES if (modules / f"{name}.so").exists()]
