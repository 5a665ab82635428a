"""What telecom engineers and supervisors order: trunks, campaigns and operators.

An order is checked, written to the store, and then told to the engine, if one runs. Whoever reads
the answer learns which of these happened.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from dialer.core.ids import AgentId, CampaignId
from dialer.core.values import AgentCard
from dialer.office import remote
from dialer.store import files, listings, settings
from dialer.store.connect import open_reader, open_writer
from dialer.store.deskphones import load_phone
from dialer.store.documents import BadFile
from dialer.store.listings import Listed

Value = TypeVar("Value")


class NothingToApply(Exception):
    """There is no file to apply."""


class HalfDone(Exception):
    """The store has it, but the running engine did not take it."""


@contextmanager
def store(home: Path) -> Iterator[sqlite3.Connection]:
    """The journal, to be written, for a moment. Raises StoreError."""
    with closing(open_writer(files.load_system(home).journal, create=False)) as connection:
        yield connection


def list_rows(home: Path, what: Listed) -> list[dict[str, Any]]:
    """Rows for a listing. Raises StoreError."""
    with closing(open_reader(files.load_system(home).journal)) as connection:
        rows = listings.rows(connection, what)
    if what == "agents":
        for row in rows:
            row["campaigns"] = msgspec.json.decode(row["campaigns"])
    return rows


def apply_campaigns(home: Path, paths: Sequence[Path]) -> str:
    """Put campaigns into force; without *paths* all of the home folder. Their states stay. A sentence for each, and for the engine.

    Raises BadFile (with the mistakes of all files), NothingToApply, StoreError, HalfDone.
    """
    campaigns = load_each(paths or files_in(home / "campaigns"), files.load_campaign)
    with store(home) as connection:
        said = [
            f"Campaign {one.id}: {_applied(settings.apply_campaign(connection, one, time.time()))}."
            for one in campaigns
        ]
    return "\n".join([*said, tell(home)])


def set_campaign(home: Path, name: str, assignments: Sequence[tuple[str, str]]) -> str:
    """Change settings of an applied campaign by their paths in its file. All or none.

    Raises BadFile (a setting that the schema refuses), StoreError, HalfDone.
    """
    with store(home) as connection:
        before = settings.load_campaign(connection, name).campaign
        campaign = files.set_all_in_campaign(before, assignments)
        settings.apply_campaign(connection, campaign, time.time())
    said = [
        f"Campaign {name}: {path} {f'= {text}' if text else 'is empty, or as if left out'}."
        for path, text in assignments
    ]
    if before.hours is not None and campaign.hours is None:
        said.append(
            "Warning: its calling hours are gone, and people are called at any time of the day and the night."
            " Applying its file again brings them back."
        )
    elif before.hours is None and campaign.hours is not None:
        said.append(f"It has calling hours again: `dialer campaign show {name}` tells which.")
    return "\n".join([*said, tell(home)])


def order_campaign(home: Path, name: str, order: Literal["start", "pause", "resume", "stop"]) -> str:
    """Give a campaign an order through the engine. Raises EngineError."""
    remote.order_campaign(home, name, order)
    said = f"Campaign {name}: {_ORDERED[order]}."
    if order not in ("start", "resume"):
        return said
    with closing(open_reader(files.load_system(home).journal)) as connection:
        nobody = _nobody_left(connection, name)
    return f"{said} {nobody}" if nobody else said


def _nobody_left(connection: sqlite3.Connection, name: str) -> str:
    """That the campaign has nobody to call, if that is so, and why."""
    if connection.execute(
        "SELECT 1 FROM leads WHERE campaign = ? AND finished IS NULL LIMIT 1", (name,)
    ).fetchone():
        return ""
    lists = [
        row[0]
        for row in connection.execute(
            "SELECT list FROM campaign_lists WHERE campaign = ? ORDER BY position", (name,)
        )
    ]
    if not lists:
        return "But it has nobody to call: its `lists` are empty."
    if numbers := settings.load_campaign(connection, name).campaign.inbound.numbers:
        return f"It has nobody to call now, and takes calls to {', '.join(numbers)}."
    [done] = connection.execute("SELECT count(*) FROM leads WHERE campaign = ?", (name,)).fetchone()
    if not done:
        return f"But it has nobody to call: nobody is in its lists ({', '.join(lists)})."
    return f"But it has nobody left to call: it is done with all {done} contacts. `dialer campaign check {name}` says why."


_ORDERED = {
    "start": "started",
    "pause": "paused; conversations go on",
    "resume": "resumed",
    "stop": "stopped; conversations go on to their end",
}


def order_agent(home: Path, name: str, order: Literal["ready", "pause", "sign_out"], reason: str = "") -> str:
    """Force an operator's state through the engine; say what came of it. Raises EngineError."""
    answer = remote.order_agent(home, name, order, reason)
    what = _AGENT_ORDERED[order]
    if answer["when"] == "now":
        return f"Agent {name}: {what}."
    until = "the phone is free" if answer["state"] == "paused" else "the call is over"
    return f"Agent {name}: {what} as soon as {until}."


