/* What presence remembers. These tables survive a rebuild of the mirror: a forwarding that was switched must be given
   back, whatever happened to the file. */

/* One row: the manual choice in force (JSON; NULL: none), when presence was last evaluated, and what was then said
   (JSON), so that the journal tells of a change once. */
CREATE TABLE presence (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    chosen TEXT,
    evaluated_at_ms INTEGER,
    told TEXT,
    /* Since when the host reports that the user is on a call; NULL: not. */
    call_since_ms INTEGER
) STRICT;
INSERT INTO presence (one) VALUES (1);

/* The machine of each channel as JSON: what is in force, who owns it, the baseline, and the one command under way. */
CREATE TABLE presence_channel (
    channel TEXT NOT NULL PRIMARY KEY CHECK (channel IN ('presence', 'forwarding', 'text')),
    state TEXT NOT NULL,
    /* 1: the command was handed to the host, whose answer comes by another way. */
    is_handed INTEGER NOT NULL CHECK (is_handed IN (0, 1))
) STRICT, WITHOUT ROWID;

/* What happened, for 90 days. detail is a JSON object; no subject, place or person stands in it. */
CREATE TABLE presence_journal (
    n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('segment', 'command', 'yield', 'drop', 'override', 'skip')),
    channel TEXT CHECK (channel IN ('presence', 'forwarding', 'text')),
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX presence_journal_by_time ON presence_journal (at_ms);

/* One row: what the mailbox last said about its user's time (JSON), and when it said so (NULL both: never); when it
   was last asked, and whether it allowed to read that then. */
CREATE TABLE mailbox_settings (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    settings TEXT,
    at_ms INTEGER,
    asked_at_ms INTEGER NOT NULL,
    is_allowed INTEGER NOT NULL CHECK (is_allowed IN (0, 1))
) STRICT;

/* Reminders that were told, by occurrence: written before anybody is told, so that none is told twice. A reminder is
   another one when its event began at another time, was put off to another time, or comes closer to its event. */
CREATE TABLE reminder_told (
    n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    event_key BLOB NOT NULL UNIQUE CHECK (length(event_key) = 16),
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    /* What it was put off to; NULL: told as the event says. */
    put_off_ms INTEGER
) STRICT;
