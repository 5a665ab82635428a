"""Asterisk: it answers, knows us, lets us give orders, and has what our calls need of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dialer.office.doctor.conffile import sections
from dialer.office.doctor.facts import AsteriskFacts
from dialer.office.doctor.findings import Finding, fails, ok, skipped, warns
from dialer.pbx.render import dialplan_version, files_folder

LEAST = 20
WRITE_TIMEOUT_MS = 1000
"""Shorter ones cut an engine off that is busy for a moment. Asterisk's own default is 100."""
_CODECS: Mapping[str, str] = {
    "alaw": "codec_alaw.so",
    "ulaw": "codec_ulaw.so",
    "gsm": "codec_gsm.so",
    "g722": "codec_g722.so",
    "g726": "codec_g726.so",
    "g729": "codec_g729.so",
    "opus": "codec_opus.so",
    "ilbc": "codec_ilbc.so",
    "speex": "codec_speex.so",
}
"""The module that turns a codec's sound into another's; without it there are no prompts and no recording of such a call."""

AWAY = fails(
    "asterisk.away", "ARI does not answer", "start Asterisk; check http.conf, ari.conf and asterisk.url"
)
NOT_STARTED = warns(
    "asterisk.not_started",
    "The embedded Asterisk does not run now",
    "dialer up or dialer serve starts it",
)
UNAUTHORIZED = fails(
    "asterisk.unauthorized",
    "ARI refuses our user",
    "give ari.conf and secrets.toml the same user and password",
)
OLD = fails("asterisk.old", "Asterisk is older than 20", "install Asterisk 20 or newer")
READ_ONLY = fails(
    "asterisk.read_only", "Our ARI user may only read", "set read_only = no for the user in ari.conf"
)
NO_APP = warns(
    "asterisk.app",
    "The application obzvon is not connected: answered calls go to the last word",
    "dialer up or dialer serve connects it",
)
WRITE_TIMEOUT = warns(
    "asterisk.write_timeout",
    "ARI cuts an engine off that does not read for a moment: websocket_write_timeout is at its default of 100 ms, or short",
    "websocket_write_timeout = 10000 in [general] of ari.conf",
)
MODULE_MISSING = fails(
    "asterisk.module_missing",
    "A module that our calls need is not loaded",
    "load it in modules.conf, and install its package",
)
NO_DIALPLAN = fails(
    "asterisk.dialplan_missing",
    "Asterisk does not have our dialplan: calls out end at once, and people who answer meet nobody",
    "dialer asterisk install, then dialplan reload; or start it with our configuration",
)
DIALPLAN_OLD = fails(
    "asterisk.dialplan_old",
    "Asterisk has another version of our dialplan than this one",
    "render or install it again, then reload pbx_config.so",
)
NO_ENDPOINT = fails(
    "asterisk.endpoint_missing",
    "Asterisk has no endpoint for a trunk or phone of ours: calls to it fail with Allocation failed",
    "dialer trunk apply, or dialer asterisk render and a reload of res_pjsip.so; its log says what it refused",
)
NO_CODEC = fails(
    "asterisk.codec_missing",
    "A trunk or phone has a codec that Asterisk cannot turn into others: no prompts, no recording",
    "install the codec's module, or take the codec out",
)
NO_SOUND = warns(
    "asterisk.sounds", "Sounds that operators hear are missing", "install asterisk-core-sounds-en"
)
NO_PYTHON = fails(
    "asterisk.agi",
    "The interpreter of our AGI scripts is not where the dialplan says: nobody hears the last word's choices",
    "install Obzvon where Asterisk runs, and render its configuration there",
)


def wanted_modules() -> frozenset[str]:
    """Modules without which our calls do not work, as ``asterisk-conf/modules.list`` says."""
    text = (files_folder("asterisk-conf") / "modules.list").read_text(encoding="utf-8")
    lines = (line.split() for line in text.splitlines())
    return frozenset(f"{words[1]}.so" for words in lines if len(words) > 1 and words[0] == "require")


def judge(
    one: AsteriskFacts, *, endpoints: Iterable[str], codecs: Mapping[str, Iterable[str]]
) -> Iterator[Finding]:
    """What there is to say of it. *endpoints*: that it should have; *codecs*: by endpoint."""
    if not one.is_running:
        yield NOT_STARTED.found(f"the embedded {one.name} does not run now")
        return
    if one.is_unauthorized:
        yield UNAUTHORIZED.found(f"{one.url} refuses the user {one.user}")
        return
    if one.failure:
        yield AWAY.found(f"{one.url}: {one.failure}")
        return
    if one.major and one.major < LEAST:
        yield OLD.found(f"version {one.version} is too old", f"install Asterisk {LEAST} or newer")
    if one.is_read_only:
        yield READ_ONLY.found("our user may only read", f"set read_only = no for {one.user} in ari.conf")
    yield ok("asterisk", f"{one.name}: version {one.version} answers and takes orders")
    if one.has_app:
        yield ok("asterisk", f"{one.name}: the application obzvon is connected")
    else:
        yield NO_APP.found(f"{one.name}: the application obzvon is not connected")
    yield from _write_timeout(one)
    if missing := sorted(wanted_modules() - one.modules):
        yield MODULE_MISSING.found(f"{one.name} lacks {', '.join(missing)}")
    yield from _dialplan(one)
    for name in endpoints:
        if name not in one.endpoints:
            yield NO_ENDPOINT.found(f"{one.name} has no endpoint {name}")
    lacking: dict[str, list[str]] = {}
    for name, wanted in codecs.items():
        for codec in wanted:
            if codec in _CODECS and _CODECS[codec] not in one.modules:
                lacking.setdefault(codec, []).append(name)
    for codec, names in lacking.items():
        yield NO_CODEC.found(
            f"{one.name} has no {_CODECS[codec]}, and {_some(names)} {'have' if len(names) > 1 else 'has'} {codec}"
        )
    if one.sounds_missing:
        yield NO_SOUND.found(f"{one.name} lacks the sounds {_some(one.sounds_missing)}")


def _write_timeout(one: AsteriskFacts) -> Iterator[Finding]:
    if "ari.conf" not in one.config:
        yield skipped("asterisk", f"{one.name}: its ari.conf cannot be read from here")
        return
    general = sections(one.config["ari.conf"]).get("general", {})
    text = general.get("websocket_write_timeout", "100")
    if not text.isdigit() or int(text) < WRITE_TIMEOUT_MS:
        yield WRITE_TIMEOUT.found(f"{one.name}: websocket_write_timeout is {text} ms")


def _dialplan(one: AsteriskFacts) -> Iterator[Finding]:
    if not one.dialplan and one.config_folder and "obzvon/extensions.conf" in one.config:
        yield ok(
            "asterisk",
            f"{one.name}: our dialplan is included; `dialer asterisk diff` tells whether it is this one",
        )
    elif not one.dialplan:
        yield NO_DIALPLAN.found(f"{one.name} does not know our dialplan")
    elif one.dialplan != dialplan_version():
        yield DIALPLAN_OLD.found(
            f"{one.name} has our dialplan in the version {one.dialplan}, not {dialplan_version()}"
        )
    if one.is_here and one.python and not os.access(Path(one.python), os.X_OK):
        yield NO_PYTHON.found(f"{one.name} is to run AGI scripts with {one.python}, which cannot be run")


def _some(names: Iterable[str], shown: int = 5) -> str:
    everything = list(names)
    rest = f" and {len(everything) - shown} more" if len(everything) > shown else ""
    return ", ".join(everything[:shown]) + rest
