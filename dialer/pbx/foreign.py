"""Our configuration inside an Asterisk that is not ours: include files, and one marked line in each file that must know of them.

::

    /etc/asterisk/obzvon/            ours: rendered whole, each file marked in its first line
    /etc/asterisk/pjsip.conf         theirs, with a block of three lines at its end:
        ; >>> obzvon: made by `dialer asterisk install`, taken out by `--remove`
        #include "obzvon/pjsip.conf"
        ; <<< obzvon

1. Nothing of theirs is overwritten or taken out. A file of theirs that gets a block is copied first (``NAME.before-obzvon``, once).
   A file in ``obzvon/`` without our mark is somebody's, and an error.
2. Who runs FreePBX edits ``..._custom.conf``, for FreePBX writes the others itself: where those exist, they get the block.
3. What we need of global sections is not put into theirs: the dialplan's globals and tones are written into our dialplan as their
   values, and our transports have names and ports of their own.
4. Names may meet: a section of theirs that has the name of one of ours (a phone 101 here and there) is an error before anything
   is written.
5. Doing it twice changes nothing the second time; :func:`removal` takes out exactly what :func:`plan` put in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dialer.pbx.checks import BadSetting
from dialer.pbx.files import read_file, write_file

FOLDER: Final = "obzvon"
MARK: Final = "; Rendered by Obzvon; changes made here are lost."
BEGIN: Final = "; >>> obzvon: made by `dialer asterisk install`, taken out by `--remove`"
END: Final = "; <<< obzvon"
BACKUP: Final = ".before-obzvon"

_BLOCK = re.compile(
    rf'(?:\n)?^{re.escape(BEGIN)}\n(?:[; \t]*#include "{FOLDER}/.*\n)*^{re.escape(END)}\n', re.MULTILINE
)
_MARK_LINE = re.compile(rf"^(?:{re.escape(BEGIN)}|{re.escape(END)})", re.MULTILINE)
_TRANSPORT = re.compile(r"^(\[|transport = )transport-", re.MULTILINE)
_GLOBAL = re.compile(r"^(OBZVON_\w+) = (.*)$", re.MULTILINE)
_TONE = re.compile(r"^(obzvon-[\w-]+) = (.*)$", re.MULTILINE)
_SECTION = re.compile(r"^\[([^\]]+)\](\([^)]*\))?", re.MULTILINE)
_DIRECTIVE = re.compile(r"^\s*#(?:try)?include\s+[\"<]?([^\">\s]+)", re.MULTILINE)

TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "pjsip.conf": ("pjsip_custom.conf", "pjsip.conf"),
    "extensions.conf": ("extensions_custom.conf", "extensions.conf"),
    "ari.conf": ("ari_additional_custom.conf", "ari.conf"),
}
"""Our file, and who may be told of it: the first that exists and is read."""

RELOADS: Final[Mapping[str, str]] = {
    "pjsip.conf": "res_pjsip.so",
    "extensions.conf": "pbx_config.so",
    "ari.conf": "res_ari.so",
}
"""Which module reads our file, and those beside it, again."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A file of Asterisk's, before and after. *before*, *after*: None where there is no such file."""

    path: Path
    before: str | None
    after: str | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation would change. *reloads*: modules that then read their files again. *cautions*: what must be
    seen to by hand, for it is not ours to change."""

    changes: tuple[Change, ...]
    reloads: tuple[str, ...]
    cautions: tuple[str, ...] = ()


# -- what is ours ---------------------------------------------------------------------------


def include_files(rendered: Mapping[str, str], *, has_transports: bool) -> dict[str, str]:
    """Our files, by their names in the folder :data:`FOLDER`.

    *rendered*: a complete configuration (:func:`dialer.pbx.render.render_asterisk`), by file. *has_transports*: ours listen for
    SIP on ports of their own; else phones and trunks use theirs.
    """
    sections = _sections(rendered["pjsip.conf"])
    transports = "".join(text for name, text in sections if name.startswith("transport-") and has_transports)
    nobody = "".join(text.partition("#include")[0] for name, text in sections if name == "obzvon-nobody")
    pjsip = f'{transports}{nobody}\n#include "{FOLDER}/pjsip_trunks.conf"\n#include "{FOLDER}/pjsip_phones.conf"\n'
    found = {
        "pjsip.conf": _our_transports(pjsip, has_transports),
        "pjsip_trunks.conf": _our_transports(rendered["pjsip_trunks.conf"], has_transports),
        "pjsip_phones.conf": _our_transports(rendered["pjsip_phones.conf"], has_transports),
        "extensions.conf": f'#include "{FOLDER}/dialplan/*.conf"\n',
        "ari.conf": _ari(rendered["ari.conf"]),
    }
    values = dict(_GLOBAL.findall(rendered["extensions.conf"]))
    tones = dict(_TONE.findall(rendered["indications.conf"]))
    for name, text in rendered.items():
        if name.startswith("dialplan/"):
            found[name] = stand_alone(text, values, tones)
    return {name: f"{MARK}\n{text}" for name, text in found.items()}


def stand_alone(dialplan: str, values: Mapping[str, str], tones: Mapping[str, str]) -> str:
    """A part of our dialplan that needs neither globals nor tones of ours: their values stand in their place."""
    lines = []
    for line in dialplan.splitlines():
        if not line.startswith(";"):
            for name, value in values.items():
                line = line.replace(f"${{{name}}}", value)
            for name, tone in tones.items():
                # Asterisk takes a bar between the parts of a tone as well; a comma would end an argument
                line = re.sub(rf"(?<=[(,]){name}(?=\))", tone.replace(",", "|"), line)
        lines.append(line)
    return "\n".join([*lines, ""])


def _ari(text: str) -> str:
    """The users, and of the general section only what calls cannot do without."""
    users = "".join(part for name, part in _sections(text) if name != "general")
    general = next((part for name, part in _sections(text) if name == "general"), "")
    needed = [line for line in general.splitlines() if line.startswith("channelvars")]
    head = "\n".join(["[general](+)", *needed, "", ""]) if needed else ""
    return head + users


def _our_transports(text: str, has_transports: bool) -> str:
    if has_transports:
        return _TRANSPORT.sub(r"\1obzvon-", text)
    return re.sub(r"^transport = .*\n", "", text, flags=re.MULTILINE)


def _sections(text: str) -> list[tuple[str, str]]:
    """Sections of a file with their names, comments before a section left with the one before."""
    parts = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    return [(part[1 : part.index("]")], part) for part in parts if part.startswith("[")]


# -- installing -----------------------------------------------------------------------------


def plan(into: Path, files: Mapping[str, str]) -> Plan:
    """What must change in the folder *into* so that *files* (:func:`include_files`) are in force there.

    :raises BadSetting: it is no folder of Asterisk's, a link leads out of it, a file of ours is somebody else's, or names meet.
    """
    _check(into, files)
    changes = []
    ours = into / FOLDER
    for name, text in sorted(files.items()):
        before = read_file(ours / name)
        if before is not None and not before.startswith(MARK):
            raise BadSetting(f"{ours / name}: is not ours (its first line is not {MARK!r}); move it away")
        if before != text:
            changes.append(Change(path=ours / name, before=before, after=text))
    changes += [Change(path=path, before=read_file(path), after=None) for path in _stale(ours, files)]
    for name in TARGETS:
        target = target_of(into, name)
        before = read_file(target) or ""
        after = with_block(before, f'#include "{FOLDER}/{name}"', target)
        if after != before:
            changes.append(Change(path=target, before=before, after=after))
    return Plan(changes=tuple(changes), reloads=_reloads(into, changes), cautions=tuple(_cautions(into)))


def removal(into: Path) -> Plan:
    """What must change so that nothing of ours is left in *into*.

    :raises BadSetting: a link leads out of the folder.
    """
    _check_links(into)
    changes = []
    for path in sorted(into.glob("*.conf")):
        before = read_file(path) or ""
        after = without_block(before, path)
        if after != before:
            changes.append(Change(path=path, before=before, after=after))
    changes += [Change(path=path, before=read_file(path), after=None) for path in _stale(into / FOLDER, {})]
    return Plan(changes=tuple(changes), reloads=tuple(RELOADS.values()) if changes else ())


def carry_out(into: Path, plan: Plan) -> None:
    """Do what *plan* says. Files of theirs are backed up, and keep their owner and mode; ours are 0600, and their folder's owner's.

    :raises OSError: the folder cannot be written.
    """
    owner = into.stat()
    # what is taken out must not be looked for any more before it goes; what is put in must be there before it is looked for
    ours: list[Change] = []
    theirs: list[Change] = []
    for change in plan.changes:
        (ours if (into / FOLDER) in change.path.parents else theirs).append(change)
    gone = [change for change in ours if change.after is None]
    for change in [one for one in ours if one.after is not None]:
        for folder in (into / FOLDER, change.path.parent):
            if not folder.exists():
                folder.mkdir(mode=0o700)
                _give(folder, owner)
        write_file(change.path, change.after or "", mode=0o600, owner=owner)
    for change in theirs:
        path = change.path.resolve()
        before = path.stat() if path.exists() else owner
        if change.before and not (backup := path.with_name(path.name + BACKUP)).exists():
            write_file(backup, change.before, mode=before.st_mode & 0o777, owner=before)
        mode = before.st_mode & 0o777 if path.exists() else 0o640
        write_file(path, change.after or "", mode=mode, owner=before)
    for change in gone:
        change.path.unlink(missing_ok=True)
    for folder in (into / FOLDER / "dialplan", into / FOLDER):
        if gone and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def is_installed(into: Path) -> bool:
    """Whether our files are in that folder, and asked for."""
    return (into / FOLDER / "pjsip.conf").is_file() and BEGIN in (
        read_file(target_of(into, "pjsip.conf")) or ""
    )


def target_of(into: Path, name: str) -> Path:
    """The file of theirs that is told of our file *name*."""
    *custom, plain = TARGETS[name]
    for one in custom:
        if (into / one).is_file() and any(
            one in _DIRECTIVE.findall(read_file(path) or "") for path in sorted(into.glob("*.conf"))
        ):
            return into / one
    return into / plain


def with_block(text: str, line: str, path: Path) -> str:
    """*text* of theirs, which is *path*'s, with our block at its end; unchanged where it is there. Raises as :func:`without_block`."""
    block = f"{BEGIN}\n{line}\n{END}\n"
    if block in text:
        return text
    text = without_block(text, path)
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}\n{block}"


