"""Asterisk's whole configuration, rendered from values.

The templates are the files of ``asterisk-conf/`` (``string.Template``: ``$name``); those of
``dialplan/`` are copied as they are. The result stands alone in one folder, with Asterisk's own
folders beside it::

    target/etc  run  log  spool  db  share        etc/ is ours, share/ is links into the installation

Rules:

1. A value reaches a file only through a check of :mod:`dialer.pbx.checks`.
2. Folders are 0700 and files 0600 (they hold secrets), written whole and then renamed: Asterisk
   never reads half a file.
3. What the installed version does not carry is left out; what we cannot do without is a clear
   error here and not a riddle in Asterisk's log.
4. Loopback unless told otherwise: HTTP always, SIP and RTP by :attr:`Sip.bind <dialer.pbx.settings.Sip>`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Template

from dialer.pbx import checks
from dialer.pbx.checks import BadSetting
from dialer.pbx.deskphones import FILE as PHONES_FILE
from dialer.pbx.deskphones import PhoneLine, may_refer, render_phones
from dialer.pbx.files import read_file, write_file
from dialer.pbx.music import write_music
from dialer.pbx.settings import Hep, Settings, Sip
from dialer.pbx.trunks import FILE as TRUNKS_FILE
from dialer.pbx.trunks import TrunkLine, has_certificate, render_trunks, transport_values

PRIVATE_NETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")
"""RFC 1918, and this machine: nobody there is told the address of the outside."""

MUSIC_SUFFIXES = (".wav", ".alaw", ".ulaw", ".gsm", ".sln")
"""Files that Asterisk plays to who is on hold, all of 8 kHz and mono."""

SOCKET_PATH_MAX = 107
"""Longest path of a Unix socket on Linux, in bytes."""

IVR_FOLDER = "ivr"
"""Of the shared folder: what the scripts of the last word must know of each campaign."""
ACCESS_FOLDER = "access"
"""Of the shared folder: hashes of the PINs of operators on outside lines, and the tries that failed (:mod:`agi.access`)."""
CHOICES_FOLDER = "choices"
"""Of the shared folder: what people chose."""

SYSTEM_PREFIX = "server-"
"""Begins the ``systemname`` of one of several servers: no id of a channel is taken for one of ours (``leg-...``)."""

_OWN_MUSIC = "bells.wav"
_HEP_MODULES = frozenset({"res_hep", "res_hep_pjsip"})

__all__ = [
    "BadSetting",
    "PhoneLine",
    "TrunkLine",
    "files_folder",
    "render_asterisk",
    "render_lines",
]


def render_asterisk(
    target: Path,
    settings: Settings,
    *,
    modules: Path,
    data: Path,
    trunks: Iterable[TrunkLine] = (),
    phones: Iterable[PhoneLine] = (),
    into: Path | None = None,
) -> Path:
    """Write everything that an Asterisk needs into *target* and return the path of its asterisk.conf.

    *modules* and *data* are the installation's folders of modules and of sounds and documentation.
    *into*: write the files there and make nothing else, for who wants to see what would be rendered; then *modules* may be missing.

    What Asterisk wrote itself (``db``, ``spool``, ``log``) is left alone.

    :raises BadSetting: a value cannot be used; nothing has been written.
    :raises OSError: the target cannot be written.
    """
    target = target.absolute()
    folders = {name: target / name for name in ("etc", "run", "log", "spool", "db", "share", "moh")}
    shared = (settings.shared or target / "shared").absolute()
    values = {
        **_values(settings, folders, shared),
        "language": _language(checks.matching("language", settings.language, checks.NAME), data),
        "recordings": checks.path("recordings", (settings.recordings or target / "recordings").absolute()),
        "modules": checks.path("modules", modules),
        "modules_wanted": _modules_wanted(modules, settings) if into is None or modules.is_dir() else "",
    }
    templates = files_folder("asterisk-conf")
    rendered = {path.name: _fill(path, values) for path in sorted(templates.glob("*.conf"))}
    rendered |= _render_lines(trunks, phones, settings.sip, may_refer=may_refer(modules))
    for path in sorted(files_folder("dialplan").glob("*.conf")):
        rendered[f"dialplan/{path.name}"] = path.read_text(encoding="utf-8")

    if into is not None:
        (into / "dialplan").mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in rendered.items():
            write_file(into / name, text)
        return into / "asterisk.conf"
    kept = (shared, shared / IVR_FOLDER, shared / CHOICES_FOLDER, shared / ACCESS_FOLDER)
    # Without the last one ARI refuses to record.
    own = (folders["etc"] / "dialplan", folders["spool"] / "recording")
    for folder in (target, *folders.values(), *own, *kept):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    _link_data(data, folders["share"], settings.language)
    if not (folders["moh"] / _OWN_MUSIC).exists():
        write_music(folders["moh"] / _OWN_MUSIC)
    for name, text in rendered.items():
        write_file(folders["etc"] / name, text)
    return folders["etc"] / "asterisk.conf"


def render_lines(
    target: Path,
    *,
    trunks: Iterable[TrunkLine],
    phones: Iterable[PhoneLine],
    sip: Sip,
    modules: Path | None = None,
) -> bool:
    """Write only the trunks and phones again, for an Asterisk that runs; return whether anything is new.

    It takes them after a reload of ``res_pjsip.so`` (ARI: ``PUT /asterisk/modules/res_pjsip.so``);
    calls in progress are not touched. *modules*: as of :func:`render_asterisk`; None: not known.

    :raises BadSetting: as :func:`render_asterisk`; nothing has been written.
    """
    rendered = _render_lines(trunks, phones, sip, may_refer=may_refer(modules))
    etc = target.absolute() / "etc"
    changed = {name: text for name, text in rendered.items() if read_file(etc / name) != text}
    for name, text in changed.items():
        write_file(etc / name, text)
    return bool(changed)


def render_trunk_file(target: Path, trunks: Iterable[TrunkLine], sip: Sip) -> bool:
    """As :func:`render_lines`, but for the trunks alone: phones stay as they are."""
    text = trunk_file(trunks, sip)
    file = target.absolute() / "etc" / TRUNKS_FILE
    if read_file(file) == text:
        return False
    write_file(file, text)
    return True


def trunk_file(trunks: Iterable[TrunkLine], sip: Sip) -> str:
    """What ``pjsip_trunks.conf`` would hold. Raises BadSetting."""
    bind = checks.address("sip_bind", sip.bind)
    fragments = files_folder("asterisk-conf") / "fragments"
    return render_trunks(
        trunks,
        fragments=fragments,
        sip_bind=bind,
        sip_port=sip.port,
        media=media_lines(bind),
        outside=_outside(sip.outside),
    )


@cache
def dialplan_version() -> str:
    """A short text that is another for each version of our dialplan."""
    files = [
        *sorted(files_folder("dialplan").glob("*.conf")),
        files_folder("asterisk-conf") / "extensions.conf",
    ]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def files_folder(name: str) -> Path:
    """Where the files of the project's folder *name* are: in the source tree, or as they were installed.

    :raises BadSetting: they are in neither place: the installation is incomplete.
    """
    places = (
        Path(__file__).resolve().parents[2] / name,
        Path(sysconfig.get_path("data")) / "share" / "obzvon" / name,
    )
    for place in places:
        if place.is_dir():
            return place
    raise BadSetting(f"{name}: not found in {places[0].parent} nor in {places[1].parent}; install again")


# -- values -------------------------------------------------------------------------------


def _values(settings: Settings, folders: Mapping[str, Path], shared: Path) -> dict[str, str]:
    """What fills the templates, checked."""
    socket = folders["run"] / "asterisk.ctl"
    if len(os.fsencode(socket)) > SOCKET_PATH_MAX:
        raise BadSetting(f"{socket}: this path is too long for a socket; choose a shorter folder")
    first, last = settings.rtp
    if checks.port("rtp", last) - checks.port("rtp", first) < 3:
        raise BadSetting(f"rtp: {first}-{last} has no room for a call")
    sip, music, name = settings.sip, settings.music, settings.system_name
    return {name: checks.path(name, folder) for name, folder in folders.items()} | {
        "agi_bin": checks.path("agi_bin", folders["spool"] / "agi-bin"),
        "callers_max": str(max(1, (last - first + 1) // 4)),  # a call has two ports
        "dialplan_version": dialplan_version(),
        "system_name": f"systemname = {SYSTEM_PREFIX}{checks.matching('system_name', name, checks.NAME)}\n"
        if name
        else "",
        "http_port": str(checks.port("http_port", settings.http_port)),
        "sip_port": str(checks.port("sip_port", sip.port)),
        "sip_bind": checks.address("sip_bind", sip.bind),
        "outside": _outside(sip.outside),
        "rtp_first": str(first),
        "rtp_last": str(last),
        "ari_user": checks.matching("ari_user", settings.ari_user, checks.NAME),
        "ari_password": checks.conf_value(
            "ari_password", checks.present("ari_password", settings.ari_password)
        ),
        "ari_monitor": _monitor(settings.ari_user, settings.ari_monitor_password),
        "python": checks.path("python", Path(sys.executable)),
        "music": checks.path("music", music.absolute() if _has_music(music) and music else folders["moh"]),
        "ivr": checks.path("shared", shared / IVR_FOLDER),
        "choices": checks.path("shared", shared / CHOICES_FOLDER),
        "access": checks.path("shared", shared / ACCESS_FOLDER),
        **transport_values(sip.tls, sip.port),
        "verbose_log": "full.log => notice,warning,error,verbose(5)" if settings.verbose_log else "",
        **_hep(settings.hep),
    }


def _hep(hep: Hep | None) -> dict[str, str]:
    if hep is None:
        return {"hep_enabled": "no", "hep_address": "127.0.0.1:9060", "hep_password": ""}
    host, _, port = hep.address.rpartition(":")
    address = f"{checks.address('hep', host)}:{checks.port('hep', int(port) if port.isdecimal() else 0)}"
    password = checks.conf_value("hep password", checks.present("hep password", hep.password))
    return {"hep_enabled": "yes", "hep_address": address, "hep_password": password}


def _render_lines(
    trunks: Iterable[TrunkLine], phones: Iterable[PhoneLine], sip: Sip, *, may_refer: bool
) -> dict[str, str]:
    trunk_text = trunk_file(trunks, sip)
    phone_text = render_phones(
        phones,
        fragments=files_folder("asterisk-conf") / "fragments",
        media=media_lines(checks.address("sip_bind", sip.bind)),
        has_tls=has_certificate(sip.tls),
        may_refer=may_refer,
    )
    return {TRUNKS_FILE: trunk_text, PHONES_FILE: phone_text}


def _monitor(ari_user: str, password: str) -> str:
    if not password:
        return "; There is no second user: secrets.toml has no `ari_monitor`."
    secret = checks.conf_value("ari_monitor_password", password)
    return f"[{ari_user}-monitor]\ntype = user\nread_only = yes\npassword_format = plain\npassword = {secret}"


def _outside(address: str) -> str:
    """Behind address translation: who is not in a private network is told the address that the outside sees."""
    if not address:
        return "; Not behind address translation, as far as we were told (ports.external_address)."
    found = checks.address("external_address", address)
    nets = "".join(f"local_net = {net}\n" for net in PRIVATE_NETS)
    return f"external_media_address = {found}\nexternal_signaling_address = {found}\n{nets}".rstrip()


def media_lines(sip_bind: str) -> str:
    """Voice goes by the address that signalling is bound to; a wildcard leaves the choice to the kernel."""
    if ipaddress.ip_address(sip_bind.strip("[]")).is_unspecified:
        return ""
    return f"media_address = {sip_bind.strip('[]')}\nbind_rtp_to_media_address = yes\n"


# -- files --------------------------------------------------------------------------------


def _modules_wanted(modules: Path, settings: Settings) -> str:
    present = {path.stem for path in modules.glob("*.so")}
    if not present:
        raise BadSetting(f"modules: {modules} holds no Asterisk modules")
    lines, missing = [], []
    for line in (files_folder("asterisk-conf") / "modules.list").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        word, module = line.split()
        if module in _HEP_MODULES and settings.hep is None:
            continue
        if module in present:
            lines.append(f"{word} = {module}.so")
        elif word == "require":
            missing.append(module)
    if missing:
        raise BadSetting(f"modules: {modules} lacks {', '.join(missing)}; install Asterisk's modules package")
    return "\n".join(lines)


def _link_data(data: Path, share: Path, language: str) -> None:
    """Fill *share* with links into the installation's data folder.

    Not the folder itself: what was unpacked without being installed has no link ``sounds/en`` to its
    voice, or one that leads out of its root.
    """
    if not (data / "documentation").is_dir():
        raise BadSetting(
            f"data: {data} lacks Asterisk's documentation folder, without which modules do not load"
        )
    for entry in data.iterdir():
        if entry.name != "sounds":
            _link(share / entry.name, entry)
    sounds = share / "sounds"
    sounds.mkdir(mode=0o700, exist_ok=True)
    voices = data / "sounds"
    for entry in sorted(voices.iterdir()) if voices.is_dir() else ():
        if entry.is_dir():
            _link(sounds / entry.name, entry)
    if not (sounds / language).exists():
        like = sorted(entry for entry in voices.glob(f"{language}_*") if entry.is_dir())
        if like:
            _link(sounds / language, like[0])


def _language(wanted: str, data: Path) -> str:
    """Of Asterisk's own sounds. English where the wanted voice is not installed: single sounds it would find in English by itself, but
    numbers it says by the grammar of its language."""
    voices = data / "sounds"
    is_known = not voices.is_dir() or (voices / wanted).exists() or any(voices.glob(f"{wanted}_*"))
    return wanted if is_known else "en"


def _has_music(folder: Path | None) -> bool:
    return (
        folder is not None and folder.is_dir() and any(f.suffix in MUSIC_SUFFIXES for f in folder.iterdir())
    )


def _link(link: Path, to: Path) -> None:
    if link.is_symlink():
        if link.readlink() == to:
            return
        link.unlink()
    if not link.exists():
        link.symlink_to(to)


def _fill(template: Path, values: Mapping[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(values)
