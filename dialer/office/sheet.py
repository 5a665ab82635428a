"""The provisioning sheet: all that one phone must be told, as text, and as QR code for softphones.

1. The password is printed only when asked for. Files that hold it are written with mode 0600.
2. There is no QR code that every softphone understands. What each kind reads is said by its maker; where that was read stands in
   ``docs/phones.md``. The plain one (``sip``) is the account's address without a password: some softphones fill in user and host from
   it, others would call it.
3. What the phone's own settings must allow so that it answers by itself is said per model (:data:`SETTINGS`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import msgspec

from dialer.core.deskphone import DeskPhone, Model
from dialer.office.phones import phone_of
from dialer.pbx.checks import BadSetting
from dialer.pbx.checks import host as checked_host
from dialer.pbx.deskphones import PHONE_CODECS
from dialer.store import files
from dialer.store.errors import Conflict

App = Literal["sip", "linphone", "acrobits", "sessiontalk"]

SETTINGS: Final[Mapping[Model, str]] = {
    "generic": "allow auto-answer by Alert-Info or Call-Info header (intercom, paging)",
    "yealink": "Features > Intercom > Intercom Allow: on (features.intercom.allow = 1)",
    "grandstream": "Account > Call Settings > Allow Auto Answer by Call-Info/Alert-Info: Yes",
    "snom": "Advanced > Behavior > Intercom Policy: always (answer_after_policy = always); it is off by default",
    "cisco": "Phone > Auto Answer Page: yes",
    "fanvil": "Phone settings > Features > Intercom > Enable Intercom: on",
    "outside": "",
}
"""What lets the phone of a rung operator answer by itself."""

CODECS: Final[Mapping[str, str]] = {
    "alaw": "G.711 A-law (PCMA)",
    "ulaw": "G.711 µ-law (PCMU)",
    "g722": "G.722",
    "gsm": "GSM",
}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone must be told. It holds the password, which ``repr`` does not show."""

    phone: DeskPhone
    agent: str
    host: str
    port: int
    transport: str
    codecs: tuple[str, ...]
    password: str

    @property
    def uri(self) -> str:
        """The account's address, without its password (RFC 3261, 19.1)."""
        return f"sip:{self.phone.extension}@{self.host}:{self.port};transport={self.transport}"

    def __repr__(self) -> str:
        return f"Account({self.uri})"


def make_sheet(
    home: Path,
    extension: str,
    *,
    host: str | None = None,
    port: int | None = None,
    text: Path | None = None,
    png: Path | None = None,
    svg: Path | None = None,
    app: App = "sip",
    url: str | None = None,
    xml: Path | None = None,
    provider: str | None = None,
    show_secret: bool = False,
) -> str:
    """Write the files that are named, and return the sheet and what was written where.

    Raises StoreError (NotInStore), Conflict (an outside line), BadFile, BadSetting (no address, no password, a softphone that
    needs to be told more), OSError.
    """
    account = account_of(home, extension, host=host, port=port)
    said = [sheet(account, shows=show_secret)]
    if text is not None:
        write(text, (sheet(account, shows=True) + "\n").encode())
        said.append(f"Written with the password: {text}")
    if xml is not None:
        write(xml, linphone(account).encode())
        said.append(
            f"Written for Linphone, with the password: {xml}. Serve it by HTTPS to this phone alone, and take it away then."
        )
    if png is not None or svg is not None:
        content = qr_content(account, app, url=url, provider=provider)
        for path, kind in ((png, "png"), (svg, "svg")):
            if path is not None:
                write(path, qr(content, kind))
                held = "with the password" if account.password in content else "without the password"
                said.append(f"Written {held}: {path}")
    return "\n".join(said)


