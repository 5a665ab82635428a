"""Trunks among several campaigns, whatever happens: no cap is ever exceeded, and nobody is counted or rung twice for a trunk's fault.

Events come in their order here, as Asterisk tells them of one channel; late, doubled and lost ones are the business of
:mod:`tests.property.test_core_floor`. After each call that is placed the caps of all trunks are looked at
(:class:`dialer.lab.simulator.invariants.Caps`): channels, calls per second in every window of time, destinations, and that no trunk is
tried twice for one call.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from msgspec.structs import replace

from dialer.core import events as ev
from dialer.core.commands import FetchLeads, Originate
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId, ChannelId, LeadId, ServerId, TrunkId, is_third
from dialer.core.incoming import Inbound
from dialer.core.trunk import Trunk
from dialer.core.values import (
    TRUNK_ENDINGS,
    UNPLACED_RESULTS,
    AgentState,
    Call,
    CampaignState,
    Centre,
    Owners,
    Result,
    RetryRule,
)
from dialer.lab.simulator.invariants import Caps
from dialer.lab.simulator.switch import Channel
from tests.examples import examples
from tests.property.machines import FailingJournal, People, place, playing
from tests.unit.core.incoming import FIRST_STRANGER, InboundSimulation
from tests.unit.core.pacers import Eager
from tests.unit.core.world import campaign, lead, parked, rung, trunk

CAUSES = ((34, 503), (38, 502), (3, 404), (127, 500), (34, 503), (17, 486), (19, 480), (18, 408), (0, None))
MODES = (
    ("progressive", "predictive"),
    ("announcement", "progressive"),
    ("predictive", "announcement"),
    ("progressive", "progressive"),
)
NAMES = "tuv"
OUTSIDE = (TrunkId("t"), TrunkId("v"))
"""By these the operators are called who are rung."""
THIRD, OURS = "+79998887766", "+74950000001"


class World(InboundSimulation):
    """The simulation with people who call us, and who was rung by which attempt."""

    def __init__(self, **facts: Any) -> None:
        self.rang: set[AttemptId] = set()
        self.disabled: set[str] = set()
        self.removed: dict[str, Trunk] = {}
        super().__init__(**facts)

    def facts(self) -> dict[str, Any]:
        """What a new engine finds in the journal of its trunks and of the calls that go on."""
        dialing = [
            call for call, _ in self.store.open() if call.state == "dialing" or call.ending in TRUNK_ENDINGS
        ]
        return {
            "at": self.at,
            "outside": tuple(self.outside.items()),
            "trunks": [one for one in self.trunks if one.id not in self.removed],
            "trunks_disabled": set(self.disabled),
            "onward": [
                ev.Onward(
                    attempt=call.attempt,
                    more=(self._new_id(), self._new_id()),
                    tried=tuple(one.trunk for one in self.earlier(call)),
                )
                for call in dialing
            ],
        }

    def earlier(self, call: Call) -> list[Call]:
        """The attempts that went on as *call*, the last one first."""
        found = []
        while call.after is not None:
            call = self.store.calls[call.after]
            found.append(call)
        return found

    def comes_by(self, trunk: str, number: int) -> None:
        """A channel of a trunk that is none of our business."""
        self._make(Channel(ChannelId(f"other-{number}"), trunk=TrunkId(trunk)))

    def goes(self) -> None:
        """And all such are gone."""
        for one in [one for one in self.channels if one.startswith("other-")]:
            self.end(one, 16)

    def lines(self) -> list[Channel]:
        return [one for one in super().lines() if not one.id.startswith("other-")]

    def calm_down(self) -> None:
        self.goes()
        super().calm_down()

    def rings(self, person: Channel) -> None:
        self.rang.add(AttemptId(person.id))
        super().rings(person)

    def answers(self, channel: Channel) -> None:
        if channel.number:
            self.rang.add(AttemptId(channel.id))
        super().answers(channel)


class TrunkMachine(FailingJournal, People):
    """A day of carriers that fail."""

    world: World

    @initialize(
        modes=st.sampled_from(MODES),
        channels=st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 4)),
        rates=st.tuples(*(st.sampled_from([0.2, 1.0, 3.0, 100.0]),) * 3),
        priorities=st.tuples(*(st.sampled_from([1, 1, 2]),) * 3),
        weights=st.tuples(*(st.integers(1, 3),) * 3),
        forbidden=st.sampled_from([(), ("+7000",), ("+44",)]),
        away=st.sampled_from([Owners(), Owners(hold_s=30.0, away="wait", wait_s=40.0)]),
        ring_agent=st.sampled_from(["at_dial", "at_ring", "at_answer"]),
    )
    def begin(self, **settings: Any) -> None:
        self.make(**settings)

    def make(self, modes: tuple[str, str], **settings: Any) -> None:
        """The world, and operators who are signed in."""

        def of(name: str) -> int:
            return NAMES.index(name)

        trunks = [
            trunk(
                name,
                channels_max=settings["channels"][of(name)],
                calls_per_second_max=settings["rates"][of(name)],
                priority=settings["priorities"][of(name)],
                weight=settings["weights"][of(name)],
                forbidden=settings["forbidden"] if name == "u" else (),
            )
            for name in NAMES
        ]
        retry = {
            result: RetryRule(attempts=4, again_s=20.0, phone="same")
            for result in (Result.NO_ANSWER, Result.CONGESTION, Result.NO_ROUTE, Result.BUSY)
        }
        common: dict[str, Any] = {
            "ring_s": 10.0,
            "agent_ring_s": 6.0,
            "wrap_up_s": 2.0,
            "retry": retry,
            "attempts": 3,
            "owners": settings["away"],
            "ring_agent": settings["ring_agent"],
            "transfer_numbers": {"7": THIRD},
            "inbound": Inbound(
                numbers=(OURS,), overflow="number", overflow_number=THIRD, wait_s=8.0, missed_again_s=None
            ),
        }
        leads = [lead(n, of="spring") for n in range(1, 6)]
        leads += [lead(6, "+441234567890"), lead(7, "+12125550100", "+70000000007"), lead(8, "+70000000001")]
        leads += [lead(n, of="summer") for n in range(9, 13)] + [lead(13, "+70000000002", of="summer")]
        self.world = World(
            campaigns=[
                campaign("spring", mode=modes[0], trunk="t", trunks=("u", "v"), **common),
                campaign("summer", mode=modes[1], trunk="u", trunks=("v",), **common),
            ],
            trunks=trunks,
            cards=[parked("g1"), parked("g2", "spring"), rung("g3"), rung("g4", "summer")],
            leads=leads,
            centre=Centre(countries=("+7", "+44")),
            pacer=Eager,
        )
        self.world.outside = {
            card.phone: name for card, name in zip(self.world.cards[2:], OUTSIDE, strict=True)
        }
        self.world.tell(ev.OutsideApplied, lines=tuple(self.world.outside.items()))
        for card in self.world.cards:
            self.world.card_dials(card, "40")
        self.world.run()

    # -- what is under way goes on ------------------------------------------------------------

    @rule(count=st.integers(1, 4))
    def some_of_it_happens(self, count: int) -> None:
        for _ in range(count):
            self.world.act(0)
            self.world.read(0)
            self.world.deliver(0)

    @rule()
    def everything_goes_its_way(self) -> None:
        self.world.run()

    @rule(seconds=st.sampled_from([0.1, 0.3, 1.0, 6.0, 16.0, 35.0]), has_timers=st.booleans())
    def time_passes(self, seconds: float, has_timers: bool) -> None:
        self.world.pass_time(seconds, has_timers=has_timers)

    @rule(place=place, cause=st.sampled_from(CAUSES))
    def a_call_ends(self, place: int, cause: tuple[int, int | None]) -> None:
        if persons := self.world.persons():
            person = persons[place % len(persons)]
            self.world.end(person.id, *((0, None) if person.is_up else cause))

    @rule(name=st.sampled_from(NAMES), cause=st.sampled_from(CAUSES[:4]))
    def a_carrier_fails(self, name: str, cause: tuple[int, int]) -> None:
        """It refuses all that has not rung yet."""
        for person in self.world.persons(is_up=False):
            if not person.is_ringing and self.world.store.calls[AttemptId(person.id)].trunk == name:
                self.world.end(person.id, *cause)

    @rule(place=place)
    def a_carrier_says_nothing(self, place: int) -> None:
        """Asterisk was asked about a call, and had heard nothing of it."""
        silent = [one for one in self.world.persons(is_up=False) if not one.is_ringing]
        if silent:
            self.world.tell(ev.TrunkSilent, attempt=AttemptId(silent[place % len(silent)].id))

    @rule(place=place)
    def an_operator_picks_up_or_hangs_up(self, place: int) -> None:
        if lines := self.world.lines():
            line = lines[place % len(lines)]
            if line.is_up:
                self.world.end(line.id, 16)
            else:
                self.world.answers(line)

    @rule(place=place, code=st.sampled_from(["40", "43", "41"]))
    def an_operator_dials_a_code(self, place: int, code: str) -> None:
        self.world.card_dials(self.world.cards[place % 4], code)

    # -- what else goes by trunks ---------------------------------------------------------------

    @rule(place=place)
    def a_person_calls_us(self, place: int) -> None:
        self.world.comes(FIRST_STRANGER + place, "spring")

    @rule()
    def nobody_takes_them(self) -> None:
        """All operators are away, and who calls us or waits is forwarded."""
        for card in self.world.cards:
            self.world.tell(ev.AgentOrdered, agent=card.id, order="pause")
        self.world.pass_time(9.0)
        self.world.run()

    @rule(name=st.sampled_from(NAMES), number=st.integers(1, 3))
    def something_else_comes_by_a_trunk(self, name: str, number: int) -> None:
        if ChannelId(f"other-{number}") not in self.world.channels:
            self.world.comes_by(name, number)

    @rule()
    def all_that_is_gone(self) -> None:
        self.world.goes()

    @rule()
    def people_talk(self) -> None:
        """Whoever is called answers, and so does every operator who is rung."""
        world = self.world
        for _ in range(2 if world.is_heard else 0):
            for one in [*world.persons(is_up=False), *world.lines()]:
                if not one.is_up and not is_third(one.id) and one.id in world.channels:
                    world.answers(one)
            world.run()

    @rule(place=place, code=st.sampled_from(["507#", "517#", "517#", "52", "54"]), is_settled=st.booleans())
    def an_operator_transfers(self, place: int, code: str, is_settled: bool) -> None:
        world = self.world
        talking = [
            one.channel
            for one in world.floor.agents.values()
            if one.state is AgentState.ON_CALL and one.channel in world.channels
        ]
        if talking and world.is_heard:
            for digit in f"*{code}":
                world.tell(ev.DigitPressed, channel=talking[place % len(talking)], digit=digit)
            if is_settled:
                world.run()

    @rule(place=place)
    def a_third_party_rings_or_answers(self, place: int) -> None:
        if thirds := [one for one in self.world.lines() if is_third(one.id) and not one.is_up]:
            third = thirds[place % len(thirds)]
            if place % 2:
                self.world.answers(third)
            else:
                self.world.emit(ev.ThirdRang(at=self.world.at, channel=third.id))

    @rule(place=place, cause=st.sampled_from(CAUSES))
    def a_third_party_ends(self, place: int, cause: tuple[int, int | None]) -> None:
        if thirds := [one for one in self.world.lines() if is_third(one.id)]:
            third = thirds[place % len(thirds)]
            self.world.end(third.id, *((0, None) if third.is_up else cause))

    @rule()
    def the_other_number_does_not_answer(self) -> None:
        for other in list(self.world.forwards.values()):
            if other in self.world.channels:
                self.world.end(other, 19, 480)

    # -- what is done with trunks ---------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), is_up=st.booleans())
    def options_tell(self, name: str, is_up: bool) -> None:
        self.world.tell(ev.TrunkChanged, trunk=name, is_up=is_up)

    @rule(name=st.sampled_from(NAMES), is_disabled=st.booleans())
    def an_engineer_orders(self, name: str, is_disabled: bool) -> None:
        if name not in self.world.removed:
            (self.world.disabled.add if is_disabled else self.world.disabled.discard)(name)
            self.world.tell(ev.TrunkOrdered, trunk=name, order="disable" if is_disabled else "enable")

    @rule(name=st.sampled_from(NAMES))
    def a_trunk_is_removed(self, name: str) -> None:
        world = self.world
        if name not in world.removed:
            world.removed[name] = next(one for one in world.trunks if one.id == name)
            world.tell(ev.TrunkOrdered, trunk=name, order="remove")

    @rule(
        name=st.sampled_from(NAMES), channels=st.integers(0, 4), rate=st.sampled_from([0.2, 1.0, 5.0, 100.0])
    )
    def a_trunk_is_applied(self, name: str, channels: int, rate: float) -> None:
        world = self.world
        before = next(one for one in world.trunks if one.id == name)
        after = replace(before, channels_max=channels, calls_per_second_max=rate)
        world.trunks[world.trunks.index(before)] = after
        world.removed.pop(name, None)
        world.tell(ev.TrunkApplied, trunk=after)

    # -- and things go wrong ---------------------------------------------------------------------

    @rule(place=place, is_told=st.booleans())
    def a_number_is_put_on_the_list(self, place: int, is_told: bool) -> None:
        numbers = [call.number for call in self.world.floor.calls.values()] or ["+70000000003"]
        self.world.bar(numbers[place % len(numbers)], is_told=is_told)

    @rule(is_refusing=st.booleans())
    def asterisk_refuses(self, is_refusing: bool) -> None:
        self.world.is_refusing = is_refusing

    @rule(order=st.sampled_from(["pause", "resume"]), place=place)
    def a_supervisor_orders_a_campaign(self, place: int, order: str) -> None:
        campaigns = self.world.campaigns
        self.world.tell(ev.CampaignOrdered, campaign=campaigns[place % 2].id, order=order)

    def look_back(self) -> None:
        """What a trunk would not carry counts for nothing, and rang nobody."""
        world = self.world
        of_lead: dict[int, list[Call]] = defaultdict(list)
        for call in world.store.calls.values():
            if call.direction == "in":
                continue
            of_lead[call.lead].append(call)
            if call.result is Result.REROUTED:
                assert call.attempt not in world.rang, f"was rung, and goes on: {call}"
            for before in world.earlier(call):
                assert (before.lead, before.number, before.ordinal) == (call.lead, call.number, call.ordinal)
                assert before.result is Result.REROUTED
        for number, calls in of_lead.items():
            counted = [one.ordinal for one in calls if one.result not in UNPLACED_RESULTS]
            assert sorted(counted) == list(range(1, len(counted) + 1)), counted
            stored = world.store.lead(world.store.leads[LeadId(number)].id)
            assert stored.ordinal == len(counted), (stored, calls)
            per_phone = Counter(one.phone for one in calls if one.result not in UNPLACED_RESULTS)
            assert {one.id: len(one.tried) for one in stored.phones if one.tried} == dict(per_phone)
            assert all(count <= 3 for count in per_phone.values()), per_phone
        states = {desk.state for desk in world.floor.desks.values()}
        assert states <= {CampaignState.STOPPED, CampaignState.FINISHED}, states


class OtherCalls(TrunkMachine):
    """Trunks that carry more than contacts' calls: there is time, and room for some of it, to talk, to transfer, and to be forwarded."""

    @initialize(
        channels=st.tuples(st.integers(2, 4), st.integers(2, 3), st.integers(2, 4)),
        rates=st.tuples(*(st.sampled_from([1.0, 4.0, 100.0]),) * 3),
        priorities=st.sampled_from([(1, 1, 2), (1, 2, 3)]),
    )
    def begin(self, **settings: Any) -> None:
        more = {"weights": (1, 1, 1), "forbidden": (), "away": Owners(), "ring_agent": "at_answer"}
        self.make(modes=("progressive", "progressive"), **settings, **more)

    @rule(
        place=place,
        kind=st.sampled_from(["507#", "517#"]),
        ends=st.lists(st.sampled_from(CAUSES[:7]), max_size=3),
    )
    def a_conversation_is_transferred(
        self, place: int, kind: str, ends: list[tuple[int, int | None]]
    ) -> None:
        """As far as trunks carry it. Somebody who called us talks, if nobody else does."""
        world = self.world
        if world.is_heard and not any(one.state is AgentState.ON_CALL for one in world.floor.agents.values()):
            for card in world.cards[:2]:
                if world.floor.agents[card.id].state is AgentState.SIGNED_OUT:
                    world.card_dials(card, "40")
                world.tell(ev.AgentOrdered, agent=card.id, order="ready")
            world.run()
            world.comes(FIRST_STRANGER + place, "spring")
            self.people_talk()
            world.pass_time(6.0)  # the trunks have saved something of their rate
        self.an_operator_transfers(place=place, code=kind, is_settled=True)
        for cause in ends:
            self.a_third_party_ends(place=place, cause=cause)
            self.world.run()


