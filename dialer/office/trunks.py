"""What a telecom engineer does with trunks: compare, put into force, take out of use, and see whether Asterisk took it.

1. Nothing is stored before everything is known to be writable: files, passwords, and the rendered configuration of all trunks.
2. The engine sees to the servers that it knows. A server that somebody else started is given the trunks' file by us, too, if its
   whole configuration was rendered into the home folder, and told to reload. Calls in progress are not touched by either.
3. Then every server is asked what it has (:mod:`dialer.office.trunkcheck`).
   "Applied" is only said of what is in the journal; of Asterisk we say what it says.
4. An order to a trunk is written into the journal, then told to the engine, so that it holds with an engine and without one.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from dialer.core.trunk import Trunk
from dialer.office import remote
from dialer.office.asterisks import Link, links
from dialer.office.orders import HalfDone, files_in, load_each, store
from dialer.office.trunkcheck import Found, is_gone, lines_of, verify
from dialer.pbx.checks import BadSetting
from dialer.pbx.errors import PbxError
from dialer.pbx.render import render_trunk_file, trunk_file
from dialer.pbx.settings import Sip
from dialer.pbx.taken import sections
from dialer.pbx.trunks import FILE as PJSIP_FILE
from dialer.pbx.trunks import TrunkLine, endpoint_of
from dialer.store import documents, files
from dialer.store import trunks as stored
from dialer.store.connect import open_reader
from dialer.store.files import Secrets, SystemSettings
from dialer.store.trunkfile import trunk_document

_MASK = "********"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk's settings and its part of PJSIP, before and after. *before*: None: it is new; *after*: None: it goes."""

    trunk: Trunk
    is_changed: bool
    settings: str
    pjsip: str
    is_password_new: bool = False
    """Another one than Asterisk's configuration has; no difference shows it."""

    def describe(self) -> str:
        """The differences, as ``diff -u`` writes them; empty: there are none."""
        return "\n".join(part for part in (self.settings, self.pjsip) if part)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of ``trunk apply``."""

    changes: tuple[Change, ...]
    said: str
    found: tuple[Found, ...]
    cautions: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return all(one.is_good for one in self.found)

    def describe(self) -> str:
        """All of it, for people."""
        lines = [one.describe() for one in self.changes if one.describe()]
        lines += [f"Trunk {one.trunk.id}: {_applied(one)}." for one in self.changes]
        lines += [self.said, *self.cautions, *(one.describe() for one in self.found)]
        return "\n".join(lines)


def _applied(change: Change) -> str:
    if change.is_password_new:
        return "applied, its password is new"
    return "applied" if change.is_changed else "unchanged"


# -- compare and apply --------------------------------------------------------------------


def compare(home: Path, paths: Sequence[Path]) -> list[Change]:
    """What applying the files would change. Raises BadFile, BadSetting, StoreError, NothingToApply."""
    system, secrets = files.load_system(home), files.load_secrets(home)
    trunks = load_each(paths or files_in(home / "trunks"), files.load_trunk)
    _twice(trunks)
    with closing(open_reader(system.journal)) as connection:
        return _changes(trunks, stored.load_stored(connection), system, secrets)


def describe_difference(home: Path, paths: Sequence[Path]) -> tuple[str, bool]:
    """What applying the files would change, for people, and whether it would change anything. Raises as :func:`compare`."""
    changes = compare(home, paths)
    lines = [one.describe() for one in changes if one.is_changed]
    lines += [f"Trunk {one.trunk.id}: its password is new." for one in changes if one.is_password_new]
    return "\n".join(lines) or "Nothing would change.", bool(lines)


def apply(home: Path, paths: Sequence[Path]) -> Applied:
    """Put trunks into force; without *paths* all of the home folder's, and see whether Asterisk took them.

    Raises BadFile (with the mistakes of all files), BadSetting, NothingToApply, StoreError, and HalfDone where the
    journal has the trunks and the engine did not take them.
    """
    system, secrets = files.load_system(home), files.load_secrets(home)
    trunks = load_each(paths or files_in(home / "trunks"), files.load_trunk)
    _twice(trunks)
    with store(home) as connection:
        before = stored.load_stored(connection)
        changes = _changes(trunks, before, system, secrets)
        stored.apply_trunks(connection, trunks, time.time())
        everything = [one.trunk for one in stored.load_stored(connection)]
    is_running = tell_reload(home)
    reached, said = _hand_out(system, secrets, everything, is_running)
    found = asyncio.run(verify(reached, secrets, everything, [one.id for one in trunks]))
    left = () if paths else _without_file(everything, trunks)
    cautions = (*_cautions(trunks, system), *left)
    return Applied(changes=tuple(changes), said=said, found=tuple(found), cautions=cautions)


def tell_reload(home: Path) -> bool:
    """Have the engine read everything anew; whether one runs. Raises HalfDone."""
    try:
        return remote.reload(home)
    except remote.EngineError as error:
        raise HalfDone(f"It is in the store, but the running engine did not take it: {error}") from None


def _twice(trunks: Iterable[Trunk]) -> None:
    seen: set[str] = set()
    for trunk in trunks:
        if trunk.id in seen:
            raise BadSetting(f"two of the files describe a trunk {trunk.id!r}")
        seen.add(trunk.id)


def _changes(
    trunks: Sequence[Trunk], before: Sequence[stored.StoredTrunk], system: SystemSettings, secrets: Secrets
) -> list[Change]:
    """Raises BadSetting: all trunks together cannot be written (rule 1)."""
    known = {one.trunk.id: one.trunk for one in before}
    after = {**known, **{one.id: one for one in trunks}}
    renewed: set[str] = set()
    for server in links(system, secrets):
        lines = lines_of(server, after.values(), secrets)
        trunk_file(lines, server.sip)
        renewed |= _renewed(server, lines)
    return [
        msgspec.structs.replace(_change(known.get(one.id), one), is_password_new=one.id in renewed)
        for one in trunks
    ]


def _renewed(server: Link, lines: Iterable[TrunkLine]) -> set[str]:
    """The trunks whose password is another one than what was rendered for the server."""
    try:
        text = (server.folder / "etc" / PJSIP_FILE).read_text(encoding="utf-8")
    except OSError:
        return set()
    had = {one.id: dict(one.values).get("password") for one in sections(text) if one.type == "auth"}
    return {
        line.trunk.id
        for line in lines
        if had.get(endpoint_of(line.trunk.id)) not in (None, line.secret) and line.secret
    }


def _change(before: Trunk | None, after: Trunk | None) -> Change:
    trunk = after or before
    assert trunk is not None
    return Change(
        trunk=trunk,
        is_changed=before != after,
        settings=_difference(_settings(before), _settings(after), f"trunks/{trunk.id}.toml"),
        pjsip=_difference(_pjsip(before), _pjsip(after), f"pjsip, trunk {trunk.id}"),
    )


def _settings(trunk: Trunk | None) -> str:
    return "" if trunk is None else documents.dump(trunk_document(trunk))


def _pjsip(trunk: Trunk | None) -> str:
    """The trunk's own part, without comments; secrets are not in it."""
    if trunk is None:
        return ""
    line = TrunkLine(trunk=trunk, secret=_MASK if trunk.username else "")
    text = trunk_file([line], Sip(bind="0.0.0.0"))  # noqa: S104 - what is bound is no part of it
    shown = [one for one in text.splitlines() if one and not one.startswith((";", "bind ="))]
    return "\n".join(shown) + "\n"


