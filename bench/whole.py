"""The whole engine, as ``dialer serve`` runs it, alone in this process; and the home folder that it works in."""

from __future__ import annotations

import asyncio
import cProfile
import contextlib
import time
from collections import Counter
from pathlib import Path

from bench.bare import FIRST_NUMBER, RING_S
from bench.halves import CALLER_ID, TRUNK, Counts, Line, Outcome, Plan, count, until
from dialer.core import events as ev
from dialer.core.ids import AgentId, CampaignId, TrunkId
from dialer.core.values import AgentCard, AgentState, Campaign, Trunk
from dialer.engine.house import House
from dialer.engine.logs import set_up
from dialer.office.setup import make_home
from dialer.store import documents, files, settings
from dialer.store.connect import open_reader, open_writer, transaction
from dialer.store.leads import enroll

CAMPAIGN = CampaignId("bench")
CHANNELS_MAX = 1000
RATE_MAX = 1000.0
"""Far above what any machine does: the operators are the limit."""

_SYSTEM = """\
region = "RU"
log_level = "warning"

[asterisk]
mode = "external"
url = "{url}"
user = "{user}"
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
    files.write_private(home / files.SYSTEM_FILE, _SYSTEM.format(url=plan.ari_url, user=plan.ari_user))
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

    def is_free(agent: AgentId) -> bool:
        return agents[agent].state is AgentState.READY and agents[agent].has_line

    await until(lambda: house.ari.is_connected, "a connection to Asterisk")
    line.say("connected")
    await until(lambda: sum(map(is_free, agents)) == plan.agents, "all operators on their lines")
    line.say("ready")
    house.inbox.put(ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="start"))
    await asyncio.sleep(plan.warm_s)
    profile = cProfile.Profile() if plan.profile else None
    before = _count(house, plan)
    if profile is not None:
        profile.enable()
    await asyncio.sleep(plan.window_s)
    if profile is not None:
        profile.disable()
        profile.dump_stats(plan.profile)
    after = _count(house, plan)
    house.inbox.put(ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="stop"))
    await until(lambda: not house.floor.calls, "the end of all calls")
    await house.finish_recordings()
    return await asyncio.to_thread(_outcome, plan, before, after)


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


def _outcome(plan: Plan, before: Counts, after: Counts) -> Outcome:
    """What the journal says of the window."""
    with contextlib.closing(open_reader(Path(plan.home) / "journal.sqlite3")) as connection:
        rows = connection.execute("SELECT result, answered_at, connected_at, ended_at FROM attempts").fetchall()
    joined = [
        row for row in rows if row["connected_at"] is not None and before.at <= (row["ended_at"] or 0) < after.at
    ]
    failed = Counter(row["result"] or "unfinished" for row in rows if row["connected_at"] is None)
    return Outcome(
        who="engine",
        agents=plan.agents,
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
