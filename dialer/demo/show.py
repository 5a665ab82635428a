"""The demonstration, from an empty folder to the report."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import click

from dialer.demo.robots import play
from dialer.demo.verdict import Verdict, compare
from dialer.engine.ports import choose_ports
from dialer.engine.process import ServerProcess
from dialer.lab.day import DEMO_CONTACTS, demo_day
from dialer.lab.network import LabNetwork
from dialer.lab.phones import LabPhones, Phone
from dialer.lab.ports import Room, choose_room
from dialer.office import remote
from dialer.store import files
from dialer.store.connect import open_reader

MARK = ".obzvon-demo"
OPERATORS = (
    ("anna", "Anna Volkova", "101", "parked"),
    ("boris", "Boris Petrov", "102", "parked"),
    ("vera", "Vera Smirnova", "103", "parked"),
    ("gleb", "Gleb Orlov", "104", "rung"),
    ("daria", "Daria Belova", "105", "rung"),
)
START_S = 40.0
DAY_S = 240.0
"""The campaign has ended by then, or something is wrong."""
PICTURE_S = 40.0
"""The picture of the board is taken so long after the start."""
FRAME_S = 10.0
"""Where there is no terminal, a picture of the board is printed so often."""

_SYSTEM = """\
region = "RU"

[ports]
sip = {sip}
http = {http}
rtp = {rtp_first}
rtp_count = {rtp_count}
"""
_TRUNK = """\
# The laboratory's telephone network.
id = "lab"
host = "127.0.0.1"
port = {port}
caller_id = "+74950000000"
channels_max = 10
calls_per_second_max = 5.0
options_interval_s = 5
"""
_CAMPAIGN = """\
id = "autumn"
title = "Autumn offer"
lists = ["autumn"]
trunk = "lab"
phone_kinds = ["mobile", "home", "work"]

# A demonstration may be given at night.
[hours]
any_time = true

# A day in a minute and a half: the rules are the usual ones, their times are not.
[calls]
ring_s = 4
attempts = 2

[agents]
ring = "at_ring"
ring_s = 4
wrap_up_s = 1.5

[retry]
busy = {{ attempts = 3, again_s = 5, phone = "same" }}
no_answer = {{ attempts = 2, again_s = 6, phone = "next" }}
congestion = {{ attempts = 2, again_s = 5, phone = "same" }}
declined = {{ attempts = 1, again_s = "never" }}
abandoned = {{ attempts = 2, again_s = 6, phone = "same" }}
hung_up = {{ attempts = 2, again_s = 6, phone = "same" }}
lost = {{ attempts = 2, again_s = 8, phone = "same" }}

[[results]]
code = "1"
name = "order"
title = "Order"

[[results]]
code = "2"
name = "presentation"
title = "Presentation"

[[results]]
code = "3"
name = "refused_offer"
title = "Refused the offer"

[[results]]
code = "4"
name = "refused_to_talk"
title = "Refused to talk"

