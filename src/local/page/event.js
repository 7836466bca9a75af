// One event in a dialog: what it says, answering, changing and deleting it.
import { get, part, patch, post, remove } from './ask.js';
import { away, fill, find, h, toast } from './draw.js';
import { act, state } from './state.js';
import { addDays, dateOf, dateText, timeText } from './time.js';
import { count, t, word } from './words.js';

const dialog = () => find('dialog');
let opener = null;

const open = (title, ...content) => {
  const place = dialog();
  if (!place.open) opener = document.activeElement?.dataset.key ?? document.activeElement?.id;
  fill(place, [title, Math.random()], () => [
    h('div', { class: 'head' },
      h('h2', { id: 'dialog-title' }, title),
      h('button', { class: 'plain', type: 'button', 'aria-label': t('close'), onclick: close }, '✕')),
    ...content,
  ]);
  if (!place.open) place.showModal();
};

export const close = () => {
  dialog().close();
  if (!opener) return;
  (document.querySelector(`[data-key="${CSS.escape(opener)}"]`) ?? find(opener))?.focus();
};

const when = (event) => {
  if (event.all_day) {
    const last = addDays(event.end_date, -1);
    return last > event.start_date ? `${dateText(event.start_date)} – ${dateText(last)}` : `${dateText(event.start_date)}, ${t('all_day')}`;
  }
  const isOneDay = dateOf(event.start) === dateOf(event.end);
  const end = isOneDay ? timeText(event.end) : `${dateText(dateOf(event.end))}, ${timeText(event.end)}`;
  return `${dateText(dateOf(event.start))}, ${timeText(event.start)} – ${end}`;
};

const person = ({ name, address }) => (name && address && name !== address ? `${name} <${address}>` : name ?? address ?? '');
const line = (name, ...value) => (value.flat().filter(Boolean).length ? [h('dt', {}, name), h('dd', {}, ...value)] : null);
const calendarOf = (event) => state.account?.calendars.find((calendar) => calendar.id === event.calendar)?.name;
const said = (text) => (answer) =>
  [text, answer.notifies ? count('mails', answer.notifies) : ''].filter(Boolean).join(' ');

export const openEvent = async (known) => {
  let event = known;
  try {
    event = await get(`events/${part(known.id)}`);
  } catch (error) {
    toast(error.message, true);
  }
  const people = event.attendees ?? [];
  const text = (event.body ?? event.body_preview ?? '').replace(/_{9,}/g, '———').replace(/\n{3,}/g, '\n\n').trim();
  const isInvited = !['none', 'organizer'].includes(event.response);
  open(event.subject ?? t('no_subject'),
    h('dl', { class: 'facts' },
      line(t('when'), when(event), event.original_time_zone && event.original_time_zone !== state.agenda?.time_zone ? h('span', { class: 'quiet' }, ` (${event.original_time_zone})`) : null),
      line(t('where'), event.location),
      line(t('calendar'), calendarOf(event)),
      line(t('organizer'), event.organizer && people.length ? person(event.organizer) : null),
      line(t('who'), people.length ? h('ul', {}, ...people.map((one) => h('li', {}, person(one), h('span', { class: 'quiet' }, ` · ${word('r_', one.response)}`)))) : null),
      line(t('f_response'), isInvited ? word('r_', event.response) : null),
      line(t('f_show_as'), word('', event.show_as)),
      line(t('f_sensitivity'), event.sensitivity === 'normal' ? null : word('', event.sensitivity)),
      line(t('f_categories'), event.categories?.join(', ')),
      line(t('f_reminder_minutes'), event.reminder_minutes === null ? t('no_reminder') : minutesText(event.reminder_minutes)),
      line(t('f_body'), text ? h('p', { class: 'body', tabindex: '0' }, text) : null)),
    h('div', { class: 'buttons' },
      away(event.online_meeting?.join_url, t('join'), { class: 'button main' }),
      away(event.web_link, t('open'), { class: 'button' }),
      isInvited ? h('button', { type: 'button', onclick: () => respondTo(event) }, t('respond')) : null,
      h('button', { type: 'button', onclick: () => editEvent(event) }, t('edit')),
      h('button', { type: 'button', class: 'bad', onclick: () => removeEvent(event) }, t('delete'))));
};

