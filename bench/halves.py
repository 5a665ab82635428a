"""What is said between the bench and the two who are measured, and how their time is counted.

The bench starts each of them as a process, sends a :class:`Plan` as the first line of its input, and reads
what it says line by line: ``connected`` (operators may sign in now), ``ready`` (all have), and at last an
:class:`Outcome`. The end of its input tells the process to leave. The password travels in the plan: it is in
no file, no argument list and no environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

APP = "obzvon"
CAMPAIGN = "bench"
TRUNK = "lab"
CALLER_ID = "+74950000000"
RAMP = (54, 80, 120, 180, 270, 400)
"""How many operators work at each step of the search for the highest rate. The steps are close enough that at
one of them the operators suffice, and yet people are joined before they hang up."""
FAILED_MAX = 0.05
"""With more calls than this that are not bridged a step is too high, and the search is over."""
WAIT_S = 30.0
"""What ought to happen in a moment has happened by then, or something is wrong."""
END_S = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. *rate*: calls placed a second, None: as many as the operators take.

    *warm_s* passes before *window_s* is measured. *is_ramp*: more and more operators begin to work, until
    people are not joined in time or all *agents* work; *warm_s* and *window_s* are then those of one step.
    *with_tones*: the bare client plays the operators what the engine plays them. *processes*: whose time is
    counted, by name. *profile*: where the engine's profile goes (it slows the engine down), empty: none is taken.
    *hep*: where Asterisk sends copies of SIP messages.
    """

    home: str
    ari_url: str
    ari_user: str
    ari_password: str
    agents: int
    warm_s: float
    window_s: float
    rate: float | None = None
    is_ramp: bool = False
    record: bool = False
    with_tones: bool = True
    processes: dict[str, int] = {}
    profile: str = ""
    hep: str = ""

    def __repr__(self) -> str:
        return f"Plan({self.home!r}, agents={self.agents}, rate={self.rate})"


class Counts(msgspec.Struct, kw_only=True):
    """Counters at one instant; or, as a difference, of the window."""

    at: float = 0.0
    cpu_s: float = 0.0
    """Of the process that is measured."""
    others_s: dict[str, float] = {}
    """Of the processes of the world, by name."""
    machine_s: float = 0.0
    """Of everything on this machine."""
    requests: int = 0
    frames: int = 0
    events: int = 0
    transactions: int = 0
    journal_s: float = 0.0

    def since(self, before: Counts) -> Counts:
        """What was added after *before*."""
        new = {
            name: getattr(self, name) - getattr(before, name)
            for name in self.__struct_fields__
            if name != "others_s"
        }
        others = {name: value - before.others_s.get(name, 0.0) for name, value in self.others_s.items()}
        return Counts(**new, others_s=others)


class Outcome(msgspec.Struct, kw_only=True):
    """What one run gave. *calls*: bridged and ended within the window. *waits_ms*: of each of them, from the
    answer to the join. *failed*: calls that ended in the window and were not bridged, by result.
    """

    who: str
    agents: int
    rate: float | None = None
    calls: int
    window: Counts
    waits_ms: list[float]
    failed: dict[str, int] = {}
    steps: dict[int, float] = {}
    """Of a ramp: calls a second at each number of operators."""
    unfinished: int = 0
    """Calls that were still there :data:`END_S` after the last one was placed."""
    broken: int = 0
    """Requests to which no answer came (of the bare client; the engine's are in its log)."""

    @property
    def calls_per_s(self) -> float:
        """Bridged calls a second."""
        return self.calls / self.window.at

    @property
    def failed_share(self) -> float:
        """The share of calls that were not bridged."""
        failed = sum(self.failed.values())
        return failed / max(1, failed + self.calls)

    @property
    def cpu_ms_per_call(self) -> float:
        """Milliseconds of processor time of the process that is measured, for each bridged call."""
        return 1000 * self.window.cpu_s / max(1, self.calls)

    @property
    def all_ms_per_call(self) -> float:
        """Milliseconds of processor time of everybody who has to do with a call, for each bridged call."""
        return 1000 * (self.window.cpu_s + sum(self.window.others_s.values())) / max(1, self.calls)

    @property
    def strangers_share(self) -> float:
        """The share of all processors that went to programs which have nothing to do with the run."""
        ours = self.window.cpu_s + sum(self.window.others_s.values())
        return max(0.0, self.window.machine_s - ours) / (self.window.at * (os.cpu_count() or 1))


class Said(msgspec.Struct, kw_only=True):
    """One line of a half's output."""

    phase: str
    outcome: Outcome | None = None


class Line:
    """The half's end of the conversation: say something; know when to leave."""

    def __init__(self) -> None:
        self.plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
        self.leave = asyncio.Event()
        loop = asyncio.get_running_loop()

        def listen() -> None:
            sys.stdin.read()
            loop.call_soon_threadsafe(self.leave.set)

        threading.Thread(target=listen, daemon=True).start()

    def say(self, phase: str, outcome: Outcome | None = None) -> None:
        """Tell the bench."""
        sys.stdout.write(msgspec.json.encode(Said(phase=phase, outcome=outcome)).decode() + "\n")
        sys.stdout.flush()


def count(at: float, processes: dict[str, int]) -> Counts:
    """The counters that do not depend on who is measured, at the instant *at*."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    others = {name: process_s(pid) for name, pid in processes.items()}
    return Counts(at=at, cpu_s=own.ru_utime + own.ru_stime, others_s=others, machine_s=machine_s())


def process_s(pid: int) -> float:
    """Seconds of processor time of the process *pid*; 0 if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def machine_s() -> float:
    """Seconds of processor time that the whole machine has worked since it started."""
    fields = [
        int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    ]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / _TICKS


async def until(is_so: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
    """Wait until the function *is_so* says yes. Raises RuntimeError when it does not in time."""
    try:
        async with asyncio.timeout(within_s):
            while not is_so():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise RuntimeError(f"{what}: not within {within_s:g} s") from None


async def until_ended(live: Callable[[], int]) -> int:
    """Wait until there are no calls any more, :data:`END_S` at most; how many there are then."""
    with contextlib.suppress(RuntimeError):
        await until(lambda: not live(), "the end of all calls", END_S)
    return live()


async def window_or_ramp(
    plan: Plan, work: Callable[[int], None], window: Callable[[float], Awaitable[Outcome]]
) -> Outcome:
    """What *plan* wants measured: of a ramp, the best step. *work* lets so many operators work from now on,
    *window* measures what happens in so many seconds.
    """
    steps: list[Outcome] = []
    for operators in (*(step for step in RAMP if step < plan.agents and plan.is_ramp), plan.agents):
        work(operators)
        await asyncio.sleep(plan.warm_s)
        steps.append(await window(plan.window_s))
        if steps[-1].failed_share > FAILED_MAX:
            break
    return best(steps)


def best(steps: Sequence[Outcome]) -> Outcome:
    """The step with the highest rate among those at which people are joined in time."""
    found = max(
        [one for one in steps if one.failed_share <= FAILED_MAX] or steps, key=lambda one: one.calls_per_s
    )
    found.steps = {one.agents: round(one.calls_per_s, 1) for one in steps}
    return found
