/* What the user wants and the server has not confirmed. These tables survive a rebuild of the mirror. */

/* Local ids of events that were made here, by the hash of the id that the server gave them later. */
CREATE TABLE alias (
    remote_key BLOB NOT NULL PRIMARY KEY CHECK (length(remote_key) = 16),
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 16)
) STRICT, WITHOUT ROWID;

/* Edits that are not on the server: one row an act, sent in order of n for one event, and freely between events. */
CREATE TABLE outbox (
    n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    event_key BLOB NOT NULL CHECK (length(event_key) = 16),
    series_key BLOB CHECK (length(series_key) = 16),
    calendar_key BLOB NOT NULL CHECK (length(calendar_key) = 16),
    calendar_remote_id TEXT NOT NULL,
    remote_id TEXT,
    action TEXT NOT NULL
        CHECK (action IN ('create', 'update', 'delete', 'cancel', 'respond', 'forward', 'snooze', 'dismiss')),
    /* JSON of what is wanted, and of what the server said when it was. */
    intent TEXT NOT NULL,
    base TEXT,
    /* Names of the fields it changes, as in the event's JSON: a JSON array. */
    fields TEXT NOT NULL,
    body BLOB,
    transaction_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'parked')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_ms INTEGER,
    problem_kind TEXT,
    problem_status INTEGER,
    problem_code TEXT,
    problem_at_ms INTEGER,
    notifies INTEGER NOT NULL,
    is_confirmed INTEGER NOT NULL DEFAULT 0 CHECK (is_confirmed IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    /* Not while this edit is open: what moves to another calendar goes only when its copy is there. */
    after_n INTEGER
) STRICT;
CREATE INDEX outbox_by_after ON outbox (after_n) WHERE after_n IS NOT NULL;
CREATE INDEX outbox_by_event ON outbox (event_key, n);
CREATE INDEX outbox_by_series ON outbox (series_key, n) WHERE series_key IS NOT NULL;
CREATE INDEX outbox_by_state ON outbox (state, n);
CREATE INDEX outbox_by_transaction ON outbox (transaction_id) WHERE transaction_id IS NOT NULL;

/* Both versions of what could not be merged. mine is a JSON intent, base and theirs are JSON rows; theirs is NULL
   when the event is gone there. */
CREATE TABLE conflict (
    n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    event_key BLOB NOT NULL CHECK (length(event_key) = 16),
    series_key BLOB CHECK (length(series_key) = 16),
    calendar_key BLOB NOT NULL CHECK (length(calendar_key) = 16),
    calendar_remote_id TEXT NOT NULL,
    remote_id TEXT,
    kind TEXT NOT NULL CHECK (kind IN ('both_changed', 'deleted_there', 'deleted_here')),
    mine TEXT NOT NULL,
    base TEXT,
    theirs TEXT,
    /* JSON array of {name, base, mine, theirs}, values as in the event's JSON. */
    fields TEXT NOT NULL,
    resolution TEXT CHECK (resolution IN ('mine', 'theirs', 'both')),
    /* The parked edit, while nobody has decided. */
    outbox_n INTEGER REFERENCES outbox (n) ON DELETE SET NULL,
    at_ms INTEGER NOT NULL,
    resolved_at_ms INTEGER
) STRICT;
CREATE INDEX conflict_by_event ON conflict (event_key) WHERE resolution IS NULL;
CREATE INDEX conflict_by_outbox ON conflict (outbox_n) WHERE outbox_n IS NOT NULL;

/* What is shown instead of the server's row, or beside them: one row for each event that an open edit concerns (each
   instance of an edited series). Computed from the row and the edits whenever one of them changes. Columns as in
   event. */
