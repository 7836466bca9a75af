// What the page says, in English and German.

const EN = {
  skip: 'Skip to the agenda', account: 'Account', search: 'Search events', language: 'Language', add: 'New event',
  sync_now: 'Sync now', found: 'Found', close: 'Close', agenda: 'Agenda', span: 'Span', day: 'Day', week: 'Week',
  move: 'Move in time', back: 'Back', forth: 'On', today: 'Today', tomorrow: 'Tomorrow', yesterday: 'Yesterday',
  presence: 'Presence and calls', reminders: 'Reminders', conflicts: 'Conflicts', outbox: 'Waiting to be sent',
  health: 'Sync', now: 'now',
  all_day: 'all day', no_events: 'No events.', no_subject: '(no subject)', private: 'private', tentative: 'tentative',
  free: 'free', oof: 'out of office', working_elsewhere: 'elsewhere', cancelled: 'cancelled', declined: 'declined',
  unanswered: 'not answered', pending_create: 'not sent yet', pending_update: 'change not sent yet',
  pending_delete: 'deletion not sent yet', pending_respond: 'answer not sent yet', conflict: 'conflict',
  unconfirmed: 'perhaps removed', series: 'series', join: 'Join', open: 'Open in Outlook', until_day: 'until {0}',
  outside: 'Part of this time is not mirrored.', more_found: 'More was found; these are the nearest.',
  none_found: 'Nothing found for “{0}”.', found_for: 'Found for “{0}”', busy: 'busy', unknown: 'unknown',
  // presence
  until: 'until {0}', until_changed: 'until changed', no_change: 'no change in sight', calls: 'Calls',
  baseline: 'as set on the phone', direct: 'not forwarded', voicemail: 'voicemail', forward_to: 'to {0}',
  when_busy: 'when busy', when_no_answer: 'when not answered', after: 'after {0}', external: 'external calls', internal: 'internal calls',
  show_me: 'Show me as', for_30m: '30 minutes', for_1h: '1 hour', clear: 'Back to the calendar',
  set_done: 'Shown as {0}.', clear_done: 'The calendar decides again.', picture: 'Presence and calls of {0}. Arrow keys move, Enter tells why.',
  picture_hint: 'Click a stretch to see why.', why_title: 'Why “{0}” at {1}', layers: 'What speaks, from the top', losers: 'What does not speak, and why',
  appointment: 'Appointment', rule: 'Rule', decided_by: 'Decided by', private_appointment: 'a private appointment',
  layer_admin: 'the administrator', layer_override: 'your choice', layer_calendar: 'an appointment', layer_mailbox: 'automatic replies',
  layer_off_hours: 'outside working hours', layer_base: 'the base profile', layer_unknown: 'unknown: the mirror is too old',
  available: 'Available', av_busy: 'Busy', do_not_disturb: 'Do not disturb', be_right_back: 'Be right back', away: 'Away',
  out_of_office: 'Out of office', av_working_elsewhere: 'Working elsewhere', offline_presence: 'Offline', lane_presence: 'Presence', lane_calls: 'Calls',
  command_line: 'Command on {0}: {1}, sent {2} times', as_of: 'The calendar is as of {0}.', forwarding_decides: 'decides calls', no_profiles: 'No profile is configured.',
  // waiting
  op_create: 'New', op_update: 'Change', op_delete: 'Deletion', op_respond: 'Answer', op_cancel: 'Cancellation', op_forward: 'Forwarding', op_snooze: 'Snooze', op_dismiss: 'Dismissal',
  state_waiting: 'waiting', state_sending: 'being sent', state_parked: 'stopped', attempts_one: '{0} attempt', attempts_other: '{0} attempts',
  notifies_one: 'mails {0} person', notifies_other: 'mails {0} people', next_attempt: 'next {0}', retry: 'Send again', discard: 'Discard',
  outbox_empty: 'Everything is sent.', retried: 'It goes out with the next sync.', discarded: 'Discarded: the server’s version is shown.',
  discard_sure: 'Discard this change? The server’s version is shown again.', conflict_both_changed: 'Changed here and on the server', conflict_deleted_there: 'Changed here, deleted on the server',
  conflict_deleted_here: 'Deleted here, changed on the server', field: 'Field', base: 'Before', mine: 'Mine', theirs: 'Server’s',
  keep_mine: 'Keep mine', keep_theirs: 'Keep the server’s', keep_both: 'Keep both', resolved: 'Decided.', decided: 'decided: {0}', decided_before: 'Conflicts decided before: {0}', both: 'both', empty: '(empty)',
  f_subject: 'Subject', f_start: 'Start', f_end: 'End', f_location: 'Place', f_body: 'Text', f_show_as: 'Show as', f_sensitivity: 'Sensitivity', f_importance: 'Importance',
  f_categories: 'Categories', f_attendees: 'Attendees', f_reminder_minutes: 'Reminder', f_all_day: 'All day', f_response: 'Answer', f_calendar: 'Calendar', f_start_date: 'First day', f_end_date: 'Day after the last', f_body_preview: 'Text', f_time_zone: 'Time zone',
  reminders_empty: 'Nothing due within a day.', snooze: 'Snooze', snooze_5m: '5 min', snooze_15m: '15 min', snooze_1h: '1 h', dismiss: 'Dismiss', due: 'due', snoozed: 'snoozed', starts: 'starts {0}',
  dismissed: 'Dismissed.', snoozed_done: 'Comes again.',
  // health
  net_online: 'Online', net_offline: 'Offline', net_throttled: 'The server asked to wait', net_untried: 'Not asked yet', until_time: 'until {0}',
  signed_in: 'Signed in', not_signed_in: 'Sign-in needed: run “calmirror login”', calendar: 'Calendar', last_pull: 'Last sync', events: 'Events', window: 'Window', never: 'never',
  state_ok: 'in step', state_initial: 'first sync', state_resync: 'comparing', state_held: 'removals held', state_failed: 'failed', last_check: 'Last full check',
  held: '{0} removals are held back.', accept: 'Accept removals', accept_sure: 'Remove these events here too?', queue: 'Queue', queue_empty: 'empty', sign_in: 'Sign-in', server: 'Server', last_error: 'Last error',
  synced: 'In step: {0} changed, {1} removed, {2} sent.', sync_bad: 'Not complete: {0}.', syncing: 'Syncing …', edits_lost: '{0} edits were lost with a damaged mirror.', skipped: '{0} unreadable events left out', engine: 'Engine {0}', cursor_age: 'cursor {0}', details: 'Details',
  // banner
  engine_gone: 'The engine does not answer. Shown is what was known {0}.', session_over: 'This browser is not signed in any more. “calmirror serve --link” prints a new link.',
  is_offline: 'Offline. The calendar is as of {0}; changes are kept and sent later.', is_old: 'The calendar is as of {0}.', never_pulled: 'The calendar was not read yet.', is_throttled: 'The server asked to wait until {0}. The calendar is as of {1}.',
  // event
  when: 'When', where: 'Where', who: 'Attendees', organizer: 'Organizer', edit: 'Edit', delete: 'Delete', respond: 'Answer', accept_event: 'Accept', tentative_event: 'Tentative', decline_event: 'Decline',
  comment: 'Comment', silent: 'Do not mail the organizer', save: 'Save', cancel: 'Cancel', this_one: 'Only this event', whole_series: 'The whole series', first_day: 'First day', last_day: 'Last day', attendees_hint: 'Addresses, separated by commas',
  categories_hint: 'Separated by commas', no_reminder: 'none', minutes_before_one: '{0} minute before', minutes_before_other: '{0} minutes before', at_start: 'at the start', edit_title: 'Change event', add_title: 'New event', delete_sure: 'Delete this event?', call_off: 'Call the meeting off and tell the attendees:',
  saved: 'Kept here; it goes out with the next sync.', mails_one: 'The server will mail {0} person.', mails_other: 'The server will mail {0} people.', r_accepted: 'accepted', r_tentative: 'tentative', r_declined: 'declined', r_none: 'no answer', r_not_responded: 'no answer', r_organizer: 'organizer',
  normal: 'normal', personal: 'personal', confidential: 'confidential', low: 'low', high: 'high', yes: 'yes', no: 'no', loading: 'Loading …', required_subject: 'Say what it is.', scope: 'Which',
};

