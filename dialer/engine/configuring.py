"""``dialer asterisk``: the configuration of an Asterisk that is not embedded, rendered, compared, installed.

1. There are two ways. A *complete* configuration (``asterisk/etc`` of the home folder, or any other) with which Asterisk is
   started by ``-C``; or *include files* in the folder of an Asterisk that has a configuration of its own
   (:mod:`dialer.pbx.foreign`).
2. Which of them is kept up to date by a running engine: that of ``asterisk.config_folder``, where ours is installed; else the complete
   one, where it was rendered (:func:`refresh`).
3. Passwords are in no difference that is shown.
"""

from __future__ import annotations

import base64
import contextlib
import difflib
import hmac
import http.client
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from dialer.core.deskphone import DeskPhone
from dialer.core.ids import ONLY, ServerId
from dialer.core.trunk import Trunk
from dialer.engine.install import find_asterisk
from dialer.engine.serverline import trunks_of
from dialer.pbx import foreign
from dialer.pbx.checks import BadSetting
from dialer.pbx.deskphones import PhoneLine, phone_lines
from dialer.pbx.files import read_file
from dialer.pbx.foreign import Change, Plan
from dialer.pbx.render import render_asterisk, render_lines
from dialer.pbx.settings import Hep, Settings, Sip
from dialer.pbx.trunks import TrunkLine
from dialer.store import settings as stored
from dialer.store.connect import open_reader
from dialer.store.deskphones import load_phones
from dialer.store.files import (
    MUSIC_FOLDER,
    SHARED_FOLDER,
    TLS_FOLDER,
    Secrets,
    SystemSettings,
    load_secrets,
    load_system,
)

