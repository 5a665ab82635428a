"""The faults: each is struck when every call is at its step; the function that strikes returns when it is over.

What is held at a failpoint is let go right after the strike, while the fault lasts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from dialer.core.values import Result
from tests.e2e.world import until

if TYPE_CHECKING:
    from tests.e2e.matrix.centre import Centre

SLEEP_S = 10.0
FULL_S = 4.0
LEAVE_S = 60.0
SOON_S = 60.0
"""What a fault leads to has happened by then, however slow the machine."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the matrix."""

    name: str
    title: str
    strike: Callable[[Centre], Awaitable[None]]
    kills_engine: bool = False
    kills_calls: bool = False
    """Asterisk dies, and every call in it."""
    sleeps_s: float = 0.0
    """Nobody speaks or hears for so long."""
    is_deaf: bool = False
    """For a while the engine hears nothing of what happens."""
    results: dict[str, frozenset[Result]] = {}
    """By step: the results that the first call may have, where they are not those of a good day."""


def _any(*results: Result) -> frozenset[Result]:
    return frozenset(results)


TALKED = _any(Result.TALKED)


async def _engine_killed(centre: Centre) -> None:
    await centre.kill_engine()
    await centre.start_engine()


async def _redis_killed(centre: Centre) -> None:
    assert centre.redis.pid is not None
    os.kill(centre.redis.pid, signal.SIGKILL)
    centre.let_go()
    await centre.until_health(lambda one: not one["timers_ok"], "the loss of Redis to be seen", SOON_S)
    await centre.redis.start()
    await centre.until_health(lambda one: one["timers_ok"], "Redis again", SOON_S)


async def _redis_wiped(centre: Centre) -> None:
    await centre.wipe_redis()
    centre.let_go()


async def _redis_restarted(centre: Centre) -> None:
    centre.let_go()
    await centre.redis.stop()
    await centre.redis.start()
    await centre.until_health(lambda one: one["timers_ok"], "Redis again", SOON_S)


async def _asterisk_restarted(centre: Centre) -> None:
    assert centre.asterisk.pid is not None
    os.kill(centre.asterisk.pid, signal.SIGKILL)
    await centre.asterisk.wait()
    centre.let_go()
    await centre.until_health(lambda one: not one["pbx_connected"], "the loss of Asterisk to be seen", SOON_S)
    await centre.asterisk.start()
    await centre.until_health(
        lambda one: one["pbx_connected"] and one["originating"], "Asterisk again", SOON_S
    )
    await centre.sign_in_again()


async def _socket_cut(centre: Centre) -> None:
    centre.wire.cut()
    centre.let_go()
    await _connected_again(centre)


async def _socket_stalled(centre: Centre) -> None:
    centre.wire.stall()
    centre.let_go()
    await centre.until_health(lambda one: not one["pbx_connected"], "the deaf socket to be seen", SOON_S)
    await _connected_again(centre)


async def _socket_closed(centre: Centre) -> None:
    centre.wire.close()
    centre.let_go()
    await _connected_again(centre)


async def _connected_again(centre: Centre) -> None:
    await centre.until_health(lambda one: one["pbx_connected"] and one["originating"], "events again", SOON_S)


async def _end_lost(centre: Centre) -> None:
    centre.lose_ends()


async def _machine_slept(centre: Centre) -> None:
    with _stopped(centre.all_pids()):
        await _pass(SLEEP_S)
    centre.let_go()
    await _connected_again(centre)


async def _engine_stopped(centre: Centre) -> None:
    with _stopped([centre.engine_pid]):
        await _pass(SLEEP_S)
    centre.let_go()
    await _connected_again(centre)


async def _disk_full(centre: Centre) -> None:
    await _fill_the_disk(centre)
    centre.signal_engine(signal.SIGUSR2)
    await centre.until_health(lambda one: one["journal_ok"], "the journal to work again", SOON_S)


async def _disk_full_and_killed(centre: Centre) -> None:
    await _fill_the_disk(centre)
    await centre.kill_engine()
    await centre.start_engine()