const DE = {
  skip: 'Zur Agenda springen', account: 'Konto', search: 'Termine suchen', language: 'Sprache', add: 'Neuer Termin',
  sync_now: 'Jetzt abgleichen', found: 'Gefunden', close: 'Schließen', agenda: 'Agenda', span: 'Zeitraum', day: 'Tag', week: 'Woche',
  move: 'Blättern', back: 'Zurück', forth: 'Weiter', today: 'Heute', tomorrow: 'Morgen', yesterday: 'Gestern',
  presence: 'Präsenz und Anrufe', reminders: 'Erinnerungen', conflicts: 'Konflikte', outbox: 'Noch zu senden',
  health: 'Abgleich', now: 'jetzt',
  all_day: 'ganztägig', no_events: 'Keine Termine.', no_subject: '(ohne Betreff)', private: 'privat', tentative: 'mit Vorbehalt',
  free: 'frei', oof: 'abwesend', working_elsewhere: 'anderswo', cancelled: 'abgesagt', declined: 'abgelehnt',
  unanswered: 'unbeantwortet', pending_create: 'noch nicht gesendet', pending_update: 'Änderung noch nicht gesendet',
  pending_delete: 'Löschung noch nicht gesendet', pending_respond: 'Antwort noch nicht gesendet', conflict: 'Konflikt',
  unconfirmed: 'vielleicht entfernt', series: 'Serie', join: 'Teilnehmen', open: 'In Outlook öffnen', until_day: 'bis {0}',
  outside: 'Ein Teil dieser Zeit ist nicht gespiegelt.', more_found: 'Es gibt mehr; dies sind die nächsten.',
  none_found: 'Nichts gefunden zu „{0}“.', found_for: 'Gefunden zu „{0}“', busy: 'gebucht', unknown: 'unbekannt',
  until: 'bis {0}', until_changed: 'bis auf Weiteres', no_change: 'keine Änderung in Sicht', calls: 'Anrufe',
  baseline: 'wie am Telefon eingestellt', direct: 'nicht umgeleitet', voicemail: 'Mailbox', forward_to: 'an {0}',
  when_busy: 'wenn besetzt', when_no_answer: 'wenn keiner abnimmt', after: 'nach {0}', external: 'externe Anrufe', internal: 'interne Anrufe',
  show_me: 'Zeige mich als', for_30m: '30 Minuten', for_1h: '1 Stunde', clear: 'Kalender entscheiden lassen',
  set_done: 'Angezeigt als {0}.', clear_done: 'Der Kalender entscheidet wieder.', picture: 'Präsenz und Anrufe: {0}. Pfeiltasten bewegen, Eingabe nennt den Grund.',
  picture_hint: 'Ein Klick auf einen Abschnitt nennt den Grund.', why_title: 'Warum „{0}“ um {1}', layers: 'Was spricht, von oben', losers: 'Was nicht spricht, und warum',
  appointment: 'Termin', rule: 'Regel', decided_by: 'Es entscheidet', private_appointment: 'ein privater Termin',
  layer_admin: 'die Verwaltung', layer_override: 'Ihre Wahl', layer_calendar: 'ein Termin', layer_mailbox: 'die Abwesenheitsnotiz',
  layer_off_hours: 'außerhalb der Arbeitszeit', layer_base: 'das Grundprofil', layer_unknown: 'unbekannt: der Spiegel ist zu alt',
  available: 'Verfügbar', av_busy: 'Beschäftigt', do_not_disturb: 'Nicht stören', be_right_back: 'Gleich zurück', away: 'Abwesend',
  out_of_office: 'Außer Haus', av_working_elsewhere: 'Arbeitet anderswo', offline_presence: 'Offline', lane_presence: 'Präsenz', lane_calls: 'Anrufe',
  command_line: 'Befehl auf {0}: {1}, {2}-mal gesendet', as_of: 'Kalender vom Stand {0}.', forwarding_decides: 'entscheidet über Anrufe', no_profiles: 'Es ist kein Profil eingerichtet.',
  op_create: 'Neu', op_update: 'Änderung', op_delete: 'Löschung', op_respond: 'Antwort', op_cancel: 'Absage', op_forward: 'Weiterleitung', op_snooze: 'Später erinnern', op_dismiss: 'Erinnerung erledigt',
  state_waiting: 'wartet', state_sending: 'wird gesendet', state_parked: 'angehalten', attempts_one: '{0} Versuch', attempts_other: '{0} Versuche',
  notifies_one: 'schreibt {0} Person', notifies_other: 'schreibt {0} Personen', next_attempt: 'nächster {0}', retry: 'Erneut senden', discard: 'Verwerfen',
  outbox_empty: 'Alles ist gesendet.', retried: 'Es geht mit dem nächsten Abgleich hinaus.', discarded: 'Verworfen: gezeigt wird der Stand des Servers.',
  discard_sure: 'Diese Änderung verwerfen? Es gilt wieder der Stand des Servers.', conflict_both_changed: 'Hier und auf dem Server geändert', conflict_deleted_there: 'Hier geändert, auf dem Server gelöscht',
  conflict_deleted_here: 'Hier gelöscht, auf dem Server geändert', field: 'Feld', base: 'Vorher', mine: 'Meins', theirs: 'Server',
  keep_mine: 'Meins behalten', keep_theirs: 'Server behalten', keep_both: 'Beide behalten', resolved: 'Entschieden.', decided: 'entschieden: {0}', decided_before: 'Schon entschiedene Konflikte: {0}', both: 'beide', empty: '(leer)',
  f_subject: 'Betreff', f_start: 'Beginn', f_end: 'Ende', f_location: 'Ort', f_body: 'Text', f_show_as: 'Anzeigen als', f_sensitivity: 'Vertraulichkeit', f_importance: 'Wichtigkeit',
  f_categories: 'Kategorien', f_attendees: 'Teilnehmende', f_reminder_minutes: 'Erinnerung', f_all_day: 'Ganztägig', f_response: 'Antwort', f_calendar: 'Kalender', f_start_date: 'Erster Tag', f_end_date: 'Tag nach dem letzten', f_body_preview: 'Text', f_time_zone: 'Zeitzone',
  reminders_empty: 'Nichts fällig binnen eines Tages.', snooze: 'Später', snooze_5m: '5 Min.', snooze_15m: '15 Min.', snooze_1h: '1 Std.', dismiss: 'Erledigt', due: 'fällig', snoozed: 'verschoben', starts: 'beginnt {0}',
  dismissed: 'Erledigt.', snoozed_done: 'Kommt wieder.',
  net_online: 'Online', net_offline: 'Offline', net_throttled: 'Der Server bat zu warten', net_untried: 'Noch nicht gefragt', until_time: 'bis {0}',
  signed_in: 'Angemeldet', not_signed_in: 'Anmeldung nötig: „calmirror login“ ausführen', calendar: 'Kalender', last_pull: 'Letzter Abgleich', events: 'Termine', window: 'Fenster', never: 'nie',
  state_ok: 'aktuell', state_initial: 'erster Abgleich', state_resync: 'vergleicht', state_held: 'Löschungen angehalten', state_failed: 'fehlgeschlagen', last_check: 'Letzte Vollprüfung',
  held: '{0} Löschungen sind angehalten.', accept: 'Löschungen zulassen', accept_sure: 'Diese Termine auch hier entfernen?', queue: 'Warteschlange', queue_empty: 'leer', sign_in: 'Anmeldung', server: 'Server', last_error: 'Letzter Fehler',
  synced: 'Abgeglichen: {0} geändert, {1} entfernt, {2} gesendet.', sync_bad: 'Nicht vollständig: {0}.', syncing: 'Gleicht ab …', edits_lost: '{0} Änderungen gingen mit einem beschädigten Spiegel verloren.', skipped: '{0} unlesbare Termine ausgelassen', engine: 'Maschine {0}', cursor_age: 'Marke {0}', details: 'Einzelheiten',
  engine_gone: 'Die Maschine antwortet nicht. Gezeigt wird der Stand {0}.', session_over: 'Dieser Browser ist nicht mehr angemeldet. „calmirror serve --link“ gibt einen neuen Link aus.',
  is_offline: 'Offline. Kalender vom Stand {0}; Änderungen werden aufbewahrt und später gesendet.', is_old: 'Kalender vom Stand {0}.', never_pulled: 'Der Kalender wurde noch nicht gelesen.', is_throttled: 'Der Server bat zu warten bis {0}. Kalender vom Stand {1}.',
  when: 'Wann', where: 'Wo', who: 'Teilnehmende', organizer: 'Organisiert von', edit: 'Ändern', delete: 'Löschen', respond: 'Antworten', accept_event: 'Zusagen', tentative_event: 'Mit Vorbehalt', decline_event: 'Ablehnen',
  comment: 'Bemerkung', silent: 'Ohne Nachricht', save: 'Speichern', cancel: 'Abbrechen', this_one: 'Nur dieser Termin', whole_series: 'Die ganze Serie', first_day: 'Erster Tag', last_day: 'Letzter Tag', attendees_hint: 'Adressen, durch Kommas getrennt',
  categories_hint: 'Durch Kommas getrennt', no_reminder: 'keine', minutes_before_one: '{0} Minute vorher', minutes_before_other: '{0} Minuten vorher', at_start: 'zum Beginn', edit_title: 'Termin ändern', add_title: 'Neuer Termin', delete_sure: 'Diesen Termin löschen?', call_off: 'Besprechung absagen und den Teilnehmenden mitteilen:',
  saved: 'Hier gemerkt; geht mit dem nächsten Abgleich hinaus.', mails_one: 'Der Server schreibt {0} Person.', mails_other: 'Der Server schreibt {0} Personen.', r_accepted: 'zugesagt', r_tentative: 'mit Vorbehalt', r_declined: 'abgelehnt', r_none: 'ohne Antwort', r_not_responded: 'ohne Antwort', r_organizer: 'organisiert',
  normal: 'normal', personal: 'persönlich', confidential: 'vertraulich', low: 'niedrig', high: 'hoch', yes: 'ja', no: 'nein', loading: 'Lädt …', required_subject: 'Sagen Sie, worum es geht.', scope: 'Was',
};

