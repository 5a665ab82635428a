"""The same laboratory day twice on a real Asterisk: progressive against predictive, with robots as operators.

``./dev bench live`` (``python -m bench.live``). Everything is on the loopback address: a network of SIPp people who
are drawn from a seed (:mod:`dialer.lab.crowd`), parked desk phones of SIPp, and ``dialer up`` with an Asterisk and a
Redis of its own. Both runs call the same people in the same order.

Two witnesses tell what became of who answered: the engine's journal; and the laboratory, which counts the calls
itself and listens, in the recordings, when an operator is first heard by the person. The second knows nothing of what
the engine thinks.
"""