def _difference(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name} (in force)", f"{name} (new)", lineterm="", n=2
    )
    return "\n".join(lines)


def _without_file(in_force: Iterable[Trunk], described: Iterable[Trunk]) -> Iterator[str]:
    known = {one.id for one in described}
    for trunk in in_force:
        if trunk.id not in known:
            yield f"Trunk {trunk.id} is in force, and no file in trunks/ describes it: `dialer trunk remove {trunk.id}`?"


def _cautions(trunks: Sequence[Trunk], system: SystemSettings) -> tuple[str, ...]:
    told = []
    for trunk in trunks:
        unknown = sorted(set(trunk.servers) - set(system.servers))
        if unknown:
            told.append(
                f"Caution: trunk {trunk.id} names the server {', '.join(unknown)}, which {files.SYSTEM_FILE} does not."
            )
        if trunk.tls_ca and not Path(trunk.tls_ca).is_file():
            told.append(
                f"Caution: trunk {trunk.id}: tls.ca: there is no file {trunk.tls_ca} on this machine."
            )
    return tuple(told)


# -- servers ------------------------------------------------------------------------------


def _hand_out(
    system: SystemSettings, secrets: Secrets, trunks: Sequence[Trunk], is_engine: bool
) -> tuple[list[Link], str]:
    """See to it that every server that runs has the trunks; those, and what to say (rule 2)."""
    everyone = links(system, secrets)
    reached = [one for one in everyone if one.url]
    for link in reached:
        is_ours = not (is_engine and link.is_embedded) and not link.is_foreign
        if is_ours and (link.folder / "etc" / "asterisk.conf").is_file():
            lines = lines_of(link, trunks, secrets)
            render_trunk_file(link.folder, lines, link.sip)
            asyncio.run(_reload(link))
    if is_engine:
        return reached, "The running engine has it."
    said = "No engine runs now; it holds from the next start on."
    if any(one.is_foreign for one in everyone):
        said += " `dialer asterisk install` gives it to the Asterisk that has a configuration of its own."
    return ([one for one in reached if not one.is_embedded], said)


