"""``python -m bench.scrape``: what a scrape of the metrics costs the loop.

A floor with so many operators and calls, whose counters have seen a day; how long the loop is held by the reading
(*read*, processor time: other work of the machine is not in it), how long the answer takes altogether (*scrape*), and how much later than asked a timer of the loop fires while
one scrape follows the other (*late*).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from dialer.core import events as ev
from dialer.core.commands import SaveCall
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, CampaignId, ContactId, LeadId, PhoneId, ServerId, TrunkId
from dialer.core.trunk import Trunk
from dialer.core.values import AgentCard, Call, CallState, Campaign, CampaignState, Lead, Result
from dialer.engine.metrics.counters import Counters
from dialer.engine.metrics.gauges import Inside, Outside, read
from dialer.engine.metrics.serving import Watch

SERVERS = (ServerId("north"), ServerId("south"))
AT = 1_700_000_000.0
_STATES = (CallState.DIALING, CallState.RINGING, CallState.ANSWERED, CallState.CONNECTED)
_CAUSES = (486, 480, 404, 503, 603, 408)


def a_call(serial: int, campaigns: int, trunks: int) -> Call:
    """One of many."""
    return Call(
        attempt=AttemptId(f"a{serial:020}"),
        campaign=CampaignId(f"c{serial % campaigns}"),
        lead=LeadId(serial),
        contact=ContactId(serial),
        phone=PhoneId(serial),
        number=f"+7916{serial:07}",
        ordinal=1,
        trunk=TrunkId(f"t{serial % trunks}"),
        state=_STATES[serial % len(_STATES)],
        created_at=AT,
        server=SERVERS[serial % len(SERVERS)],
    )


def a_watch(agents: int, calls: int, campaigns: int, trunks: int, folder: Path) -> tuple[Watch, Inside]:
    """A centre at work."""
    floor = Floor()
    live = [a_call(serial, campaigns, trunks) for serial in range(calls)]
    floor.restore(
        campaigns=[
            (
                Campaign(id=CampaignId(f"c{one}"), trunk=TrunkId("t0"), mode="predictive"),
                CampaignState.RUNNING,
            )
            for one in range(campaigns)
        ],
        trunks=[Trunk(id=TrunkId(f"t{one}"), host="127.0.0.1") for one in range(trunks)],
        cards=[AgentCard(id=AgentId(f"g{one}"), phone=str(1000 + one)) for one in range(agents)],
        calls=[
            (call, Lead(id=call.lead, campaign=call.campaign, contact=call.contact, phones=()))
            for call in live
        ],
    )
    for server in SERVERS:
        floor.handle(ev.PbxConnected(at=AT, server=server))
    counters = Counters()
    for serial in range(5000):
        call = a_call(serial, campaigns, trunks)
        over = Call(
            **{name: getattr(call, name) for name in Call.__struct_fields__}
            | {
                "state": CallState.ENDED,
                "tech_cause": _CAUSES[serial % 6],
                "result": list(Result)[serial % 8],
            }
        )
        counters.written(None, [SaveCall(call=call), SaveCall(call=over)])
        counters.of_server(call.server)("POST", "/channels", 0.004, None)
    inside = Inside(
        version="0",
        floor=floor,
        clock=lambda: AT + 60,
        depth=lambda: 0,
        lag_s=lambda: 0.0,
        busy=lambda: 0,
        journal_ok=lambda: True,
        timers_ok=lambda: True,
        servers=lambda: dict.fromkeys(SERVERS, (True, 1)),
        recordings_pending=lambda: 0,
    )

    async def no_timers() -> int:
        return calls

    return Watch(
        inside=inside, counters=counters, waiting_timers=no_timers, folders={"recordings": folder}
    ), inside


async def measured(watch: Watch, inside: Inside, rounds: int) -> dict[str, list[float]]:
    """Milliseconds."""
    found: dict[str, list[float]] = {"read": [], "scrape": [], "late": []}
    is_over = False

    async def beat() -> None:
        while not is_over:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            found["late"].append((time.perf_counter() - began - 0.002) * 1000)

    for _ in range(rounds):
        began = time.thread_time()
        read(inside, Outside(), is_ready=True)
        found["read"].append((time.thread_time() - began) * 1000)
    beating = asyncio.create_task(beat())
    for _ in range(rounds):
        began = time.perf_counter()
        await watch.scrape()
        found["scrape"].append((time.perf_counter() - began) * 1000)
    is_over = True
    await beating
    return found


def shown(figures: Sequence[float]) -> str:
    """Half, 99 of 100, and the worst."""
    ordered = sorted(figures)
    return f"p50 {statistics.median(ordered):.1f}, p99 {ordered[int(len(ordered) * 0.99)]:.1f}, max {ordered[-1]:.1f} ms"


@click.command()
@click.option("--agents", type=click.IntRange(1, 2000), default=100, show_default=True)
@click.option("--calls", type=click.IntRange(1, 5000), default=400, show_default=True)
@click.option("--campaigns", type=click.IntRange(1, 200), default=5, show_default=True)
@click.option("--trunks", type=click.IntRange(1, 200), default=10, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 1000), default=100, show_default=True)
def main(agents: int, calls: int, campaigns: int, trunks: int, rounds: int) -> None:
    """Measure a scrape of the metrics."""
    with tempfile.TemporaryDirectory() as folder:
        watch, inside = a_watch(agents, calls, campaigns, trunks, Path(folder))
        body, _ = asyncio.run(watch.scrape())
        lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
        print(
            f"{agents} operators, {calls} calls, {campaigns} campaigns, {trunks} trunks: {len(lines)} lines, {len(body)} bytes"
        )
        for name, figures in asyncio.run(measured(watch, inside, rounds)).items():
            print(f"{name:<7}{shown(figures)}")


if __name__ == "__main__":
    main()
