"""What pacing needs in the journal, as its migration makes it: see :mod:`dialer.store.schema`."""

from __future__ import annotations

PACING = """
ALTER TABLE attempts ADD COLUMN abandoned_at REAL; -- since then it counts as abandoned, whatever became of it
ALTER TABLE attempts ADD COLUMN choice TEXT; -- what the person chose by a key, last
ALTER TABLE attempts ADD COLUMN listened_s REAL; -- so long it was listened who answered; NULL: it was not

CREATE TABLE abandonment (
    campaign TEXT NOT NULL REFERENCES campaigns(id) DEFERRABLE INITIALLY DEFERRED,
    day INTEGER NOT NULL, -- UTC, counted from 1970-01-01: on which the calls were answered
    answered INTEGER NOT NULL, -- by a person
    abandoned INTEGER NOT NULL, -- of these
    PRIMARY KEY (campaign, day) -- no CHECK: calls are saved in the same transaction, and these must never be lost
) STRICT;

CREATE TABLE knowledge (
    name TEXT PRIMARY KEY, -- who shares it: a word of campaigns' settings, or campaign:ID
    at REAL NOT NULL,
    content TEXT NOT NULL -- JSON: what pacing has learnt
) STRICT;

CREATE TABLE pacing_notes ( -- why a campaign got as many calls as it did; kept for 14 days
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL REFERENCES campaigns(id) DEFERRABLE INITIALLY DEFERRED,
    at REAL NOT NULL,
    limited_by TEXT NOT NULL, -- what kept it from one more; empty: nothing
    placed INTEGER NOT NULL,
    figures TEXT NOT NULL, -- JSON object: what the rule knew and worked out (docs/pacing.md)
    note TEXT NOT NULL
) STRICT;
CREATE INDEX pacing_notes_by_time ON pacing_notes(at);
CREATE INDEX pacing_notes_of_campaign ON pacing_notes(campaign, at);

-- What was counted before there was a ledger: two seconds, as the law of most countries has it.
UPDATE attempts SET abandoned_at = coalesce(
    connected_at, -- they were joined too late
    min(answered_at + 2.0, coalesce(ended_at, answered_at + 2.0)),
    ended_at, -- the answer crossed our cancel, and nobody wrote down when
    created_at
)
WHERE CASE
    WHEN result IN ('abandoned', 'hung_up') THEN 1
    WHEN answered_at IS NULL OR result = 'machine' OR result = 'failed' THEN 0
    WHEN connected_at IS NULL THEN state IN ('ending', 'ended')
    ELSE connected_at - answered_at > 2.0
END;
UPDATE attempts SET answered_at = abandoned_at WHERE answered_at IS NULL AND abandoned_at IS NOT NULL;
CREATE INDEX attempts_answered ON attempts(answered_at, campaign, abandoned_at, result) WHERE answered_at IS NOT NULL;
INSERT INTO abandonment (campaign, day, answered, abandoned)
SELECT campaign, cast(answered_at / 86400 AS INTEGER) AS day, count(*), count(abandoned_at)
FROM attempts INDEXED BY attempts_answered
WHERE answered_at IS NOT NULL AND (result IS NULL OR result NOT IN ('machine', 'failed'))
GROUP BY campaign, day;

DROP VIEW campaign_summary;
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
    count(a.abandoned_at) AS abandoned,
    round(sum(a.ended_at - a.connected_at), 1) AS talk_s
FROM campaigns c
LEFT JOIN attempts a ON a.campaign = c.id
GROUP BY c.id;
"""
"""What pacing needs: the count of abandoned calls, what was learnt, and why calls were placed."""
