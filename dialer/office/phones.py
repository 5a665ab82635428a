"""Desk phones: added, listed, given a password, taken away; and the PINs of operators on outside lines.

A password is made here, kept in the secrets file, and told to nobody who does not ask for it. A phone that is changed while an
engine runs is Asterisk's at once; calls go on.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.deskphone import OUTSIDE, DeskPhone, Model, PhoneTransport
from dialer.core.destinations import allows
from dialer.office.asterisks import Link, links
from dialer.office.orders import add_agent, store, tell
from dialer.pbx.checks import BadSetting
from dialer.pbx.checks import codecs as checked_codecs
from dialer.pbx.errors import PbxError
from dialer.pbx.trunks import has_certificate
from dialer.store import deskphones, files, pins, settings
from dialer.store.connect import open_reader
from dialer.store.errors import Conflict


def add_phone(
    home: Path,
    extension: str,
    *,
    model: Model | None = None,
    transport: PhoneTransport | None = None,
    codecs: Sequence[str] | None = None,
    number: str | None = None,
    trunk: str | None = None,
    agent: str | None = None,
    leg: Any = None,
) -> str:
    """Keep a phone and make its password; what is None stays as it is. What became of it, in sentences.

    *number*, *trunk*: of an outside line, where and by which it is called if its operator is rung. *agent*: the operator who works
    on it from now on, made if there is none of that name; *leg*: theirs.

    Raises StoreError (the phone is another operator's), BadFile (the secrets), BadSetting (codecs, transport, a number that may not
    be called), HalfDone.
    """
    if codecs:
        checked_codecs(f"phone {extension}: codecs", tuple(codecs))
    if transport == "tls" and not has_certificate(home / files.TLS_FOLDER):
        raise BadSetting(
            f"phone {extension}: transport: there is no certificate for TLS in {home / files.TLS_FOLDER}"
            " (certificate.pem and key.pem)"
        )
    with store(home) as connection:
        known = {phone.extension: phone for phone in deskphones.load_phones(connection)}
        before = known.get(extension) or DeskPhone(extension=extension)
        changes = {
            "model": model,
            "transport": transport,
            "codecs": None if codecs is None else tuple(codecs),
            "number": number,
            "trunk": trunk,
        }
        phone = msgspec.structs.replace(
            before, **{key: value for key, value in changes.items() if value is not None}
        )
        _check_outside(connection, phone)
        is_changed = deskphones.save_phone(connection, phone, time.time())
    word = "changed" if is_changed and extension in known else "added" if is_changed else "unchanged"
    said = [f"Phone {extension}: {word}, {phone.model}."]
    secrets = files.load_secrets(home)
    if phone.is_outside:
        if extension not in secrets.pins:
            said.append(
                f"Nobody gets in as {extension} before there is a PIN: `dialer phone pin {extension}`."
            )
    elif secrets.phone(extension):
        said.append("Its SIP password is as before.")
    else:
        files.add_secret(home, "phones", extension, files.new_secret())
        said.append(
            f"Its SIP password is new: `dialer phone secret {extension}` shows it, `dialer phone sheet {extension}` lays out"
            " all that the phone must be told."
        )
    if agent is not None:
        added = add_agent(home, agent, extension, leg=leg)
        said.append(f"Agent {agent}: works on it, {added.card.leg}.")
    return "\n".join([*said, tell(home)])


def _check_outside(connection: sqlite3.Connection, phone: DeskPhone) -> None:
    """Whether the number of an outside line may be called as it is meant. Raises BadSetting, StoreError."""
    name = f"phone {phone.extension}"
    if not phone.number and not phone.trunk:
        return
    if not phone.is_outside:
        raise BadSetting(f"{name}: only an outside line has a number and a trunk (--model outside)")
    if not phone.number or not phone.trunk:
        raise BadSetting(f"{name}: an outside line that is called needs both --number and --trunk")
    trunk = next((one for one in settings.load_trunks(connection) if one.id == phone.trunk), None)
    if trunk is None:
        raise BadSetting(f"{name}: there is no trunk {phone.trunk}; `dialer trunk list` names them")
    if not allows(trunk, settings.load_centre(connection).countries, phone.number):
        raise BadSetting(f"{name}: trunk {trunk.id} may not call {phone.number}: see its destinations")


def list_phones(home: Path) -> list[dict[str, Any]]:
    """Rows for a listing, with whether the phone is registered now. Raises StoreError, BadFile.

    *registered*: ``yes`` (and answers OPTIONS) or ``no``, as the servers say that could be asked; else empty.
    """
    system = files.load_system(home)
    with closing(open_reader(system.journal)) as connection:
        rows = deskphones.list_phones(connection)
    states = asyncio.run(_endpoint_states(links(system, files.load_secrets(home))))
    for row in rows:
        found = {one[row["extension"]] for one in states if row["extension"] in one}
        is_asked = bool(found) and row["model"] != OUTSIDE
        row["registered"] = ("yes" if "online" in found else "no") if is_asked else ""
    return rows


async def _endpoint_states(servers: Sequence[Link]) -> list[dict[str, str]]:
    """Of each server that answers, its endpoints and whether they are ``online``."""
    found = []
    for link in servers:
        if not link.url:
            continue
        with suppress(PbxError):
            async with link.open() as ari:
                told = await ari.request("GET", "/endpoints/PJSIP", repeatable=True)
            found.append({str(one["resource"]): str(one["state"]) for one in told})
    return found


def phone_of(home: Path, extension: str) -> tuple[DeskPhone, str]:
    """The phone, and the operator who works on it ("": nobody). Raises StoreError (NotInStore)."""
    with closing(open_reader(files.load_system(home).journal)) as connection:
        phone = deskphones.load_phone(connection, extension)
        row = connection.execute("SELECT id FROM agents WHERE phone = ?", (extension,)).fetchone()
    return phone, row[0] if row else ""


def secret_of(home: Path, extension: str, *, is_new: bool = False) -> str:
    """The phone's SIP password and the engine's word on it; *is_new*: another one from now on.

    Raises StoreError (NotInStore), Conflict (an outside line has none), BadFile, HalfDone.
    """
    phone, _ = phone_of(home, extension)
    if phone.is_outside:
        raise Conflict(
            f"Phone {extension} is an outside line: it has a PIN (`dialer phone pin`), and no password."
        )
    secret = files.load_secrets(home).phone(extension)
    if secret and not is_new:
        return f"SIP user {extension}, password {secret}"
    secret = files.new_secret()
    files.add_secret(home, "phones", extension, secret)
    return f"SIP user {extension}, password {secret}\n{tell(home)}"


def remove_phone(home: Path, extension: str) -> str:
    """Forget the phone, its password and its PIN. Raises StoreError (somebody works on it), BadFile, HalfDone."""
    with store(home) as connection:
        deskphones.remove_phone(connection, extension)
    files.add_secret(home, "phones", extension, None)
    if extension in files.load_secrets(home).pins:
        pins.drop_pin(home, extension)
    return f"Phone {extension}: removed.\n{tell(home)}"


def give_pin(home: Path, extension: str, *, is_gone: bool = False) -> str:
    """A new PIN for the operator on *extension*, to be told to them; *is_gone*: none from now on.

    Raises StoreError (NotInStore), BadFile.
    """
    phone, agent = phone_of(home, extension)
    if is_gone:
        pins.drop_pin(home, extension)
        return f"Nobody gets in as {extension} from outside any more. A line that is up stays up."
    pin = pins.new_pin(home, extension)
    said = [f"Extension {extension}, PIN {pin}", "It is shown this once; a new one takes its place."]
    if not agent:
        said.append(f"No operator works on {extension} yet: `dialer agent add NAME --phone {extension}`.")
    if not files.load_system(home).access.numbers:
        said.append("There is no number to ring yet: [access] numbers in obzvon.toml.")
    if phone.model != OUTSIDE:
        said.append("The desk phone goes on working beside it.")
    return "\n".join(said)
