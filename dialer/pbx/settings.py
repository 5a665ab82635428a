"""What the configuration of an Asterisk is rendered from, besides its trunks and phones (:mod:`dialer.pbx.render`)."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Sip(msgspec.Struct, frozen=True, kw_only=True):
    """How it speaks SIP. *bind*, *port*: by UDP and TCP; TLS has the next port. *outside*: our address as carriers and phones elsewhere see
    it, behind address translation; empty: there is none. *tls*: a folder that may hold our certificate and key
    (:mod:`dialer.pbx.trunks`)."""

    bind: str = "127.0.0.1"
    port: int = 5060
    outside: str = ""
    tls: Path | None = None


class Hep(msgspec.Struct, frozen=True, kw_only=True):
    """Where Asterisk sends copies of SIP messages (:mod:`dialer.pbx.hep`). *address*: ``IP:PORT``. The password is not shown by ``repr``."""

    address: str
    password: str

    def __repr__(self) -> str:
        return f"Hep({self.address!r})"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One Asterisk's. Passwords are not shown by ``repr``.

    *ari_monitor_password*: of a second ARI user, ``<ari_user>-monitor``, who may only look; empty: there is none. *rtp*: first and last UDP
    port. *music*: a folder of sound files (:data:`~dialer.pbx.render.MUSIC_SUFFIXES`) for people who are held; None, missing or empty: our
    own (:mod:`dialer.pbx.music`).

    *shared*: the folder in which the engine and the AGI scripts leave each other files; None: ``shared`` in the folder of that Asterisk.
    *recordings*: where the recordings of calls that come in begin; None: ``recordings`` there. *system_name*: of one of several servers: it
    begins the ids of its channels, so that they are unique over all (``server-NAME-...``). *hep*: None: it sends no copies of SIP messages.
    """

    ari_password: str
    ari_user: str = "obzvon"
    ari_monitor_password: str = ""
    http_port: int = 8088
    rtp: tuple[int, int] = (20000, 21999)
    sip: Sip = Sip()
    language: str = "en"
    music: Path | None = None
    shared: Path | None = None
    recordings: Path | None = None
    system_name: str = ""
    hep: Hep | None = None
    verbose_log: bool = False

    def __repr__(self) -> str:
        return f"Settings({self.ari_user!r}, {self.sip!r})"