def without_block(text: str, path: Path) -> str:
    """*text*, which is *path*'s, as it was before our block came.

    :raises BadSetting: by hand something else was put into our block, or one of its two lines was taken out.
    """
    rest = _BLOCK.sub("", text)
    if (mark := _MARK_LINE.search(rest)) is not None:
        line = text.count("\n", 0, text.index(mark[0])) + 1
        raise BadSetting(
            f"{path}, line {line}: the block of Obzvon that begins or ends here is not as it was made, and may hold lines that are not ours;"
            f" take {BEGIN!r}, {END!r} and the #include between them out by hand, and try again"
        )
    return rest


# -- looking --------------------------------------------------------------------------------


def _check(into: Path, files: Mapping[str, str]) -> None:
    _check_links(into)
    if not (into / "pjsip.conf").is_file() or not (into / "extensions.conf").is_file():
        raise BadSetting(
            f"{into}: is no folder of an Asterisk's configuration: it lacks pjsip.conf or extensions.conf"
        )
    for kind, pattern in (("pjsip", "pjsip*.conf"), ("extensions", "extensions*.conf"), ("ari", "ari*.conf")):
        ours = {
            name
            for file, text in files.items()
            if file.startswith(kind) or (kind == "extensions" and file.startswith("dialplan/"))
            for name, _ in _SECTION.findall(text)
            if name != "general"
        }
        for path in sorted(into.glob(pattern)):
            both = ours & {name for name, _ in _SECTION.findall(without_block(read_file(path) or "", path))}
            if both:
                raise BadSetting(
                    f"{path}: has a section of the same name as ours: {', '.join(sorted(both))}. Give the phone or trunk"
                    " another name, or take theirs out."
                )


