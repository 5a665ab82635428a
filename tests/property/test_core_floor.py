"""The floor in a world that delays, doubles, loses and reorders: what must always be true, is.

The examples are the same at every run, and a failing one is shown as it was found.
``OBZVON_EXAMPLES=5000`` explores as many others, and makes a failing one as small as it can.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from dialer.core import events as ev
from dialer.core.conduct import Abandonment, Pacing
from dialer.core.ids import AgentId, is_leg, is_third
from dialer.core.results import DEFAULT_RESULTS
from dialer.core.values import Centre, OperatorResult, Owners, Result, RetryRule
from tests.property.machines import Disordered, FailingJournal, People, place, playing
from tests.unit.core.pacers import Eager
from tests.unit.core.simulation import Simulation
from tests.unit.core.world import campaign, lead, parked, rung, trunk

THIRD = "+79998887766"
SHARED = "+79990000000"
CAUSES = ((17, 486), (19, 480), (1, 404), (21, 603), (34, 503), (0, None), (127, 500))
CODES = ("40", "40", "41", "421", "43", "43", "441", "446", "448", "45", "460001", "470001")
TRANSFERS = ("507#", "517#", "517#", "52", "53", "54", "55", "55")
NEVER = OperatorResult(code="8", name="never", title="Wants no more calls", is_do_not_call=True)
OWNERS = (Owners(), Owners(hold_s=30.0, away="wait", wait_s=40.0), Owners(hold_s=30.0, away="wait"))
MODES = (
    ("progressive",),
    ("progressive", "progressive"),
    ("predictive",),
    ("predictive", "progressive"),
    ("progressive", "predictive"),
    ("predictive", "predictive"),
    ("announcement", "progressive"),
    ("predictive", "announcement"),
)


class FloorMachine(Disordered, FailingJournal, People):
    """One day of a small centre, in the worst order that can be found."""

    simulation: type[Simulation] = Simulation

    def more_settings(self) -> dict[str, Any]:
        """More of the campaigns, for a machine that is made of this one."""
        return {}

    @initialize(
        ring_agent=st.sampled_from(["at_dial", "at_ring", "at_answer"]),
        wrap_up_s=st.sampled_from([0.0, 3.0]),
        wait_s=st.sampled_from([0.0, 2.0, 8.0]),
        no_agent=st.sampled_from(["last_word", "hold", "hang_up"]),
        hold_s=st.sampled_from([5.0, 40.0]),
        wrap_up=st.sampled_from(["time", "card"]),
        centre=st.sampled_from([Centre(), Centre(missed_max=2, missed_rest_s=20.0, pause_s_max=40.0)]),
        owners=st.sampled_from(OWNERS),
        modes=st.sampled_from(MODES),
        pacer=st.sampled_from([Eager, Eager, None]),
        limit_s=st.sampled_from([2.0, 2.0, 5.0]),
        gap_s=st.sampled_from([0.0, 15.0]),
    )
    def begin(self, **settings: Any) -> None:
        modes, centre, gap_s = settings.pop("modes"), settings.pop("centre"), settings.pop("gap_s")
        pacer, abandonment = settings.pop("pacer"), Abandonment(limit_s=settings.pop("limit_s"))
        retry = {Result.NO_ANSWER: RetryRule(attempts=2, again_s=30.0, phone="next")}
        common: dict[str, Any] = {
            **settings,
            "trunks": ("u",),
            "ring_s": 10.0,
            "agent_ring_s": 6.0,
            "retry": retry,
        }
        common |= {"wrap_up_s_max": 25.0, "results": (*DEFAULT_RESULTS, NEVER)}
        common["transfer_numbers"] = {"7": THIRD}
        common["pacing"] = Pacing(abandonment=abandonment)
        common |= self.more_settings()
        campaigns = [campaign(priority=2, mode=modes[0], **common)]
        leads = [lead(1, SHARED, "+79990000001"), lead(2, SHARED), *map(lead, range(3, 8))]
        if len(modes) > 1:
            campaigns.append(
                campaign("summer", priority=1 if modes[0] == modes[1] else 2, mode=modes[1], **common)
            )
            leads += [lead(8, SHARED, of="summer"), lead(9, "+79990000009", of="summer")]
        self.world = self.simulation(
            campaigns=campaigns,
            trunks=[trunk(channels_max=4), trunk("u", channels_max=2, priority=200)],
            cards=[parked("g1"), parked("g2", "spring"), rung("g3"), rung("g4", "spring", "summer")],
            leads=leads,
            centre=centre,
            shy=("+70000000004", "+79990000009"),
            gap_s=gap_s,
            pacer=pacer,
        )
        for card in self.world.cards[:3]:
            self.world.card_dials(card, "40")
        self.world.run()

    # -- what is under way goes on --------------------------------------------------------

    @rule(place=place)
    def the_store_reads(self, place: int) -> None:
        self.world.read(place)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.5, 6.0, 11.0, 35.0, 125.0]), has_timers=st.booleans())
    def time_passes(self, seconds: float, has_timers: bool) -> None:
        self.world.pass_time(seconds, has_timers=has_timers)

    # -- people do what they do -----------------------------------------------------------

    @rule(place=place, cause=st.sampled_from(CAUSES))
    def a_call_ends(self, place: int, cause: tuple[int, int | None]) -> None:
        if persons := self.world.persons():
            person = persons[place % len(persons)]
            self.world.end(person.id, *((0, None) if person.is_up else cause))

    @rule(place=place)
    def it_is_listened_who_answered(self, place: int) -> None:
        if persons := self.world.persons(is_up=False):
            self.world.listens(persons[place % len(persons)])

    @rule(place=place, is_machine=st.booleans(), listened_s=st.sampled_from([0.3, 2.5]))
    def it_is_known_who_answered(self, place: int, is_machine: bool, listened_s: float) -> None:
        world = self.world
        if persons := [one for one in world.persons() if world.places.get(one.id) == "listening"]:
            world.is_known(persons[place % len(persons)], is_machine=is_machine, listened_s=listened_s)

    @rule(place=place, choice=st.sampled_from(["wait", "operator", "wait", "refuse", "later", "confirm"]))
    def a_person_presses_a_key(self, place: int, choice: Any) -> None:
        if persons := self.world.with_dialplan():
            self.world.chooses(persons[place % len(persons)], choice)

    @rule()
    def the_box_of_choices_is_read(self) -> None:
        self.world.read_notes()

    @rule(place=place)
    def an_operator_picks_up(self, place: int) -> None:
        if legs := [one for one in self.world.lines() if is_leg(one.id) and not one.is_up]:
            self.world.answers(legs[place % len(legs)])

    @rule(place=place, code=st.sampled_from(TRANSFERS))
    def an_operator_transfers(self, place: int, code: str) -> None:
        self._key(place, code)

    @rule(place=place, to=st.sampled_from(["7", "1g1", "1g2", "1g3", "1g4", "9"]))
    def a_phone_refers(self, place: int, to: str) -> None:
        """Colleagues' extensions have letters here, which a key has not."""
        if lines := [one for one in self.world.lines() if one.in_app and self.world.is_heard]:
            self.world.inbox.append(
                ev.PhoneReferred(at=self.world.at, channel=lines[place % len(lines)].id, to=to)
            )

    @rule(place=place)
    def a_third_party_answers(self, place: int) -> None:
        if thirds := [one for one in self.world.lines() if is_third(one.id) and not one.is_up]:
            self.world.answers(thirds[place % len(thirds)])

    @rule(place=place)
    def an_operator_hangs_up(self, place: int) -> None:
        if lines := self.world.lines():
            self.world.end(lines[place % len(lines)].id, 16)

    @rule(place=place, code=st.sampled_from(CODES))
    def an_operator_dials_a_code(self, place: int, code: str) -> None:
        self.world.card_dials(self.world.cards[place % 4], code)

    @rule(place=place, code=st.sampled_from(CODES))
    def an_operator_keys_a_code(self, place: int, code: str) -> None:
        self._key(place, code)

    def _key(self, place: int, code: str) -> None:
        if lines := [one for one in self.world.lines() if one.in_app]:
            line = lines[place % len(lines)]
            for digit in f"*{code}":
                self.world.tell(ev.DigitPressed, channel=line.id, digit=digit)

    @rule(
        place=place,
        order=st.sampled_from(["ready", "pause", "sign_out"]),
    )
    def a_supervisor_orders_an_operator(self, place: int, order: str) -> None:
        self.world.tell(ev.AgentOrdered, agent=self.world.cards[place % 4].id, order=order)

    @rule(place=place, order=st.sampled_from(["start", "pause", "resume", "stop"]))
    def a_supervisor_orders_a_campaign(self, place: int, order: str) -> None:
        campaigns = self.world.campaigns
        self.world.tell(ev.CampaignOrdered, campaign=campaigns[place % len(campaigns)].id, order=order)

    @rule(place=place, is_parked=st.booleans())
    def a_card_is_changed(self, place: int, is_parked: bool) -> None:
        cards = self.world.cards
        card = cards[place % 4]
        changed = (parked if is_parked else rung)(card.id, *card.campaigns)
        cards[place % 4] = changed
        self.world.tell(ev.AgentApplied, agent=changed)

    @rule(place=place, agent=st.sampled_from([None, "g1", "g4"]))
    def a_supervisor_promises_a_call(self, place: int, agent: str | None) -> None:
        leads = list(self.world.store.leads.values())
        chosen = leads[place % len(leads)]
        due, owner = self.world.at + 45.0, AgentId(agent) if agent else None
        self.world.tell(ev.CallbackOrdered, campaign=chosen.campaign, lead=chosen.id, due=due, agent=owner)

    @rule(place=place, is_told=st.booleans())
    def a_number_is_put_on_the_list(self, place: int, is_told: bool) -> None:
        """Mostly one that is at hand: the floor is told later, or never, and the journal knows at once."""
        desks = self.world.floor.desks.values()
        leads = [fresh.lead for desk in desks for fresh in desk.hopper._leads] if place % 3 else []
        leads = leads or list(self.world.store.leads.values())
        self.world.bar(leads[place % len(leads)].phones[0].number, is_told=is_told)

    # -- and things go wrong --------------------------------------------------------------

    @rule(is_bad=st.booleans(), place=place)
    def something_is_down_or_up(self, is_bad: bool, place: int) -> None:
        match place % 3:
            case 0:
                self.world.tell(ev.EventsLagged, lag_ms=1500.0, is_late=is_bad)
            case 1:
                self.world.tell(ev.TrunkChanged, trunk=self.world.trunks[place // 6].id, is_up=not is_bad)
            case _:
                card = self.world.cards[place % 4]
                is_used = is_bad and place > 5
                self.world.phone_changes(card, is_registered=not is_bad or is_used, is_in_use=is_used)

    def look_back(self) -> None:
        self.world.work_off()
        self.world.calm_down()
        self.world.check_calm()


FloorMachine.TestCase.settings = playing(40, quick=6, steps=60)
TestFloor = FloorMachine.TestCase
