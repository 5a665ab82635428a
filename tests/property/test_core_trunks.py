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
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from dialer.core import events as ev
from dialer.core.commands import FetchLeads, Originate
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId, LeadId, ServerId, TrunkId
from dialer.core.trunk import Trunk
from dialer.core.values import (
    TRUNK_DOWN,
    UNPLACED_RESULTS,
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
from tests.property.machines import playing
from tests.unit.core.pacers import Eager
from tests.unit.core.simulation import Simulation
from tests.unit.core.world import campaign, lead, parked, rung, trunk

CAUSES = ((34, 503), (38, 502), (3, 404), (127, 500), (34, 503), (17, 486), (19, 480), (18, 408), (0, None))
MODES = (
    ("progressive", "predictive"),
    ("announcement", "progressive"),
    ("predictive", "announcement"),
    ("progressive", "progressive"),
)
NAMES = "tuv"
place = st.integers(0, 11)


class World(Simulation):
    """The simulation, and who was rung by which attempt."""

    def __init__(self, **facts: Any) -> None:
        self.rang: set[AttemptId] = set()
        self.disabled: set[str] = set()
        self.removed: dict[str, Trunk] = {}
        super().__init__(**facts)

    def facts(self) -> dict[str, Any]:
        """What a new engine finds in the journal of its trunks and of the calls that go on."""
        dialing = [
            call for call, _ in self.store.open() if call.state == "dialing" or call.ending == TRUNK_DOWN
        ]
        return {
            "at": self.at,
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

    def rings(self, person: Channel) -> None:
        self.rang.add(AttemptId(person.id))
        super().rings(person)

    def answers(self, channel: Channel) -> None:
        if channel.number:
            self.rang.add(AttemptId(channel.id))
        super().answers(channel)


class TrunkMachine(RuleBasedStateMachine):
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
    def begin(self, modes: tuple[str, str], **settings: Any) -> None:
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
    def a_phone_rings(self, place: int) -> None:
        if persons := self.world.persons(is_up=False):
            self.world.rings(persons[place % len(persons)])

    @rule(place=place)
    def a_person_answers(self, place: int) -> None:
        if persons := self.world.persons(is_up=False):
            self.world.answers(persons[place % len(persons)])

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

    @rule()
    def the_socket_breaks(self) -> None:
        self.world.cut()

    @precondition(lambda self: not self.world.is_heard)
    @rule()
    def the_socket_is_open_again(self) -> None:
        self.world.reconnect()

    @rule()
    def the_engine_is_killed(self) -> None:
        self.world.restart()

    @rule(is_refusing=st.booleans())
    def asterisk_refuses(self, is_refusing: bool) -> None:
        self.world.is_refusing = is_refusing

    @rule(fails=st.booleans())
    def the_journal_fails_or_is_mended(self, fails: bool) -> None:
        if fails:
            self.world.fail_journal()
        else:
            self.world.mend_journal()

    @rule(order=st.sampled_from(["pause", "resume"]), place=place)
    def a_supervisor_orders_a_campaign(self, place: int, order: str) -> None:
        campaigns = self.world.campaigns
        self.world.tell(ev.CampaignOrdered, campaign=campaigns[place % 2].id, order=order)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.calm_down()
        self.world.check_calm()
        self.check_counts()
        self.world.replay()

    def check_counts(self) -> None:
        """What a trunk would not carry counts for nothing, and rang nobody."""
        world = self.world
        of_lead: dict[int, list[Call]] = defaultdict(list)
        for call in world.store.calls.values():
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


TrunkMachine.TestCase.settings = playing(60, quick=12, steps=60)
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
