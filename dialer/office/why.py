"""Why a contact was, or was not, dialed in a campaign at a moment: now, past, or to come.

1. Whether a number may be dialed is said by the one judgement (:func:`dialer.core.judging.judge`) on the facts
   of that moment (:mod:`dialer.store.facts`). Here are no rules; there are the layers around it: the campaign's
   state, whether the lead is due, its owner, and then what is not the person's: operators, the engine, trunks.
2. The layers are told in this order, and the first that keeps the person from being dialed is the answer.
   Each says the rule, the value it rests on, and when it ends.
3. A moment is meant just before what happened at it: at the instant of an attempt the person might be dialed.
4. Of what is to come only what is the person's can be said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dialer.core.ids import CampaignId, LeadId
from dialer.core.judging import Verdict, judge, waits_for_owner
from dialer.core.values import FOREVER, AgentState, CampaignState, Lead, Trunk
from dialer.office import clocks
from dialer.office.layers import RULES, Answer, Engine, Line, When
from dialer.office.reasons import SENTENCES, Reasons
from dialer.store import facts, moments
from dialer.store.calendar import Calendar
from dialer.store.facts import LeadState
from dialer.store.moments import AgentThen, CallThen
from dialer.store.rows import dicts
from dialer.store.schema import LIST_REMOVED
from dialer.store.settings import campaign_at, campaign_now, lists_of, load_centre, load_trunks

LOOK_AHEAD_MAX = 30
"""So many times it is judged anew, to find the next moment at which the person may be dialed."""
BEFORE_MAX = 10_000
"""Leads that go before are counted no further."""


class Asked(msgspec.Struct, kw_only=True):
    """What a question is asked with. *now*: the instant of asking; *engine*: how it is then."""

    connection: sqlite3.Connection
    calendar: Calendar
    now: float
    engine: Engine

    def when(self, at: float) -> When:
        """Where *at* lies."""
        return "now" if at == self.now else "past" if at < self.now else "later"


def why(asked: Asked, contact: int, campaign: CampaignId, at: float) -> Answer:
    """Why the contact is (was) dialed or not in the campaign at *at*.

    Raises StoreError, sqlite3.Error.
    """
    return _Question(asked, contact, campaign, at).answer()


class _Question:
    def __init__(self, asked: Asked, contact: int, campaign: CampaignId, at: float) -> None:
        self._asked = asked
        self._db = asked.connection
        self._contact = contact
        self._id = campaign
        self._at = at
        self._when = asked.when(at)
        self._is_past = self._when == "past"
        self._verdict: Verdict | None = None
        self._lead: Lead | None = None
        settings = campaign_at(self._db, campaign, at) if self._is_past else campaign_now(self._db, campaign)
        self._campaign = settings or campaign_now(self._db, campaign)
        self._known_then = settings is not None
        self._centre = load_centre(self._db, at if self._is_past else None)

    def answer(self) -> Answer:
        name = self._db.execute("SELECT name FROM contacts WHERE id = ?", (self._contact,)).fetchone()[0]
        row = self._db.execute(
            "SELECT id FROM leads WHERE contact = ? AND campaign = ?", (self._contact, self._id)
        ).fetchone()
        number = None if row is None else LeadId(row[0])
        lines = list(self._lines(number))
        first = next((line for line in lines if line.rule), None)
        return Answer(
            contact=self._contact,
            name=name,
            campaign=self._id,
            at=self._at,
            when=self._when,
            rule=first.rule if first is not None else "",
            says=RULES[first.rule] if first is not None else "",
            next_at=self._next_at(number, first, lines),
            zones=self._zones(),
            lines=tuple(lines),
            dialed=self._dialed(number),
        )

    def _zones(self) -> tuple[str, ...]:
        return (
            tuple(sorted({zone for phone in self._lead.phones for zone in phone.zones})) if self._lead else ()
        )

    # -- the layers -----------------------------------------------------------------------

    def _lines(self, number: LeadId | None) -> Iterator[Line]:
        yield self._campaign_line()
        if self._campaign is None:
            return
        state = None
        if number is not None:
            state = facts.state_at(self._db, number, self._at if self._is_past else None)
        if number is None or state is None:
            yield self._stranger(number)
            return
        calls = [] if self._when == "later" else moments.calls_at(self._db, self._at)
        live = next((call for call in calls if call.lead == number), None)
        lead = facts.lead_at(
            self._db,
            self._asked.calendar,
            self._campaign,
            number,
            self._at,
            centre=self._centre,
            is_past=self._is_past,
        )
        assert lead is not None
        self._lead, self._verdict = lead, judge(lead, self._campaign, self._at)
        yield self._lead_line(state, live)
        if lead.owner is not None:
            yield self._owner_line(lead)
        if state.finished is None or state.held is not None:
            yield from self._number_lines(lead, self._verdict, calls)
        if self._when == "later":
            return
        yield self._operators_line(calls)
        yield from self._engine_lines()
        yield from self._room_lines(calls)
        if self._when == "now" and state.finished is None and state.due is not None and state.due <= self._at:
            yield self._turn_line(state)

    def _campaign_line(self) -> Line:
        then = moments.campaign_state_at(self._db, self._id, self._at)
        if then is None:
            since = self._db.execute(
                "SELECT min(at) FROM campaign_states WHERE campaign = ?", (self._id,)
            ).fetchone()[0]
            return Line(
                layer="campaign", rule="no_campaign", says="there was no such campaign yet", until=since
            )
        says = f"{then.state} since {clocks.clock(then.since)}"
        if not self._known_then:
            says += "; its settings of that time are not known, those of now are taken"
        if then.state is CampaignState.RUNNING:
            return Line(layer="campaign", says=says)
        until = moments.next_running(self._db, self._id, self._at)
        return Line(layer="campaign", rule="campaign_not_running", says=says, until=until)

    def _stranger(self, number: LeadId | None) -> Line:
        """The contact has, or had then, no place in the campaign."""
        assert self._campaign is not None
        [name] = self._db.execute("SELECT list FROM contacts WHERE id = ?", (self._contact,)).fetchone()
        if number is not None:
            [at] = self._db.execute("SELECT enrolled_at FROM leads WHERE id = ?", (number,)).fetchone()
            says = f"the contact came into the campaign at {clocks.clock(at)}"
            return Line(layer="lead", rule="not_in_campaign", says=says, until=at)
        lists = lists_of(self._campaign)
        if name in lists:
            says = f"its list {name} is the campaign's, but the contact is not enrolled; a start or an import does that"
        else:
            says = f"its list {name} is none of the campaign's ({', '.join(lists) or 'it has none'})"
        return Line(layer="lead", rule="not_in_campaign", says=says)

    def _lead_line(self, state: LeadState, live: CallThen | None) -> Line:
        since = clocks.clock(state.since)
        if live is not None:
            way = "to" if live.direction == "out" else "(they called us) from"
            says = f"attempt {live.attempt} {way} {live.number} since {clocks.clock(live.created_at)}"
            return Line(layer="lead", rule="being_dialed", says=says, number=live.number, until=live.ended_at)
        if state.finished == LIST_REMOVED:
            says = f"its list was taken out of the campaign at {since}"
            return Line(layer="lead", rule=LIST_REMOVED, says=says)
        if state.finished is not None:
            led = "" if state.why in ("", state.finished) else f" ({_after(state)})"
            says = f"finished: {state.finished}{led} since {since}"
            return Line(layer="lead", rule="finished", says=says)
        assert state.due is not None
        promised = "promised for" if state.is_promised else "due at"
        if state.due <= self._at:
            told = f"{'promised' if state.is_promised else 'due'} since {clocks.clock(max(state.due, state.since))}"
            return Line(layer="lead", says=f"{told}, {_after(state)}")
        says = f"{promised} {clocks.clock(state.due)}, {_after(state)} at {since}"
        if state.held is not None:
            # What put it off is judged below; if that is no rule any more, the engine lets it loose.
            if self._verdict is not None and self._verdict.phone is None:
                return Line(layer="lead", says=f"put off: {says}")
            return Line(layer="lead", rule="put_off", says=says, until=state.due)
        return Line(layer="lead", rule="not_due", says=says, until=state.due)

    def _owner_line(self, lead: Lead) -> Line:
        assert self._campaign is not None
        assert lead.owner is not None
        until = f" until {clocks.clock(lead.owned_until)}" if lead.owned_until < FOREVER else ""
        says = f"the card is of {lead.owner}{until}"
        if lead.owned_until <= self._at:
            return Line(layer="owner", says=f"{says}, and returns to the pool")
        if not waits_for_owner(lead, self._campaign, self._at):
            return Line(layer="owner", says=f"{says}; anyone may take it")
        if self._when == "later":
            return Line(layer="owner", says=f"{says}; nobody else may take it")
        then = moments.agent_at(self._db, lead.owner, self._at)
        says = f"{says}, who {'was' if self._is_past else 'is'} {_state(then)}"
        if then.state not in (AgentState.SIGNED_OUT, AgentState.PAUSED, AgentState.ARRIVING):
            return Line(layer="owner", says=says)
        wait_s = self._campaign.owners.wait_s
        ends = [lead.due + wait_s] if wait_s is not None else []
        ends += [lead.owned_until] if lead.owned_until < FOREVER else []
        return Line(layer="owner", rule="owner_away", says=says, until=min(ends, default=None))

    def _number_lines(self, lead: Lead, verdict: Verdict, calls: Sequence[CallThen]) -> Iterator[Line]:
        assert self._campaign is not None
        reasons = Reasons(
            self._db, self._asked.calendar, self._campaign, self._centre, self._at, is_past=self._is_past
        )
        live = {call.number: call for call in calls if call.lead != lead.id}
        is_open = verdict.phone is not None
        kept_back = any(not one.rule for one in verdict.phones) or verdict.rule in _OF_CONTACT
        if not is_open and (kept_back or verdict.rule not in {one.rule for one in verdict.phones}):
            says = reasons.contact(lead, verdict)
            yield Line(layer="contact", rule=verdict.rule, says=says, until=verdict.until)
        for one in sorted(verdict.phones, key=lambda one: one.rule != verdict.rule):
            rule, says, until = one.rule, reasons.number(lead, one), one.until
            if not rule and one.phone.number in live:
                call = live[one.phone.number]
                rule, until = "number_live", call.ended_at
                who = f"campaign {call.campaign} calls the number"
                if call.direction == "in":
                    who = f"the number calls campaign {call.campaign}"
                says = f"{who} since {clocks.clock(call.created_at)}"
            if is_open and rule and verdict.phone is not None and one.phone.id != verdict.phone.id:
                says, rule = f"{SENTENCES.get(rule, rule)}: {says}", ""
            yield Line(
                layer="number",
                rule=rule,
                says=says,
                number=f"{one.phone.number} {one.phone.kind}",
                zones=one.phone.zones,
                until=until if one.rule or rule else None,
            )

    # -- what is not the person's ---------------------------------------------------------

    def _operators_line(self, calls: Sequence[CallThen]) -> Line:
        agents = moments.agents_at(self._db, self._id, self._at)
        if not agents:
            return Line(layer="operators", rule="no_operator", says="no operator works for the campaign")
        ready = [one for one in agents if one.was_ready]
        if ready:
            waiting = sum(call.campaign == self._id and not call.is_connected_at(self._at) for call in calls)
            says = (
                f"{len(ready)} of {len(agents)} ready; calls of the campaign on their way to them: {waiting}"
            )
            return Line(layer="operators", says=says)
        until = (
            moments.next_ready(self._db, [one.agent for one in agents], self._at) if self._is_past else None
        )
        at_work = [f"{one.agent} {_state(one)}" for one in agents if one.state is not AgentState.SIGNED_OUT]
        says = "; ".join(at_work[:5]) + (f" and {len(at_work) - 5} more" if len(at_work) > 5 else "")
        nobody = "the only one is" if len(agents) == 1 else f"all {len(agents)} are"
        told = f"none of {len(agents)} ready: {says}" if at_work else f"{nobody} signed out"
        return Line(layer="operators", rule="no_operator_idle", says=told, until=until)

    def _engine_lines(self) -> Iterator[Line]:
        assert self._campaign is not None
        trunk, engine = self._campaign.trunk, self._asked.engine
        if self._when == "now":
            if engine.rule:
                yield Line(layer="engine", rule=engine.rule, says=engine.says)
            elif not engine.trunks.get(trunk, True):
                yield Line(
                    layer="trunk", rule="trunk_down", says=f"the trunk {trunk} does not answer, or rests"
                )
            else:
                yield Line(layer="engine", says="it places calls")
            return
        troubles = moments.troubles_at(self._db, trunk, self._at)
        for one in troubles:
            since = f" since {clocks.clock(one.since)}" if one.since is not None else ""
            layer = "trunk" if one.rule == "trunk_down" else "engine"
            yield Line(layer=layer, rule=one.rule, says=f"{one.says}{since}", until=one.until)
        if not troubles:
            yield Line(layer="engine", says="nothing is noted that kept it from placing calls")

    def _room_lines(self, calls: Sequence[CallThen]) -> Iterator[Line]:
        assert self._campaign is not None
        campaign = self._campaign
        own = sum(call.campaign == self._id and call.direction == "out" for call in calls)
        if own >= campaign.lines_max:
            yield Line(
                layer="lines", rule="lines_full", says=f"{own} calls at once of {campaign.lines_max} allowed"
            )
        trunk: Trunk | None = next((one for one in load_trunks(self._db) if one.id == campaign.trunk), None)
        through = sum(call.trunk == campaign.trunk for call in calls)
        if trunk is not None and through >= trunk.channels_max:
            says = f"{through} calls at once of {trunk.channels_max} through {trunk.id}"
            yield Line(layer="trunk", rule="trunk_full", says=says)

    def _turn_line(self, state: LeadState) -> Line:
        before = moments.leads_before(self._db, state.lead, self._at, BEFORE_MAX)
        told = f"more than {BEFORE_MAX}" if before >= BEFORE_MAX else str(before) if before else "none"
        return Line(layer="turn", says=f"leads that are due and go before: {told}")

    # -- the next moment, and what then happened --------------------------------------------

    def _next_at(self, number: LeadId | None, first: Line | None, lines: Sequence[Line]) -> float | None:
        """When all layers of the person's let them be dialed; what is not the person's is not foretold."""
        if first is None:
            return self._at
        if number is None or self._campaign is None or self._lead is None:
            return first.until
        personal = [line for line in lines if line.layer in _PERSONAL and line.rule]
        if any(line.until is None for line in personal if line.layer != "number"):
            return None
        at = max([self._at, *(line.until or 0.0 for line in personal if line.layer != "number")])
        if first.rule == "number_live" and first.until is None:
            return None
        if (first.layer not in _PERSONAL or first.rule == "number_live") and first.until is not None:
            at = max(at, first.until)
        for _ in range(LOOK_AHEAD_MAX):
            dialed = self._dialed(number)
            if self._is_past and dialed is not None and dialed["created_at"] <= at:
                return float(dialed["created_at"])
            lead = facts.lead_at(
                self._db,
                self._asked.calendar,
                self._campaign,
                number,
                at,
                centre=self._centre,
                is_past=at < self._asked.now and self._is_past,
            )
            if lead is None:
                return None
            verdict = judge(lead, self._campaign, at)
            if verdict.phone is not None:
                return at
            if verdict.until is None:
                return None
            at = max(verdict.until, at + 1.0)
        return None

    def _dialed(self, number: LeadId | None) -> dict[str, Any] | None:
        """The attempt under way at the moment, or the first one after it."""
        if number is None or self._when == "later":
            return None
        found = self._db.execute(
            "SELECT attempt, direction, number, created_at, ended_at, result, operator_result, agent FROM attempts"
            " WHERE lead = ? AND coalesce(ended_at, 1e12) > ? ORDER BY created_at LIMIT 1",
            (number, self._at),
        )
        row = found.fetchone()
        if row is None:
            return None
        dialed = dict(zip((one[0] for one in found.description), row, strict=True))
        return {**dialed, "transfers": self._transfers(dialed["attempt"])}

    def _transfers(self, attempt: str) -> list[dict[str, Any]]:
        """What operators did with the conversation beside talking, in their order."""
        found = self._db.execute(
            "SELECT kind, agent, target, began_at, state, outcome FROM transfers WHERE attempt = ? ORDER BY place",
            (attempt,),
        )
        return dicts(found)


_OF_CONTACT = frozenset({"tried_contact", "contact_per_day", "contact_per_24h", "no_number_left"})
_PERSONAL = frozenset({"lead", "owner", "contact", "number"})


_WHY = {
    "": "as a new contact",
    "enrolled": "as a new contact",
    "enrolled_again": "as its list came back",
    "callback": "as a call that was promised",
    "let_loose": "as the rules were changed",
    "returned_to_pool": "as its owner had it long enough",
}
"""Why a lead stands as it does, where that is no result and no rule."""


def _after(state: LeadState) -> str:
    return _WHY.get(state.why, f"after {state.why}")


def _state(one: AgentThen) -> str:
    reason = f" ({one.reason})" if one.reason else ""
    since = f" since {clocks.clock(one.since)}" if one.since else ""
    return f"{one.state.value}{reason}{since}"
