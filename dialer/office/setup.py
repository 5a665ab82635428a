"""A home folder: made once, never overwritten.

The comments in the made files are the schemas' own descriptions, so they cannot differ from the
reference. What is at its default stands as a comment: uncomment it to change it.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.results import DEFAULT_PAUSE_REASONS, DEFAULT_RESULTS, DEFAULT_RETRY
from dialer.core.values import Campaign
from dialer.store import documents, files
from dialer.store.connect import open_writer
from dialer.store.hourtext import SAFE, write_lines

FOLDERS = ("trunks", "campaigns", "prompts", "recordings", "run", "log")
EXAMPLE = ".example"
"""Ends the name of a campaign's file that is there to be read: it is applied by nobody."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the home folder, and whether it is new or was there."""

    path: Path
    is_new: bool


def make_home(home: Path, *, region: str = "RU", language: str = "en", sip_port: int = 0) -> list[Made]:
    """Make what is missing of the home folder *home*; what is there stays as it is.

    *sip_port*: of the embedded Asterisk; 0: another free one at each start, which no phone can know.

    Raises BadFile (an unusable region or language), OSError, StoreError (the journal).
    """
    ports = {"sip": sip_port} if sip_port else {}
    settings = commented("system", {"region": region, "language": language, "ports": ports})
    documents.parse(settings, "the new obzvon.toml", "system")
    if mistakes := files.bad_region(region):
        raise documents.refusal("the new obzvon.toml", mistakes)
    made = [_folder(home)] + [_folder(home / name) for name in FOLDERS]
    secrets = {"ari": files.new_secret(), "ari_monitor": files.new_secret(), "phones": {}, "trunks": {}}
    made += [
        _file(home / files.SYSTEM_FILE, settings),
        _file(home / files.SECRETS_FILE, "# Passwords. Keep the mode 0600.\n" + documents.dump(secrets)),
        _example(home / "trunks", "carrier.toml", trunk_example()),
        *_campaign_examples(home / "campaigns"),
    ]
    journal = home / "journal.sqlite3"
    is_new = not journal.exists()
    open_writer(journal).close()
    journal.chmod(0o600)
    return [*made, Made(path=journal, is_new=is_new)]


def describe(made: list[Made]) -> str:
    """What was made, for people, and what to do next."""
    home = made[0].path
    lines = [f"{'made ' if one.is_new else 'kept '} {one.path}" for one in made]
    return "\n".join(
        [
            *lines,
            "",
            f"Next: look through {home / 'trunks'} and {home / 'campaigns'}, then",
            f"  export OBZVON_HOME={shlex.quote(str(home.resolve()))}",
            "  dialer trunk apply && dialer campaign apply",
            "  dialer doctor",
        ]
    )


@cache
def trunk_example() -> str:
    """A trunk to change: valid, to a host that does not exist."""
    tables = ("number_rules", "caller_ids", "destinations", "failover", "tls", "inbound")
    head = commented("trunk", {"id": "carrier", "host": "sip.example.net"}, leave_out=tables)
    parts = documents.schema("trunk")["properties"]
    described = {key: "\n".join(_comment(parts[key]["description"])) for key in tables}
    return head + _TRUNK_TABLES.format(**described)


@cache
def campaign_example() -> str:
    """A campaign to change, with the hours that hold written out and the default rules as comments."""
    text = commented(
        "campaign",
        {"id": "first", "title": "First campaign", "lists": ["first"], "trunk": "carrier"},
        leave_out=("hours", *_RULES),
    )
    parts = documents.schema("campaign")["properties"]
    rules = Campaign(
        id=CampaignId("first"),
        trunk=TrunkId("carrier"),
        hours=SAFE,
        retry=DEFAULT_RETRY,
        results=DEFAULT_RESULTS,
        pause_reasons=DEFAULT_PAUSE_REASONS,
    )
    document = files.campaign_document(rules)
    text += "\n" + "\n".join(_hours(parts["hours"])) + "\n"
    for key in _RULES:
        text += "\n" + "\n".join(_comment(f"{parts[key]['description']}")) + "\n"
        text += "".join(
            f"# {line}\n" if line else "#\n" for line in documents.dump({key: document[key]}).splitlines()
        )
    return text