CREATE TABLE draft (
    id INTEGER NOT NULL PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 16),
    calendar_key BLOB NOT NULL CHECK (length(calendar_key) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('single', 'occurrence', 'exception')),
    series_key BLOB CHECK (length(series_key) = 16),
    remote_id TEXT,
    change_key TEXT,
    pending TEXT NOT NULL CHECK (pending IN ('create', 'update', 'delete', 'respond')),
    /* 1: deleted here, not shown. */
    is_hidden INTEGER NOT NULL CHECK (is_hidden IN (0, 1)),
    is_conflict INTEGER NOT NULL CHECK (is_conflict IN (0, 1)),
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    original_start_ms INTEGER,
    is_all_day INTEGER NOT NULL,
    is_cancelled INTEGER NOT NULL,
    is_organizer INTEGER NOT NULL,
    show_as TEXT NOT NULL,
    sensitivity TEXT NOT NULL,
    importance TEXT NOT NULL,
    response TEXT NOT NULL,
    reminder_minutes INTEGER,
    ical_uid TEXT,
    subject TEXT,
    /* NULL: as the row has it. */
    body TEXT,
    body_preview TEXT,
    location TEXT,
    original_time_zone TEXT,
    organizer_name TEXT,
    organizer_address TEXT,
    attendees TEXT,
    categories TEXT,
    online_provider TEXT,
    online_join_url TEXT,
    web_link TEXT
) STRICT;
CREATE INDEX draft_by_start ON draft (start_ms, end_ms);
CREATE INDEX draft_by_series ON draft (series_key) WHERE series_key IS NOT NULL;