OtherCalls.TestCase.settings = playing(40, quick=8, steps=50)
TestOtherCalls = OtherCalls.TestCase
TrunkMachine.TestCase.settings = playing(60, quick=8, steps=60)
TestTrunks = TrunkMachine.TestCase


# -- several servers --------------------------------------------------------------------------

SERVERS = (
    ev.Server(id=ServerId("north"), weight=2, channels_max=4, calls_per_second_max=5.0),
    ev.Server(id=ServerId("south"), channels_max=3, calls_per_second_max=2.0),
)
where = st.sampled_from([one.id for one in SERVERS])
STEPS = st.one_of(
    st.tuples(st.just("passes"), st.sampled_from([0.05, 0.2, 0.5, 2.0, 16.0]), st.none()),
    st.tuples(st.just("ends"), place, st.sampled_from(CAUSES)),
    st.tuples(st.just("rings"), place, st.none()),
    st.tuples(st.just("options"), st.tuples(st.sampled_from(NAMES), where), st.booleans()),
    st.tuples(st.just("orders"), st.sampled_from(NAMES), st.sampled_from(["disable", "enable"])),
    st.tuples(st.just("server"), where, st.booleans()),
)


class Lines:
    """Two messages that are sent by two servers over three trunks, one of which only the first server has."""

    def __init__(self) -> None:
        self.at = 1_000_000.0
        self.caps = Caps()
        self.placed: dict[str, list[float]] = {one.id: [] for one in SERVERS}
        self.leads = 0
        self.ids = 0
        self.floor = Floor()
        campaigns = [
            campaign(name, mode="announcement", trunk=names[0], trunks=names[1:])
            for name, names in (("spring", ("t", "u", "v")), ("summer", ("u", "v")))
        ]
        self.floor.restore(
            at=self.at,
            campaigns=[(one, CampaignState.RUNNING) for one in campaigns],
            trunks=[
                trunk("t", channels_max=3, calls_per_second_max=2.0, servers=("north",)),
                trunk("u", channels_max=4, calls_per_second_max=4.0, priority=100),
                trunk("v", channels_max=2, calls_per_second_max=50.0, priority=200),
            ],
            servers=SERVERS,
        )
        for one in SERVERS:
            self.tell(ev.PbxConnected(at=self.at, server=one.id))

    def tell(self, event: ev.Event) -> None:
        for command in self.floor.handle(event):
            if isinstance(command, Originate):
                self.check(command)
            elif isinstance(command, FetchLeads):
                self.answer(command)

    def answer(self, question: FetchLeads) -> None:
        fresh = []
        for _ in range(10):
            self.leads += 1
            ids = [AttemptId(f"a{self.ids + more:020d}") for more in range(1, 2 + question.more)]
            self.ids += len(ids)
            one = lead(self.leads, of=question.campaign)
            fresh.append(ev.FreshLead(lead=one, attempt=ids[0], more=tuple(ids[1:])))
        self.tell(
            ev.LeadsFetched(
                at=self.at, campaign=question.campaign, leads=tuple(fresh), unfinished=True, ask=question.ask
            )
        )

    def check(self, command: Originate) -> None:
        call = self.floor.calls[command.attempt]
        assert (command.server, command.trunk) == (call.server, call.trunk)
        self.caps.placed(self.floor, command.attempt, self.at)
        server = next(one for one in SERVERS if one.id == call.server)
        live = sum(one.server == server.id for one in self.floor.calls.values())
        assert live <= server.channels_max, f"{live} calls on {server}"
        assert self.floor.trunks[call.trunk].serves(call.server)
        times = self.placed[server.id]
        times.append(self.at)
        for count, since in enumerate(reversed(times), 1):
            rate = server.calls_per_second_max
            assert count <= rate * (self.at - since) + max(1.0, rate * 0.25) + 1e-6

    def step(self, what: str, who: Any, how: Any) -> None:
        live = list(self.floor.calls.values())
        match what:
            case "passes":
                self.at += who
                self.tell(ev.Ticked(at=self.at))
            case "ends" if live:
                cause, status = how
                attempt = live[who % len(live)].attempt
                self.tell(ev.ContactHungUp(at=self.at, attempt=attempt, cause=cause, tech_cause=status))
            case "rings" if live:
                self.tell(ev.ContactRang(at=self.at, attempt=live[who % len(live)].attempt))
            case "options":
                name, server = who
                self.tell(ev.TrunkChanged(at=self.at, trunk=TrunkId(name), server=server, is_up=how))
            case "orders":
                self.tell(ev.TrunkOrdered(at=self.at, trunk=TrunkId(who), order=how))
            case "server" if how:
                self.tell(ev.PbxConnected(at=self.at, server=who, channels=()))
            case "server":
                self.tell(ev.PbxDisconnected(at=self.at, server=who))


@settings(max_examples=examples(200), deadline=None, derandomize=True, database=None)
@given(st.lists(STEPS, min_size=20, max_size=80))
def test_caps_of_trunks_and_servers_hold_together(steps: list[tuple[str, Any, Any]]) -> None:
    lines = Lines()
    for one in steps:
        lines.step(*one)
    assert len(lines.floor.calls) <= 7
