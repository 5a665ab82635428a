"""The home folder: files that people wrote, secrets, the journal, numbers of ours, our certificate."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from dialer.core.deskphone import DeskPhone
from dialer.core.values import Campaign
from dialer.office.doctor import certificates
from dialer.office.doctor.findings import Finding, fails, ok, warns
from dialer.pbx.trunks import CERTIFICATE, has_certificate
from dialer.store import files, settings
from dialer.store.connect import open_reader
from dialer.store.deskphones import load_phones
from dialer.store.errors import StoreError

CERTIFICATE_DAYS = 21.0

BAD_FILE = fails("files.bad", "A file of the home folder cannot be used", "correct the file")
NO_SUCH_TRUNK = warns(
    "files.unknown_trunk",
    "A campaign names a trunk that no file describes",
    "correct the campaign's trunk, or add the trunk's file",
)
DID_TAKEN = fails(
    "numbers.taken_twice",
    "One of our numbers is given to two campaigns, or to a campaign and to the access of operators",
    "take it out of one of them",
)
BAD_SECRETS = fails(
    "secrets.bad", "The secrets cannot be used, or others can read them", "chmod 600 secrets.toml"
)
TRUNK_SECRET = fails(
    "secrets.trunk_missing",
    "A trunk has a user name and no password",
    "put it under [trunks] in secrets.toml",
)
NO_JOURNAL = fails("journal.missing", "There is no journal", "dialer init makes it")
DAMAGED = fails("journal.damaged", "The journal is damaged", "stop the engine and restore the last backup")
TOO_NEW = fails("journal.too_new", "A newer version wrote the journal", "use that version")
PENDING = warns(
    "journal.pending",
    "The journal is in the form of an older version",
    "the next start of the engine changes it",
)
PHONE_SECRET = fails(
    "phones.secret_missing",
    "An operator's phone has no SIP password and cannot register",
    "dialer phone secret EXTENSION",
)
CERTIFICATE_OLD = fails(
    "tls.expired",
    "Our certificate for TLS has expired, or cannot be read",
    "put a new one into tls/ and restart Asterisk",
)
CERTIFICATE_ENDS = warns(
    "tls.expires",
    "Our certificate for TLS expires within three weeks",
    "put a new one into tls/ and restart Asterisk",
)


def check_files(home: Path) -> Iterator[Finding]:
    """Every file that a person wrote can be used; none names a trunk that no file describes, or a number twice."""
    try:
        system = files.load_system(home)
        trunks = files.load_trunks(home)
        campaigns = files.load_campaigns(home)
    except files.BadFile as error:
        for mistake in str(error).splitlines():
            yield BAD_FILE.found(mistake)
        return
    known = {trunk.id for trunk in trunks}
    for campaign in campaigns:
        for trunk in (campaign.trunk, *campaign.trunks):
            if trunk not in known:
                yield NO_SUCH_TRUNK.found(
                    f"campaign {campaign.id} names the trunk {trunk}, which no file in trunks/ describes"
                )
    yield from judge_numbers(campaigns, system.access.numbers)
    yield ok("files", f"settings, {len(trunks)} trunks and {len(campaigns)} campaigns are well written")


def judge_numbers(campaigns: Iterable[Campaign], access: Sequence[str] = ()) -> Iterator[Finding]:
    """No number of ours is taken twice, however it is written."""
    owners: dict[str, list[str]] = {}
    for name, numbers in [("the access of operators", access)] + [
        (f"campaign {one.id}", one.inbound.numbers) for one in campaigns
    ]:
        for number in dict.fromkeys(re.sub(r"\D", "", number) for number in numbers):
            owners.setdefault(number, []).append(name)
    for number, names in owners.items():
        if len(names) > 1:
            yield DID_TAKEN.found(f"the number {number} is taken by {' and '.join(names)}")


def check_secrets(home: Path) -> Iterator[Finding]:
    """The secrets can be read by us and by nobody else, and each trunk that wants one has one."""
    try:
        secrets = files.load_secrets(home)
    except files.BadFile as error:
        for mistake in str(error).splitlines():
            yield BAD_SECRETS.found(mistake, f"chmod 600 {home / files.SECRETS_FILE}, or correct it")
        return
    for trunk in files.load_trunks(home):
        if trunk.username and not secrets.trunk(trunk.id):
            yield TRUNK_SECRET.found(f"trunk {trunk.id} has a user name and no password")
    yield ok("secrets", "only their owner can read them")


def check_journal(home: Path) -> Iterator[Finding]:
    """The journal opens, is in the form of this version, is whole, and every phone in it has a secret."""
    from dialer.store.migrations import NAMES

    path = home / "journal.sqlite3"
    if not path.exists():
        yield NO_JOURNAL.found(f"there is no journal {path}")
        return
    try:
        applied, damage, phones, campaigns = _read(path, set(NAMES))
    except (StoreError, sqlite3.DatabaseError) as error:
        yield DAMAGED.found(f"it cannot be read: {error}")
        return
    if damage != "ok":
        yield DAMAGED.found(f"it is damaged: {damage}")
    elif newer := sorted(applied - set(NAMES)):
        yield TOO_NEW.found(f"a newer version wrote it ({', '.join(newer)})")
    elif missing := sorted(set(NAMES) - applied):
        yield PENDING.found(f"changes are pending: {', '.join(missing)}")
    else:
        yield ok("journal", f"opens, and is whole and current ({path.stat().st_size / 1e6:.1f} MB)")
    yield from judge_numbers(campaigns)
    secrets = files.load_secrets(home) if phones else files.Secrets()
    for phone in phones:
        if not phone.is_outside and not secrets.phone(phone.extension):
            yield PHONE_SECRET.found(
                f"the phone {phone.extension} has no SIP password and cannot register",
                f"dialer phone secret {phone.extension}",
            )


def _read(path: Path, wanted: set[str]) -> tuple[set[str], str, list[DeskPhone], list[Campaign]]:
    """Which changes of form were made, what damage there is, and phones and campaigns if the form is ours."""
    with closing(open_reader(path)) as connection:
        damage = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        has_record = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
        ).fetchone()
        names = "SELECT name FROM _sqlite_migrations"
        applied = {row[0] for row in connection.execute(names)} if has_record else set()
        if damage != "ok" or not applied >= wanted:
            return applied, damage, [], []
        campaigns = [one.campaign for one in settings.load_campaigns(connection)]
        return applied, damage, load_phones(connection), campaigns


def check_certificate(home: Path, now: float) -> Iterator[Finding]:
    """Our own certificate, if there is one, can be read and lasts."""
    folder = home / files.TLS_FOLDER
    if not has_certificate(folder):
        return
    try:
        ends_at = certificates.ends_at((folder / CERTIFICATE).read_text())
    except (OSError, ValueError) as error:
        yield CERTIFICATE_OLD.found(f"{folder / CERTIFICATE} cannot be read: {error}")
        return
    days = (ends_at - now) / 86_400
    if days <= 0:
        yield CERTIFICATE_OLD.found(f"our certificate expired {-days:.0f} days ago")
    elif days < CERTIFICATE_DAYS:
        yield CERTIFICATE_ENDS.found(f"our certificate expires in {days:.0f} days")
    else:
        yield ok("tls", f"our certificate lasts {days:.0f} days more")