def predictive_example() -> str:
    """A predictive campaign, with what matters in one explained."""
    return _PREDICTIVE


def message_example() -> str:
    """A campaign without operators."""
    return _MESSAGE


def inbound_example() -> str:
    """A campaign that takes calls."""
    return _INBOUND


_TRUNK_TABLES = """
{number_rules}
# [[number_rules]]
# prefix = "+7"
# strip = 2
# add = "8"

{caller_ids}
# [caller_ids]
# numbers = ["+74950000001", "+74950000002"]
#
# [caller_ids.regions]
# "+7812" = ["+78120000001"]
#
# [caller_ids.campaigns]
# first = ["+74950000009"]

{destinations}
# [destinations]
# allowed = ["+7"]
# forbidden = ["+7900"]

{failover}
# [failover]
# on = [2, 3, 27, 34, 38, 41, 42, 44, 47, 58, 500, 502, 503, 504]

{tls}
# [tls]
# verify = true
# ca = "/etc/obzvon/carrier.pem"

{inbound}
# [inbound]
# enabled = true
# from = ["203.0.113.0/24"]
"""

_PREDICTIVE = """\
# A predictive campaign: people are called ahead of operators, so that one is free when a person answers.
# docs/predictive.md says when that is worth it, and what it costs. All other settings: first.toml.
#
# This file is an example and not applied. Copy it to a name that ends in .toml, change it, then
#   dialer campaign apply && dialer campaign check autumn
id = "autumn"
title = "Autumn offer"
mode = "predictive"
lists = ["autumn"]
trunk = "carrier"

[calls]
# A ringing number is given up after so long. Nobody's phone should ring less than 15 seconds.
ring_s = 30

[agents]
# The time after a call is part of what the pacing learns: the more alike it is, the less operators wait.
wrap_up_s = 15

# How many calls are placed: as many as keep the promise below.
[pacing]
# With fewer operators at work a call is placed for each idle one only.
operators_min = 5
# Campaigns with the same word share what is learnt of answers and conversations. Give it to those that are alike.
# knowledge = "offers"

# The promise: of the people who answered in 30 days, so many at most met no operator within 2 seconds.
[abandonment]
share = 0.03
# No call is placed that could lift the share above this if the worst happens. As the share (left out), the first
# hours are slow, for every person who answers buys 0.03 of a call ahead; with more they are quicker, and the share
# may be above 3 % in the beginning.
# cap = 0.06

# Who answers and meets nobody hears at once who has called, and how to reach you.
[last_word]
language = "en"
who = "This is Example Limited, with an offer for you. You reach us on 800 000 0000."
# Then they may wait for an operator (1), have no further calls (2), or be called at another time (3).
offers = ["wait", "refuse", "later"]

# Answering machines. To know them one must listen, and every person waits for that: off, unless many machines answer.
[machines]
detect = false
"""

_MESSAGE = """\
# A campaign without operators: a message is played, and a key taken. All other settings: first.toml.
#
# This file is an example and not applied. Copy it to a name that ends in .toml, change it, then
#   dialer campaign apply && dialer campaign check visits
id = "visits"
title = "Visits of tomorrow"
mode = "announcement"
lists = ["visits"]
trunk = "carrier"

[last_word]
# The language of the synthetic voice, and what a person hears who asks for an operator when nobody is there.
language = "en"
who = "This is Example Limited. You reach us on 800 000 0000."

[announcement]
message = "This is Example Limited. Our engineer comes tomorrow. To confirm, press 1. To speak with us, press 2. To have no such calls, press 9."
# A recorded file in place of the synthetic voice: prompts/visits.wav, 8 kHz, 16 bit, one channel.
# sound = "visits.wav"
times = 2

[announcement.keys]
1 = "confirm"
2 = "operator"
9 = "refuse"
"""


