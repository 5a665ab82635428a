"""The tables of the journal, as the first migration makes them.

Later changes are migrations of their own (:mod:`dialer.store.migrations`); the sum of all of
them is written out in ``schemas/journal.sql``, which a test compares with what migrating makes.

* Instants are seconds since the epoch (REAL, UTC); lengths end in ``_s``.
* Foreign keys are checked at commit, for a decision's saves come in the order of the decision.
* ``leads.priority``: 0 promised to the person, 1 to be dialed again, 2 fresh. Within one
  priority the earliest due goes first. That way a retry comes when its rule says, and not after
  the last fresh lead of a long list.
"""

from __future__ import annotations

PRIORITIES = (0, 1, 2)
"""Every ``leads.priority``, most urgent first; see the module's docstring."""

PRIORITY_AGAIN = 1
PRIORITY_FRESH = 2

TABLES = """
CREATE TABLE trunks (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    settings TEXT NOT NULL, -- JSON of the whole trunk, as applied
    applied_at REAL NOT NULL
) STRICT;

CREATE TABLE lists (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL
) STRICT;

CREATE TABLE imports (
    id INTEGER PRIMARY KEY,
    list TEXT NOT NULL REFERENCES lists(id),
    file TEXT NOT NULL, -- its name, without folders
    began_at REAL NOT NULL,
    ended_at REAL, -- NULL: still running, or cut short
    rows_read INTEGER NOT NULL DEFAULT 0,
    contacts_added INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE contacts (
    id INTEGER PRIMARY KEY,
    list TEXT NOT NULL REFERENCES lists(id),
    key TEXT NOT NULL, -- who the person is within the list: the file's own id, or all the numbers
    name TEXT NOT NULL DEFAULT '',
    fields TEXT NOT NULL DEFAULT '{}', -- JSON object: the other columns of the file
    import INTEGER REFERENCES imports(id),
    line INTEGER, -- of the imported file
    added_at REAL NOT NULL,
    UNIQUE (list, key)
) STRICT;
CREATE INDEX contacts_of_list ON contacts(list);

CREATE TABLE phones (
    id INTEGER PRIMARY KEY,
    contact INTEGER NOT NULL REFERENCES contacts(id),
    position INTEGER NOT NULL, -- the contact's own order
    kind TEXT NOT NULL, -- main, mobile, work, home, or the centre's own
    number TEXT NOT NULL, -- E.164 with its plus sign
    is_bad INTEGER NOT NULL DEFAULT 0, -- found not to exist
    UNIQUE (contact, number)
) STRICT;
CREATE INDEX phones_by_number ON phones(number);

CREATE TABLE campaigns (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    mode TEXT NOT NULL,
    priority INTEGER NOT NULL, -- lower goes first
    trunk TEXT NOT NULL REFERENCES trunks(id),
    settings TEXT NOT NULL, -- JSON of the whole campaign, as applied
    state TEXT NOT NULL DEFAULT 'new',
    state_at REAL NOT NULL, -- when the state began
    applied_at REAL NOT NULL
) STRICT;

CREATE TABLE campaign_states (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL REFERENCES campaigns(id),
    state TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;
CREATE INDEX campaign_states_by_time ON campaign_states(campaign, at);

CREATE TABLE campaign_lists (
    campaign TEXT NOT NULL REFERENCES campaigns(id),
    list TEXT NOT NULL REFERENCES lists(id),
    position INTEGER NOT NULL,
    enrolled_to INTEGER NOT NULL DEFAULT 0, -- contacts up to this id have their lead
    PRIMARY KEY (campaign, list)
) STRICT;

CREATE TABLE leads (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL REFERENCES campaigns(id),
    contact INTEGER NOT NULL REFERENCES contacts(id),
    ordinal INTEGER NOT NULL DEFAULT 0, -- attempts so far
    next_phone INTEGER REFERENCES phones(id),
    priority INTEGER NOT NULL DEFAULT 2, -- 0 promised, 1 to be dialed again, 2 fresh
    due REAL, -- may be dialed from then on; NULL: never again
    finished TEXT, -- why never again
    enrolled_at REAL NOT NULL,
    UNIQUE (contact, campaign),
    CHECK ((due IS NULL) = (finished IS NOT NULL))
) STRICT;
CREATE INDEX leads_waiting ON leads(campaign, priority, due) WHERE finished IS NULL;
CREATE INDEX leads_finished ON leads(campaign, finished) WHERE finished IS NOT NULL;

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    phone TEXT NOT NULL UNIQUE, -- the extension of the desk phone
    leg TEXT NOT NULL, -- parked, rung
    campaigns TEXT NOT NULL, -- JSON array; empty: all
    state TEXT NOT NULL DEFAULT 'signed_out',
    since REAL NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    channel TEXT,
    has_line INTEGER NOT NULL DEFAULT 0,
    attempt TEXT REFERENCES attempts(attempt) DEFERRABLE INITIALLY DEFERRED,
    last_attempt TEXT REFERENCES attempts(attempt) DEFERRABLE INITIALLY DEFERRED,
    deadline REAL,
    pause_asked TEXT,
    sign_out_asked INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE agent_states (
    id INTEGER PRIMARY KEY,
    agent TEXT NOT NULL REFERENCES agents(id),
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    attempt TEXT REFERENCES attempts(attempt) DEFERRABLE INITIALLY DEFERRED,
    began_at REAL NOT NULL,
    ended_at REAL -- NULL: the present state
) STRICT;
CREATE INDEX agent_states_by_time ON agent_states(agent, began_at);
CREATE UNIQUE INDEX agent_states_present ON agent_states(agent) WHERE ended_at IS NULL;

CREATE TABLE attempts (
    attempt TEXT PRIMARY KEY, -- also the channel id in Asterisk and the name of the recording
    campaign TEXT NOT NULL REFERENCES campaigns(id) DEFERRABLE INITIALLY DEFERRED,
    lead INTEGER NOT NULL REFERENCES leads(id) DEFERRABLE INITIALLY DEFERRED,
    contact INTEGER NOT NULL REFERENCES contacts(id) DEFERRABLE INITIALLY DEFERRED,
    phone INTEGER NOT NULL REFERENCES phones(id) DEFERRABLE INITIALLY DEFERRED,
    number TEXT NOT NULL,
    ordinal INTEGER NOT NULL, -- which attempt of the lead
    trunk TEXT NOT NULL REFERENCES trunks(id) DEFERRABLE INITIALLY DEFERRED,
    state TEXT NOT NULL,
    deadline REAL,
    created_at REAL NOT NULL,
    rang_at REAL,
    answered_at REAL,
    agent TEXT REFERENCES agents(id) DEFERRABLE INITIALLY DEFERRED,
    connected_at REAL,
    ended_at REAL,
    ending TEXT NOT NULL DEFAULT '',
    result TEXT,
    cause INTEGER, -- Q.850
    tech_cause INTEGER, -- the final SIP status
    operator_result TEXT
) STRICT;
-- An attempt that failed by a fault of ours counts for nothing: its ordinal is used again.
CREATE UNIQUE INDEX attempts_one_of_ordinal ON attempts(lead, ordinal) WHERE result IS NULL OR result <> 'failed';
CREATE INDEX attempts_of_lead ON attempts(lead, ordinal);
CREATE INDEX attempts_open ON attempts(lead) WHERE state <> 'ended';
CREATE INDEX attempts_by_time ON attempts(created_at, campaign, result);
CREATE INDEX attempts_of_campaign ON attempts(campaign, created_at);
CREATE INDEX attempts_of_agent ON attempts(agent, created_at) WHERE agent IS NOT NULL;
CREATE INDEX attempts_of_contact ON attempts(contact, created_at);
CREATE INDEX attempts_by_number ON attempts(number, created_at);

CREATE TABLE recordings (
    attempt TEXT PRIMARY KEY REFERENCES attempts(attempt),
    path TEXT, -- below the folder of recordings
    started_at REAL,
    length_s REAL,
    size_bytes INTEGER,
    sha256 TEXT,
    missing TEXT, -- why there is none, though the call was answered
    noted_at REAL NOT NULL,
    CHECK ((path IS NULL) = (missing IS NOT NULL))
) STRICT;
CREATE INDEX recordings_by_time ON recordings(started_at);

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL, -- event: what the floor was told; command: what it ordered
    name TEXT NOT NULL,
    body TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX events_by_time ON events(at);
"""

