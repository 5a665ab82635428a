"""Where this machine's Asterisk is: the system's own, or one unpacked into a private folder.

A private root is a folder into which the packages of a distribution were unpacked and not installed.
Asterisk runs from there without chroot and without rights: the root's own dynamic loader is called
with the root's own libraries, and our configuration names the root's modules and data.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from dialer.engine.process import EmbeddedError

VERSION_MIN = (20, 0)

_LOADERS = (
    "lib64/ld-linux-x86-64.so.2",
    "usr/lib64/ld-linux-x86-64.so.2",
    "lib/ld-linux-aarch64.so.1",
    "usr/lib/ld-linux-aarch64.so.1",
)
_MODULE_FOLDERS = (
    "usr/lib/*/asterisk/modules",
    "usr/lib/asterisk/modules",
    "usr/lib64/asterisk/modules",
    "usr/local/lib/asterisk/modules",
)
_DATA_FOLDERS = ("usr/share/asterisk", "var/lib/asterisk", "usr/local/share/asterisk")


class AsteriskInstall(msgspec.Struct, frozen=True, kw_only=True):
    """An Asterisk that can be started: ``[*argv, "-C", conf, "-f"]``."""

    argv: tuple[str, ...]
    modules: Path
    data: Path
    version: tuple[int, ...]
    root: Path | None = None
    """The private root; None: the system's own Asterisk."""

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def default_root() -> Path:
    """The folder in which a private root is looked for."""
    given = os.environ.get("OBZVON_ASTERISK_ROOT")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "obzvon" / "asterisk-root"


def find_asterisk() -> AsteriskInstall:
    """The Asterisk to run: the one of ``OBZVON_ASTERISK_ROOT``, else the system's if it is new enough,
    else the one in the private root.

    Starts ``asterisk -V``, so call it from a thread when a loop runs.

    :raises EmbeddedError: there is none, or none that is new enough.
    """
    root = default_root()
    reasons = []
    looks = [lambda: _in_root(root), _in_system]
    if not os.environ.get("OBZVON_ASTERISK_ROOT"):
        looks.reverse()
    for look in looks:
        try:
            return look()
        except EmbeddedError as error:
            reasons.append(str(error))
    raise EmbeddedError("no Asterisk to run: " + "; ".join(reasons) + ". './dev setup' gets one")


def _in_system() -> AsteriskInstall:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    program = shutil.which("asterisk", path=path)
    if program is None:
        raise EmbeddedError("the system has none")
    return _install((program,), Path("/"), None)


def _in_root(root: Path) -> AsteriskInstall:
    program = root / "usr/sbin/asterisk"
    if not program.is_file():
        raise EmbeddedError(f"{root} holds none")
    loader = next((root / name for name in _LOADERS if (root / name).is_file()), None)
    if loader is None:
        raise EmbeddedError(f"{root} lacks the dynamic loader (ld-linux)")
    folders = [path.parent for path in sorted(root.glob("usr/lib/*/libc.so.6"))] + [root / "usr/lib"]
    libraries = ":".join(str(path) for path in folders)
    return _install((str(loader), "--library-path", libraries, str(program)), root, root)


def _install(argv: tuple[str, ...], top: Path, root: Path | None) -> AsteriskInstall:
    version = _version(argv)
    if version < VERSION_MIN:
        raise EmbeddedError(
            f"{argv[-1]} is version {'.'.join(map(str, version))}, older than {VERSION_MIN[0]}"
        )
    modules = [path.parent for pattern in _MODULE_FOLDERS for path in top.glob(f"{pattern}/chan_pjsip.so")]
    data = [top / name for name in _DATA_FOLDERS if (top / name / "documentation").is_dir()]
    if not modules:
        raise EmbeddedError(f"{argv[-1]}: its modules folder with chan_pjsip.so was not found")
    if not data:
        raise EmbeddedError(f"{argv[-1]}: its data folder with the documentation was not found")
    return AsteriskInstall(argv=argv, modules=modules[0], data=data[0], version=version, root=root)


def _version(argv: tuple[str, ...]) -> tuple[int, ...]:
    try:
        done = subprocess.run([*argv, "-V"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedError(f"{argv[-1]} does not run: {error}") from error
    found = re.search(r"Asterisk\s+(?:certified[/-])?(\d+(?:\.\d+)*)", done.stdout)
    if done.returncode != 0 or found is None:
        said = (done.stderr or done.stdout).strip()[-300:]
        raise EmbeddedError(f"{argv[-1]} does not run: {said or f'status {done.returncode}'}")
    return tuple(int(part) for part in found[1].split("."))
