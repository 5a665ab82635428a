"""What was seen of the surroundings: plain values, made by the modules that ask, judged by those that know.

So a test plants a fault by changing a value, and a neighbour that is not there is a value too (its ``failure``).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dialer.core.ids import ONLY, ServerId
from dialer.pbx.taken import Registration


class ProcessFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A process on this machine. *files_max*: how many files it may have open. *groups*: its own and the others."""

    pid: int
    uid: int = 0
    groups: tuple[int, ...] = ()
    files_max: int | None = None


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """This machine. *name_failure*: why its own name is not found. *name_took_s*: None: not found within the patience.
    *clock_state*: the kernel's word on its clock; 5: not synchronized, -1: it does not say. *listening*: address and TCP
    port of each socket that takes connections. *has_voice*: whether texts can be spoken."""

    name: str = "localhost"
    name_took_s: float | None = 0.0
    name_failure: str = ""
    clock_state: int = 0
    listening: tuple[tuple[str, int], ...] = ()
    has_voice: bool = True
    engine: ProcessFacts | None = None
    own_files_max: int | None = None


class RedisFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What Redis says of itself. *failure*: why it says nothing. What it forbids us to ask stays empty."""

    failure: str = ""
    version: str = ""
    eviction: str = ""
    is_persistent: bool = False
    is_saving_broken: bool = False
    clock_ahead_s: float = 0.0
    memory_used: int = 0
    memory_max: int = 0
    """0: no limit."""
    compatible: str = ""
    """The version of Redis that its commands are those of."""


class AsteriskFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One Asterisk, as seen by ARI and, where it runs here, on disk.

    *failure*: why it says nothing. *is_running*: of an embedded one. *config*: its files by name (``ari.conf``), as far as they can be read.
    *endpoints*: those that it has, of the ones that were asked for; *states*: of these and of some that are gone (until
    Asterisk is started again it does not forget). *objects*: PJSIP's settings by kind and name. *sounds_missing*: of those that we play. *can_record*: whether ARI has its folder.
    *monitor_writes*: whether the user who may only look may write; None: there is none.
    """

    server: ServerId = ONLY
    name: str = "Asterisk"
    url: str = ""
    user: str = "obzvon"
    is_embedded: bool = False
    is_running: bool = True
    is_here: bool = True
    failure: str = ""
    is_unauthorized: bool = False
    version: str = ""
    major: int = 0
    is_read_only: bool = False
    has_app: bool = False
    clock_ahead_s: float | None = None
    files_max: int | None = None
    modules: frozenset[str] = frozenset()
    dialplan: str = ""
    python: str = ""
    endpoints: frozenset[str] = frozenset()
    states: Mapping[str, str] = {}
    objects: Mapping[tuple[str, str], Mapping[str, str]] = {}
    registrations: Mapping[str, Registration] = {}
    sounds_missing: tuple[str, ...] = ()
    can_record: bool = True
    monitor_writes: bool | None = None
    config: Mapping[str, str] = {}
    config_folder: str = ""
    process: ProcessFacts | None = None

    @property
    def is_well(self) -> bool:
        """Whether it answers us."""
        return self.is_running and not self.failure and not self.is_unauthorized


class FarEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk's host, as seen from here. *address*: empty: its name is not found. *leaves_from*: our address on the way there.
    *status*: of the answer to our own OPTIONS, 0: none, and *failure* why; None: not asked. *certificate_ends_at*: of a TLS host."""

    host: str
    address: str = ""
    leaves_from: str = ""
    status: int | None = None
    failure: str = ""
    certificate_ends_at: float | None = None
