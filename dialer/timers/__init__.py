"""Wakes: Redis sorted sets.

1. A deadline is a field of its attempt, agent or lead, kept in the journal. A timer only wakes us
   at that time: stale, doubled or lost, it does no harm.
2. Due timers are taken out atomically, by one script; we sleep until the earliest is due, and an
   earlier one set meanwhile wakes us.
3. Redis may go away, come back empty, or be wiped while we look elsewhere. Each time it is back its
   old timers are thrown away, we say so (*on_back*), and whoever knows the facts arms every timer again.
"""

from dialer.timers.timers import Timers

__all__ = ["Timers"]
