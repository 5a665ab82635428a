"""Whether the servers have the trunks that they were given, and how these stand there: asked of each server, told in sentences.

Asterisk is asked until it has what it was given or :data:`TAKEN_S` are over, and until the carrier has answered (OPTIONS, the
registration) or :data:`REACHED_S` are over. A trunk that was not taken is a failure; a carrier that does not answer is told.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from dialer.core.trunk import Trunk
from dialer.office.asterisks import Link, links
from dialer.pbx import taken
from dialer.pbx.checks import BadSetting
from dialer.pbx.errors import PbxError
from dialer.pbx.render import trunk_file
from dialer.pbx.taken import Section, Standing
from dialer.pbx.trunks import TrunkLine
from dialer.store import files
from dialer.store import trunks as stored
from dialer.store.connect import open_reader
from dialer.store.files import Secrets

TAKEN_S = 5.0
"""Asterisk has what it was given by then, or does not take it."""
REACHED_S = 6.0
"""A carrier that answers OPTIONS and registrations has answered by then."""
_LOOK_S = 0.1


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said of a trunk. *failure*: why it could not be asked."""

    trunk: str
    server: str
    standing: Standing = Standing()
    failure: str = ""
    log: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is certain that Asterisk has the trunk as it was given."""
        return not self.failure and self.standing.is_taken

    def describe(self) -> str:
        """In a sentence."""
        where = f"Asterisk {self.server}" if self.server else "Asterisk"
        name = f"Trunk {self.trunk}"
        if self.failure:
            return f"{name}: {where} could not be asked: {self.failure}"
        if not self.standing.is_taken:
            log = f" Its log may say why: {self.log}" if self.log else ""
            return f"{name}: {where} did NOT take it: {'; '.join(self.standing.differences)}.{log}"
        words = [_STATES.get(self.standing.state, self.standing.state)]
        if (told := self.standing.registration) is not None:
            # Asterisk says *rejected* also of a carrier who does not answer at all.
            is_silent = told == "rejected" and self.standing.state == "offline"
            words.append(_REGISTRATIONS["unregistered" if is_silent else told])
        return f"{name}: {where} has it; {', '.join(words)}."


_STATES = {
    "online": "online (the carrier answers OPTIONS, or is not asked)",
    "offline": "offline: the carrier does not answer OPTIONS (a new address is asked within options_interval_s)",
    "unknown": "not asked yet whether the carrier answers",
    "": "of unknown state",
}
_REGISTRATIONS = {
    "registered": "registered",
    "rejected": "NOT registered: the carrier refuses (user name or password? It is tried again within a minute)",
    "unregistered": "not registered yet: the carrier has not answered",
    "unknown": "whether it is registered this Asterisk does not tell (it lacks res_prometheus)",
}


def lines_of(link: Link, trunks: Iterable[Trunk], secrets: Secrets) -> list[TrunkLine]:
    """The trunks that the server has, with their passwords. Raises BadSetting: one has none."""
    found = []
    for trunk in trunks:
        if not link.serves(trunk):
            continue
        secret = secrets.trunk(trunk.id) if trunk.username else ""
        if trunk.username and not secret:
            raise BadSetting(
                f"trunk {trunk.id}: it has the user name {trunk.username} and no password: put it into"
                f" {files.SECRETS_FILE} under [trunks] as {trunk.id} (mode 0600)"
            )
        found.append(TrunkLine(trunk=trunk, secret=secret))
    return found


async def verify(
    reached: Sequence[Link], secrets: Secrets, everything: Sequence[Trunk], asked: Sequence[str]
) -> list[Found]:
    """Ask every server that was reached about the trunks in *asked*, and wait for it. Raises BadSetting."""
    return [one for link in reached for one in await _ask(link, lines_of(link, everything, secrets), asked)]


def _wanted(link: Link, lines: Sequence[TrunkLine], asked: Sequence[str]) -> dict[str, list[Section]]:
    """What the server was given of each trunk in *asked* that it has."""
    sip = msgspec.structs.replace(link.sip, outside="")  # Asterisk gives its networks back as other texts
    text = trunk_file(lines, sip)
    if link.is_foreign:  # there transports bear other names, or are not ours
        text = re.sub(r"^transport = .*\n", "", text, flags=re.MULTILINE)
    named = set(asked)
    return taken.by_trunk(text, [line.trunk.id for line in lines if line.trunk.id in named])


async def _ask(link: Link, lines: Sequence[TrunkLine], asked: Sequence[str]) -> list[Found]:
    wanted = _wanted(link, lines, asked)
    log = str(link.folder / "log" / "messages.log") if link.is_embedded else ""
    found: dict[str, Found] = {}
    began = time.monotonic()
    open_questions = dict(wanted)
    try:
        async with link.open() as ari:
            while open_questions:
                answers = await taken.standings(ari, open_questions)
                passed_s = time.monotonic() - began
                for trunk, answer in answers.items():
                    found[trunk] = Found(trunk=trunk, server=link.server, standing=answer, log=log)
                    if _is_final(answer, passed_s):
                        del open_questions[trunk]
                if open_questions:
                    await asyncio.sleep(_LOOK_S)
    except PbxError as error:
        for trunk in open_questions:
            found[trunk] = Found(trunk=trunk, server=link.server, failure=str(error))
    return [found[trunk] for trunk in wanted]


def _is_final(standing: Standing, passed_s: float) -> bool:
    if not standing.is_taken:
        return passed_s >= TAKEN_S
    is_settled = standing.state == "online" and standing.registration in (None, "registered", "unknown")
    return is_settled or passed_s >= REACHED_S


def standings(home: Path, asked: Sequence[str]) -> list[Found]:
    """How trunks stand in the servers that run. Raises BadFile, StoreError, BadSetting."""
    system, secrets = files.load_system(home), files.load_secrets(home)
    with closing(open_reader(system.journal)) as connection:
        everything = [one.trunk for one in stored.load_stored(connection)]
    return asyncio.run(_stand(links(system, secrets), everything, secrets, asked))


async def _stand(
    everyone: Sequence[Link], everything: Sequence[Trunk], secrets: Secrets, asked: Sequence[str]
) -> list[Found]:
    found: list[Found] = []
    for link in everyone:
        if not link.url:
            continue
        lines = lines_of(link, everything, secrets)
        wanted = _wanted(link, lines, asked)
        try:
            async with link.open() as ari:
                answers = await taken.standings(ari, wanted)
        except PbxError as error:
            found += [Found(trunk=one, server=link.server, failure=str(error)) for one in wanted]
            continue
        found += [Found(trunk=one, server=link.server, standing=answer) for one, answer in answers.items()]
    return found


async def is_gone(link: Link, trunk: str) -> bool:
    """Wait until the server has the trunk no more; False: it has, or could not be asked."""
    try:
        async with link.open() as ari:
            until = time.monotonic() + TAKEN_S
            while not await taken.is_gone(ari, trunk):
                if time.monotonic() > until:
                    return False
                await asyncio.sleep(_LOOK_S)
    except PbxError:
        return False
    return True
