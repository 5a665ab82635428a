"""Several servers that are cut off, die and come back, in the worst order: what must always be true of one floor over them, is."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from dialer.core import events as ev
from dialer.core.commands import (
    SAVES,
    AnyCommand,
    ClearTimer,
    CloseLine,
    FetchLeads,
    HangUp,
    HoldContact,
    JoinAgent,
    OpenLine,
    Originate,
    RingAgent,
    SendToLastWord,
    SetTimer,
)
from dialer.core.events import Server
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId, BridgeId, ChannelId, ServerId, TrunkId, is_attempt, is_leg
from dialer.core.values import AgentState, CampaignState, Result, RetryRule
from dialer.lab.simulator.invariants import check, check_counts, check_placed
from tests.property.machines import place, playing
from tests.unit.core.pacers import Eager
from tests.unit.core.store import Store
from tests.unit.core.world import campaign, lead, parked, rung, trunk

NAMES = ("a", "b", "c")
CAPS = {"a": 3, "b": 2, "c": 100_000}
OUTSIDE = (("1g4", TrunkId("t")),)
"""An operator who is called by a trunk."""
RATES = {"a": 4.0, "b": 1000.0, "c": 1000.0}


class Live(msgspec.Struct):
    """A channel on a server."""

    id: ChannelId
    is_up: bool = False
    in_app: bool = False
    bridge: BridgeId | None = None
    trunk: TrunkId | None = None


class Site:
    """One server. *told*: what happened there and the engine has not heard yet; *asked*: what it was asked and has not done."""

    def __init__(self, name: str) -> None:
        self.name = ServerId(name)
        self.channels: dict[ChannelId, Live] = {}
        self.is_heard = False
        self.told: deque[ev.Event] = deque()
        self.asked: deque[AnyCommand] = deque()


class SeveralServers(RuleBasedStateMachine):
    """Each server does what it is asked in its order, and tells it in its order; nobody waits for another."""

    @initialize(
        mode=st.sampled_from(["progressive", "predictive", "announcement"]),
        pacer=st.sampled_from([Eager, None]),
        count=st.sampled_from([2, 3]),
        ring_agent=st.sampled_from(["at_dial", "at_ring", "at_answer"]),
        no_agent=st.sampled_from(["last_word", "hold"]),
    )
    def begin(self, mode: Any, pacer: Any, count: int, ring_agent: Any, no_agent: Any) -> None:
        self.at = 1_000_000.0
        common: dict[str, Any] = {"ring_s": 10.0, "agent_ring_s": 6.0, "wait_s": 2.0, "wrap_up_s": 2.0}
        common |= {"ring_agent": ring_agent, "no_agent": no_agent, "hold_s": 20.0}
        common["retry"] = {result: RetryRule(attempts=1, again_s=None) for result in Result}
        common["trunks"] = ("only-b",)
        self.campaigns = [campaign(mode=mode, **common), campaign("summer", **common)]
        leads = [*map(lead, range(1, 60)), *(lead(n, of="summer") for n in range(61, 99))]
        leads.append(lead(99, "+70000000001", of="summer"))  # whose number the first of spring has, too
        self.trunks = [trunk(channels_max=6), trunk("only-b", servers=(ServerId("b"),), priority=200)]
        self.store = Store(leads)
        self.cards = [parked("g1"), parked("g2", "spring"), rung("g3"), rung("g4", "summer"), parked("g5")]
        self.sites = {name: Site(name) for name in NAMES[:count]}
        self.servers = tuple(
            Server(id=ServerId(n), channels_max=CAPS[n], calls_per_second_max=RATES[n]) for n in self.sites
        )
        self.serial = 0
        self.makes = pacer
        self.history: list[tuple[ev.Event, list[AnyCommand]]] = []
        self.placed: Counter[AttemptId] = Counter()
        self.rerouted = 0
        self.placed_at: dict[ServerId, list[float]] = {}
        self.rung_at: Counter[str] = Counter()
        self.timers: dict[tuple[str, str], float] = {}
        self.floor = self._new_floor()
        self.questions: deque[FetchLeads] = deque()
        self.tell(
            ev.EngineStarted(
                at=self.at,
                version="0",
                trunks=tuple(self.trunks),
                campaigns=tuple((one, CampaignState.RUNNING) for one in self.campaigns),
                cards=tuple(self.cards),
                servers=self.servers,
                outside=OUTSIDE,
            )
        )
        for site in self.sites.values():
            self._connect(site)
        for number, card in enumerate(self.cards):
            self._dials(card, list(self.sites.values())[number % count], "40")
        self.run()

    def _new_floor(self) -> Floor:
        return Floor(self.makes() if self.makes is not None else None)

    # -- the engine -------------------------------------------------------------------------

    def tell(self, event: ev.Event) -> None:
        """The floor handles it; what it wants is saved, and asked of the servers."""
        if isinstance(event, ev.EngineStarted):
            self.floor.take_up(event)
        others = self._elsewhere(event)
        commands = self.floor.handle(event)
        self.history.append((event, commands))
        self.store.save(commands)
        assert others <= self._elsewhere(event), "what befalls one server ends what is on another"
        for command in commands:
            self._ordered(command, event.at)
        check(self.floor, saved=self.store.calls, armed=self.timers)
        for command in commands:
            if isinstance(command, Originate):
                check_placed(self.floor, command.attempt)
        assert not any("@" in name for name in self.floor._state.pacer.ledgers), "a ledger of a lane"
        check_counts(self.floor, self.store.calls.values(), self.at)

    def _elsewhere(self, event: ev.Event) -> set[str]:
        """The calls and lines on the servers of which *event* does not speak."""
        if not isinstance(event, ev.PbxLost | ev.PbxConnected | ev.PbxListed | ev.PbxDisconnected):
            return set()
        calls = {call.attempt for call in self.floor.calls.values() if call.server != event.server}
        agents = [one for one in self.floor.agents.values() if one.server != event.server]
        return {*calls, *(one.channel for one in agents if one.channel and not is_leg(one.channel))}

    def _ordered(self, command: AnyCommand, at: float) -> None:
        calls = self.floor.calls
        match command:
            case SetTimer(kind=kind, subject=subject, due=due):
                self.timers[kind, subject] = due
            case ClearTimer(kind=kind, subject=subject):
                self.timers.pop((kind, subject), None)
            case FetchLeads():
                self.questions.append(command)
            case Originate(attempt=attempt, server=server):
                desk = self.floor.servers[server]
                assert desk.is_up, "placed on a server that is not heard"
                assert desk.live <= desk.server.channels_max, "more calls than the server may have"
                assert self.placed[attempt] == 0, "placed twice"
                assert not (command.trunk == "only-b" and server != "b"), "by a trunk that is not there"
                self.placed[attempt] += 1
                self.rung_at[command.number] += calls[attempt].after is None
                if (before := calls[attempt].after) is not None:
                    assert self.store.calls[before].server == server, "goes on on another server"
                    self.rerouted += 1
                times = self.placed_at.setdefault(server, [])
                times.append(at)
                rate = desk.server.calls_per_second_max
                for since in times:  # a token bucket: never more than its depth and what flowed in
                    most = max(1.0, rate * 0.25) + rate * (at - since) + 1e-6
                    assert sum(since <= one <= at for one in times) <= most, "faster than the server may"
                self.sites[server].asked.append(command)
            case RingAgent(server=server, attempt=attempt):
                assert calls[attempt].server == server, "rung on another server"
                if command.phone == OUTSIDE[0][0]:
                    assert command.channel in self.floor._state.legs, "called by a trunk, and does not count"
                self.sites[server].asked.append(command)
            case JoinAgent(attempt=attempt, agent=agent):
                assert calls[attempt].server == self.floor.agents[agent].server, "joined over two servers"
                self.sites[calls[attempt].server].asked.append(command)
            case _ if not isinstance(command, SAVES):
                channel = _channel(command)
                for site in self.sites.values():  # who has it does it, for the others it is harmless
                    if channel in site.channels or any(_channel(one) == channel for one in site.asked):
                        site.asked.append(command)

    # -- the servers ------------------------------------------------------------------------

    def _do(self, site: Site) -> None:
        command = site.asked.popleft()
        channel = _channel(command)
        live = site.channels.get(channel)
        match command:
            case Originate() | RingAgent():
                assert channel not in site.channels
                by = command.trunk if isinstance(command, Originate) else dict(OUTSIDE).get(command.phone)
                site.channels[channel] = Live(id=channel, trunk=by)
                self._tell_use(site, site.channels[channel])
            case HangUp() if live is not None:
                self._ends(site, live, 16)
            case SendToLastWord() if live is not None:
                live.in_app, live.bridge = False, None
            case JoinAgent(bridge=bridge):
                lines = [one for one in site.channels.values() if one.bridge == bridge]
                if live is None or not lines:
                    refused = ev.JoinRefused(at=0, attempt=AttemptId(channel), bridge=bridge, reason="gone")
                    site.told.append(refused)
                else:
                    assert f"line-{lines[0].id}" == bridge
                    live.bridge = bridge
                    site.told.append(ev.Connected(at=0, attempt=AttemptId(channel), bridge=bridge))
            case HoldContact(bridge=bridge) if live is not None:
                live.bridge = bridge
            case OpenLine(bridge=bridge):
                if live is None:
                    site.told.append(ev.LineRefused(at=0, channel=channel, reason="gone"))
                else:
                    live.bridge = bridge
                    site.told.append(ev.LineJoined(at=0, channel=channel, bridge=bridge))
            case _:
                pass

    def _ends(self, site: Site, live: Live, cause: int) -> None:
        del site.channels[live.id]
        self._tell_use(site, live)
        if is_attempt(live.id):
            site.told.append(ev.ContactHungUp(at=0, attempt=AttemptId(live.id), cause=cause))
        else:
            site.told.append(ev.LineEnded(at=0, channel=live.id, cause=cause))

    @staticmethod
    def _tell_use(site: Site, live: Live) -> None:
        if live.trunk is not None and not is_attempt(live.id):
            mine = [
                one.id for one in site.channels.values() if one.trunk == live.trunk and not is_attempt(one.id)
            ]
            site.told.append(ev.TrunkUsed(at=0, trunk=live.trunk, channels=tuple(mine)))

    def _hear(self, site: Site) -> None:
        event = site.told.popleft()
        if site.is_heard:
            self.tell(_at(event, self.at, site.name))

    def _connect(self, site: Site) -> None:
        site.told.clear()
        site.is_heard = True
        for card in self.cards:
            self.tell(ev.PhoneChanged(at=self.at, phone=card.phone, is_registered=True, server=site.name))
        self.tell(ev.PbxConnected(at=self.at, channels=self._living(site), server=site.name))

    @staticmethod
    def _living(site: Site) -> tuple[ev.LiveChannel, ...]:
        return tuple(
            ev.LiveChannel(
                channel=one.id, is_up=one.is_up, in_app=one.in_app, bridge=one.bridge, trunk=one.trunk
            )
            for one in site.channels.values()
        )

    def _dials(self, card: Any, site: Site, code: str) -> None:
        self.serial += 1
        live = Live(id=ChannelId(f"server-{site.name}-{self.serial}"), is_up=True, in_app=True)
        site.channels[live.id] = live
        site.told.append(ev.FeatureDialed(at=0, channel=live.id, phone=card.phone, code=code))

    def run(self) -> None:
        """Everything that is under way happens."""
        while self.questions or any(
            site.asked or (site.told and site.is_heard) for site in self.sites.values()
        ):
            while self.questions:
                self._read()
            for site in self.sites.values():
                while site.asked:
                    self._do(site)
                while site.told and site.is_heard:
                    self._hear(site)

    def _read(self) -> None:
        question = self.questions.popleft()
        rules = self.floor.desks[question.campaign].campaign
        leads, unfinished = self.store.fetch(rules, question.limit, self.at, question.present)
        fresh = []
        for one in leads:
            self.serial += 1
            ids = [AttemptId(f"a{self.serial:010d}{n:010d}") for n in range(1 + question.more)]
            fresh.append(ev.FreshLead(lead=one, attempt=ids[0], more=tuple(ids[1:])))
        self.tell(
            ev.LeadsFetched(
                at=self.at,
                campaign=question.campaign,
                leads=tuple(fresh),
                unfinished=unfinished,
                ask=question.ask,
            )
        )

    def _site(self, place: int) -> Site:
        return list(self.sites.values())[place % len(self.sites)]

    # -- what may happen --------------------------------------------------------------------

    @rule(place=place)
    def a_request_is_carried_out(self, place: int) -> None:
        if (site := self._site(place)).asked:
            self._do(site)

    @rule(place=place)
    def an_event_arrives(self, place: int) -> None:
        if (site := self._site(place)).told:
            self._hear(site)

    @rule()
    def everything_goes_its_way(self) -> None:
        self.run()

    @rule(place=place)
    def a_good_minute(self, place: int) -> None:
        """People answer, operators pick up and sign in again where they were not, and nothing is late."""
        for card, site in zip(self.cards, (self._site(place + n) for n in range(9)), strict=False):
            if self.floor.agents[card.id].state is AgentState.SIGNED_OUT:
                self._dials(card, site, "40")
            self.tell(ev.AgentOrdered(at=self.at, agent=card.id, order="ready"))
        self.run()
        for site in self.sites.values():
            for one in site.channels.values():
                if not one.is_up and is_attempt(one.id):
                    one.is_up = one.in_app = True
                    site.told.append(ev.ContactAnswered(at=0, attempt=AttemptId(one.id)))
        self.run()
        for number in range(len(self.sites)):
            self.operators_pick_up(number)
        self.run()

    @rule(place=place)
    def all_conversations_end(self, place: int) -> None:
        for site in self.sites.values():
            for one in [one for one in site.channels.values() if is_attempt(one.id) and one.is_up]:
                self._ends(site, one, 0)
        self.run()
        self.at += 3.0
        self.tell(ev.Ticked(at=self.at))

    @rule(place=place)
    def a_good_hour(self, place: int) -> None:
        for _ in range(4):
            self.a_good_minute(place)
            self.all_conversations_end(place)

    @rule(place=place)
    def a_full_house(self, place: int) -> None:
        self.a_good_hour(place)
        self.a_good_minute(place)

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.5, 11.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.at += seconds
        self.tell(ev.Ticked(at=self.at))

    @rule(place=place, other=place)
    def a_person_answers(self, place: int, other: int) -> None:
        site = self._site(place)
        persons = [one for one in site.channels.values() if is_attempt(one.id) and not one.is_up]
        if persons:
            one = persons[other % len(persons)]
            one.is_up = one.in_app = True
            site.told.append(ev.ContactAnswered(at=0, attempt=AttemptId(one.id)))

    @rule(place=place, other=place, cause=st.sampled_from([0, 17, 34, 34]))
    def a_call_ends(self, place: int, other: int, cause: int) -> None:
        """Before the answer, by what a trunk would not carry, too: then it goes on by the other one, if that is on the server."""
        site = self._site(place)
        if persons := [one for one in site.channels.values() if is_attempt(one.id)]:
            person = persons[other % len(persons)]
            self._ends(site, person, 0 if person.is_up else cause)

    @rule(place=place)
    def operators_pick_up(self, place: int) -> None:
        site = self._site(place)
        for one in site.channels.values():
            if is_leg(one.id) and not one.is_up:
                one.is_up = one.in_app = True
                site.told.append(ev.LegAnswered(at=0, channel=one.id))

    @rule(place=place, other=place)
    def an_operator_hangs_up(self, place: int, other: int) -> None:
        site = self._site(place)
        if lines := [one for one in site.channels.values() if not is_attempt(one.id)]:
            self._ends(site, lines[other % len(lines)], 16)

    @rule(place=place, other=place)
    def something_else_comes_by_a_trunk(self, place: int, other: int) -> None:
        """Callers whom the dialplan has, other people's calls."""
        site = self._site(place)
        live = Live(
            id=ChannelId(f"other-{site.name}-{other % 3}"), is_up=True, trunk=self.trunks[other % 2].id
        )
        if live.id not in site.channels:
            site.channels[live.id] = live
            self._tell_use(site, live)

    @rule(place=place, other=place, code=st.sampled_from(["40", "40", "41", "421", "43"]))
    def an_operator_dials_a_code(self, place: int, other: int, code: str) -> None:
        self._dials(self.cards[other % len(self.cards)], self._site(place), code)

    @rule(place=place, other=place, is_registered=st.booleans())
    def a_phone_registers_or_is_lost(self, place: int, other: int, is_registered: bool) -> None:
        site, card = self._site(place), self.cards[other % len(self.cards)]
        site.told.append(ev.PhoneChanged(at=0, phone=card.phone, is_registered=is_registered))

    @rule(place=place, is_up=st.booleans())
    def the_trunk_is_up_or_down_there(self, place: int, is_up: bool) -> None:
        self._site(place).told.append(ev.TrunkChanged(at=0, trunk=self.trunks[0].id, is_up=is_up))

    @rule(place=place)
    def an_event_gets_lost(self, place: int) -> None:
        if (site := self._site(place)).told:
            site.told.popleft()

    @rule(place=place)
    def what_lives_is_listed(self, place: int) -> None:
        site = self._site(place)
        if site.is_heard and not site.told:
            channels = self._living(site)
            self.tell(ev.PbxListed(at=self.at, asked_at=self.at, channels=channels, server=site.name))

    @rule(place=place)
    def the_socket_breaks(self, place: int) -> None:
        if place < 5:
            self._cut(self._site(place))

    def _cut(self, site: Site) -> None:
        if site.is_heard:
            site.is_heard = False
            self.tell(ev.PbxDisconnected(at=self.at, server=site.name))

    @rule(place=place, is_alive=st.booleans())
    def a_server_is_lost(self, place: int, is_alive: bool) -> None:
        """*is_alive*: it was only cut off, and what lived there lives on."""
        if place > 4:
            return
        site = self._site(place)
        self._cut(site)
        site.asked.clear()
        if not is_alive:
            site.channels.clear()
        self.tell(ev.PbxLost(at=self.at, server=site.name))
        assert not any(call.server == site.name for call in self.floor.calls.values())
        for agent in self.floor.agents.values():
            if agent.server == site.name:
                assert agent.channel is None
                assert agent.id not in self.floor._state.idle, "idle on a dead server"

    @rule(place=place)
    def a_server_is_heard_again(self, place: int) -> None:
        if not (site := self._site(place)).is_heard:
            site.asked.clear()
            self._connect(site)

    @rule()
    def the_settings_are_read_again(self) -> None:
        self.tell(ev.ServersApplied(at=self.at, servers=self.servers))

    def teardown(self) -> None:
        if not hasattr(self, "sites"):
            return
        for site in self.sites.values():
            if not site.is_heard:
                site.asked.clear()
                self._connect(site)
        for ordered in self.campaigns:
            self.tell(ev.CampaignOrdered(at=self.at, campaign=ordered.id, order="stop"))
        for _ in range(5):
            self.run()
            for site in self.sites.values():
                for one in list(site.channels.values()):
                    if is_attempt(one.id):
                        self._ends(site, one, 0)
                self.run()
                self.what_lives_is_listed(list(self.sites).index(site.name))
            self.at += 20.0
            self.tell(ev.Ticked(at=self.at))
        self.run()
        assert not self.floor.calls, "live for ever"
        for site in self.sites.values():
            there = {one.id for one in site.channels.values() if one.trunk is not None}
            assert there == {one.channel for one in self.floor._state.legs.on(site.name)}, "not what is there"
        assert all(call.result is not None for call in self.store.calls.values())
        assert max(self.rung_at.values(), default=0) <= 2  # the number that two leads have
        assert all(count == 1 for number, count in self.rung_at.items() if number != "+70000000001")
        self._replay()

    def _replay(self) -> None:
        floor = self._new_floor()
        for event, commands in self.history:
            if isinstance(event, ev.EngineStarted):
                floor.take_up(event)
            assert floor.handle(event) == commands


def _channel(command: AnyCommand) -> ChannelId:
    match command:
        case CloseLine(bridge=bridge):
            return ChannelId(bridge.removeprefix("line-"))
        case RingAgent(channel=channel):
            return channel
        case _:
            return ChannelId(getattr(command, "channel", "") or getattr(command, "attempt", ""))


def _at(event: ev.Event, at: float, server: ServerId) -> ev.Event:
    fields: dict[str, Any] = {"at": at}
    if "server" in event.__struct_fields__:
        fields["server"] = server
    return msgspec.structs.replace(event, **fields)


SeveralServers.TestCase.settings = playing(40, quick=6, steps=60)
TestSeveralServers = SeveralServers.TestCase
