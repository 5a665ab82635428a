"""An answer of ``dialer why``: the layers that a question goes through, and the rules in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from dialer.office.reasons import SENTENCES
from dialer.store.schema import LIST_REMOVED

When = Literal["past", "now", "later"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One layer. *rule*: what keeps the person from being dialed, empty if this layer does not. *says*: the
    value. *until*: when it ends; None: never, or somebody must do something.
    """

    layer: str
    rule: str = ""
    says: str
    number: str = ""
    zones: tuple[str, ...] = ()
    until: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one contact in one campaign. *rule*: empty: the person may (might) be dialed.

    *next_at*: the next moment when the person may be dialed as far as is known, *at* itself if that is it; None:
    never, or it cannot be known. *dialed*: the attempt right after the moment, or the one under way at it.
    """

    contact: int
    name: str
    campaign: str
    at: float
    when: When
    rule: str
    says: str
    next_at: float | None
    zones: tuple[str, ...]
    lines: tuple[Line, ...]
    dialed: dict[str, Any] | None


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """The engine as it is now: *rule* and *says* if it places no calls; *trunks* by name: whether they are up."""

    rule: str = ""
    says: str = ""
    trunks: Mapping[str, bool] = {}


_AROUND = {
    "no_campaign": "there was no such campaign",
    "campaign_not_running": "the campaign does not run",
    "not_in_campaign": "the contact is not in the campaign",
    "being_dialed": "the contact is being called",
    LIST_REMOVED: "the contact's list was taken out of the campaign",
    "finished": "the campaign is done with the contact",
    "put_off": "the contact was put off",
    "not_due": "it is not yet time for the next attempt",
    "owner_away": "the card's owner is away, and nobody else may take it",
    "number_live": "the number is being called for somebody else",
    "no_operator": "no operator works for the campaign",
    "no_operator_idle": "no operator is ready",
    "no_engine": "no engine is at work",
    "engine_leaving": "the engine is leaving",
    "pbx_away": "the engine has no connection to Asterisk",
    "events_lag": "the engine cannot keep up",
    "journal_fails": "the journal cannot be written",
    "not_originating": "the engine places no calls",
    "trunk_down": "the trunk does not answer",
    "trunk_full": "the trunk is full",
    "lines_full": "the campaign has as many calls as it may",
}
"""The rules beside those of the judgement, in words."""
RULES = {**SENTENCES, **_AROUND}
"""Every rule that an answer may name, in words."""