async def _told_to_leave(centre: Centre) -> None:
    centre.signal_engine(signal.SIGTERM)
    centre.let_go()
    centre.struck_at = time.time()
    centre.back_to_work()
    await centre.engine_left(LEAVE_S)
    await centre.start_engine()


async def _fill_the_disk(centre: Centre) -> None:
    centre.signal_engine(signal.SIGUSR2)
    centre.let_go()
    await centre.until_health(lambda one: not one["journal_ok"], "the full disk to be seen", SOON_S)
    await _pass(FULL_S)


async def _pass(seconds: float) -> None:
    """The fault lasts so long, by the wall clock."""
    over = time.time() + seconds
    await until(lambda: time.time() >= over, "the time to pass", seconds + 5)


@contextlib.contextmanager
def _stopped(pids: Iterable[int]) -> Iterator[None]:
    """These processes do not run, and find the clocks ahead when they do again."""
    stopped = list(pids)
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


_LOST = _any(Result.LOST)
_NOT_SENT = _any(Result.FAILED)
_UNHEARD = _any(Result.TALKED, Result.ABANDONED, Result.HUNG_UP)
"""Who answers while nobody listens is met with silence, and may have hung up before that is over."""
_CUT_OFF = _any(Result.ABANDONED, Result.HUNG_UP, Result.LOST)

FAULTS = (
    Fault(
        name="engine-killed",
        title="engine killed, started",
        strike=_engine_killed,
        kills_engine=True,
        is_deaf=True,
        results={"saved": _LOST},
    ),
    Fault(name="redis-killed", title="Redis killed, started", strike=_redis_killed),
    Fault(name="redis-wiped", title="Redis wiped", strike=_redis_wiped),
    Fault(name="redis-restarted", title="Redis restarted, empty", strike=_redis_restarted),
    Fault(
        name="asterisk-restarted",
        title="Asterisk killed, started",
        strike=_asterisk_restarted,
        kills_calls=True,
        results={
            "saved": _any(Result.FAILED, Result.LOST),
            "sent": _LOST,
            "ringing": _LOST,
            "answered": _CUT_OFF,
            "deserted": _CUT_OFF,
            "rung": _CUT_OFF,
            "reserved": _CUT_OFF,
            "joining": TALKED | _CUT_OFF,
            "lastword": _CUT_OFF,
            "returned": _CUT_OFF,
            "announcing": _any(Result.ANNOUNCED) | _LOST,
            "machine": _any(Result.MACHINE) | _LOST,
        },
    ),
    Fault(name="socket-cut", title="event socket reset", strike=_socket_cut),
    Fault(
        name="socket-stalled",
        title="event socket stalled",
        strike=_socket_stalled,
        is_deaf=True,
        results={"saved": _UNHEARD | _LOST, "sent": _UNHEARD | _LOST, "ringing": _UNHEARD | _LOST},
    ),
    Fault(name="socket-closed", title="event socket closed", strike=_socket_closed),
    Fault(name="end-lost", title="the event of a hang-up lost", strike=_end_lost),
    Fault(
        name="machine-slept",
        title="machine slept 10 s",
        strike=_machine_slept,
        sleeps_s=SLEEP_S,
        results={"saved": _NOT_SENT, "sent": _UNHEARD, "ringing": _UNHEARD},
    ),
    Fault(
        name="engine-stopped",
        title="engine stopped 10 s",
        strike=_engine_stopped,
        is_deaf=True,
        results={"saved": _NOT_SENT, "sent": _UNHEARD | _LOST, "ringing": _UNHEARD | _LOST},
    ),
    Fault(name="disk-full", title="disk full, then not", strike=_disk_full),
    Fault(
        name="disk-full-killed",
        title="disk full, engine killed, started",
        strike=_disk_full_and_killed,
        kills_engine=True,
        is_deaf=True,
        results={"saved": TALKED | _LOST, "sent": _UNHEARD | _LOST, "ringing": _UNHEARD | _LOST},
    ),
    Fault(name="sigterm", title="SIGTERM, started", strike=_told_to_leave, kills_engine=True),
)