_AGENT_ORDERED = {"ready": "ready", "pause": "paused", "sign_out": "signed out"}


class AddedAgent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of ``agent add``. *secret*: the phone's SIP password; *said*: of the engine."""

    card: AgentCard
    is_changed: bool
    is_secret_new: bool
    secret: str
    said: str
    is_outside: bool = False
    """They work from an outside line, which has a PIN and no password."""

    def describe(self, *, show_secret: bool = False) -> str:
        """It in sentences; the password only on demand."""
        said = [
            f"Agent {self.card.id}: {_applied(self.is_changed)}, phone {self.card.phone}, {self.card.leg}."
        ]
        if self.is_outside:
            said.append(f"It is an outside line: `dialer phone pin {self.card.phone}` makes a PIN for it.")
        elif show_secret:
            said.append(f"SIP user {self.card.phone}, password {self.secret}")
        else:
            is_new = "is new" if self.is_secret_new else "is as before"
            said.append(
                f"The phone's SIP password {is_new}: in {files.SECRETS_FILE} under [phones], or by --show-secret."
            )
        return "\n".join([*said, self.said])

    def __repr__(self) -> str:
        return f"AddedAgent(is_changed={self.is_changed}, is_secret_new={self.is_secret_new})"


def add_agent(
    home: Path,
    name: str,
    phone: str,
    *,
    leg: Literal["parked", "rung"] | None = None,
    campaigns: Sequence[str] | None = None,
    title: str | None = None,
    new_secret: bool = False,
) -> AddedAgent:
    """Keep an operator's card and see to it that the phone has a SIP password.

    What is None stays as it is for an operator who is known; a new one is parked, works for every
    campaign (*campaigns* empty), and has the short name for a name. A password that the phone has is
    kept, unless it shall be renewed.

    Raises StoreError (the phone is another's, an unknown campaign), BadFile (the secrets), HalfDone.
    """
    changes: dict[str, Any] = {"phone": phone}
    if leg is not None:
        changes["leg"] = leg
    if campaigns is not None:
        changes["campaigns"] = tuple(CampaignId(one) for one in campaigns)
    if title is not None:
        changes["name"] = title
    known = files.load_secrets(home).phone(phone)
    secret = files.new_secret() if new_secret or not known else known
    with store(home) as connection:
        cards = {stored.card.id: stored.card for stored in settings.load_agents(connection)}
        before = cards.get(AgentId(name)) or AgentCard(id=AgentId(name), name=name, phone=phone)
        card = msgspec.structs.replace(before, **changes)
        is_changed = settings.add_agent(connection, card)
        is_outside = load_phone(connection, phone).is_outside
    if is_outside:
        secret = known
    if secret != known:
        files.add_secret(home, "phones", phone, secret)
    return AddedAgent(
        card=card,
        is_changed=is_changed,
        is_secret_new=secret != known,
        secret=secret,
        said=tell(home),
        is_outside=is_outside,
    )


def load_each(paths: Sequence[Path], load: Callable[[Path], Value]) -> list[Value]:
    """All files as values; the mistakes of all bad ones are told together."""
    values, bad = [], []
    for path in paths:
        try:
            values.append(load(path))
        except BadFile as error:
            bad.append(error)
    if len(bad) == 1:
        raise bad[0]
    if bad:
        raise BadFiles(bad)
    return values


class BadFiles(Exception):
    """Several files cannot be used."""

    def __init__(self, errors: Sequence[BadFile]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder. Raises NothingToApply."""
    found = sorted(folder.glob("*.toml"))
    if not found:
        raise NothingToApply(f"There is no file *.toml in {folder}.")
    return found


def _applied(is_changed: bool) -> str:
    return "applied" if is_changed else "unchanged"


def tell(home: Path) -> str:
    """Have a running engine read everything again; a sentence on what came of it. Raises HalfDone."""
    try:
        is_told = remote.reload(home)
    except remote.EngineError as error:
        raise HalfDone(f"It is in the store, but the running engine did not take it: {error}") from None
    return "The running engine has it." if is_told else "No engine runs now; it holds from the next start on."