VIEWS = """
CREATE VIEW attempts_in_detail AS
SELECT
    a.attempt,
    datetime(a.created_at, 'unixepoch') AS began_utc,
    a.campaign,
    c.list,
    a.contact,
    c.name AS contact_name,
    p.kind AS phone_kind,
    a.number,
    a.ordinal,
    a.trunk,
    a.agent,
    g.name AS agent_name,
    a.state,
    a.result,
    a.operator_result,
    round(coalesce(a.answered_at, a.ended_at) - coalesce(a.rang_at, a.created_at), 3) AS ring_s,
    round(coalesce(a.connected_at, a.ended_at) - a.answered_at, 3) AS wait_s,
    round(a.ended_at - a.connected_at, 3) AS talk_s,
    a.ending,
    a.cause,
    a.tech_cause,
    r.path AS recording,
    r.length_s AS recording_s
FROM attempts a
JOIN contacts c ON c.id = a.contact
JOIN phones p ON p.id = a.phone
LEFT JOIN agents g ON g.id = a.agent
LEFT JOIN recordings r ON r.attempt = a.attempt;

CREATE VIEW campaign_summary AS
SELECT
    c.id AS campaign,
    c.title,
    c.state,
    (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NULL) AS leads_unfinished,
    (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NOT NULL) AS leads_finished,
    count(a.attempt) AS attempts,
    sum(a.answered_at IS NOT NULL) AS answered,
    sum(a.result = 'talked') AS talked,
    sum(a.result = 'abandoned') AS abandoned,
    round(sum(a.ended_at - a.connected_at), 1) AS talk_s
FROM campaigns c
LEFT JOIN attempts a ON a.campaign = c.id
GROUP BY c.id;

CREATE VIEW agent_day AS
SELECT
    s.agent,
    date(s.began_at, 'unixepoch') AS day_utc,
    round(sum(CASE WHEN s.state = 'ready' THEN s.ended_at - s.began_at ELSE 0 END), 1) AS ready_s,
    round(sum(CASE WHEN s.state = 'on_call' THEN s.ended_at - s.began_at ELSE 0 END), 1) AS on_call_s,
    round(sum(CASE WHEN s.state = 'wrap_up' THEN s.ended_at - s.began_at ELSE 0 END), 1) AS wrap_up_s,
    round(sum(CASE WHEN s.state = 'paused' THEN s.ended_at - s.began_at ELSE 0 END), 1) AS paused_s,
    sum(s.state = 'on_call') AS calls
FROM agent_states s
WHERE s.state <> 'signed_out'
GROUP BY s.agent, day_utc;
"""
