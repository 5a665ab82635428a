"""PLAYS THE WORLD: a telephone network, desk phones and a softphone, for demos and tests.

The laboratory is made of SIPp (Debian's ``sip-tester``) and baresip, so what the engine meets
is real SIP and real RTP. It knows nothing of the engine and imports none of its rooms: what
the network counted is therefore an independent witness of what the engine reports.

1. :mod:`dialer.lab.day` says who lives in the world and what they do when called.
2. :mod:`dialer.lab.network` is the carrier: one SIPp process in which all of them live.
3. :mod:`dialer.lab.phones` are the operators' desk phones: one SIPp process for each.
4. :mod:`dialer.lab.softphone` is a softphone as people use it: baresip.
5. :mod:`dialer.lab.voice` makes what they say, and hears who speaks in a recording.

Everything listens on the loopback address only, and dies with the process that started it.
"""
