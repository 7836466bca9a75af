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
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_by_event ON outbox (event_key, n);
CREATE INDEX outbox_by_series ON outbox (series_key, n) WHERE series_key IS NOT NULL;
CREATE INDEX outbox_due ON outbox (state, next_attempt_ms, n);

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

/* When a reminder that was put off or done with comes again; NULL: never. By occurrence, and older than its edit. */
CREATE TABLE reminder (
    event_key BLOB NOT NULL PRIMARY KEY CHECK (length(event_key) = 16),
    start_ms INTEGER NOT NULL,
    until_ms INTEGER,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP VIEW v1_agenda;
DROP VIEW v1_outbox;
DROP VIEW v1_conflicts;
