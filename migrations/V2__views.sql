/* What other programs read: stable names over tables that are not. Columns are only ever added, at the end.
   Ids are lower-case hexadecimal, as in JSON. Times are UTC epoch milliseconds; of an all-day event start_ms and
   end_ms are the midnights of its dates as if they were UTC, and start_date and end_date say them as text. */

CREATE VIEW v1_calendars AS
SELECT
    lower(hex(c.key)) AS id,
    c.remote_id AS remote_id,
    c.name AS name,
    c.color AS color,
    c.owner_name AS owner_name,
    c.owner_address AS owner_address,
    c.is_default AS is_default,
    c.can_edit AS can_edit,
    c.window_from_ms AS window_from_ms,
    c.window_to_ms AS window_to_ms,
    c.pulled_at_ms AS last_pull_ms,
    c.full_at_ms AS last_full_check_ms,
    (SELECT count(*) FROM removal r WHERE r.calendar_id = c.id AND r.is_held = 1) AS held_removals,
    c.skipped AS skipped,
    c.error_kind AS error_kind,
    c.error_at_ms AS error_at_ms
FROM calendar c
WHERE c.is_present = 1;

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
    CAST(NULL AS TEXT) AS pending,
    0 AS conflict,
    EXISTS (SELECT 1 FROM removal r WHERE r.event_id = e.id AND r.is_held = 1) AS unconfirmed
FROM event e
CROSS JOIN calendar c ON c.id = e.calendar_id
LEFT JOIN event m ON m.id = e.series_id AND e.kind = 'occurrence'
WHERE e.is_present = 1 AND e.kind <> 'master' AND c.is_present = 1;

/* The same rows until edits can be pending: then those are laid over them here, and v1_events stays what the
   server said. */
CREATE VIEW v1_agenda AS
SELECT
    id, calendar, kind, series_id, subject, body_preview, location, start_ms, end_ms, all_day, start_date, end_date,
    original_time_zone, show_as, sensitivity, importance, response, cancelled, organizer_name, organizer_address,
    categories, reminder_minutes, online_meeting_provider, online_meeting_join_url, web_link, pending, conflict,
    unconfirmed
FROM v1_events;

CREATE VIEW v1_outbox AS
SELECT
    CAST(NULL AS INTEGER) AS n,
    CAST(NULL AS TEXT) AS event,
    CAST(NULL AS TEXT) AS op,
    CAST(NULL AS TEXT) AS fields,
    CAST(NULL AS TEXT) AS state,
    CAST(NULL AS INTEGER) AS attempts,
    CAST(NULL AS INTEGER) AS next_attempt_ms,
    CAST(NULL AS TEXT) AS last_problem_kind,
    CAST(NULL AS INTEGER) AS last_problem_status,
    CAST(NULL AS TEXT) AS last_problem_code,
    CAST(NULL AS INTEGER) AS last_problem_at_ms,
    CAST(NULL AS INTEGER) AS notifies,
    CAST(NULL AS INTEGER) AS created_at_ms
WHERE 0;

CREATE VIEW v1_conflicts AS
SELECT
    CAST(NULL AS INTEGER) AS n,
    CAST(NULL AS TEXT) AS event,
    CAST(NULL AS TEXT) AS fields,
    CAST(NULL AS TEXT) AS kind,
    CAST(NULL AS TEXT) AS resolution,
    CAST(NULL AS INTEGER) AS at_ms
WHERE 0;

CREATE VIEW v1_sync_state AS
SELECT
    a.user AS user,
    /* The oldest last complete pull; null while a calendar was never pulled. */
    CASE WHEN EXISTS (SELECT 1 FROM calendar c WHERE c.is_present = 1 AND c.pulled_at_ms IS NULL) THEN NULL
        ELSE (SELECT min(c.pulled_at_ms) FROM calendar c WHERE c.is_present = 1) END AS as_of_ms,
    a.attempted_at_ms AS attempted_at_ms,
    a.reached_at_ms AS reached_at_ms,
    a.throttled_until_ms AS throttled_until_ms,
    a.error_kind AS error_kind,
    a.error_at_ms AS error_at_ms,
    a.edits_lost AS edits_lost,
    (SELECT count(*) FROM calendar c WHERE c.is_present = 1) AS calendars,
    (SELECT count(*) FROM removal r WHERE r.is_held = 1) AS held_removals,
    (SELECT count(*) FROM hydration) AS details_missing,
    coalesce((SELECT max(ch.seq) FROM change ch), 0) AS last_seq
FROM account a;

CREATE VIEW v1_changes AS
SELECT seq, lower(hex(event_key)) AS event, what, at_ms FROM change;