async def _reload(link: Link) -> None:
    """Its failure is told by the verification that follows."""
    try:
        async with link.open() as ari:
            await ari.request("PUT", "/asterisk/modules/res_pjsip.so", repeatable=True)
    except PbxError:
        return


# -- orders -------------------------------------------------------------------------------


def order(home: Path, trunk: str, what: Literal["enable", "disable"]) -> str:
    """Take a trunk out of use, or into it again; what to say. Raises StoreError, EngineError."""
    with store(home) as connection:
        is_new = stored.set_disabled(connection, trunk, time.time() if what == "disable" else None)
    is_running = remote.order_trunk(home, trunk, what)
    done = "disabled: it gets no more calls; those on it go on" if what == "disable" else "enabled"
    said = f"Trunk {trunk}: {done}." if is_new else f"Trunk {trunk}: it was {done.split(':')[0]} already."
    return f"{said} {_ENGINE[is_running]}"


_ENGINE = {True: "The running engine has it.", False: "No engine runs now; it holds from the next start on."}


def remove(home: Path, trunk: str) -> tuple[str, bool]:
    """Take a trunk out of force; what to say, and whether Asterisk let go of it.

    Raises StoreError (a campaign uses it, calls are on it), EngineError.
    """
    system, secrets = files.load_system(home), files.load_secrets(home)
    with store(home) as connection:
        stored.remove_trunk(connection, trunk, time.time())
        everything = [one.trunk for one in stored.load_stored(connection)]
    is_running = remote.order_trunk(home, trunk, "remove")
    if is_running:
        tell_reload(home)
    reached, _ = _hand_out(system, secrets, everything, is_running)
    lines = [f"Trunk {trunk}: removed; what is known of its calls stays. {_ENGINE[is_running]}"]
    is_good = True
    for link in reached:
        gone = asyncio.run(is_gone(link, trunk))
        is_good &= gone
        lines.append(f"{link.name} {'has it no more' if gone else 'did NOT let go of it: see its log'}.")
    left = [path.name for path in sorted((home / "trunks").glob("*.toml")) if _describes(path, trunk)]
    if left:
        lines.append(f"Its file trunks/{left[0]} is still there: `dialer trunk apply` would bring it back.")
    return "\n".join(lines), is_good


def _describes(path: Path, trunk: str) -> bool:
    try:
        return files.load_trunk(path).id == trunk
    except files.BadFile:
        return False
