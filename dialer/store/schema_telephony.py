"""What trunks, servers, phones, transfers and inbound calls need in the journal, as its migration makes it: see
:mod:`dialer.store.schema`."""

from __future__ import annotations

CALLS = """
ALTER TABLE attempts ADD COLUMN server TEXT NOT NULL DEFAULT ''; -- the Asterisk that had it; empty: the only one
ALTER TABLE attempts ADD COLUMN direction TEXT NOT NULL DEFAULT 'out'; -- in: the person called us
ALTER TABLE attempts ADD COLUMN caller_id TEXT NOT NULL DEFAULT ''; -- what the person called was shown
ALTER TABLE attempts ADD COLUMN did TEXT NOT NULL DEFAULT ''; -- of a call in: our number
ALTER TABLE attempts ADD COLUMN after TEXT REFERENCES attempts(attempt) DEFERRABLE INITIALLY DEFERRED; -- went on by another trunk as this one
ALTER TABLE agents ADD COLUMN server TEXT NOT NULL DEFAULT '';
DROP INDEX attempts_live_number;
CREATE UNIQUE INDEX attempts_live_number ON attempts(number) WHERE state <> 'ended' AND direction = 'out';
DROP INDEX attempts_one_of_ordinal;
CREATE UNIQUE INDEX attempts_one_of_ordinal ON attempts(lead, ordinal)
WHERE direction = 'out' AND (result IS NULL OR result NOT IN ('failed', 'rerouted'));
"""
"""Calls in both directions, on several servers, over several trunks."""

TRUNKS = """
ALTER TABLE trunks ADD COLUMN disabled_at REAL; -- an engineer took it out of use
ALTER TABLE trunks ADD COLUMN removed_at REAL;
CREATE INDEX attempts_of_trunk ON attempts(trunk, created_at);
CREATE TABLE trunk_states ( -- in and out of rotation
    id INTEGER PRIMARY KEY,
    trunk TEXT NOT NULL,
    server TEXT NOT NULL DEFAULT '',
    at REAL NOT NULL,
    state TEXT NOT NULL, -- up, down, resting, probing, disabled
    why TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX trunk_states_by_time ON trunk_states(trunk, at);
"""
"""Trunks: their use and how they fared."""

TRANSFERS = """
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY,
    attempt TEXT NOT NULL REFERENCES attempts(attempt) DEFERRABLE INITIALLY DEFERRED,
    agent TEXT NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL, -- hold, blind, consult, conference
    target TEXT NOT NULL DEFAULT '', -- whom
    state TEXT NOT NULL, -- begun, answered, completed, returned, failed
    ended_at REAL
) STRICT;
CREATE INDEX transfers_of_attempt ON transfers(attempt, at);
"""
"""What operators did with a conversation: hold, transfer, conference."""

DESK_PHONES = """
CREATE TABLE desk_phones (
    extension TEXT PRIMARY KEY,
    model TEXT NOT NULL DEFAULT 'generic', -- which headers make it answer by itself
    settings TEXT NOT NULL DEFAULT '{}', -- JSON: transport, codecs, outside number ...
    added_at REAL NOT NULL
) STRICT;
INSERT INTO desk_phones (extension, added_at) SELECT phone, 0 FROM agents;
"""
"""Desk phones, softphones, and outside numbers of operators."""

INBOUND = ""
"""Calls that people make to us."""

TELEPHONY = CALLS + TRUNKS + TRANSFERS + DESK_PHONES + INBOUND