// Why something does not speak; the engine says it in English.
Object.assign(DE, {
  "because its rule has a lower priority": 'seine Regel hat eine niedrigere Priorität',
  "because its profile has a lower rank": 'sein Profil hat einen niedrigeren Rang',
  "because it is only lead or tail time of its appointment": 'es ist nur Vor- oder Nachlauf seines Termins',
  "because its rule comes later in the list": 'seine Regel steht weiter unten in der Liste',
  "because it started earlier": 'es begann früher',
  "because it is equal in all respects and comes later in a fixed order": 'es ist in allem gleich und kommt in einer festen Reihenfolge später',
  "because a layer above speaks": 'eine Ebene darüber spricht',
  "because it was dismissed by the manual choice": 'die Wahl von Hand hat es beendet',
  "because it is a copy of a meeting that is counted already": 'es ist die Kopie einer Besprechung, die schon zählt',
  "because the mirror is too old to believe that it begins": 'der Spiegel ist zu alt, um seinem Beginn zu trauen',
  "because its rule does not claim this part of the day": 'seine Regel gilt nicht für diese Tageszeit',
  "because it is too short": 'es ist zu kurz',
  "because its rule names a profile that does not exist": 'seine Regel nennt ein Profil, das es nicht gibt',
  "because its rule ignores it": 'seine Regel übergeht es',
  "because no rule matches it": 'keine Regel passt',
  "because its calendar is not the user's own and no rule names it": 'sein Kalender ist ein fremder, und keine Regel nennt ihn',
  "because presence is switched off": 'Präsenz ist abgeschaltet',
});

const WORDS = { en: EN, de: DE };
const STORED = 'calmirror-language';

const stored = () => {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
};
const preferred = () => navigator.languages?.map((name) => name.slice(0, 2).toLowerCase()).find((name) => WORDS[name]);
let current = WORDS[stored()] ? stored() : preferred() ?? 'en';

export const language = () => current;
export const speak = (name) => {
  if (!WORDS[name]) return;
  current = name;
  try {
    localStorage.setItem(STORED, name);
  } catch {
    // Remembered until the page is closed.
  }
};

// The text of a key with its values put in; a key that is not known shows itself.
export const t = (key, ...values) =>
  (WORDS[current][key] ?? EN[key] ?? key).replace(/\{(\d)\}/g, (_, place) => String(values[place] ?? ''));
// "1 attempt", "2 attempts".
export const count = (key, number) => t(`${key}_${number === 1 ? 'one' : 'other'}`, number);
// A word of the contract, or itself.
export const word = (prefix, code) =>
  (WORDS[current][`${prefix}${code}`] ?? EN[`${prefix}${code}`] ?? String(code).replaceAll('_', ' '));
