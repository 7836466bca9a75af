// The agenda of a day or a week, and what a search found.
import { away, fill, find, h, svg } from './draw.js';
import { openEvent } from './event.js';
import { state } from './state.js';
import { addDays, dateOf, dateText, minutesOf, nowIn, stampText, timeText } from './time.js';
import { t } from './words.js';

const daysOf = (event) => {
  if (event.all_day) return [event.start_date, addDays(event.end_date, -1)];
  const end = dateOf(event.end);
  const isMidnight = minutesOf(event.end) === 0 && event.end > event.start && end > dateOf(event.start);
  return [dateOf(event.start), isMidnight ? addDays(end, -1) : end];
};
const isOn = (event, date) => {
  const [first, last] = daysOf(event);
  return first <= date && date <= last;
};
const timesOn = (event, date) => {
  if (event.all_day) {
    const last = addDays(event.end_date, -1);
    return last > date ? [t('all_day'), t('until_day', dateText(last, 'short'))] : [t('all_day')];
  }
  const begins = dateOf(event.start) === date ? timeText(event.start) : '…';
  const ends = dateOf(event.end) === date ? timeText(event.end) : '…';
  return event.start === event.end ? [begins] : [begins, ends];
};

const lock = () => svg('svg', { class: 'lock', width: 9, height: 11, viewBox: '0 0 9 11', 'aria-hidden': 'true' },
  svg('path', { d: 'M1 5h7v5H1z M2.5 5V3a2 2 0 0 1 4 0v2' }));

export const marksOf = (event) => {
  const marks = [];
  const add = (text, kind = '') => marks.push(h('span', { class: `mark ${kind}` }, text));
  if (event.conflict) add(t('conflict'), 'bad');
  if (event.unconfirmed) add(t('unconfirmed'), 'bad');
  if (event.pending) add(t(`pending_${event.pending}`), 'warn');
  if (event.cancelled) add(t('cancelled'), 'bad');
  if (event.response === 'declined') add(t('declined'));
  if (event.response === 'not_responded') add(t('unanswered'), 'warn');
  if (event.sensitivity === 'private' || event.sensitivity === 'confidential') add([lock(), t('private')]);
  if (event.show_as === 'tentative') add(t('tentative'));
  if (['free', 'oof', 'working_elsewhere'].includes(event.show_as)) add(t(event.show_as));
  return marks;
};

const calendarName = (id) => {
  // The mailbox's own calendar comes first and needs no name.
  const calendars = state.account?.calendars ?? [];
  return calendars.slice(1).find((calendar) => calendar.id === id)?.name;
};

const row = (event, date, now, place) => {
  const isNow = !event.all_day && date === now.date && dateOf(event.start) <= now.date
    && (dateOf(event.start) < now.date || minutesOf(event.start) <= now.minutes)
    && (dateOf(event.end) > now.date || minutesOf(event.end) > now.minutes);
  const isOver = date < now.date || (!event.all_day && dateOf(event.end) === now.date && minutesOf(event.end) <= now.minutes);
  const classes = ['event', `show-${event.show_as}`];
  if (isNow) classes.push('current');
  if (isOver) classes.push('over');
  if (event.cancelled || event.response === 'declined') classes.push('off');
  const [from, to] = timesOn(event, date);
  const join = event.online_meeting?.join_url;
  const subject = event.subject ?? t('no_subject');
  const facts = [event.location, calendarName(event.calendar)].filter(Boolean).join(' · ');
  return h('li', { class: classes.join(' ') },
    h('div', { class: 'time' }, h('span', {}, from), to ? h('span', { class: 'quiet' }, to) : null),
    h('div', { class: 'what' },
      h('button', { class: 'subject', 'data-key': `${place}-${event.id}-${date}`, onclick: () => openEvent(event) }, subject),
      isNow ? h('span', { class: 'mark now' }, t('now')) : null,
      ...marksOf(event),
      facts ? h('div', { class: 'quiet facts' }, facts) : null),
    h('div', { class: 'links' },
      join ? away(join, t('join'), { class: 'button', 'aria-label': `${t('join')}: ${subject}` }) : null,
      event.web_link ? away(event.web_link, '↗', { class: 'button plain', 'aria-label': `${t('open')}: ${subject}`, title: t('open') }) : null));
};

const dayName = (date, now, style) => {
  const near = { [now.date]: 'today', [addDays(now.date, 1)]: 'tomorrow', [addDays(now.date, -1)]: 'yesterday' }[date];
  return style === 'long' && near ? `${t(near)}, ${dateText(date)}` : dateText(date, style);
};

export const drawAgenda = () => {
  const { agenda, mode, from } = state;
  if (!agenda) return;
  const now = nowIn(agenda.time_zone);
  for (const name of ['day', 'week']) find(`mode-${name}`).setAttribute('aria-pressed', String(mode === name));
  const days = mode === 'week' ? [0, 1, 2, 3, 4, 5, 6].map((n) => addDays(from, n)) : [from];
  const style = mode === 'week' ? 'short' : 'long';
  fill(find('agenda-list'), [agenda, mode, from, now, state.account?.calendars], () => [
    agenda.known && (agenda.from < agenda.known.from || agenda.to > agenda.known.to) ? h('p', { class: 'quiet' }, t('outside')) : null,
    h('div', { class: 'days' }, ...days.map((date) => {
      const events = agenda.items.filter((event) => isOn(event, date));
      return h('section', { class: `day${date === now.date ? ' is-today' : ''}`, 'aria-label': dateText(date) },
        h('h3', {}, dayName(date, now, style)),
        events.length
          ? h('ul', { class: 'events' }, ...events.map((event) => row(event, date, now, 'agenda')))
          : h('p', { class: 'quiet none' }, t('no_events')));
    })),
  ]);
};

export const drawFound = () => {
  const { found, searched } = state;
  find('found').hidden = !found;
  if (!found) return;
  const now = nowIn(found.time_zone);
  find('found-title').textContent = t('found_for', searched);
  fill(find('found-list'), [found, searched], () => (found.items.length
    ? [found.more ? h('p', { class: 'quiet' }, t('more_found')) : null,
      h('ul', { class: 'events' }, ...found.items.map((event) => h('li', { class: `event show-${event.show_as}` },
        h('div', { class: 'time stamp' }, stampText(event.start ?? event.start_date, now.date)),
        h('div', { class: 'what' },
          h('button', { class: 'subject', 'data-key': `found-${event.id}`, onclick: () => openEvent(event) }, event.subject ?? t('no_subject')),
          ...marksOf(event),
          event.location ? h('div', { class: 'quiet facts' }, event.location) : null),
        h('div', { class: 'links' }))))]
    : h('p', {}, t('none_found', searched))));
};