_INBOUND = """\
# A campaign that takes calls. docs/inbound.md says what happens to them. The trunk must take calls, too: the table
# [inbound] of its file. All other settings: first.toml.
#
# This file is an example and not applied. Copy it to a name that ends in .toml, change it, then
#   dialer campaign apply && dialer campaign check reception && dialer campaign start reception
id = "reception"
title = "Reception"
# Who calls us and is not known gets a card in this list. It may hold nobody at first.
lists = ["callers"]
# Callbacks go out by this trunk.
trunk = "carrier"

[last_word]
# The language of all that is said.
language = "en"

[inbound]
# Our numbers, with country code and plus sign, however the carrier writes them.
numbers = ["+74951234567"]
greeting = "Thank you for calling Example Limited."
# Who is known goes to the operator who spoke with them last, else to this one: longest_idle, fewest_calls, round_robin, skill.
distribution = "longest_idle"
# Nobody waits longer, nor in a longer queue; then: callback, voicemail, number (with overflow_number), hang_up.
wait_s = 120
queue_max = 20
overflow = "callback"
# When operators take calls; outside these hours: callback, voicemail, message.
hours = ["mon-fri 09:00-18:00"]
zone = "Europe/Moscow"
outside = "callback"
outside_message = "Example Limited is here from Monday to Friday, nine to six."
# Who hung up waiting is called back after so many seconds; "never": not.
missed_again_s = 60
# Of the operators at work one of five is kept free for callers, where the campaign calls people, too.
# reserve_share = 0.2
"""


_RULES = ("retry", "results", "pause_reasons")
"""Tables that replace a whole default, or a part of it: shown as comments."""
_EXCEPTION = ("[[hours.exceptions]]", 'date = "2026-12-31"', 'hours = "09:00-13:00"', 'kinds = ["work"]')


def _hours(part: Mapping[str, Any]) -> Iterator[str]:
    """``[hours]``: the safe hours written out, for this is what must be looked at first."""
    parts = part["properties"]
    yield from _comment(part["description"])
    yield "[hours]"
    for key in ("any_time", "unknown_zone", "holidays"):
        yield from _comment(parts[key]["description"])
        yield f"# {key} = {documents.dump_value(parts[key]['default'])}"
        yield ""
    yield from _comment(parts["kinds"]["description"])
    yield "[hours.kinds]"
    for kind, lines in SAFE.kinds.items():
        yield f"{kind} = {documents.dump_value(write_lines(lines))}"
    yield ""
    yield from _comment(f"{parts['exceptions']['description']} For example:")
    yield from (f"#   {line}" for line in _EXCEPTION)


def commented(schema_name: str, values: Mapping[str, Any], *, leave_out: tuple[str, ...] = ()) -> str:
    """A file of *values* with every other key at its default as a comment, each described."""
    part = documents.schema(schema_name)
    return "\n".join([*_comment(part["description"]), *_keys(part, values, leave_out)]) + "\n"


def _keys(part: Mapping[str, Any], values: Mapping[str, Any], leave_out: tuple[str, ...]) -> Iterator[str]:
    for key, inner in part["properties"].items():
        if key in leave_out:
            continue
        yield ""
        yield from _comment(inner["description"])
        if "properties" in inner:
            yield f"[{key}]"
            yield from _keys(inner, values.get(key, {}), ())
        elif key in values:
            yield f"{key} = {documents.dump_value(values[key])}"
        else:
            default = documents.dump_value(inner["default"]) if "default" in inner else ""
            yield f"# {key} = {default}".rstrip()


@cache
def _comment(text: str) -> tuple[str, ...]:
    return tuple(textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# "))


def _folder(path: Path) -> Made:
    is_new = not path.exists()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Made(path=path, is_new=is_new)


def _file(path: Path, text: str) -> Made:
    is_new = not path.exists()
    if is_new:
        files.write_private(path, text)
    return Made(path=path, is_new=is_new)


def _campaign_examples(folder: Path) -> list[Made]:
    first = _example(folder, "first.toml", campaign_example())
    if not first.is_new:
        return [first]
    others = {
        "predictive.toml": predictive_example(),
        "announcement.toml": message_example(),
        "inbound.toml": inbound_example(),
    }
    return [first, *(_file(folder / f"{name}{EXAMPLE}", text) for name, text in others.items())]


def _example(folder: Path, name: str, text: str) -> Made:
    """An example beside nothing else: who has files of their own needs none, and none they deleted."""
    if any(folder.glob("*.toml")):
        return Made(path=folder / name, is_new=False)
    return _file(folder / name, text)