const minutesText = (minutes) => (minutes === 0 ? t('at_start') : count('minutes_before', minutes));

const field = (name, text, input, hint) => {
  input.id = `field-${name}`;
  input.setAttribute('name', name);
  if (hint) input.setAttribute('aria-describedby', `hint-${name}`);
  return h('div', { class: `field field-${name}` }, h('label', { for: input.id }, text), input, hint ? h('small', { id: `hint-${name}`, class: 'quiet' }, hint) : null);
};
const choice = (pairs, value) => {
  const select = h('select', {}, ...pairs.map(([code, text]) => h('option', { value: code }, text)));
  select.value = value;
  return select;
};
const check = (name, text, isOn) => {
  const input = h('input', { type: 'checkbox', name, id: `field-${name}`, checked: isOn });
  return h('div', { class: 'field check' }, input, h('label', { for: input.id }, text));
};
const scope = (event) => (event.series_id
  ? field('scope', t('scope'), choice([['one', t('this_one')], ['series', t('whole_series')]], 'one'))
  : null);
const form = (title, submit, ...fields) => open(title,
  h('form', { class: 'fields', onsubmit: (event) => {
    event.preventDefault();
    submit(event.currentTarget.elements);
  } },
  ...fields,
  h('div', { class: 'buttons' },
    h('button', { type: 'submit', class: 'main' }, t('save')),
    h('button', { type: 'button', onclick: close }, t('cancel')))));

const respondTo = (event) => form(`${t('respond')}: ${event.subject ?? t('no_subject')}`, async (fields) => {
  const answer = await act(() => post(`events/${part(event.id)}/respond`, {
    response: fields.response.value, comment: fields.comment.value, silent: fields.silent.checked, series: fields.scope?.value === 'series',
  }), said(t('saved')));
  if (answer) close();
},
field('response', t('f_response'), choice([['accept', t('accept_event')], ['tentative', t('tentative_event')], ['decline', t('decline_event')]], 'accept')),
scope(event),
field('comment', t('comment'), h('textarea', { rows: 2, maxlength: 1000 })),
check('silent', t('silent'), false));

const removeEvent = (event) => {
  const tellsOthers = event.response === 'organizer' && event.attendees?.length > 0;
  form(t('delete'), async (fields) => {
    const answer = await act(() => remove(`events/${part(event.id)}`, {
      series: fields.scope?.value === 'series' ? 'true' : undefined, comment: fields.comment?.value || undefined,
    }), said(t('saved')));
    if (answer) close();
  },
  h('p', {}, t('delete_sure'), ' ', h('strong', {}, event.subject ?? t('no_subject'))),
  scope(event),
  tellsOthers ? field('comment', t('call_off'), h('textarea', { rows: 2, maxlength: 1000 })) : null);
};

const SHOW_AS = ['busy', 'free', 'tentative', 'oof', 'working_elsewhere'];
const SENSITIVITY = ['normal', 'personal', 'private', 'confidential'];
const MINUTES = [0, 5, 10, 15, 30, 60, 1440];
const codes = (list, value) => [...(list.includes(value) ? list : [value, ...list])].map((code) => [code, word('', code)]);

// The form's values as the contract's members.
const members = (fields) => {
  const text = (name) => fields[name].value.trim();
  const list = (name) => text(name).split(',').map((entry) => entry.trim()).filter(Boolean);
  const isAllDay = fields.all_day.checked;
  return {
    subject: text('subject'), location: text('location'), show_as: text('show_as'), sensitivity: text('sensitivity'),
    body: fields.body.value, categories: list('categories'), attendees: list('attendees'),
    reminder_minutes: text('reminder') === '' ? null : Number(text('reminder')),
    ...(isAllDay
      ? { start_date: text('start_date'), end_date: text('last_date') && addDays(text('last_date'), 1) }
      : { start: text('start'), end: text('end') }),
  };
};

