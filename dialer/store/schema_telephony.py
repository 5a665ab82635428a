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
CREATE INDEX attempts_live_number ON attempts(number) WHERE state <> 'ended'; -- whoever called: nobody is dialed who is on a line of ours
CREATE INDEX attempts_in ON attempts(campaign, created_at) WHERE direction = 'in' AND agent IS NOT NULL; -- whose turn was last
CREATE UNIQUE INDEX attempts_dialed_once ON attempts(number) WHERE state <> 'ended' AND direction = 'out';
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
    state TEXT NOT NULL, -- up, down, resting, probing, disabled, removed
    why TEXT NOT NULL DEFAULT '',
    rests INTEGER NOT NULL DEFAULT 0, -- so many rests followed each other
    rest_until REAL, -- the end of the last one; NULL: it is in rotation
    probe TEXT -- the call (or the third party's channel) that probes it
) STRICT;
CREATE INDEX trunk_states_by_time ON trunk_states(trunk, at);
CREATE INDEX trunk_states_of_server ON trunk_states(trunk, server);
"""
"""Trunks: their use and how they fared."""

TRANSFERS = """
CREATE TABLE transfers (
    attempt TEXT NOT NULL REFERENCES attempts(attempt) DEFERRABLE INITIALLY DEFERRED,
    place INTEGER NOT NULL, -- which one in the call, from 1 on
    agent TEXT NOT NULL, -- who did it
    kind TEXT NOT NULL, -- hold, blind, consult
    state TEXT NOT NULL, -- held, calling, consulting, conference, handing, returning, handed, over
    began_at REAL NOT NULL,
    target TEXT NOT NULL DEFAULT '', -- whom: an extension or a number
    line TEXT, -- the operator's channel; none: they are gone
    aside TEXT, -- their phone's second channel
    third TEXT, -- the third party's channel
    colleague TEXT, -- who that is, if an operator
    trunk TEXT, -- which carries it, if not
    refer TEXT, -- the channel on which the phone asked by REFER
    bridge TEXT NOT NULL, -- where the person hears music
    is_there INTEGER NOT NULL DEFAULT 0, -- the person is in the conference
    deadline REAL,
    answered_at REAL, -- the third party was there
    handed_at REAL, -- the person was with them
    ended_at REAL,
    outcome TEXT NOT NULL DEFAULT '', -- completed, returned, failed, left (without an operator), ended (with the call)
    tried TEXT NOT NULL DEFAULT '', -- trunks that would not carry the call to the third party, parted by blanks
    rang_at REAL, -- the third party was rung
    is_trunk_down INTEGER NOT NULL DEFAULT 0, -- the call to them was ended, for its trunk is dead, and goes on by another
    PRIMARY KEY (attempt, place)
) STRICT;
CREATE INDEX transfers_by_time ON transfers(began_at);
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

INBOUND = """
DROP VIEW attempts_in_detail;
CREATE VIEW attempts_in_detail AS
SELECT
    a.attempt,
    datetime(a.created_at, 'unixepoch') AS began_utc,
    a.direction,
    a.campaign,
    c.list,
    a.contact,
    c.name AS contact_name,
    p.kind AS phone_kind,
    a.number,
    a.did,
    a.ordinal,
    a.trunk,
    a.server,
    a.agent,
    g.name AS agent_name,
    a.state,
    a.result,
    a.operator_result,
    round(iif(a.direction = 'in', NULL, coalesce(a.answered_at, a.ended_at) - coalesce(a.rang_at, a.created_at)), 3) AS ring_s,
    round(coalesce(a.connected_at, a.ended_at) - a.answered_at, 3) AS wait_s,
    round(a.ended_at - a.connected_at, 3) AS talk_s,
    a.ending,
    a.cause,
    a.tech_cause,
    a.after,
    r.path AS recording,
    r.length_s AS recording_s
FROM attempts a
JOIN contacts c ON c.id = a.contact
JOIN phones p ON p.id = a.phone
LEFT JOIN agents g ON g.id = a.agent
LEFT JOIN recordings r ON r.attempt = a.attempt;

DROP VIEW campaign_summary;
CREATE VIEW campaign_summary AS
SELECT
    c.id AS campaign,
    c.title,
    c.state,
    (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NULL) AS leads_unfinished,
    (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NOT NULL) AS leads_finished,
    count(a.attempt) FILTER (WHERE a.direction = 'out') AS attempts,
    count(a.answered_at) FILTER (WHERE a.direction = 'out') AS answered,
    count(*) FILTER (WHERE a.direction = 'out' AND a.result = 'talked') AS talked,
    count(a.abandoned_at) AS abandoned,
    round(sum(a.ended_at - a.connected_at) FILTER (WHERE a.direction = 'out'), 1) AS talk_s,
    count(a.attempt) FILTER (WHERE a.direction = 'in') AS calls_in,
    count(*) FILTER (WHERE a.direction = 'in' AND a.result = 'talked') AS calls_in_talked,
    count(*) FILTER (WHERE a.direction = 'in' AND a.result = 'missed') AS calls_in_missed
FROM campaigns c
LEFT JOIN attempts a ON a.campaign = c.id AND a.result IS NOT 'rerouted'
GROUP BY c.id;
"""
"""Calls that people make to us: they stand beside those that we make, in the views as in the reports."""

SERVERS = """
ALTER TABLE pacing_notes ADD COLUMN server TEXT NOT NULL DEFAULT ''; -- where; empty: the only one
CREATE TABLE left_channels ( -- where people may talk on, whose calls were closed because their server was lost
    server TEXT NOT NULL,
    channel TEXT NOT NULL,
    PRIMARY KEY (server, channel)
) STRICT, WITHOUT ROWID;
"""
"""Several Asterisk servers."""

TELEPHONY = CALLS + TRUNKS + TRANSFERS + DESK_PHONES + INBOUND + SERVERS
