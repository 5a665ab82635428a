"""``dialer simulate``: a campaign's day before it comes. The settings are those in force (the journal's), else those of the campaign's file. Nothing is written but the drawing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import msgspec

from dialer.core.values import AgentCard, Campaign, Trunk
from dialer.lab.simulator import picture, trial, troubles
from dialer.lab.simulator.meter import Estimate, estimate
from dialer.lab.simulator.seen import crowd_of, tell
from dialer.lab.simulator.stage import Stage, operators
from dialer.lab.simulator.trial import AS_IT_IS, ONE_LINE, ONE_OPERATOR, OURS, RIVALS, Variant, Wish
from dialer.lab.simulator.worlds import HOUR_S, Crowd, Team, World
from dialer.store import files, settings
from dialer.store.connect import open_reader
from dialer.store.errors import StoreError
from dialer.store.observed import Observed, observe

DAY_S = 86_400.0
MONDAY_S = 1_772_409_600.0
"""Midnight before a Monday, 2 March 2026; the simulated clock is that of the people who are called."""

Row = dict[str, Any]


class CannotSimulate(Exception):
    """The campaign cannot be simulated as it was asked; the message says why and what is allowed."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command was told; see :mod:`.options`."""

    agents: int | None = None
    hours: float = 8.0
    begin: int = 9
    days: int = 1
    seed: int = 1
    contacts: int | None = None
    since: float | None = None
    answer_rate: float | None = None
    talk: float | None = None
    wrap_up: float | None = None
    ring: float | None = None
    setup: float | None = None
    lines: int | None = None
    mode: str | None = None
    share: float | None = None
    troubles: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    compare: bool = False
    is_more: bool = True
    draw: Path | None = None
    jobs: int | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the variants as they were played, and *notes*, sentences for people."""

    campaign: Campaign
    asked: Asked
    variants: tuple[Variant, ...]
    notes: tuple[str, ...]

    def rows(self) -> list[Row]:
        """For programs: a row for each variant."""
        confidence = self.campaign.pacing.abandonment.confidence
        found = []
        for one in self.variants:
            row: Row = {"campaign": self.campaign.id, "what": one.name, "days": len(one.days)}
            for name, _, _ in _FIGURES:
                row[name] = round(one.mean(name), 5)
                if name in _NOISY:
                    error = estimate([getattr(day, name) for day in one.days]).error
                    row[f"{name}_error"] = None if error is None else round(error, 5)
            row["abandoned_low"], row["abandoned_high"] = (
                round(side, 5) for side in one.interval(confidence)
            )
            found.append(row)
        return found

    def tables(self) -> Iterator[tuple[str, list[Row]]]:
        """For people: tables with their titles."""
        by_name = {one.name: one for one in self.variants}
        base = by_name[AS_IT_IS]
        more = [by_name[name] for name in (ONE_OPERATOR, ONE_LINE) if name in by_name]
        yield (
            self._title(base),
            [self._line(*what, base, more) for what in (*_FIGURES[:5], _INTERVAL, *_FIGURES[5:])],
        )
        if self.asked.compare:
            yield (
                "Pacing rules on the same days (the whole floor)",
                [self._rule(one) for one in self.variants if one.name not in (ONE_OPERATOR, ONE_LINE)],
            )

    def _title(self, base: Variant) -> str:
        days = "1 day" if len(base.days) == 1 else f"{len(base.days)} days"
        first = base.days[0]
        return (
            f"{self.campaign.id}: {self.campaign.mode}, {first.operators} operators, {first.hours:g} h, {days}"
            f" from seed {self.asked.seed}"
        )

    def _line(self, name: str, title: str, unit: str, base: Variant, more: Sequence[Variant]) -> Row:
        if name == "interval":
            low, high = base.interval(self.campaign.pacing.abandonment.confidence)
            row: Row = {"figure": title, AS_IT_IS: f"{100 * low:.2f} to {100 * high:.2f} %"}
            return row | dict.fromkeys((one.name for one in more), "")
        row = {"figure": title, AS_IT_IS: _shown(base, name, unit)}
        for one in more:
            row[one.name] = _difference(base, one, name, unit)
        return row

    def _rule(self, one: Variant) -> Row:
        low, high = one.interval(self.campaign.pacing.abandonment.confidence)
        promised = self.campaign.pacing.abandonment.share
        return {
            "rule": f"{one.name} ({self.campaign.mode})" if one.name == AS_IT_IS else one.name,
            "occupancy": _shown(one, "occupancy", "%"),
            "talk min/h": _shown(one, "talk_min_per_hour", ""),
            "idle s": _shown(one, "idle_s", ""),
            "abandoned": f"{one.mean('abandoned_share'):.2%}".replace("%", " %"),
            "between": f"{100 * low:.2f} to {100 * high:.2f} %",
            "promise": "kept" if one.mean("abandoned_share") <= promised else "broken",
            "lines": f"{max(day.lines_max for day in one.days)}",
        }


_FIGURES = (
    ("occupancy", "occupancy (talk and wrap-up, of the time at work)", "%"),
    ("talk_min_per_hour", "talk, minutes of an operator's hour", ""),
    ("idle_s", "idle before each conversation, seconds", ""),
    ("answered", "calls answered", "#"),
    ("abandoned_share", "abandoned, of those", "%"),
    ("abandoned", "abandoned calls", "#"),
    ("talked", "conversations", "#"),
    ("calls", "calls placed", "#"),
    ("wait_s_mean", "from the answer to the operator, seconds: mean", "ms"),
    ("wait_s_p95", "… 95 % waited no longer", "ms"),
    ("wait_s_max", "… longest", "ms"),
    ("lines_max", "lines needed: at most", "#"),
    ("lines_p95", "… 95 % of the time", "#"),
    ("work_h", "operator hours at work", ""),
)
"""Names, titles and units of what is shown of a day. #: a whole number."""
_INTERVAL = ("interval", "… the risk lies between", "%")
_NOISY = ("occupancy", "talk_min_per_hour", "idle_s", "answered", "abandoned_share")


