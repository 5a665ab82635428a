"""The measures of Obzvon: ``python -m bench``, or ``./dev bench``.

1. A figure is worth something only beside another of the same minute on the same machine. So the engine is
   measured against a *bare* client that sends the same requests to the same Asterisk and does nothing
   else, and the two take turns.
2. The world costs as little as possible: SIPp signals without media, one process for all people and one
   for all operators' phones. What is measured works as ever: a real journal on a disk, a real Valkey.
3. Whoever is measured is alone in a process of its own (:mod:`bench.bare`, :mod:`bench.whole`), which counts
   its own time on the processors; that of the others is counted beside it, and what the machine spent on
   strangers as well, so that a noisy run shows as one.
4. Everything is bounded in time, listens on the loopback address only, and leaves nothing behind. Goals are
   shown, never enforced: a slow machine is no failure.
"""
