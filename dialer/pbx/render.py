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
4. Loopback unless told otherwise: HTTP always, SIP and RTP by *sip_bind*.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

import msgspec

from dialer.core.values import Trunk
from dialer.pbx import checks
from dialer.pbx.checks import BadSetting
from dialer.pbx.music import write_music

PHONE_OPTIONS_INTERVAL_S = 20
"""Registered phones are asked so often whether they are there. Who does not answer in 3 s (``qualify_timeout`` in
``phone.conf``, which leaves time for two repetitions) is lost: an unplugged phone is noticed within 23 s."""

MUSIC_SUFFIXES = (".wav", ".alaw", ".ulaw", ".gsm", ".sln")
"""Files that Asterisk plays to who is on hold, all of 8 kHz and mono."""

SOCKET_PATH_MAX = 107
"""Longest path of a Unix socket on Linux, in bytes."""

IVR_FOLDER = "ivr"
"""Of the shared folder: what the scripts of the last word must know of each campaign."""
CHOICES_FOLDER = "choices"
"""Of the shared folder: what people chose."""

_OWN_MUSIC = "bells.wav"


class TrunkLine(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk and its secret (empty: the trunk does not authenticate)."""

    trunk: Trunk
    secret: str = ""


class PhoneLine(msgspec.Struct, frozen=True, kw_only=True):
    """A desk phone: its *extension* (digits) is its SIP name; *secret* is for digest authentication."""

    extension: str
    secret: str


def render_asterisk(
    target: Path,
    *,
    modules: Path,
    data: Path,
    ari_user: str,
    ari_password: str,
    http_port: int,
    sip_port: int,
    rtp_range: tuple[int, int],
    trunks: Iterable[TrunkLine] = (),
    phones: Iterable[PhoneLine] = (),
    sip_bind: str = "127.0.0.1",
    phone_codecs: tuple[str, ...] = ("alaw", "ulaw"),
    phone_options_interval_s: int = PHONE_OPTIONS_INTERVAL_S,
    last_word: tuple[str, ...] = ("im-sorry", "goodbye"),
    language: str = "en",
    python: Path | None = None,
    music: Path | None = None,
    shared: Path | None = None,
    verbose_log: bool = False,
) -> Path:
    """Write everything that an Asterisk needs into *target* and return the path of its asterisk.conf.

    *modules* and *data* are the installation's folders of modules and of sounds and documentation.
    *rtp_range*: first and last UDP port. *last_word*: sounds said to a person for whom there is no
    operator. *python*: the interpreter that runs the AGI scripts; None: the one that runs us.
    *phone_options_interval_s*: probe registered phones so often; 0: never. *music*: a folder of sound files
    (:data:`MUSIC_SUFFIXES`) for people who are held; None, missing or empty: our own (:mod:`dialer.pbx.music`).

    *shared*: the folder in which the engine and the AGI scripts leave each other files; None: ``shared`` in *target*.

    What Asterisk wrote itself (``db``, ``spool``, ``log``) is left alone.

    :raises BadSetting: a value cannot be used; nothing has been written.
    :raises OSError: the target cannot be written.
    """
    target = target.absolute()
    folders = {name: target / name for name in ("etc", "run", "log", "spool", "db", "share", "moh")}
    shared = (shared or target / "shared").absolute()
    socket = folders["run"] / "asterisk.ctl"
    if len(os.fsencode(socket)) > SOCKET_PATH_MAX:
        raise BadSetting(f"{socket}: this path is too long for a socket; choose a shorter folder")
    first, last = rtp_range
    if checks.port("rtp_range", last) - checks.port("rtp_range", first) < 3:
        raise BadSetting(f"rtp_range: {first}-{last} has no room for a call")
    values = {name: checks.path(name, folder) for name, folder in folders.items()} | {
        "modules": checks.path("modules", modules),
        "agi_bin": checks.path("agi_bin", folders["spool"] / "agi-bin"),
        "modules_wanted": _modules_wanted(modules),
        "language": checks.matching("language", language, checks.NAME),
        "http_port": str(checks.port("http_port", http_port)),
        "sip_port": str(checks.port("sip_port", sip_port)),
        "sip_bind": checks.address("sip_bind", sip_bind),
        "rtp_first": str(first),
        "rtp_last": str(last),
        "ari_user": checks.matching("ari_user", ari_user, checks.NAME),
        "ari_password": checks.conf_value("ari_password", checks.present("ari_password", ari_password)),
        "python": checks.path("python", python or Path(sys.executable)),
        "last_word": "&".join(checks.matching("last_word", sound, checks.SOUND) for sound in last_word),
        "music": checks.path("music", music.absolute() if _has_music(music) and music else folders["moh"]),
        "ivr": checks.path("shared", shared / IVR_FOLDER),
        "choices": checks.path("shared", shared / CHOICES_FOLDER),
        "verbose_log": "full.log => notice,warning,error,verbose(5)" if verbose_log else "",
    }
    templates = files_folder("asterisk-conf")
    rendered = {path.name: _fill(path, values) for path in sorted(templates.glob("*.conf"))}
    rendered |= _render_lines(trunks, phones, sip_bind, phone_codecs, phone_options_interval_s)
    for path in sorted(files_folder("dialplan").glob("*.conf")):
        rendered[f"dialplan/{path.name}"] = path.read_text(encoding="utf-8")

    kept = (shared, shared / IVR_FOLDER, shared / CHOICES_FOLDER)
    for folder in (target, *folders.values(), folders["etc"] / "dialplan", *kept):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    _link_data(data, folders["share"], language)
    if not (folders["moh"] / _OWN_MUSIC).exists():
        write_music(folders["moh"] / _OWN_MUSIC)
    for name, text in rendered.items():
        _write(folders["etc"] / name, text)
    return folders["etc"] / "asterisk.conf"


def render_lines(
    target: Path,
    *,
    trunks: Iterable[TrunkLine],
    phones: Iterable[PhoneLine],
    sip_bind: str = "127.0.0.1",
    phone_codecs: tuple[str, ...] = ("alaw", "ulaw"),
    phone_options_interval_s: int = PHONE_OPTIONS_INTERVAL_S,
) -> None:
    """Write only the trunks and phones again, for an Asterisk that runs.

    It takes them after a reload of ``res_pjsip.so`` (ARI: ``PUT /asterisk/modules/res_pjsip.so``);
    calls in progress are not touched.

    :raises BadSetting: as :func:`render_asterisk`; nothing has been written.
    """
    for name, text in _render_lines(trunks, phones, sip_bind, phone_codecs, phone_options_interval_s).items():
        _write(target.absolute() / "etc" / name, text)


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


# -- trunks and phones --------------------------------------------------------------------


def _render_lines(
    trunks: Iterable[TrunkLine],
    phones: Iterable[PhoneLine],
    sip_bind: str,
    phone_codecs: tuple[str, ...],
    options_interval_s: int,
) -> dict[str, str]:
    media = _media(checks.address("sip_bind", sip_bind))
    seen: set[str] = set()
    trunk_texts = ["; Rendered by Obzvon from the trunk files.\n"]
    for line in trunks:
        if line.trunk.id in seen:
            raise BadSetting(f"trunk {line.trunk.id}: given twice")
        seen.add(line.trunk.id)
        trunk_texts.append(_render_trunk(line, media))
    codecs = checks.codecs("phone_codecs", phone_codecs)
    interval = checks.interval("phone_options_interval_s", options_interval_s)
    phone_texts = ["; Rendered by Obzvon from the agents' cards.\n"]
    fragment = files_folder("asterisk-conf") / "fragments" / "phone.conf"
    for phone in phones:
        name = f"phone {phone.extension}"
        if phone.extension in seen:
            raise BadSetting(f"{name}: given twice")
        seen.add(phone.extension)
        phone_texts.append(
            _fill(
                fragment,
                {
                    "extension": checks.matching(name, phone.extension, checks.EXTENSION),
                    "secret": checks.conf_value(
                        f"{name}: secret", checks.present(f"{name}: secret", phone.secret)
                    ),
                    "codecs": codecs,
                    "options_interval_s": interval,
                    "media": media,
                },
            )
        )
    return {"pjsip_trunks.conf": "".join(trunk_texts), "pjsip_phones.conf": "".join(phone_texts)}


def _render_trunk(line: TrunkLine, media: str) -> str:
    trunk = line.trunk
    name = f"trunk {trunk.id}"
    if trunk.transport not in ("udp", "tcp"):
        raise BadSetting(f"{name}: transport: {trunk.transport!r} is neither udp nor tcp")
    if line.secret and not trunk.username:
        raise BadSetting(f"{name}: has a secret but no username")
    if trunk.register and not trunk.username:
        raise BadSetting(f"{name}: a trunk that registers needs a username")
    host = checks.host(f"{name}: host", trunk.host)
    port = checks.port(f"{name}: port", trunk.port)
    # the parser takes a bare semicolon for a comment
    suffix = "\\;transport=tcp" if trunk.transport == "tcp" else ""
    values = {
        "id": checks.matching(name, trunk.id, checks.NAME),
        "uri": f"sip:{host}:{port}{suffix}",
        "host": host,
        "transport": trunk.transport,
        "codecs": checks.codecs(f"{name}: codecs", trunk.codecs),
        "options_interval_s": checks.interval(f"{name}: options_interval_s", trunk.options_interval_s),
        "media": media,
    }
    fragments = files_folder("asterisk-conf") / "fragments"
    text = _fill(fragments / "trunk.conf", values)
    if trunk.username:
        values["username"] = checks.conf_value(
            f"{name}: username", checks.matching(f"{name}: username", trunk.username, checks.SIP_USER)
        )
        values["secret"] = checks.conf_value(
            f"{name}: secret", checks.present(f"{name}: secret", line.secret)
        )
        text += _fill(fragments / "trunk_auth.conf", values)
    if trunk.register:
        values["server_uri"] = values["uri"]
        values["client_uri"] = f"sip:{values['username']}@{host}:{port}{suffix}"
        text += _fill(fragments / "trunk_registration.conf", values)
    return text


def _media(sip_bind: str) -> str:
    """Voice goes by the address that signalling is bound to; a wildcard leaves the choice to the kernel."""
    if ipaddress.ip_address(sip_bind.strip("[]")).is_unspecified:
        return ""
    return f"media_address = {sip_bind.strip('[]')}\nbind_rtp_to_media_address = yes\n"


# -- files --------------------------------------------------------------------------------


def _modules_wanted(modules: Path) -> str:
    present = {path.stem for path in modules.glob("*.so")}
    if not present:
        raise BadSetting(f"modules: {modules} holds no Asterisk modules")
    lines, missing = [], []
    for line in (files_folder("asterisk-conf") / "modules.list").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        word, module = line.split()
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


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600, exist_ok=False)
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