/* When a reminder that was put off or done with comes again; NULL: never. By occurrence, and older than its edit. */
CREATE TABLE reminder (
    event_key BLOB NOT NULL PRIMARY KEY CHECK (length(event_key) = 16),
    start_ms INTEGER NOT NULL,
    until_ms INTEGER,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP VIEW v1_agenda;
DROP VIEW v1_events;
DROP VIEW v1_outbox;
DROP VIEW v1_conflicts;

CREATE VIEW v1_events AS
SELECT
    lower(hex(e.key)) AS id,
    e.remote_id AS remote_id,
    coalesce(e.ical_uid, m.ical_uid) AS ical_uid,
    e.change_key AS change_key,
    lower(hex(c.key)) AS calendar,
    'microsoft365' AS source,
    e.kind AS kind,
    (SELECT lower(hex(k.key)) FROM event k WHERE k.id = e.series_id) AS series_id,
    coalesce(e.subject, m.subject) AS subject,
    coalesce(
        (SELECT b.body FROM event_body b WHERE b.event_id = CASE e.kind WHEN 'occurrence' THEN e.series_id ELSE e.id END),
        e.body_preview,
        m.body_preview
    ) AS body,
    coalesce(e.body_preview, m.body_preview) AS body_preview,
    coalesce(e.location, m.location) AS location,
    e.start_ms AS start_ms,
    e.end_ms AS end_ms,
    coalesce(e.is_all_day, m.is_all_day, 0) AS all_day,
    CASE WHEN coalesce(e.is_all_day, m.is_all_day) = 1 THEN date(e.start_ms / 1000, 'unixepoch') END AS start_date,
    CASE WHEN coalesce(e.is_all_day, m.is_all_day) = 1 THEN date(e.end_ms / 1000, 'unixepoch') END AS end_date,
    coalesce(e.original_time_zone, m.original_time_zone) AS original_time_zone,
    coalesce(e.show_as, m.show_as, 'unknown') AS show_as,
    coalesce(e.sensitivity, m.sensitivity, 'normal') AS sensitivity,
    coalesce(e.importance, m.importance, 'normal') AS importance,
    coalesce(e.response, m.response, 'none') AS response,
    coalesce(e.is_cancelled, m.is_cancelled, 0) AS cancelled,
    coalesce(e.organizer_name, m.organizer_name) AS organizer_name,
    coalesce(e.organizer_address, m.organizer_address) AS organizer_address,
    coalesce(e.attendees, m.attendees) AS attendees,
    coalesce(e.categories, m.categories) AS categories,
    coalesce(e.reminder_minutes, m.reminder_minutes) AS reminder_minutes,
    coalesce(e.online_provider, m.online_provider) AS online_meeting_provider,
    coalesce(e.online_join_url, m.online_join_url) AS online_meeting_join_url,
    coalesce(e.web_link, m.web_link) AS web_link,
    (SELECT d.pending FROM draft d WHERE d.key = e.key) AS pending,
    coalesce((SELECT d.is_conflict FROM draft d WHERE d.key = e.key), 0) AS conflict,
    EXISTS (SELECT 1 FROM removal r WHERE r.event_id = e.id AND r.is_held = 1) AS unconfirmed
FROM event e
CROSS JOIN calendar c ON c.id = e.calendar_id
LEFT JOIN event m ON m.id = e.series_id AND e.kind = 'occurrence'
WHERE e.is_present = 1 AND e.kind <> 'master' AND c.is_present = 1;

/* What the server said, where no edit is open; else what is shown instead. Unary plus: with the same affinity on
   both sides, SQLite reads each by its index. */
CREATE VIEW v1_agenda AS
SELECT
    lower(hex(e.key)) AS id,
    lower(hex(c.key)) AS calendar,
    e.kind AS kind,
    (SELECT lower(hex(k.key)) FROM event k WHERE k.id = e.series_id) AS series_id,
    coalesce(e.subject, m.subject) AS subject,
    coalesce(e.body_preview, m.body_preview) AS body_preview,
    coalesce(e.location, m.location) AS location,
    e.start_ms AS start_ms,
    e.end_ms AS end_ms,
    coalesce(e.is_all_day, m.is_all_day, 0) AS all_day,
    CASE WHEN coalesce(e.is_all_day, m.is_all_day) = 1 THEN date(e.start_ms / 1000, 'unixepoch') END AS start_date,
    CASE WHEN coalesce(e.is_all_day, m.is_all_day) = 1 THEN date(e.end_ms / 1000, 'unixepoch') END AS end_date,
    coalesce(e.original_time_zone, m.original_time_zone) AS original_time_zone,
    coalesce(e.show_as, m.show_as, 'unknown') AS show_as,
    coalesce(e.sensitivity, m.sensitivity, 'normal') AS sensitivity,
    coalesce(e.importance, m.importance, 'normal') AS importance,
    coalesce(e.response, m.response, 'none') AS response,
    coalesce(e.is_cancelled, m.is_cancelled, 0) AS cancelled,
    coalesce(e.organizer_name, m.organizer_name) AS organizer_name,
    coalesce(e.organizer_address, m.organizer_address) AS organizer_address,
    coalesce(e.categories, m.categories) AS categories,
    coalesce(e.reminder_minutes, m.reminder_minutes) AS reminder_minutes,
    coalesce(e.online_provider, m.online_provider) AS online_meeting_provider,
    coalesce(e.online_join_url, m.online_join_url) AS online_meeting_join_url,
    coalesce(e.web_link, m.web_link) AS web_link,
    NULL AS pending,
    0 AS conflict,
    EXISTS (SELECT 1 FROM removal r WHERE r.event_id = e.id AND r.is_held = 1) AS unconfirmed
FROM event e
CROSS JOIN calendar c ON c.id = e.calendar_id
LEFT JOIN event m ON m.id = e.series_id AND e.kind = 'occurrence'
WHERE e.is_present = 1 AND e.kind <> 'master' AND c.is_present = 1
    AND NOT EXISTS (SELECT 1 FROM draft d WHERE d.key = e.key)
UNION ALL
SELECT
    lower(hex(d.key)),
    lower(hex(d.calendar_key)),
    d.kind,
    CASE WHEN d.series_key IS NOT NULL THEN lower(hex(d.series_key)) END,
    +d.subject,
    +d.body_preview,
    +d.location,
    d.start_ms,
    d.end_ms,
    +d.is_all_day,
    CASE WHEN d.is_all_day = 1 THEN date(d.start_ms / 1000, 'unixepoch') END,
    CASE WHEN d.is_all_day = 1 THEN date(d.end_ms / 1000, 'unixepoch') END,
    +d.original_time_zone,
    +d.show_as,
    +d.sensitivity,
    +d.importance,
    +d.response,
    +d.is_cancelled,
    +d.organizer_name,
    +d.organizer_address,
    +d.categories,
    +d.reminder_minutes,
    +d.online_provider,
    +d.online_join_url,
    +d.web_link,
    +d.pending,
    +d.is_conflict,
    EXISTS (SELECT 1 FROM event e CROSS JOIN removal r ON r.event_id = e.id WHERE e.key = d.key AND r.is_held = 1)
FROM draft d
WHERE d.is_hidden = 0;

CREATE VIEW v1_outbox AS
SELECT
    n,
    lower(hex(event_key)) AS event,
    CASE action WHEN 'cancel' THEN 'delete' WHEN 'forward' THEN 'respond' WHEN 'snooze' THEN 'update'
        WHEN 'dismiss' THEN 'update' ELSE action END AS op,
    fields,
    state,
    attempts,
    next_attempt_ms,
    problem_kind AS last_problem_kind,
    problem_status AS last_problem_status,
    problem_code AS last_problem_code,
    problem_at_ms AS last_problem_at_ms,
    notifies,
    created_at_ms
FROM outbox;

CREATE VIEW v1_conflicts AS
SELECT n, lower(hex(event_key)) AS event, fields, kind, resolution, at_ms FROM conflict;
