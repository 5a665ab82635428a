CREATE TABLE abandonment (
    campaign TEXT NOT NULL REFERENCES campaigns(id) DEFERRABLE INITIALLY DEFERRED,
    day INTEGER NOT NULL, -- UTC, counted from 1970-01-01: on which the calls were answered
    answered INTEGER NOT NULL, -- by a person
    abandoned INTEGER NOT NULL, -- of these
    PRIMARY KEY (campaign, day) -- no CHECK: calls are saved in the same transaction, and these must never be lost
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
, missed INTEGER NOT NULL DEFAULT 0, server TEXT NOT NULL DEFAULT '') STRICT;

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
, held_at REAL, callback_at REAL, callback_agent TEXT REFERENCES agents(id) DEFERRABLE INITIALLY DEFERRED, abandoned_at REAL, choice TEXT, listened_s REAL, server TEXT NOT NULL DEFAULT '', direction TEXT NOT NULL DEFAULT 'out', caller_id TEXT NOT NULL DEFAULT '', did TEXT NOT NULL DEFAULT '', after TEXT REFERENCES attempts(attempt) DEFERRABLE INITIALLY DEFERRED) STRICT;

CREATE TABLE calling_classes (
    id INTEGER PRIMARY KEY,
    phones TEXT NOT NULL UNIQUE -- JSON: the kinds of phone and their time zones, [["mobile", ["Europe/Moscow"]]]
) STRICT;

CREATE TABLE campaign_lists (
    campaign TEXT NOT NULL REFERENCES campaigns(id),
    list TEXT NOT NULL REFERENCES lists(id),
    position INTEGER NOT NULL,
    enrolled_to INTEGER NOT NULL DEFAULT 0, -- contacts up to this id have their lead
    PRIMARY KEY (campaign, list)
) STRICT;

CREATE TABLE campaign_settings (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL REFERENCES campaigns(id),
    applied_at REAL NOT NULL,
    settings TEXT NOT NULL -- JSON of the whole campaign, as it was from then on
) STRICT;

CREATE TABLE campaign_states (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL REFERENCES campaigns(id),
    state TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;

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
, rules_version INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE centre (
    id INTEGER PRIMARY KEY,
    applied_at REAL NOT NULL,
    settings TEXT NOT NULL -- JSON of the rules of the whole centre, as they were from then on
) STRICT;

CREATE TABLE contacts (
    id INTEGER PRIMARY KEY,
    list TEXT NOT NULL REFERENCES lists(id),
    key TEXT NOT NULL, -- who the person is within the list: the file's own id, or all the numbers
    name TEXT NOT NULL DEFAULT '',
    fields TEXT NOT NULL DEFAULT '{}', -- JSON object: the other columns of the file
    import INTEGER REFERENCES imports(id),
    line INTEGER, -- of the imported file
    added_at REAL NOT NULL, zone TEXT NOT NULL DEFAULT '', class INTEGER NOT NULL DEFAULT 0,
    UNIQUE (list, key)
) STRICT;

CREATE TABLE desk_phones (
    extension TEXT PRIMARY KEY,
    model TEXT NOT NULL DEFAULT 'generic', -- which headers make it answer by itself
    settings TEXT NOT NULL DEFAULT '{}', -- JSON: transport, codecs, outside number ...
    added_at REAL NOT NULL
) STRICT;

CREATE TABLE do_not_call (
    id INTEGER PRIMARY KEY,
    number TEXT NOT NULL, -- E.164; its beginning: +7495*; or with ? for any digit: +7495???0000
    kind TEXT NOT NULL CHECK (kind IN ('number', 'prefix', 'pattern')),
    campaign TEXT NOT NULL DEFAULT '', -- empty: for all
    source TEXT NOT NULL DEFAULT '', -- who asked for it
    note TEXT NOT NULL DEFAULT '',
    added_at REAL NOT NULL,
    removed_at REAL -- NULL: it holds
) STRICT;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL, -- event: what the floor was told; command: what it ordered
    name TEXT NOT NULL,
    body TEXT NOT NULL -- JSON
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

CREATE TABLE knowledge (
    name TEXT PRIMARY KEY, -- who shares it: a word of campaigns' settings, or campaign:ID
    at REAL NOT NULL,
    content TEXT NOT NULL -- JSON: what pacing has learnt
) STRICT;

CREATE TABLE lead_states (
    id INTEGER PRIMARY KEY,
    lead INTEGER NOT NULL REFERENCES leads(id),
    at REAL NOT NULL, -- since then
    ordinal INTEGER NOT NULL,
    due REAL,
    next_phone INTEGER,
    finished TEXT,
    owner TEXT,
    owned_until REAL,
    held TEXT,
    is_promised INTEGER NOT NULL,
    why TEXT NOT NULL -- what led to it: a result, the rule that put it off, callback, let_loose ...
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
    enrolled_at REAL NOT NULL, class INTEGER NOT NULL DEFAULT 0, owner TEXT REFERENCES agents(id) DEFERRABLE INITIALLY DEFERRED, owned_until REAL, held TEXT, held_due REAL, held_version INTEGER,
    UNIQUE (contact, campaign),
    CHECK ((due IS NULL) = (finished IS NOT NULL))
) STRICT;

CREATE TABLE left_channels ( -- where people may talk on, whose calls were closed because their server was lost
    server TEXT NOT NULL,
    channel TEXT NOT NULL,
    PRIMARY KEY (server, channel)
) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL
) STRICT;