_PASSWORD = re.compile(
    r"^([-+ ]?\s*\w*(?:password|passwd|secret|md5_cred|oauth_\w+|refresh_token)\w*\s*=>?\s*)(.+)$",
    re.MULTILINE | re.IGNORECASE,
)
"""Of our files, and of theirs, from which a difference shows a few lines around ours."""
_ARI_S = 5.0


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration is rendered from."""

    system: SystemSettings
    secrets: Secrets
    trunks: Sequence[TrunkLine] = ()
    phones: Sequence[PhoneLine] = ()


def source_of(home: Path) -> Source:
    """What the home folder and its journal say now.

    Raises BadFile, StoreError.
    """
    system, secrets = load_system(home), load_secrets(home)
    if not system.journal.exists():
        return Source(system=system, secrets=secrets)
    with contextlib.closing(open_reader(system.journal)) as connection:
        trunks, phones = stored.load_trunks(connection), load_phones(connection)
    return source_from(system, secrets, trunks, phones)[0]


def source_from(
    system: SystemSettings, secrets: Secrets, trunks: Iterable[Trunk], phones: Iterable[DeskPhone]
) -> tuple[Source, list[str]]:
    """The same, of *trunks* and *phones*; and the extensions of phones that have no secret: they cannot register, and are left out."""
    of_trunks = [
        TrunkLine(trunk=trunk, secret=secrets.trunk(trunk.id) if trunk.username else "") for trunk in trunks
    ]
    all_phones = list(phones)
    of_each = {phone.extension: secrets.phone(phone.extension) for phone in all_phones}
    of_phones, lacking = phone_lines(all_phones, of_each, system.phones.allowed_from)
    return Source(system=system, secrets=secrets, trunks=of_trunks, phones=of_phones), lacking


# -- a complete configuration ---------------------------------------------------------------


def render(
    home: Path,
    *,
    to: Path | None = None,
    server: ServerId = ONLY,
    modules: Path | None = None,
    data: Path | None = None,
) -> Path:
    """Render a complete configuration and return the path of its asterisk.conf.

    *to*: the folder; None: ``asterisk`` of the home folder. *modules*, *data*: of the Asterisk that will read it; None: this
    machine's.

    Raises BadFile, StoreError, BadSetting (a port is not set), EmbeddedError (no Asterisk here, and its folders were not given).
    """
    source = source_of(home)
    target = (to or source.system.asterisk_folder(server)).absolute()
    return _render(source, server, target, _folders(modules, data))


def _folders(modules: Path | None, data: Path | None) -> tuple[Path, Path]:
    if modules is None or data is None:
        install = find_asterisk()
        modules, data = modules or install.modules, data or install.data
    return modules, data


def _render(
    source: Source, server: ServerId, target: Path, folders: tuple[Path, Path], *, into: Path | None = None
) -> Path:
    system = source.system
    one = system.servers.get(server)
    if one is None:
        raise BadSetting(f"there is no server {server!r}; there are: {', '.join(sorted(system.servers))}")
    ports = one.ports
    if into is None:
        for name, port in (("http", ports.http), ("sip", ports.sip), ("rtp", ports.rtp)):
            if not port:
                raise BadSetting(f"ports.{name}: must be set for an Asterisk that is not embedded")
    settings = settings_of(system, source.secrets, server)
    if not ports.sip:  # theirs listens, we do not know where
        sip = msgspec.structs.replace(settings.sip, bind="0.0.0.0")  # noqa: S104
        settings = msgspec.structs.replace(settings, sip=sip)
    return render_asterisk(
        target,
        settings,
        modules=folders[0],
        data=folders[1],
        trunks=trunks_of(source.trunks, server),
        phones=source.phones,
        into=into,
    )


def hep_password(secrets: Secrets) -> str:
    """Of who sends copies of SIP messages: made from the password of ARI, which both sides have."""
    return hmac.digest(secrets.ari.encode(), b"hep", "sha256").hex()[:32]


def settings_of(
    system: SystemSettings, secrets: Secrets, server: ServerId, *, hep: str | None = None
) -> Settings:
    """What that server's configuration is rendered from; ports that are not set are the usual ones. *hep*: where copies of SIP messages
    are listened for, empty: nowhere; None: as ``asterisk.hep`` says."""
    one = system.servers[server]
    if hep is None:
        hep = system.asterisk.hep
    ports, usual = one.ports, Settings(ari_password="")
    rtp = ports.rtp or usual.rtp[0]
    return Settings(
        ari_user=one.user,
        ari_password=secrets.ari_of(server),
        ari_monitor_password=secrets.ari_monitor,
        http_port=ports.http or usual.http_port,
        rtp=(rtp, rtp + ports.rtp_count - 1),
        sip=Sip(
            bind=ports.sip_address,
            port=ports.sip or usual.sip.port,
            outside=ports.external_address,
            tls=system.home / TLS_FOLDER,
        ),
        language=system.language,
        music=system.home / MUSIC_FOLDER,
        shared=system.home / SHARED_FOLDER,
        recordings=system.recordings_folder,
        system_name=server,
        hep=Hep(address=hep, password=hep_password(secrets)) if hep else None,
    )


def _modules_of(target: Path) -> Path | None:
    """Where the Asterisk that was rendered into *target* has its modules, as its asterisk.conf says; None: it does not."""
    for line in (target / "etc" / "asterisk.conf").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=>")
        if name.strip() == "astmoddir":
            return Path(value.strip())
    return None


def _texts(source: Source, server: ServerId, target: Path, folders: tuple[Path, Path]) -> dict[str, str]:
    """A complete configuration, by file, that is not written anywhere."""
    with tempfile.TemporaryDirectory(prefix="obzvon-") as scratch:
        etc = Path(scratch)
        _render(source, server, target, folders, into=etc)
        return {
            str(path.relative_to(etc)): path.read_text(encoding="utf-8")
            for path in sorted(etc.rglob("*.conf"))
        }


# -- include files ----------------------------------------------------------------------------


def includes(source: Source, server: ServerId = ONLY) -> dict[str, str]:
    """Our include files by name. Raises BadSetting."""
    nowhere = Path("/nonexistent")
    texts = _texts(source, server, source.system.asterisk_folder(server), (nowhere, nowhere))
    has_transports = bool(source.system.servers[server].ports.sip)
    return foreign.include_files(texts, has_transports=has_transports)


def render_includes(home: Path, to: Path, *, server: ServerId = ONLY) -> Path:
    """Write only the include files, into ``obzvon`` below *to*; return that folder. Raises as :func:`render`."""
    ours = to.absolute() / foreign.FOLDER
    changes = [
        Change(path=ours / name, before=None, after=text)
        for name, text in includes(source_of(home), server).items()
    ]
    to.mkdir(parents=True, exist_ok=True)
    foreign.carry_out(to.absolute(), Plan(changes=tuple(changes), reloads=()))
    return ours


def install(
    home: Path, into: Path | None = None, *, server: ServerId = ONLY, is_removal: bool = False
) -> str:
    """Put our include files into an Asterisk's folder, or take them out; what was done, in sentences.

    Raises BadFile, StoreError, BadSetting (no such folder, names that meet), OSError.
    """
    source = source_of(home)
    folder = _installed_in(source, into)
    plan = foreign.removal(folder) if is_removal else foreign.plan(folder, includes(source, server))
    foreign.carry_out(folder, plan)
    said = [f"{'removed' if one.after is None else 'written'}  {one.path}" for one in plan.changes]
    if not plan.changes:
        said.append(f"{folder}: nothing to change.")
    cautions = list(plan.cautions)
    if server and not is_removal:
        cautions.append(
            f"asterisk.conf: [options] needs `systemname = server-{server}`, or channels of two servers may have one id"
        )
    said += [f"See to it by hand: {one}" for one in cautions]
    if plan.reloads:
        said += _reload(source, server, plan.reloads)
    if not is_removal and source.system.asterisk.config_folder != str(folder):
        said.append(
            f'Set `config_folder = "{folder}"` under [asterisk]: then trunks and phones get there as they change.'
        )
    return "\n".join(said)


def _installed_in(source: Source, into: Path | None) -> Path:
    named = into or (
        Path(source.system.asterisk.config_folder) if source.system.asterisk.config_folder else None
    )
    if named is None:
        raise BadSetting(
            "--into: say which folder (/etc/asterisk, as a rule), or set config_folder under [asterisk]"
        )
    return named.absolute()


def _reload(source: Source, server: ServerId, modules: Iterable[str]) -> Iterator[str]:
    """Have Asterisk read again what changed, over ARI; where that cannot be, how it is done."""
    left = [module for module in modules if not _reload_one(source, server, module)]
    done = [module for module in modules if module not in left]
    if done:
        yield f"Asterisk has read again: {', '.join(done)}. Calls go on."
    if left:
        yield "Have Asterisk read it (calls go on):"
        yield from (f'  asterisk -rx "module reload {module}"' for module in left)


def _reload_one(source: Source, server: ServerId, module: str) -> bool:
    one = source.system.servers[server]
    address = urlsplit(one.url)
    if not address.hostname:
        return False
    pair = base64.b64encode(f"{one.user}:{source.secrets.ari_of(server)}".encode()).decode()
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname, address.port, timeout=_ARI_S)
    try:
        connection.request(
            "PUT",
            f"{address.path.rstrip('/')}/asterisk/modules/{module}",
            headers={"Authorization": f"Basic {pair}"},
        )
        return connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# -- comparing --------------------------------------------------------------------------------


def difference(
    home: Path,
    into: Path | None = None,
    *,
    server: ServerId = ONLY,
    modules: Path | None = None,
    data: Path | None = None,
) -> str:
    """What rendering or installing now would change, as a unified difference without passwords; empty: nothing.

    *into*: a folder with our include files; None: ``asterisk.config_folder``, else the complete configuration of the home folder.

    Raises as :func:`render` and :func:`install`.
    """
    source = source_of(home)
    if into is not None or source.system.asterisk.config_folder:
        changes: Sequence[Change] = foreign.plan(
            _installed_in(source, into), includes(source, server)
        ).changes
    else:
        target = source.system.asterisk_folder(server)
        texts = _texts(source, server, target, _folders(modules, data))
        changes = [
            Change(path=target / "etc" / name, before=read_file(target / "etc" / name), after=text)
            for name, text in texts.items()
        ]
    return "".join(_shown(change) for change in changes)


def _shown(change: Change) -> str:
    before, after = masked(change.before or "", change.after or "")
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            str(change.path) if change.before is not None else "/dev/null",
            str(change.path) if change.after is not None else "/dev/null",
        )
    )


def masked(before: str, after: str) -> tuple[str, str]:
    """Both texts without their passwords; of one that is not in both it is said which it is."""
    both = {found[1] for found in _PASSWORD.findall(before)} & {
        found[1] for found in _PASSWORD.findall(after)
    }

    def mask(text: str, which: str) -> str:
        return _PASSWORD.sub(lambda found: found[1] + ("***" if found[2] in both else f"*** ({which})"), text)

    return mask(before, "old"), mask(after, "new")


# -- while an engine runs -----------------------------------------------------------------------


def refresh(source: Source, server: ServerId = ONLY) -> tuple[str, ...]:
    """Bring the configuration of an Asterisk of one's own up to date, after trunks or phones changed; the modules that must read
    their files again.

    Nothing is done where nothing was installed or rendered.

    Raises BadSetting, OSError.
    """
    folder = Path(source.system.asterisk.config_folder) if source.system.asterisk.config_folder else None
    if folder is not None:
        if not foreign.is_installed(folder):
            return ()
        plan = foreign.plan(folder, includes(source, server))
        foreign.carry_out(folder, plan)
        return plan.reloads
    target = source.system.asterisk_folder(server)
    if not (target / "etc" / "asterisk.conf").is_file():
        return ()
    is_new = render_lines(
        target,
        trunks=trunks_of(source.trunks, server),
        phones=source.phones,
        sip=settings_of(source.system, source.secrets, server).sip,
        modules=_modules_of(target),
    )
    return ("res_pjsip.so",) if is_new else ()