def _cautions(into: Path) -> Iterator[str]:
    if not re.search(r"^\s*enabled\s*=\s*(yes|true|1)", _all(into, "http"), re.MULTILINE | re.IGNORECASE):
        yield "http.conf: `enabled = yes` is not there, and ARI needs it (with `bindaddr = 127.0.0.1`)"
    if re.search(r"^\s*enabled\s*=\s*(no|false|0)", _all(into, "ari"), re.MULTILINE | re.IGNORECASE):
        yield "ari.conf: `enabled = no`: the engine cannot connect"
    modules = _all(into, "modules")
    if not re.search(r"^\s*autoload\s*=\s*yes", modules, re.MULTILINE):
        yield "modules.conf: without `autoload = yes` each module of asterisk-conf/modules.list must be loaded there"
    barred = sorted(
        set(re.findall(r"^\s*noload\s*=>?\s*(\w+)\.so", modules, re.MULTILINE))
        & {
            "res_ari",
            "res_stasis",
            "app_stasis",
            "app_mixmonitor",
            "res_agi",
            "app_amd",
            "func_hangupcause",
            "res_http_websocket",
        }
    )
    if barred:
        yield f"modules.conf: {', '.join(barred)} must not be kept from loading"


def _all(into: Path, name: str) -> str:
    return "\n".join(read_file(path) or "" for path in sorted(into.glob(f"{name}*.conf")))


def _stale(ours: Path, files: Mapping[str, str]) -> list[Path]:
    """Files of ours that are not wanted any more."""
    return [
        path
        for path in sorted([*ours.glob("*.conf"), *ours.glob("dialplan/*.conf")])
        if str(path.relative_to(ours)) not in files and (read_file(path) or "").startswith(MARK)
    ]


def _reloads(into: Path, changes: list[Change]) -> tuple[str, ...]:
    found = set()
    for change in changes:
        name = change.path.name
        inside = str(change.path.relative_to(into))
        for file, module in RELOADS.items():
            kind = file.removesuffix(".conf")
            if name.startswith(kind) or (kind == "extensions" and "dialplan/" in inside):
                found.add(module)
    return tuple(sorted(found))


def _give(folder: Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(folder, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _check_links(into: Path) -> None:
    """Root, who installs into a folder of another user's, is not led out of it: by a link that user would have files written, or
    given to them, that are none of theirs. A link to a file of their own is followed."""
    for folder in (into / FOLDER, into / FOLDER / "dialplan"):
        if folder.is_symlink():
            raise BadSetting(f"{folder}: is a link; ours is a folder of its own")
    owner = into.stat().st_uid
    if owner in (0, os.geteuid()):
        return
    for path in sorted(into.glob("*.conf")):
        if path.is_symlink() and path.exists() and path.stat().st_uid != owner:
            raise BadSetting(
                f"{path}: is a link to a file of another user's ({path.resolve()}); put the file itself here"
            )