def account_of(home: Path, extension: str, *, host: str | None = None, port: int | None = None) -> Account:
    """All of a phone's account. Raises as :func:`make_sheet`."""
    system, secrets = files.load_system(home), files.load_secrets(home)
    phone, agent = phone_of(home, extension)
    if phone.is_outside:
        raise Conflict(
            f"Phone {extension} is an outside line: it needs no account, only a PIN (`dialer phone pin`)."
        )
    transport = phone.transport or "udp"
    if len(system.servers) > 1 and (host is None or port is None):
        names = ", ".join(system.servers)
        raise BadSetting(
            f"phone {extension}: there are several servers ({names}); give --host and --port of the one it registers with"
        )
    ports = next(iter(system.servers.values())).ports
    address = host or ports.sip_address
    if host is None and address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - it is looked for, not bound
        raise BadSetting(
            f"phone {extension}: {address} is no address that a phone could call; give --host, or set ports.sip_address"
        )
    number = port or (ports.sip + 1 if transport == "tls" and ports.sip else ports.sip)
    if not number:
        raise BadSetting(f"phone {extension}: no port: give --port, or set ports.sip")
    password = secrets.phone(extension)
    if not password:
        raise BadSetting(f"phone {extension}: has no password; `dialer phone secret {extension}` makes one")
    return Account(
        phone=phone,
        agent=agent,
        host=checked_host("--host", address),
        port=number,
        transport=transport,
        codecs=phone.codecs or PHONE_CODECS,
        password=password,
    )


def sheet(account: Account, *, shows: bool = False) -> str:
    """The sheet as text. *shows*: the password."""
    phone = account.phone
    lines = {
        "Phone": f"{phone.extension} ({phone.model})"
        + (f", operator {account.agent}" if account.agent else ""),
        "SIP server": account.host,
        "Port": str(account.port),
        "Transport": account.transport.upper(),
        "User name": phone.extension,
        "Authentication": phone.extension,
        "Password": account.password
        if shows
        else f"not shown (`dialer phone secret {phone.extension}`, --text or --show-secret)",
        "Codecs": ", ".join(CODECS.get(one, one) for one in account.codecs),
        "Keys (DTMF)": "RFC 4733 (telephone-event), or SIP INFO",
        "Register again": "every 120 s",
        "Answers by itself": SETTINGS[phone.model] + " (for operators who are rung)",
        "Try it": "*60: you hear yourself; *40: sign in",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


# -- softphones ---------------------------------------------------------------------------


def qr_content(account: Account, app: App, *, url: str | None, provider: str | None) -> str:
    """What the QR code says. Raises BadSetting: the softphone needs to be told more."""
    user, password = account.phone.extension, account.password
    match app:
        case "linphone":
            if not (url or "").startswith("https://"):
                raise BadSetting(
                    "--url: Linphone's code is the https:// address where its file (--xml) will be"
                )
            return url or ""
        case "acrobits":
            if not provider:
                raise BadSetting(
                    "--provider: an Acrobits code names your Cloud ID (`csc:USER:PASSWORD@CLOUDID`)"
                )
            return f"csc:{quote(user, safe='')}:{quote(password, safe='')}@{quote(provider, safe='*')}"
        case "sessiontalk":
            one = {
                "sipusername": user,
                "sippassword": password,
                "subdomain": f"{account.host}:{account.port}",
                "transport": account.transport.upper(),
            }
            named = f"{provider}|" if provider else ""
            return f"scloc:{named}{json.dumps({'sipaccounts': [one]})}"
        case _:
            return account.uri


def linphone(account: Account) -> str:
    """The account as a file for Linphone's remote provisioning (its keys: sections proxy_0 and auth_info_0)."""
    user = account.phone.extension
    sections = {
        "sip": {"default_proxy": "0"},
        "proxy_0": {
            "reg_proxy": f"<sip:{account.host}:{account.port};transport={account.transport}>",
            "reg_identity": f"sip:{user}@{account.host}:{account.port}",
            "reg_sendregister": "1",
            "reg_expires": "120",
        },
        "auth_info_0": {"username": user, "passwd": account.password, "domain": account.host},
    }
    text = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<config xmlns="http://www.linphone.org/xsds/lpconfig.xsd">',
    ]
    for name, entries in sections.items():
        text.append(f"  <section name={quoteattr(name)}>")
        text += [
            f'    <entry name={quoteattr(key)} overwrite="true">{escape(value)}</entry>'
            for key, value in entries.items()
        ]
        text.append("  </section>")
    return "\n".join([*text, "</config>", ""])


def qr(content: str, kind: str) -> bytes:
    """A QR code as a ``png`` or ``svg`` file."""
    import segno

    out = io.BytesIO()
    segno.make(content, error="m", micro=False).save(out, kind=kind, scale=6)
    return out.getvalue()


def write(path: Path, content: bytes) -> None:
    """Write *content* to *path*, for its owner's eyes only."""
    files.write_private_bytes(path, content)
