"""An engine in a process of its own, to be killed: ``python engine_process.py HOME``.

Its Asterisk and Redis outlive it, so that the next engine finds them.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from dialer.engine.house import House
from dialer.engine.logs import set_up


async def main(home: Path) -> None:
    set_up(home / "log", "info", to_terminal=False)
    async with House(home, outlive=True) as house:
        await house.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