def _form(value: float, unit: str, *, is_signed: bool = False, is_error: bool = False) -> str:
    sign = "+" if is_signed else ""
    match unit:
        case "%":
            return f"{100 * value:{sign}.2f}"
        case "#":
            return f"{value:{sign},.1f}" if is_error or is_signed else f"{value:,.0f}"
        case "ms":
            return f"{value:{sign}.3f}"
        case _:
            return f"{value:{sign}.2f}"


def _shown(one: Variant, name: str, unit: str) -> str:
    error = estimate([getattr(day, name) for day in one.days]).error
    end = " %" if unit == "%" else ""
    noise = "" if error is None else f" ± {_form(error, unit, is_error=True)}"
    return f"{_form(one.mean(name), unit)}{noise}{end}"


def _difference(base: Variant, other: Variant, name: str, unit: str) -> str:
    pairs = zip(base.days, other.days, strict=True)
    found: Estimate = estimate([getattr(two, name) - getattr(first, name) for first, two in pairs])
    end = " %" if unit == "%" else ""
    noise = "" if found.error is None else f" ± {_form(found.error, unit, is_error=True)}"
    return f"{_form(found.mean, unit, is_signed=True)}{noise}{end}"


def run(home: Path, name: str, as_format: str, show: Callable[..., None], **asked: Any) -> None:
    """Simulate, and print what came of it by *show* (:func:`dialer.office.tables.show`). *asked*: see :class:`Asked`.

    Raises as :func:`simulate`.
    """
    is_table = as_format == "table"
    found = simulate(home, name, Asked(**asked), lambda said: click.echo(f"simulate: {said}", err=True))
    if is_table:
        for title, rows in found.tables():
            show(rows, title=title)
    else:
        show(found.rows(), as_format)
    for note in found.notes:
        click.echo(note, err=not is_table)


# -- what is simulated ----------------------------------------------------------------------------


