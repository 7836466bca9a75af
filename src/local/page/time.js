// Times are read off the texts of the answers: they are wall times of the account's zone, whatever the browser's is.
import { language } from './words.js';

const DAY_MS = 86_400_000;

export const locale = () =>
  navigator.languages?.find((name) => name.toLowerCase().startsWith(language())) ?? language();

export const dateOf = (text) => text.slice(0, 10);
export const minutesOf = (text) => Number(text.slice(11, 13)) * 60 + Number(text.slice(14, 16));
const utc = (date) => Date.UTC(Number(date.slice(0, 4)), Number(date.slice(5, 7)) - 1, Number(date.slice(8, 10)));
export const addDays = (date, days) => new Date(utc(date) + days * DAY_MS).toISOString().slice(0, 10);
export const daysBetween = (from, to) => Math.round((utc(to) - utc(from)) / DAY_MS);
export const monday = (date) => addDays(date, -((new Date(utc(date)).getUTCDay() + 6) % 7));

const forms = new Map();
const format = (options) => {
  const key = locale() + JSON.stringify(options);
  if (!forms.has(key)) forms.set(key, new Intl.DateTimeFormat(locale(), { timeZone: 'UTC', ...options }));
  return forms.get(key);
};

export const clock = (minutes) => format({ hour: 'numeric', minute: '2-digit' }).format(minutes * 60_000);
export const timeText = (text) => clock(minutesOf(text));
export const dateText = (date, style = 'long') => {
  const options = style === 'short'
    ? { weekday: 'short', day: 'numeric', month: 'short' }
    : { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' };
  return format(options).format(utc(date));
};
export const stampText = (text, today) =>
  (text.length === 10 ? dateText(text, 'short')
    : dateOf(text) === today ? timeText(text) : `${dateText(dateOf(text), 'short')}, ${timeText(text)}`);

// The wall clock of a zone: date and minutes of the day.
export const nowIn = (zone) => {
  let parts;
  try {
    parts = new Intl.DateTimeFormat('en-CA', {
      timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
    }).formatToParts(new Date());
  } catch {
    return nowIn('UTC');
  }
  const part = (type) => parts.find((found) => found.type === type).value;
  return { date: `${part('year')}-${part('month')}-${part('day')}`, minutes: Number(part('hour')) * 60 + Number(part('minute')) };
};

const UNITS = [['day', 86_400], ['hour', 3_600], ['minute', 60]];

// "5 minutes ago", "in 2 hours"; "now" within the minute.
export const ago = (text) => {
  const seconds = Math.round((Date.parse(text) - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ['second', 0];
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' });
  return size ? relative.format(Math.trunc(seconds / size), unit) : relative.format(0, 'second');
};

// "22:04 (3 minutes ago)".
export const since = (text, today) => `${stampText(text, today)} (${ago(text)})`;