const eventForm = (title, event, calendars, submit) => {
  const start = event.start?.slice(0, 16) ?? `${event.start_date}T09:00`;
  const end = event.end?.slice(0, 16) ?? `${event.start_date}T10:00`;
  const lastDate = event.end_date ? addDays(event.end_date, -1) : dateOf(end);
  const reminder = event.reminder_minutes;
  const minutes = [...new Set([...MINUTES, ...(reminder === null ? [] : [reminder])])].sort((a, b) => a - b);
  const times = h('div', { class: 'pair' },
    field('start', t('f_start'), h('input', { type: 'datetime-local', value: start })),
    field('end', t('f_end'), h('input', { type: 'datetime-local', value: end })));
  const dates = h('div', { class: 'pair' },
    field('start_date', t('first_day'), h('input', { type: 'date', value: event.start_date ?? dateOf(start) })),
    field('last_date', t('last_day'), h('input', { type: 'date', value: lastDate })));
  const allDay = check('all_day', t('f_all_day'), event.all_day);
  const turn = () => {
    const isOn = allDay.querySelector('input').checked;
    [times.hidden, dates.hidden] = [isOn, !isOn];
  };
  allDay.addEventListener('change', turn);
  turn();
  form(title, submit,
    field('subject', t('f_subject'), h('input', { type: 'text', value: event.subject ?? '', required: true, maxlength: 255, autofocus: true })),
    scope(event), allDay, times, dates,
    field('location', t('f_location'), h('input', { type: 'text', value: event.location ?? '', maxlength: 255 })),
    calendars.length > 1 ? field('calendar', t('calendar'), choice(calendars.map((calendar) => [calendar.id, calendar.name]), event.calendar ?? calendars[0].id)) : null,
    h('div', { class: 'pair' },
      field('show_as', t('f_show_as'), choice(codes(SHOW_AS, event.show_as), event.show_as)),
      field('sensitivity', t('f_sensitivity'), choice(codes(SENSITIVITY, event.sensitivity), event.sensitivity))),
    field('reminder', t('f_reminder_minutes'), choice([['', t('no_reminder')], ...minutes.map((n) => [String(n), minutesText(n)])], reminder === null ? '' : String(reminder))),
    field('attendees', t('f_attendees'), h('input', { type: 'text', value: (event.attendees ?? []).map((one) => one.address).filter(Boolean).join(', ') }), t('attendees_hint')),
    field('categories', t('f_categories'), h('input', { type: 'text', value: (event.categories ?? []).join(', ') }), t('categories_hint')),
    field('body', t('f_body'), h('textarea', { rows: 4, value: event.body ?? '' })));
};

export const addEvent = (date) => eventForm(t('add_title'), {
  start: `${date}T09:00`, end: `${date}T10:00`, start_date: date, all_day: false, show_as: 'busy', sensitivity: 'normal', reminder_minutes: 15,
}, state.account?.calendars ?? [], async (fields) => {
  const said_ = members(fields);
  const body = { ...said_, calendar: fields.calendar?.value };
  for (const name of ['location', 'body']) if (!body[name]) delete body[name];
  for (const name of ['categories', 'attendees']) if (!body[name].length) delete body[name];
  if (await act(() => post('events', body), said(t('saved')))) close();
});

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// Sends what was changed and nothing else, so that nobody is mailed for what stayed.
const editEvent = (event) => {
  let before = null;
  eventForm(t('edit_title'), event, [], async (fields) => {
    const now = members(fields);
    const body = Object.fromEntries(Object.entries(now).filter(([name, value]) => !same(value, before[name])));
    const times = ['start', 'end', 'start_date', 'end_date'];
    if (times.some((name) => name in body)) for (const name of times) if (now[name] !== undefined) body[name] = now[name];
    if (body.attendees) {
      const known = new Map(event.attendees.map((one) => [one.address?.toLowerCase(), one]));
      body.attendees = body.attendees.map((address) => {
        const one = known.get(address.toLowerCase());
        return one ? { name: one.name, address: one.address, type: one.type } : address;
      });
    }
    if (!Object.keys(body).length) {
      close();
      return;
    }
    if (fields.scope?.value === 'series') body.series = true;
    if (await act(() => patch(`events/${part(event.id)}`, body), said(t('saved')))) close();
  });
  before = members(dialog().querySelector('form').elements);
};
