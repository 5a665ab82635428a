"""Obzvon: an outbound call-centre engine on Asterisk.

Rooms, and who may import whom (held by import-linter, see ``setup.cfg``)::

    cli -> web | office | lab | engine -> pbx | store | timers -> core
"""

__version__ = "0.1.0"