[[results]]
code = "5"
name = "wrong_information"
title = "Wrong information"
is_contact = false
is_bad_number = true
"""


class ShowFailed(Exception):
    """The demonstration cannot go on; the message says why."""


class Show:
    """One demonstration in *folder*."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self._folder = folder
        self._home = folder / "home"
        self._keep = keep
        self._dialer = Path(sys.executable).with_name("dialer")

    async def run(self) -> bool:
        """Run it; whether report and network agree. Raises ShowFailed, LabError, EmbeddedError."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        with self._alone():
            return await self._run()

    async def _run(self) -> bool:
        await asyncio.to_thread(self._clear)
        ports = await asyncio.to_thread(choose_ports, rtp_count=400)
        room = await asyncio.to_thread(choose_room, len(OPERATORS))
        say("The home folder, and what a telecom engineer writes once")
        await self._do("init", str(self._home))
        rtp = {"rtp_first": ports.rtp_first, "rtp_count": ports.rtp_last - ports.rtp_first + 1}
        (self._home / "obzvon.toml").write_text(_SYSTEM.format(sip=ports.sip, http=ports.http, **rtp))
        trunk, campaign = self._home / "trunks" / "lab.toml", self._home / "campaigns" / "autumn.toml"
        trunk.write_text(_TRUNK.format(port=room.network))
        campaign.write_text(_CAMPAIGN.format())
        await self._do("trunk", "apply", str(trunk))
        for name, title, phone, leg in OPERATORS:
            await self._do("agent", "add", name, "--title", title, "--phone", phone, "--leg", leg)
        say("What a supervisor does: the contacts and the campaign")
        await self._do("campaign", "apply", str(campaign))
        await self._do("contacts", "import", str(DEMO_CONTACTS), "--list", "autumn")
        network = LabNetwork(
            self._folder / "network", port=room.network, people=demo_day(), media_port=room.network_media
        )
        async with network, self._engine(), self._phones(room, ports.sip) as phones:
            by_agent = {name: phones[phone] for name, _, phone, _ in OPERATORS}
            parked = {name: leg == "parked" for name, _, _, leg in OPERATORS}
            say("The operators sign in from their desk phones: *40")
            await asyncio.gather(
                *(
                    phone.sign_in() if parked[name] else phone.dial("*40", within_s=5.0)
                    for name, phone in by_agent.items()
                )
            )
            robots = asyncio.create_task(play(self._home / "journal.sqlite3", by_agent, parked))
            try:
                say("The day begins")
                await self._do("campaign", "start", "autumn")
                await self._watch_until_finished()
            finally:
                robots.cancel()
                await asyncio.gather(robots, return_exceptions=True)
            await self._recordings_ready()
            verdict = await self._report(network)
            if self._keep:
                await self._stay()
        return verdict.agrees

    # -- the parts ----------------------------------------------------------------------

    def _clear(self) -> None:
        """Begin in an empty folder; what is not a demonstration of ours is never removed."""
        if self._folder.exists() and any(self._folder.iterdir()):
            if not (self._folder / MARK).exists():
                raise ShowFailed(
                    f"{self._folder} holds something that is no demonstration; give another --folder"
                )
            say(f"The demonstration that was in {self._folder} is replaced")
            for one in self._folder.iterdir():
                if one.name != MARK:
                    shutil.rmtree(one) if one.is_dir() else one.unlink()
        (self._folder / MARK).touch()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder: a second demonstration would take it away under the first. Raises ShowFailed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ShowFailed(
                f"a demonstration is running in {self._folder}; end it, or give another --folder"
            ) from None
        else:
            yield
        finally:
            os.close(held)

    @contextlib.asynccontextmanager
    async def _engine(self) -> AsyncIterator[None]:
        say("The engine, with an Asterisk and a Redis of its own", f"dialer --home {self._home} up")
        engine = ServerProcess(
            "dialer up",
            note=self._folder / "engine.json",
            log=self._folder / "engine.log",
            outlive=False,
        )
        command = [str(self._dialer), "--home", str(self._home), "up"]
        await engine.spawn(command, folder=self._folder, ports={}, env=dict(os.environ))
        try:
            async with asyncio.timeout(START_S):
                while not await asyncio.to_thread(self._is_in_charge):
                    if engine.pid is None:
                        raise ShowFailed(f"the engine ended while starting:\n{engine.last_words()}")
                    await asyncio.sleep(0.2)
            yield
        except TimeoutError:
            raise ShowFailed(f"the engine did not start in {START_S:g} s:\n{engine.last_words()}") from None
        finally:
            await self._stop(engine)

    async def _stop(self, engine: ServerProcess) -> None:
        pid = engine.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(engine.wait(), 20.0)
        await engine.stop(5.0)

    def _is_in_charge(self) -> bool:
        try:
            return bool(remote.health(self._home)["pbx_connected"])
        except remote.EngineError:
            return False

    def _phones(self, room: Room, sip_port: int) -> LabPhones:
        secrets = files.load_secrets(self._home)
        desk = [
            Phone(
                extension=phone,
                secret=secrets.phone(phone),
                leg="parked" if leg == "parked" else "rung",
                voice=place,
            )
            for place, (_, _, phone, leg) in enumerate(OPERATORS)
        ]
        return LabPhones(
            self._folder / "phones",
            sip_server=("127.0.0.1", sip_port),
            phones=desk,
            port=room.phones,
            media_port=room.phones_media,
        )

    async def _watch_until_finished(self) -> None:
        on_terminal = sys.stdout.isatty()
        board = await self._start("watch") if on_terminal else None
        taken = False
        try:
            async with asyncio.timeout(DAY_S):
                seconds = 0.0
                while await asyncio.to_thread(self._state) != "finished":
                    await asyncio.sleep(0.5)
                    seconds += 0.5
                    if seconds >= PICTURE_S and not taken:
                        taken = True
                        await self._do(
                            "watch", "--svg", str(self._folder / "board.svg"), "--width", "124", quiet=True
                        )
                    if not on_terminal and seconds % FRAME_S == 0:
                        await self._do("watch", "--once", "--width", "110")
        except TimeoutError:
            raise ShowFailed(f"the campaign has not ended after {DAY_S:g} s") from None
        finally:
            if board is not None:
                with contextlib.suppress(ProcessLookupError):
                    board.send_signal(signal.SIGINT)
                await board.wait()

    def _state(self) -> str:
        return str(self._ask("SELECT state FROM campaigns WHERE id = 'autumn'"))

    def _ask(self, sql: str) -> object:
        with closing(open_reader(self._home / "journal.sqlite3")) as connection:
            return connection.execute(sql).fetchone()[0]

    async def _recordings_ready(self) -> None:
        unfinished = (
            "SELECT count(*) FROM attempts a LEFT JOIN recordings r USING (attempt)"
            " WHERE a.answered_at IS NOT NULL AND r.attempt IS NULL"
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20.0):
                while await asyncio.to_thread(self._ask, unfinished):
                    await asyncio.sleep(0.2)

    async def _report(self, network: LabNetwork) -> Verdict:
        say("The day is over: the reports")
        await self._do("report", "campaign", "autumn")
        await self._do("report", "agents")
        await self._do("report", "attempts", "--limit", "15")
        await self._do("recordings", "list", "--limit", "5")
        settings = files.load_system(self._home)
        verdict = await asyncio.to_thread(
            compare, settings.journal, settings.recordings_folder, network.calls()
        )
        say("The verdict")
        click.echo(
            f"The network counted {verdict.network_calls} calls; the report has {verdict.attempts} attempts."
        )
        for difference in verdict.differences:
            click.secho(f"  {difference}", fg="red")
        if not verdict.differences:
            click.secho("They agree, call by call.", fg="green")
        click.echo(
            f"{verdict.both_voices} of {verdict.conversations} conversations are recorded"
            " with the person on the left channel and the operator on the right."
        )
        click.echo(f"Recordings:  {settings.recordings_folder}")
        click.echo(f"Journal:     {settings.journal}  (open it with sqlite-utils or datasette)")
        click.echo(f"The board:   {self._folder / 'board.svg'}")
        return verdict

    async def _stay(self) -> None:
        say("Everything stays up until Ctrl-C. Try, in another terminal:")
        click.echo(f"  ./dev shell\n  export OBZVON_HOME={self._home}")
        click.echo("  dialer watch\n  dialer doctor\n  dialer report attempts --format csv")
        await asyncio.Event().wait()

    # -- commands -----------------------------------------------------------------------

    async def _start(self, *words: str) -> asyncio.subprocess.Process:
        environment = os.environ | {"OBZVON_HOME": str(self._home)}
        return await asyncio.create_subprocess_exec(str(self._dialer), *words, env=environment)

    async def _do(self, *words: str, quiet: bool = False) -> None:
        """Run a ``dialer`` command as a person would, and show it. Raises ShowFailed if it fails."""
        if not quiet:
            shown = shlex.join(word.replace(f"{self._home}/", "") for word in words)
            click.secho(f"$ dialer {shown}", bold=True)
        process = await self._start(*words)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
        if status != 0:
            raise ShowFailed(f"`dialer {' '.join(words)}` failed with status {status}")


def say(title: str, command: str = "") -> None:
    """A headline of the demonstration."""
    click.secho(f"\n== {title}", fg="cyan", bold=True)
    if command:
        click.secho(f"$ {command}", bold=True)
