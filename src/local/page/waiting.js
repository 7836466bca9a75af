// What waits for somebody or something: reminders, edits that are not sent, conflicts.
import { part, post } from './ask.js';
import { fill, find, h } from './draw.js';
import { act, state } from './state.js';
import { ago, nowIn, stampText } from './time.js';
import { count, t, word } from './words.js';

const UPCOMING_MAX = 4;
const DECIDED_MAX = 5;
const SNOOZES = ['5m', '15m', '1h'];

const button = (key, text, onclick, kind = '') => h('button', { 'data-key': key, class: kind, onclick }, text);
const when = (text) => stampText(text, nowIn(state.agenda.time_zone).date);

const reminder = (item) => h('li', { class: item.state === 'due' ? 'due' : '' },
  h('div', {}, h('strong', {}, item.subject ?? t('no_subject')),
    item.state === 'upcoming' ? null : h('span', { class: `mark ${item.state === 'due' ? 'warn' : ''}` }, t(item.state))),
  h('div', { class: 'quiet' }, [t('starts', when(item.start)), item.location].filter(Boolean).join(' · ')),
  item.state === 'upcoming' ? null : h('div', { class: 'buttons' },
    h('div', { class: 'group', role: 'group', 'aria-label': `${t('snooze')}: ${item.subject ?? ''}` },
      ...SNOOZES.map((span) => button(`snooze-${item.event}-${span}`, t(`snooze_${span}`), () =>
        act(() => post(`reminders/${part(item.event)}/snooze`, { for: span }), t('snoozed_done'))))),
    button(`dismiss-${item.event}`, t('dismiss'), () => act(() => post(`reminders/${part(item.event)}/dismiss`), t('dismissed')))));

const drawReminders = () => {
  if (!state.reminders) return;
  const items = state.reminders.items;
  const shown = [...items.filter((item) => item.state !== 'upcoming'), ...items.filter((item) => item.state === 'upcoming').slice(0, UPCOMING_MAX)];
  fill(find('reminders-list'), shown, () => (shown.length
    ? h('ul', { class: 'cards' }, ...shown.map(reminder))
    : h('p', { class: 'quiet' }, t('reminders_empty'))));
};

const problem = ({ kind, status, code }) => [kind.replaceAll('_', ' '), status, code].filter(Boolean).join(' · ');

const edit = (item) => h('li', {},
  h('div', {}, h('strong', {}, item.subject ?? t('no_subject')),
    h('span', { class: `mark ${item.state === 'parked' ? 'bad' : 'warn'}` }, t(`state_${item.state}`))),
  h('div', { class: 'quiet' }, [
    word('op_', item.action), item.fields.map((name) => word('f_', name)).join(', '),
    item.attempts ? count('attempts', item.attempts) : null, item.notifies ? count('notifies', item.notifies) : null,
    item.next_attempt_at ? t('next_attempt', ago(item.next_attempt_at)) : null, ago(item.created_at),
  ].filter(Boolean).join(' · ')),
  item.last_problem ? h('div', { class: 'bad' }, problem(item.last_problem)) : null,
  item.state === 'sending' || item.last_problem?.kind === 'conflict' ? null : h('div', { class: 'buttons' },
    button(`retry-${item.n}`, t('retry'), () => act(() => post(`outbox/${item.n}`, { action: 'retry' }), t('retried'))),
    button(`discard-${item.n}`, t('discard'), () => {
      if (window.confirm(t('discard_sure'))) act(() => post(`outbox/${item.n}`, { action: 'discard' }), t('discarded'));
    }, 'bad')));

// A value of the Event object as people read it.
const valueText = (value, name) => {
  if (value === null || value === undefined || value === '') return t('empty');
  if (typeof value === 'boolean') return t(value ? 'yes' : 'no');
  if (Array.isArray(value)) return value.length ? value.map((entry) => valueText(entry)).join(', ') : t('empty');
  if (typeof value === 'object') return value.name ?? value.address ?? JSON.stringify(value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\d(T|$)/.test(value)) return when(value);
  return ['show_as', 'sensitivity', 'importance'].includes(name) ? word('', value) : String(value);
};

const conflict = (item) => {
  const keep = (which) => () => act(() => post(`conflicts/${item.n}`, { keep: which }), t('resolved'));
  return h('li', {},
    h('div', {}, h('strong', {}, item.subject ?? t('no_subject'))),
    h('div', { class: 'quiet' }, [t(`conflict_${item.kind}`), ago(item.at), item.resolution ? t('decided', t(item.resolution)) : null].filter(Boolean).join(' · ')),
    item.fields.length ? h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': `${t('conflict')}: ${item.subject ?? ''}` }, h('table', {},
      h('thead', {}, h('tr', {}, ...['field', 'base', 'mine', 'theirs'].map((name) => h('th', { scope: 'col' }, t(name))))),
      h('tbody', {}, ...item.fields.map((field) => h('tr', {},
        h('th', { scope: 'row' }, word('f_', field.name)),
        ...['base', 'mine', 'theirs'].map((side) => h('td', { class: side }, valueText(field[side], field.name)))))))) : null,
    h('div', { class: 'buttons' },
      ...['mine', 'theirs', 'both'].filter((which) => which !== item.resolution).map((which) =>
        button(`${which}-${item.n}`, t(`keep_${which}`), keep(which)))));
};

export const drawWaiting = () => {
  if (!state.agenda) return;
  drawReminders();
  const minute = nowIn(state.agenda.time_zone);
  const open = state.conflicts.filter((item) => item.resolution === null);
  const decided = state.conflicts.filter((item) => item.resolution !== null).slice(0, DECIDED_MAX);
  find('conflicts').hidden = open.length === 0;
  fill(find('conflicts-list'), [open, minute], () => h('ul', { class: 'cards' }, ...open.map(conflict)));
  // What a policy or somebody decided can be turned round.
  const place = find('decided');
  const isOpened = place.querySelector('details')?.open;
  fill(place, [decided, minute], () => (decided.length
    ? h('details', { open: isOpened }, h('summary', { 'data-key': 'decided' }, t('decided_before', decided.length)),
      h('ul', { class: 'cards' }, ...decided.map(conflict)))
    : []));
  fill(find('outbox-list'), [state.outbox, minute], () => (state.outbox.length
    ? h('ul', { class: 'cards' }, ...state.outbox.map(edit))
    : h('p', { class: 'quiet' }, t('outbox_empty'))));
};