CREATE TABLE pacing_notes ( -- why a campaign got as many calls as it did; kept for 14 days
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL REFERENCES campaigns(id) DEFERRABLE INITIALLY DEFERRED,
    at REAL NOT NULL,
    limited_by TEXT NOT NULL, -- what kept it from one more; empty: nothing
    placed INTEGER NOT NULL,
    figures TEXT NOT NULL, -- JSON object: what the rule knew and worked out (docs/pacing.md)
    note TEXT NOT NULL
, server TEXT NOT NULL DEFAULT '') STRICT;

CREATE TABLE phones (
    id INTEGER PRIMARY KEY,
    contact INTEGER NOT NULL REFERENCES contacts(id),
    position INTEGER NOT NULL, -- the contact's own order
    kind TEXT NOT NULL, -- main, mobile, work, home, or the centre's own
    number TEXT NOT NULL, -- E.164 with its plus sign
    is_bad INTEGER NOT NULL DEFAULT 0, -- found not to exist
    UNIQUE (contact, number)
) STRICT;

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

CREATE TABLE trunks (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    settings TEXT NOT NULL, -- JSON of the whole trunk, as applied
    applied_at REAL NOT NULL
, disabled_at REAL, removed_at REAL) STRICT;

CREATE INDEX agent_states_by_time ON agent_states(agent, began_at);

CREATE UNIQUE INDEX agent_states_present ON agent_states(agent) WHERE ended_at IS NULL;

CREATE INDEX attempts_answered ON attempts(answered_at, campaign, abandoned_at, result) WHERE answered_at IS NOT NULL;

CREATE INDEX attempts_by_number ON attempts(number, created_at);

CREATE INDEX attempts_by_time ON attempts(created_at, campaign, result);

CREATE UNIQUE INDEX attempts_dialed_once ON attempts(number) WHERE state <> 'ended' AND direction = 'out';

CREATE INDEX attempts_in ON attempts(campaign, created_at) WHERE direction = 'in' AND agent IS NOT NULL;

CREATE INDEX attempts_live_number ON attempts(number) WHERE state <> 'ended';

CREATE INDEX attempts_of_agent ON attempts(agent, created_at) WHERE agent IS NOT NULL;

CREATE INDEX attempts_of_campaign ON attempts(campaign, created_at);

CREATE INDEX attempts_of_contact ON attempts(contact, created_at);

CREATE INDEX attempts_of_lead ON attempts(lead, ordinal);

CREATE INDEX attempts_of_trunk ON attempts(trunk, created_at);

CREATE UNIQUE INDEX attempts_one_of_ordinal ON attempts(lead, ordinal)
WHERE direction = 'out' AND (result IS NULL OR result NOT IN ('failed', 'rerouted'));

CREATE INDEX attempts_open ON attempts(lead) WHERE state <> 'ended';

CREATE INDEX campaign_settings_by_time ON campaign_settings(campaign, applied_at);

CREATE INDEX campaign_states_by_time ON campaign_states(campaign, at);

CREATE INDEX contacts_of_list ON contacts(list);

CREATE UNIQUE INDEX do_not_call_present ON do_not_call(number, campaign) WHERE removed_at IS NULL;

CREATE INDEX do_not_call_removed ON do_not_call(number) WHERE removed_at IS NOT NULL;

CREATE INDEX do_not_call_wide ON do_not_call(kind, number) WHERE kind <> 'number';

CREATE INDEX events_by_time ON events(at);

CREATE INDEX events_of_engine ON events(at) WHERE name IN ('EngineStarted', 'EventsLagged', 'JournalFailed',
    'JournalRecovered', 'Leaving', 'PbxConnected', 'PbxDisconnected', 'TrunkChanged');

CREATE INDEX lead_states_by_time ON lead_states(lead, at);

CREATE INDEX leads_finished ON leads(campaign, finished) WHERE finished IS NOT NULL;

CREATE INDEX leads_held ON leads(campaign, held_version) WHERE held IS NOT NULL;

CREATE INDEX leads_of_owner ON leads(campaign, owner, priority, due) WHERE finished IS NULL AND owner IS NOT NULL;

CREATE INDEX leads_owned ON leads(campaign, priority, due) WHERE finished IS NULL AND owner IS NOT NULL;

CREATE INDEX leads_owned_until ON leads(campaign, owned_until) WHERE finished IS NULL AND owner IS NOT NULL;

CREATE INDEX leads_pool ON leads(campaign, owner, priority, class, due) WHERE finished IS NULL;

CREATE INDEX leads_waiting ON leads(campaign, priority, due) WHERE finished IS NULL AND held IS NULL AND due > 0;

CREATE INDEX pacing_notes_by_time ON pacing_notes(at);

CREATE INDEX pacing_notes_of_campaign ON pacing_notes(campaign, at);

CREATE INDEX phones_by_number ON phones(number);

CREATE INDEX recordings_by_time ON recordings(started_at);

CREATE INDEX transfers_by_time ON transfers(began_at);

CREATE INDEX trunk_states_by_time ON trunk_states(trunk, at);

CREATE INDEX trunk_states_of_server ON trunk_states(trunk, server);

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
