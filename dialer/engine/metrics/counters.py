"""Counters and histograms: fed by what was decided and is in the journal. See the package's rules.

A call is counted twice in its life: when it begins and when it has ended. Calls that an engine before this one placed
are known by :meth:`Counters.take_up`, and are counted when they end; calls that came while there was none (``CallMissed``) in both ways at once.

The results that operators give are the campaign's own words, ten at a time by the file's schema. An engine tells so many different ones of a
campaign in its life as :data:`RESULTS_MAX`; what comes then is ``other``, so that a campaign that is applied anew every day makes no
series without end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from dialer.core import events as ev
from dialer.core.commands import AnyCommand, SaveCall, SaveTransfer
from dialer.core.ids import AttemptId, CampaignId, ServerId
from dialer.core.transfer_facts import Transfer, TransferState
from dialer.core.values import Call, CallState, Result
from dialer.engine.metrics.words import cause_word, failure_word, missed_words, request_word
from dialer.pbx.errors import PbxError
from dialer.store.errors import JournalError, JournalRefused

disable_created_metrics()  # type: ignore[no-untyped-call]  # one line less for each series; nobody asks for them

_QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WAIT_S = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_DELAY_S = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0)
RESULTS_MAX = 30
"""Different results of operators that are told by name, of each campaign."""
SAID_KEPT = 4096
"""Of so many calls it is known which result was counted."""
_TALK_S = (10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)


class Counters:
    """All of them, in a registry of their own: engines in one process do not count for each other."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.on_end: Callable[[Call], None] | None = None
        """Told of each call that ended, once."""
        self.declared: list[Counter | Histogram] = []
        """All of them, for whoever describes them."""
        self._live: dict[AttemptId, CampaignId] = {}
        self._said: dict[AttemptId, str] = {}
        """The result of each call that an operator gave last."""
        self._results: dict[CampaignId, set[str]] = {}
        of_call = ("campaign", "trunk", "server", "direction")
        self._begun = self._counter(
            "obzvon_calls_begun", "Calls placed, and calls that people made to us.", of_call
        )
        self._ended = self._counter(
            "obzvon_calls_ended", "Calls that ended, by the result of the telephone.", ("result", *of_call)
        )
        self._wait = self._histogram(
            "obzvon_answer_wait_seconds",
            "From the person's answer to the conversation with an operator.",
            _WAIT_S,
            ("campaign",),
        )
        self._talk = self._histogram(
            "obzvon_talk_seconds", "Length of conversations.", _TALK_S, ("campaign",)
        )
        self._given = self._counter(
            "obzvon_operator_results",
            "Results that operators gave. One that is changed counts again; beyond 30 different ones of a campaign: other.",
            ("campaign", "result"),
        )
        self._missed = self._counter(
            "obzvon_missed_calls",
            "Calls to us that met no operator: why (closed, overflow, hung_up, no_engine), and what the caller got"
            " (callback, voicemail, forwarded, nothing), as far as it was known at the end of the call.",
            ("campaign", "why", "outcome"),
        )
        self._transfers = self._counter(
            "obzvon_transfers",
            "Holds, blind transfers and consultations that are over: with a colleague, somebody outside or nobody; how they"
            " ended (completed, returned, failed, left, ended).",
            ("campaign", "kind", "party", "outcome"),
        )
        of_trunk = ("trunk", "server")
        self._seizures = self._counter(
            "obzvon_trunk_seizures", "Ended calls that the trunk was asked to carry.", of_trunk
        )
        self._answers = self._counter(
            "obzvon_trunk_answers", "Those of them that somebody or a machine answered.", of_trunk
        )
        self._delay = self._histogram(
            "obzvon_trunk_post_dial_delay_seconds",
            "From our order to the ringing, or to the answer without one.",
            _DELAY_S,
            of_trunk,
        )
        self._failures = self._counter(
            "obzvon_trunk_failures",
            "Calls out that nobody answered, by the SIP status (sip_503), else by the cause of Q.850 (q850_34).",
            (*of_trunk, "status"),
        )
        self._stored = self._counter("obzvon_recordings_stored", "Recordings that are ready on disk.")
        self._missing = self._counter(
            "obzvon_recordings_missing", "Answered calls whose recording is missing."
        )
        self._requests = self._histogram(
            "obzvon_ari_request_seconds",
            "Requests to Asterisk, from sending to the answer, waiting for a free connection included.",
            _QUICK_S,
            ("server", "request"),
        )
        self._refusals = self._counter(
            "obzvon_ari_failures",
            "Requests to Asterisk without a good answer. Some are no fault: a channel that is gone already.",
            ("server", "kind"),
        )
        self._saves = self._histogram(
            "obzvon_journal_save_seconds", "Writing a batch of decisions, as the loop waits for it.", _QUICK_S
        )
        self._save_failures = self._counter(
            "obzvon_journal_failures", "Batches of decisions that could not be written (a full disk, say)."
        )
        self._events = self._counter("obzvon_events", "Events that were decided on.")
        self._lag = self._histogram(
            "obzvon_event_lag_seconds", "How long the oldest event of each batch had waited.", _QUICK_S
        )

    # -- what the engine tells ------------------------------------------------------------

    def take_up(self, calls: Iterable[Call]) -> None:
        """Calls of an engine before this one: live ones, and those whose operator may still give or change a result."""
        for call in calls:
            if call.state is not CallState.ENDED:
                self._live[call.attempt] = call.campaign
            if call.operator_result is not None:
                self._said[call.attempt] = call.operator_result

    def batch(self, events: int, lag_s: float) -> None:
        """A batch of so many events is decided on, the oldest of which waited *lag_s*."""
        self._events.inc(events)
        self._lag.observe(lag_s)

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """While it lasts the journal is written. What a rule of the journal refuses is no failure of it."""
        began = time.perf_counter()
        try:
            yield
        except JournalRefused:
            raise
        except JournalError:
            self._save_failures.inc()
            raise
        finally:
            self._saves.observe(time.perf_counter() - began)

    def written(self, event: ev.Event | None, commands: Sequence[AnyCommand]) -> None:
        """*event* and what it led to are in the journal. None: an event that was counted, and more of what it led to."""
        if isinstance(event, ev.RecordingStored):
            self._stored.inc()
        elif isinstance(event, ev.RecordingMissing):
            self._missing.inc()
        for command in commands:  # before the calls: with a call ends what was done with it
            if isinstance(command, SaveTransfer) and command.transfer.state is TransferState.OVER:
                self._count_transfer(command.transfer)
        for command in commands:
            if isinstance(command, SaveCall):
                if isinstance(event, ev.CallMissed) and command.call.attempt == event.attempt:
                    self._begin(command.call)
                self._saved(command.call)

    def of_server(self, server: ServerId) -> Callable[[str, str, float, PbxError | None], None]:
        """What a client of that server tells of each request: method, path, seconds, and why it failed."""

        def tell(method: str, path: str, seconds: float, error: PbxError | None) -> None:
            self._requests.labels(server, request_word(method, path)).observe(seconds)
            if error is not None:
                self._refusals.labels(server, failure_word(error)).inc()

        return tell

    # -- calls ----------------------------------------------------------------------------

    def _saved(self, call: Call) -> None:
        is_known = call.attempt in self._live
        if call.state is CallState.ENDED:
            if is_known:  # else it was counted: this is a later word on it
                del self._live[call.attempt]
                self._count_end(call)
                if self.on_end is not None:
                    self.on_end(call)
        elif not is_known:
            self._begin(call)
        if call.operator_result not in (None, self._said.get(call.attempt)):
            self._count_result(call, str(call.operator_result))

    def _begin(self, call: Call) -> None:
        self._live[call.attempt] = call.campaign
        self._begun.labels(*_of_call(call)).inc()

    def _count_result(self, call: Call, result: str) -> None:
        self._said.pop(call.attempt, None)
        while len(self._said) >= SAID_KEPT:
            del self._said[next(iter(self._said))]
        self._said[call.attempt] = result
        told = self._results.setdefault(call.campaign, set())
        if result not in told and len(told) < RESULTS_MAX:
            told.add(result)
        self._given.labels(call.campaign, result if result in told else "other").inc()

    def _count_transfer(self, transfer: Transfer) -> None:
        """Nothing changes one that is over: it is written once."""
        party = "colleague" if transfer.colleague else "outside" if transfer.trunk else "nobody"
        campaign = self._live.get(transfer.attempt, "")
        self._transfers.labels(campaign, transfer.kind, party, transfer.outcome or "ended").inc()

    def _count_end(self, call: Call) -> None:
        self._ended.labels(str(call.result), *_of_call(call)).inc()
        if call.direction == "in" and call.result is Result.MISSED:
            self._missed.labels(call.campaign, *missed_words(call)).inc()
        if call.connected_at is not None and call.answered_at is not None:
            self._wait.labels(call.campaign).observe(max(0.0, call.connected_at - call.answered_at))
        if call.connected_at is not None and call.ended_at is not None:
            self._talk.labels(call.campaign).observe(max(0.0, call.ended_at - call.connected_at))
        was_asked = call.result is not Result.FAILED or call.cause is not None or call.tech_cause is not None
        if call.direction == "in" or not was_asked:
            return
        of_trunk = (call.trunk, call.server)
        self._seizures.labels(*of_trunk).inc()
        if (heard_at := call.rang_at if call.rang_at is not None else call.answered_at) is not None:
            self._delay.labels(*of_trunk).observe(max(0.0, heard_at - call.created_at))
        if call.was_answered:
            self._answers.labels(*of_trunk).inc()
        else:
            self._failures.labels(*of_trunk, cause_word(call.cause, call.tech_cause)).inc()

    # -- making them ----------------------------------------------------------------------

    def _counter(self, name: str, about: str, labels: Sequence[str] = ()) -> Counter:
        made = Counter(name, about, labels, registry=self.registry)
        self.declared.append(made)
        return made

    def _histogram(
        self, name: str, about: str, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        made = Histogram(name, about, labels, buckets=buckets, registry=self.registry)
        self.declared.append(made)
        return made


def _of_call(call: Call) -> tuple[str, str, str, str]:
    return call.campaign, call.trunk, call.server, call.direction