def simulate(home: Path, name: str, asked: Asked, say: Callable[[str], None]) -> Outcome:
    """Play what was asked for. *say* is told how far it is.

    Raises CannotSimulate, StoreError, BadFile, OSError (the drawing).
    """
    notes: list[str] = []
    stage = _stage(home, name, asked, notes)
    seeds = range(asked.seed, asked.seed + asked.days)
    jobs = asked.jobs or trial.processors()

    def wishes(variant: str, stage: Stage, rule: str = "") -> list[Wish]:
        return [
            Wish(
                variant=variant,
                stage=msgspec.structs.replace(
                    stage,
                    faults=troubles.faults(asked.faults, stage.world.length_s, seed),  # type: ignore[arg-type]
                ),
                seed=seed,
                rule=rule,
                is_shown=asked.draw is not None and variant == AS_IT_IS and seed == asked.seed,
            )
            for seed in seeds
        ]

    wanted = wishes(AS_IT_IS, stage)
    if asked.is_more:
        wanted += wishes(ONE_OPERATOR, stage.with_operators(len(stage.cards) + 1))
    if asked.compare:
        if stage.campaign.mode != "predictive":
            wanted += wishes(OURS, stage, OURS)
        for rule in RIVALS:
            if rule != stage.campaign.mode:
                wanted += wishes(rule, stage, rule)
    played = trial.play_all(wanted, jobs, say)
    if asked.is_more:
        most = max(one.figures.lines_max for one in played if one.variant == AS_IT_IS)
        if most >= stage.lines:
            played += trial.play_all(wishes(ONE_LINE, stage.with_lines(1)), jobs, say)
        else:
            notes.append(
                f"Never more than {most} of {stage.lines} lines were in use: one line more would change nothing,"
                f" and {stage.lines - most} fewer neither."
            )
    found = tuple(trial.variants(played))
    if asked.days == 1:
        notes.append("Of one day nobody can tell how much is luck: --days 5 says it.")
    else:
        notes.append(
            "± is the standard error over the days; what is less than twice as much is hardly there."
        )
    if found[0].ran_out:
        notes.append("The contacts were used up before the end of the day.")
    if asked.draw is not None:
        shown = next(one.shown for one in played if one.shown is not None)
        _draw(asked.draw, shown, found[0], stage, asked)
        notes.append(f"The first day is drawn in {asked.draw}.")
    return Outcome(campaign=stage.campaign, asked=asked, variants=found, notes=tuple(notes))


def _draw(file: Path, shown: picture.Shown, base: Variant, stage: Stage, asked: Asked) -> None:
    day = base.days[0]
    sheet = picture.draw(
        shown,
        f"{stage.campaign.id}: {stage.campaign.mode}, {day.operators} operators, {day.hours:g} h, seed {asked.seed}",
        f"Occupancy {100 * day.occupancy:.1f} %, {day.talk_min_per_hour:.1f} min of talk in an operator's hour,"
        f" {day.idle_s:.1f} s idle before each conversation; {day.answered:,} answered,"
        f" {day.abandoned:,} abandoned ({100 * day.abandoned_share:.2f} %)",
    )
    if file.suffix.lower() == ".svg":
        file.write_text(sheet.svg(), encoding="utf-8")
        return
    try:
        drawn = sheet.png()
    except ImportError as error:
        raise CannotSimulate(
            f"A PNG needs the package pillow, which cannot be loaded ({error}); FILE.svg needs nothing."
        ) from None
    file.write_bytes(drawn)


def _stage(home: Path, name: str, asked: Asked, notes: list[str]) -> Stage:
    campaign, trunk, cards, seen = _found(home, name, asked, notes)
    if campaign.mode == "announcement":
        raise CannotSimulate(
            f"Campaign {name} plays a message and has no operators: there is nothing to simulate. --mode predictive"
            " or --mode progressive say how it would be with operators."
        )
    if asked.agents is not None:
        cards = operators(cards, asked.agents, campaign.id)
    if not cards:
        raise CannotSimulate(
            f"No operator works for the campaign {name}: say how many there are to be, by --agents."
        )
    cards = tuple(msgspec.structs.replace(card, campaigns=(campaign.id,)) for card in cards)
    if asked.lines is not None:
        trunk = msgspec.structs.replace(trunk, channels_max=asked.lines)
    world = _world(asked)
    stage = Stage(campaign=campaign, trunk=trunk, cards=cards, world=world, contacts=asked.contacts)
    stage = msgspec.structs.replace(stage, is_wrap_up_told=asked.wrap_up is not None)
    kinds = tuple((kind, 1.0) for kind in campaign.phone_kinds) or (("mobile", 1.0),)
    if seen is not None:
        told, said = tell(
            seen, float(asked.begin), is_card=campaign.wrap_up == "card" and asked.wrap_up is None
        )
        if asked.answer_rate is not None:
            told = msgspec.structs.replace(told, chance=None, hours={}, kinds={}, ordinals={})
        if asked.talk is not None:
            told = msgspec.structs.replace(told, talk_s=())
        if asked.ring is not None:
            told = msgspec.structs.replace(told, answer_s=())
        if asked.setup is not None:
            told = msgspec.structs.replace(told, setup_s=())
        crowd = crowd_of(world.crowds[0], seen, told)
        world = msgspec.structs.replace(world, crowds=(crowd,))
        if seen.kinds and told.chance is not None:
            kinds = tuple((kind, float(one.tried)) for kind, one in seen.kinds.items())
        notes.append(
            f"The journal of the last {_period(asked.since or 0.0)} has of this campaign: {'; '.join(said)}."
        )
        stage = msgspec.structs.replace(stage, told=told)
    world = troubles.with_troubles(world, asked.troubles)
    notes += [f"With {troubles.WORLDS[name]}." for name in asked.troubles]
    notes += [f"Twice in the day {troubles.FAULTS[name][0]}." for name in asked.faults]  # type: ignore[index]
    return msgspec.structs.replace(stage, world=world, kinds=kinds)


