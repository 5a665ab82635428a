"""How long it takes until a running Asterisk has what was changed: render, reload, ask.

A configuration of *trunks* and *phones* is in force. One trunk is changed, or all are, or nothing is; the time runs from the new
settings until Asterisk, asked by name, has every changed trunk as it was given. Carriers are not there (nothing answers OPTIONS, none
is sent), so that only our work and Asterisk's are measured.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.measures import Measure
from dialer.core.ids import TrunkId
from dialer.core.trunk import Trunk
from dialer.engine.embedded import EmbeddedAsterisk, find_asterisk
from dialer.pbx import taken
from dialer.pbx.client import AriClient
from dialer.pbx.render import PhoneLine, render_lines, trunk_file
from dialer.pbx.settings import Settings, Sip
from dialer.pbx.trunks import TrunkLine

TRUNKS, PHONES = 200, 1000
ROUNDS = 5
GOAL_S = 2.0
_LOOK_S = 0.005
_TAKEN_S = 60.0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One application. *changed*: so many trunks; *taken_s*: all of it; *render_s*: of that, our files."""

    changed: int
    render_s: float
    taken_s: float


def lines(count: int, *, codecs: Callable[[int], tuple[str, ...]]) -> list[TrunkLine]:
    """Trunks of every kind in turn."""
    made = []
    for number in range(count):
        is_digest = number % 2 == 1
        trunk = Trunk(
            id=TrunkId(f"t{number:03}"),
            host=f"192.0.2.{number % 250 + 1}",
            transport=("udp", "tcp", "tls")[number % 3],
            username=f"user{number}" if is_digest else "",
            codecs=codecs(number),
            options_interval_s=0,
            is_inbound=not is_digest,
        )
        made.append(TrunkLine(trunk=trunk, secret="secret" if is_digest else ""))
    return made


class Bench:
    """An Asterisk with *trunks* and *phones*, while the ``async with`` block lasts."""

    def __init__(self, folder: Path, *, trunks: int = TRUNKS, phones: int = PHONES) -> None:
        self._count = trunks
        self._phones = [
            PhoneLine(extension=f"{number:05}", secret=f"secret{number}")
            for number in range(10_000, 10_000 + phones)
        ]
        self._codecs = dict.fromkeys(range(trunks), ("alaw", "ulaw"))
        password = secrets.token_urlsafe(18)
        self._asterisk = EmbeddedAsterisk(
            find_asterisk(),
            folder / "asterisk",
            Settings(ari_password=password),
            trunks=self._lines(),
            phones=self._phones,
        )
        self._password = password

    async def __aenter__(self) -> Bench:
        await self._asterisk.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._asterisk.stop()

    def _lines(self) -> list[TrunkLine]:
        return lines(self._count, codecs=lambda number: self._codecs[number])

    async def change(self, numbers: Sequence[int]) -> Change:
        """Change these trunks, and wait until Asterisk has them."""
        for number in numbers:
            first, second = self._codecs[number]
            self._codecs[number] = (second, first)
        wanted = self._lines()
        began = time.perf_counter()
        await asyncio.to_thread(self._render, wanted)
        rendered_s = time.perf_counter() - began
        began = time.perf_counter()
        await self._asterisk.apply_lines(wanted, self._phones)
        text = trunk_file(wanted, Sip(port=self._asterisk.sip_port))
        open_questions = taken.by_trunk(text, [wanted[number].trunk.id for number in numbers])
        async with (
            AriClient(self._asterisk.ari_url, self._asterisk.ari_user, self._password, "bench-apply") as ari,
            asyncio.timeout(_TAKEN_S),
        ):
            while open_questions:
                for trunk, answer in (await taken.standings(ari, open_questions)).items():
                    if answer.is_taken:
                        del open_questions[trunk]
                if open_questions:
                    await asyncio.sleep(_LOOK_S)
        return Change(changed=len(numbers), render_s=rendered_s, taken_s=time.perf_counter() - began)

    def _render(self, wanted: Sequence[TrunkLine]) -> None:
        """The same once more into a folder of its own, to time it alone."""
        folder = self._asterisk.folder.with_name("alone")
        (folder / "etc").mkdir(parents=True, exist_ok=True)
        render_lines(folder, trunks=wanted, phones=self._phones, sip=Sip(port=self._asterisk.sip_port))


async def apply(folder: Path, say: Callable[[str], None], rounds: int = ROUNDS) -> Measure:
    """One trunk of many is changed, and all of them."""
    say(f"apply: Asterisk with {TRUNKS} trunks and {PHONES:,} phones")
    rows = []
    async with Bench(folder) as bench:
        await bench.change([0])
        for what, numbers in (("nothing", []), ("one trunk", [7]), ("all trunks", list(range(TRUNKS)))):
            found = [await bench.change(numbers) for _ in range(rounds)]
            rows.append(
                {
                    "what": what,
                    "changed": len(numbers),
                    "render ms": round(statistics.median(one.render_s for one in found) * 1000, 1),
                    "in Asterisk ms, p50": round(statistics.median(one.taken_s for one in found) * 1000, 1),
                    "in Asterisk ms, most": round(max(one.taken_s for one in found) * 1000, 1),
                }
            )
    worst_s = max(float(str(row["in Asterisk ms, most"])) for row in rows) / 1000
    return Measure(
        name="apply",
        title=f"Changed trunks in a running Asterisk with {TRUNKS} trunks and {PHONES:,} phones",
        goal=f"at most {GOAL_S:g} s",
        value=round(worst_s, 2),
        unit="s until it has all of them",
        is_met=worst_s <= GOAL_S,
        rows=rows,
    )
