/* One file per account: what the server said. Times are UTC epoch milliseconds (_ms); the dates of an all-day
   event are their midnights as if they were UTC. Enums are text codes. */

/* Whose mailbox this is, and what concerns all of it. Exactly one row. */
CREATE TABLE account (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    user TEXT,
    tenant_id TEXT,
    object_id TEXT,
    next_gen INTEGER NOT NULL DEFAULT 1,
    listed_at_ms INTEGER,
    attempted_at_ms INTEGER,
    reached_at_ms INTEGER,
    throttled_until_ms INTEGER,
    error_kind TEXT,
    error_at_ms INTEGER,
    edits_lost INTEGER NOT NULL DEFAULT 0,
    /* The newest feed row when the feed was last folded. */
    folded_seq INTEGER NOT NULL DEFAULT 0,
    /* 0 while an engine has the file open: the next one checks its pages first. */
    is_clean INTEGER NOT NULL DEFAULT 1 CHECK (is_clean IN (0, 1))
) STRICT;
INSERT INTO account (one) VALUES (1);

CREATE TABLE calendar (
    id INTEGER NOT NULL PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 16),
    remote_id TEXT NOT NULL,
    name TEXT NOT NULL,
    color TEXT,
    owner_name TEXT,
    owner_address TEXT,
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    can_edit INTEGER NOT NULL CHECK (can_edit IN (0, 1)),
    /* 0: gone from the server; its row keeps the local id. */
    is_present INTEGER NOT NULL DEFAULT 1 CHECK (is_present IN (0, 1)),
    /* How it is pulled: probed once and remembered. */
    mode TEXT NOT NULL DEFAULT 'delta' CHECK (mode IN ('delta', 'mailbox_delta', 'snapshot')),
    mode_at_ms INTEGER,
    page_size INTEGER NOT NULL,
    /* The live generation: its window, and the cursor of the next round. */
    gen INTEGER,
    window_from_ms INTEGER,
    window_to_ms INTEGER,
    delta_link TEXT,
    cursor_at_ms INTEGER,
    pulled_at_ms INTEGER,
    full_at_ms INTEGER,
    skipped INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    error_kind TEXT,
    error_at_ms INTEGER
) STRICT;

/* A full round under way, beside the live generation: at most one a calendar. */
CREATE TABLE round (
    calendar_id INTEGER NOT NULL PRIMARY KEY REFERENCES calendar (id),
    gen INTEGER NOT NULL,
    window_from_ms INTEGER NOT NULL,
    window_to_ms INTEGER NOT NULL,
    /* Null: nothing answered yet. */
    next_link TEXT,
    pages INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    started_at_ms INTEGER NOT NULL,
    /* Events shown when it began, for the brake on mass deletion; null: not counted yet. */
    events_before INTEGER
) STRICT;

/* Singles, occurrences, exceptions and series masters. A row that left is deleted: its key comes from its remote
   id, so it has the same local id when it comes back. Details of an occurrence are NULL here: they are its
   master's (series_id). is_present = 0: a master that is referred to and not fetched yet. */
CREATE TABLE event (
    id INTEGER NOT NULL PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 16),
    calendar_id INTEGER NOT NULL REFERENCES calendar (id),
    kind TEXT NOT NULL CHECK (kind IN ('single', 'occurrence', 'exception', 'master')),
    is_present INTEGER NOT NULL CHECK (is_present IN (0, 1)),
    seen_gen INTEGER NOT NULL,
    remote_id TEXT NOT NULL,
    change_key TEXT,
    fingerprint BLOB NOT NULL,
    series_id INTEGER REFERENCES event (id) ON DELETE SET NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    original_start_ms INTEGER,
    modified_ms INTEGER,
    is_all_day INTEGER,
    is_cancelled INTEGER,
    is_organizer INTEGER,
    show_as TEXT,
    sensitivity TEXT,
    importance TEXT,
    response TEXT,
    reminder_minutes INTEGER,
    ical_uid TEXT,
    subject TEXT,
    body_preview TEXT,
    location TEXT,
    original_time_zone TEXT,
    organizer_name TEXT,
    organizer_address TEXT,
    /* JSON arrays; NULL when empty. Attendees: [{"name","address","type","response"}]. */
    attendees TEXT,
    categories TEXT,
    online_provider TEXT,
    online_join_url TEXT,
    web_link TEXT,
    transaction_id TEXT
) STRICT;

/* "Overlaps the range" = starts in the range widened by a day, or is one of the few long ones. */
CREATE INDEX event_by_start ON event (start_ms, end_ms, calendar_id, id) WHERE is_present = 1 AND kind <> 'master';
CREATE INDEX event_long ON event (end_ms, start_ms, id)
    WHERE is_present = 1 AND kind <> 'master' AND end_ms - start_ms > 86400000;
CREATE INDEX event_by_series ON event (series_id, start_ms) WHERE series_id IS NOT NULL;

/* Plain-text bodies that are longer than their preview. */
CREATE TABLE event_body (
    event_id INTEGER NOT NULL PRIMARY KEY REFERENCES event (id) ON DELETE CASCADE,
    body TEXT NOT NULL
) STRICT;

/* Removals that a round reported and that are not carried out: staged until the round ends, or held by the brake. */
CREATE TABLE removal (
    event_id INTEGER NOT NULL PRIMARY KEY REFERENCES event (id) ON DELETE CASCADE,
    calendar_id INTEGER NOT NULL REFERENCES calendar (id),
    gen INTEGER NOT NULL,
    is_held INTEGER NOT NULL DEFAULT 0 CHECK (is_held IN (0, 1)),
    at_ms INTEGER NOT NULL
) STRICT;

/* What is still to be fetched: the details of a series master, or a whole series again. */
CREATE TABLE hydration (
    event_id INTEGER NOT NULL PRIMARY KEY REFERENCES event (id) ON DELETE CASCADE,
    calendar_id INTEGER NOT NULL REFERENCES calendar (id),
    need TEXT NOT NULL CHECK (need IN ('master', 'series')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at_ms INTEGER NOT NULL DEFAULT 0,
    since_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX hydration_by_calendar ON hydration (calendar_id, next_at_ms);

/* The change feed. seq grows and is never reused. */
CREATE TABLE change (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    event_key BLOB NOT NULL CHECK (length(event_key) = 16),
    what TEXT NOT NULL CHECK (what IN ('put', 'remove')),
    at_ms INTEGER NOT NULL
) STRICT;

/* Full-text search over singles, exceptions and masters; rowid = event.id. Rows whose text is not indexed yet
   wait in text_queue: a search reads those directly, so that a first sync does not pay for the index. */
CREATE VIRTUAL TABLE event_text USING fts5 (
    subject, location, body, people, categories,
    content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);
CREATE TABLE text_queue (
    event_id INTEGER NOT NULL PRIMARY KEY REFERENCES event (id) ON DELETE CASCADE
) STRICT;