def _period(seconds: float) -> str:
    return f"{seconds / DAY_S:g} days" if seconds >= DAY_S else f"{seconds / HOUR_S:g} hours"


def _found(
    home: Path, name: str, asked: Asked, notes: list[str]
) -> tuple[Campaign, Trunk, tuple[AgentCard, ...], Observed | None]:
    """The campaign with all that belongs to it, and what the journal saw of it, if that was asked."""
    journal = files.load_system(home).journal
    campaign: Campaign | None = None
    trunks: Mapping[str, Trunk] = {}
    cards: tuple[AgentCard, ...] = ()
    seen = None
    if journal.exists():
        with closing(open_reader(journal)) as connection:
            campaign = settings.campaign_now(connection, name)
            trunks = {one.id: one for one in settings.load_trunks(connection)}
            cards = tuple(
                one.card
                for one in settings.load_agents(connection)
                if not one.card.campaigns or name in one.card.campaigns
            )
            if asked.since is not None and campaign is not None:
                now = time.time()
                seen = observe(connection, name, now - asked.since, now)
    if campaign is None:
        campaign = next((one for one in files.load_campaigns(home) if one.id == name), None)
        if campaign is None:
            raise StoreError(f"There is no campaign {name!r}, neither applied nor in {home / 'campaigns'}.")
        notes.append(f"Campaign {name} was never applied: its settings are those of its file.")
        if asked.since is not None:
            raise CannotSimulate(f"The journal has nothing of the campaign {name}: leave out --from.")
    trunk = trunks.get(campaign.trunk) or next(
        (one for one in files.load_trunks(home) if one.id == campaign.trunk), None
    )
    if trunk is None:
        raise StoreError(f"Campaign {name} names the trunk {campaign.trunk!r}, which there is not.")
    if asked.mode is not None:
        campaign = msgspec.structs.replace(campaign, mode=asked.mode)
    if asked.share is not None:
        abandonment = msgspec.structs.replace(campaign.pacing.abandonment, share=asked.share)
        campaign = msgspec.structs.replace(
            campaign, pacing=msgspec.structs.replace(campaign.pacing, abandonment=abandonment)
        )
    return campaign, trunk, cards, seen


def _world(asked: Asked) -> World:
    """The world with what was stated; the rest is as in the scenarios that rules are compared in."""
    crowd, team, world = Crowd(), Team(), World()
    if asked.answer_rate is not None:
        crowd = msgspec.structs.replace(crowd, answers=asked.answer_rate)
    if asked.talk is not None:
        factor = asked.talk / crowd.talk_s
        crowd = msgspec.structs.replace(crowd, short_s=crowd.short_s * factor, long_s=crowd.long_s * factor)
    if asked.ring is not None:
        crowd = msgspec.structs.replace(crowd, ring_s=asked.ring)
    if asked.wrap_up is not None:
        team = msgspec.structs.replace(team, wrap_up_s=asked.wrap_up)
    if asked.setup is not None:
        world = msgspec.structs.replace(world, setup_s=asked.setup)
    return msgspec.structs.replace(
        world,
        length_s=asked.hours * HOUR_S,
        crowds=(crowd,),
        team=team,
        begins_at=MONDAY_S + asked.begin * HOUR_S,
    )
