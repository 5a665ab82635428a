"""The whole engine, as ``dialer serve`` runs it, alone in this process; and the home folder that it works in."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bench import halves
from bench.bare import FIRST_NUMBER, RING_S
from bench.halves import (
    CALLER_ID,
    TRUNK,
    Counts,
    Line,
    Outcome,
    Plan,
    count,
    until,
    until_ended,
    window_or_ramp,
)
from dialer.core import events as ev
from dialer.core.ids import AgentId, CampaignId, TrunkId
from dialer.core.values import AgentCard, AgentState, Campaign, Trunk
from dialer.engine.house import House
from dialer.engine.logs import set_up
from dialer.office.setup import make_home
from dialer.store import documents, files, settings
from dialer.store.connect import open_reader, open_writer, transaction
from dialer.store.leads import enroll

CAMPAIGN = CampaignId(halves.CAMPAIGN)
CHANNELS_MAX = 1000
WAIT_S = 10.0
"""Longer than any person stays on the line: who is not joined hangs up, as with the bare client."""
RATE_MAX = 1000.0
"""Far above what any machine does: the operators are the limit."""

_SYSTEM = """\
region = "RU"
log_level = "warning"

[asterisk]
mode = "external"
url = "{url}"
user = "{user}"
hep = "{hep}"
"""


def trunk(port: int, rate: float | None) -> Trunk:
    """The trunk to the people, who live at *port*."""
    return Trunk(
        id=TrunkId(TRUNK),
        host="127.0.0.1",
        port=port,
        channels_max=CHANNELS_MAX,
        calls_per_second_max=rate or RATE_MAX,
        options_interval_s=0,
    )


def prepare(plan: Plan, extensions: list[str], people_port: int, contacts: int) -> None:
    """Make the home folder of *plan*, with an operator for each extension and a list of *contacts*."""
    home = Path(plan.home)
    home.mkdir(mode=0o700, parents=True)
    files.write_private(
        home / files.SYSTEM_FILE, _SYSTEM.format(url=plan.ari_url, user=plan.ari_user, hep=plan.hep)
    )
    secrets = documents.dump({"ari": plan.ari_password, "phones": {}, "trunks": {}})
    files.write_private(home / files.SECRETS_FILE, secrets)
    make_home(home)
    now = time.time()
    with contextlib.closing(open_writer(home / "journal.sqlite3")) as connection:
        settings.apply_trunk(connection, trunk(people_port, plan.rate), now)
        campaign = Campaign(
            id=CAMPAIGN,
            lists=("bench",),
            trunk=TrunkId(TRUNK),
            caller_id=CALLER_ID,
            ring_s=RING_S,
            wrap_up_s=0.0,
            wait_s=WAIT_S,
            record=plan.record,
        )
        settings.apply_campaign(connection, campaign, now)
        for extension in extensions:
            settings.add_agent(connection, AgentCard(id=AgentId(f"op{extension}"), phone=extension))
        with transaction(connection):
            connection.executemany(
                "INSERT INTO contacts (id, list, key, name, added_at) VALUES (?, 'bench', ?, ?, ?)",
                [(number, str(number), f"Person {number}", now) for number in range(1, contacts + 1)],
            )
            connection.executemany(
                "INSERT INTO phones (contact, position, kind, number) VALUES (?, 0, 'mobile', ?)",
                [(number, f"+{FIRST_NUMBER + number}") for number in range(1, contacts + 1)],
            )
        enroll(connection, CAMPAIGN, now)


async def _measure(house: House, line: Line) -> Outcome:
    plan = line.plan
    agents = house.floor.agents

    def order(agent: AgentId, what: Literal["ready", "pause"]) -> None:
        house.inbox.put(ev.AgentOrdered(at=house.clock(), agent=agent, order=what))

    def free() -> int:
        return sum(one.state is AgentState.READY and one.has_line for one in agents.values())

    await house.finish_prompts()  # once for a home: no part of what a call costs
    await until(lambda: house.ari.is_connected, "a connection to Asterisk")
    line.say("connected")
    await until(lambda: free() == plan.agents, "all operators on their lines")
    if plan.is_ramp:
        for agent in agents:
            order(agent, "pause")
        await until(lambda: not free(), "the pause of all operators")
    line.say("ready")
    house.inbox.put(ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="start"))
    working = 0

    def begin(operators: int) -> None:
        nonlocal working
        working = operators
        for agent in list(agents)[:operators]:
            order(agent, "ready")

    async def window(length_s: float) -> Outcome:
        before = _count(house, plan)
        with _profiled(plan.profile):
            await asyncio.sleep(length_s)
        after = _count(house, plan)
        return await asyncio.to_thread(_outcome, plan, working, before, after)

    outcome = await window_or_ramp(plan, begin, window)
    house.inbox.put(ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="stop"))
    outcome.unfinished = await until_ended(lambda: len(house.floor.calls))
    await house.finish_recordings()
    return outcome


@contextlib.contextmanager
def _profiled(file: str) -> Iterator[None]:
    if not file:
        yield
        return
    profile = cProfile.Profile()
    with profile:
        yield
    profile.dump_stats(file)


def _count(house: House, plan: Plan) -> Counts:
    processes = dict(plan.processes)
    if house.redis is not None and house.redis.pid is not None:
        processes["redis"] = house.redis.pid
    counts = count(house.clock(), processes)
    counts.requests = house.ari.requests
    counts.frames = sum(house.ari.frames.seen.values())
    counts.events = house.engine.events
    counts.transactions = house.journal.transactions
    counts.journal_s = house.journal.busy_time_s
    return counts


def _outcome(plan: Plan, agents: int, before: Counts, after: Counts) -> Outcome:
    """What the journal says of the window."""
    with contextlib.closing(open_reader(Path(plan.home) / "journal.sqlite3")) as connection:
        rows = connection.execute(
            "SELECT result, answered_at, connected_at, ended_at FROM attempts"
        ).fetchall()
    ended = [row for row in rows if row["ended_at"] is not None and before.at <= row["ended_at"] < after.at]
    joined = [row for row in ended if row["connected_at"] is not None]
    failed = Counter(row["result"] for row in ended if row["connected_at"] is None)
    return Outcome(
        who="engine",
        agents=agents,
        rate=plan.rate,
        calls=len(joined),
        window=after.since(before),
        waits_ms=[1000 * (row["connected_at"] - row["answered_at"]) for row in joined],
        failed=dict(failed),
    )


async def _run() -> None:
    line = Line()
    home = Path(line.plan.home)
    set_up(home / "log", "warning", to_terminal=True)
    async with House(home) as house:
        watching = asyncio.create_task(house.wait())
        measuring = asyncio.create_task(_measure(house, line))
        done, _ = await asyncio.wait((watching, measuring), return_when=asyncio.FIRST_COMPLETED)
        if watching in done:
            measuring.cancel()
            watching.result()
        line.say("done", measuring.result())
        await line.leave.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_run())
