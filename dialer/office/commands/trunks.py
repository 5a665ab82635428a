"""``dialer trunk``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from dialer.office.commandline import FILE, INSTANT, NAME, listing, with_home

DAY_S = 86_400.0


@click.group()
def trunk() -> None:
    """SIP trunks."""


@trunk.command("apply", short_help="Put the trunks' files into force.")
@click.argument("files", nargs=-1, type=FILE)
@with_home
def trunk_apply(home: Path, files: tuple[Path, ...]) -> None:
    """Put trunks into force; without FILES all in the home folder's trunks/.

    Shows what differs from what was in force, in the settings and in PJSIP's configuration, reloads Asterisk (calls in progress are not
    touched), and asks Asterisk whether it has every trunk as it was given. Exit status 1 when it has not.
    """
    from dialer.office.trunks import apply

    applied = apply(home, files)
    click.echo(applied.describe())
    if not applied.is_good:
        raise SystemExit(1)


@trunk.command("diff", short_help="What applying the files would change.")
@click.argument("files", nargs=-1, type=FILE)
@with_home
def trunk_diff(home: Path, files: tuple[Path, ...]) -> None:
    """What `trunk apply` would change, without FILES of all in trunks/. Exit status 1 when something would."""
    from dialer.office.trunks import describe_difference

    said, would_change = describe_difference(home, files)
    click.echo(said)
    if would_change:
        raise SystemExit(1)


@trunk.command("list", short_help="The trunks in force, and how each fared.")
@click.option(
    "--since", type=INSTANT, help="Figures of calls that began at or after this time; else a day back."
)
@listing
@with_home
def trunk_list(home: Path, since: float | None, as_format: str) -> None:
    """The trunks in force: how each stands, what is on it, and how it fared."""
    from dialer.office.tables import show
    from dialer.office.trunkshow import rows

    show(rows(home, since if since is not None else time.time() - DAY_S), as_format)


@trunk.command("show", short_help="All that is known of a trunk.")
@click.argument("name", type=NAME)
@click.option(
    "--since", type=INSTANT, help="Figures of calls that began at or after this time; else a day back."
)
@click.option("--until", type=INSTANT, help="Of calls that began before this time.")
@with_home
def trunk_show(home: Path, name: str, since: float | None, until: float | None) -> None:
    """A trunk's settings, how it stands on each server, and how it fared: answers, delay, why calls failed."""
    from dialer.office.trunkshow import describe

    click.echo(describe(home, name, since if since is not None else time.time() - DAY_S, until))


@trunk.command("test", short_help="Place one real call and measure it.")
@click.argument("name", type=NAME)
@click.argument("number")
@click.option(
    "--audio",
    type=click.Choice(["tone", "speech"]),
    default="speech",
    show_default=True,
    help="What the person called hears.",
)
@click.option(
    "--seconds",
    type=click.IntRange(3, 120),
    default=12,
    show_default=True,
    help="How long to talk. Far ends tell of loss and delay every 5 s.",
)
@click.option(
    "--ring", type=click.IntRange(3, 120), default=40, show_default=True, help="How long it may ring."
)
@click.option("--server", default="", help="By this Asterisk; else the first that has the trunk.")
@click.option(
    "--anyway", is_flag=True, help="Also to a number that the trunk may not call, or by a disabled trunk."
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@with_home
def trunk_test(
    home: Path,
    name: str,
    number: str,
    audio: str,
    seconds: int,
    ring: int,
    server: str,
    anyway: bool,
    as_json: bool,
) -> None:
    """Place one real call by the trunk to NUMBER (E.164), with an engine or without one, and report each step.

    Tells the SIP steps with their times, codec, encryption, packets, jitter and loss both ways, the round trip, and whether anybody is
    heard. Exit status 0: good; 1: answered, but something is wrong; 2: not answered. docs/trunks.md says how to read it.
    """
    from dialer.office.trunktest import call, told_step
    from dialer.pbx.trial import Step

    def tell(step: Step) -> None:
        click.echo(told_step(step))

    report = call(home, name, number, audio=audio, seconds=seconds, ring_s=ring, server=server, anyway=anyway)
    click.echo(report.as_json() if as_json else report.describe())
    raise SystemExit(report.exit_status)


@trunk.command("disable")
@click.argument("name", type=NAME)
@with_home
def trunk_disable(home: Path, name: str) -> None:
    """Take a trunk out of use: it gets no more calls, those on it go on."""
    from dialer.office.trunks import order

    click.echo(order(home, name, "disable"))


@trunk.command("enable")
@click.argument("name", type=NAME)
@with_home
def trunk_enable(home: Path, name: str) -> None:
    """Take a disabled trunk into use again."""
    from dialer.office.trunks import order

    click.echo(order(home, name, "enable"))


@trunk.command("remove")
@click.argument("name", type=NAME)
@with_home
def trunk_remove(home: Path, name: str) -> None:
    """Take a trunk out of force. Refused while a campaign names it or calls are on it."""
    from dialer.office.trunks import remove

    said, is_good = remove(home, name)
    click.echo(said)
    if not is_good:
        raise SystemExit(1)
