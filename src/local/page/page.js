// Starts the page: keeps what was answered, asks anew when the engine says that something changed, and draws.
import { drawAgenda, drawFound } from './agenda.js';
import { Refused, Silence, address, get, ofAccount, post } from './ask.js';
import { fill, find, h, redraw, toast } from './draw.js';
import { addEvent } from './event.js';
import { drawHealth } from './health.js';
import { drawPresence } from './presence.js';
import { act, onRefresh, state } from './state.js';
import { addDays, ago, monday, nowIn, since } from './time.js';
import { drawWaiting } from './waiting.js';
import { language, speak, t } from './words.js';

const POLL_MS = 15_000;
const TICK_MS = 30_000;
const GATHER_MS = 150;
const STREAM_AGAIN_MS = 60_000;
const SEARCH_ITEMS = 30;

const draw = () => {
  drawBanner();
  drawAgenda();
  drawFound();
  drawPresence();
  drawWaiting();
  drawHealth();
};

const drawBanner = () => {
  const { trouble, account, agenda, answeredAt } = state;
  const age = agenda?.as_of ? since(agenda.as_of, nowIn(agenda.time_zone).date) : null;
  let text = null;
  let kind = 'warn';
  if (trouble instanceof Refused && trouble.status === 401) [text, kind] = [t('session_over'), 'bad'];
  else if (trouble instanceof Silence) [text, kind] = [t('engine_gone', answeredAt ? ago(new Date(answeredAt).toISOString()) : t('never')), 'bad'];
  else if (trouble) [text, kind] = [trouble.message, 'bad'];
  else if (account && !account.signed_in) text = t('not_signed_in');
  else if (agenda && !age) text = account?.attempted_at && account.network === 'offline' ? `${t('net_offline')}. ${t('never_pulled')}` : t('never_pulled');
  else if (account?.network === 'throttled') text = t('is_throttled', account.throttled_until ? ago(account.throttled_until) : '…', age);
  else if (account?.network === 'offline' && account.attempted_at) text = t('is_offline', age);
  else if (agenda && !agenda.fresh) text = t('is_old', age);
  document.body.classList.toggle('silent', Boolean(trouble));
  fill(find('banner'), [text, kind], () => (text ? h('p', { class: kind }, text) : []));
};

const drawFrame = () => {
  document.documentElement.lang = language();
  document.title = `calmirror · ${t('agenda')}`;
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll('[data-label]')) node.setAttribute('aria-label', t(node.dataset.label));
  find('search').placeholder = t('search');
  find('language').value = language();
  document.body.classList.toggle('week', state.mode === 'week');
};

const drawAccounts = () => {
  const names = state.status.accounts.map((account) => account.name);
  find('account-field').hidden = names.length < 2;
  fill(find('account'), names, () => names.map((name) => h('option', { value: name }, name)));
  find('account').value = state.account?.name ?? '';
};

// An account without a policy shows no presence; the rest is shown all the same.
const unlessRefused = (asking) => asking.catch((error) => {
  if (error instanceof Refused && error.status !== 401) return null;
  throw error;
});

let asked = 0;

// Asks everything that is shown; an answer that a later question overtook is dropped.
const refresh = async () => {
  asked += 1;
  const mine = asked;
  try {
    const status = await get('status');
    if (mine !== asked) return;
    const wanted = state.account?.name;
    state.status = status;
    state.account = status.accounts.find((account) => account.name === wanted) ?? status.accounts[0] ?? null;
    ofAccount(state.account?.name);
    drawAccounts();
    if (!state.account) throw new Error(t('never_pulled'));
    if (!state.from || state.follows) {
      const zone = state.agenda?.time_zone ?? (await get('agenda', { day: 'today' })).time_zone;
      const today = nowIn(zone).date;
      state.from = state.mode === 'week' ? monday(today) : today;
    }
    const days = state.mode === 'week' ? 7 : 1;
    const range = { from: state.from, to: addDays(state.from, days) };
    const answers = await Promise.all([
      get('agenda', { day: state.from, days }),
      unlessRefused(get('presence')), unlessRefused(get('presence/timeline', range)), get('outbox'), get('conflicts'), get('reminders', { within: '24h' }),
    ]);
    if (mine !== asked) return;
    [state.agenda, state.presence, state.timeline, state.outbox, state.conflicts, state.reminders] = answers;
    state.answeredAt = Date.now();
    state.trouble = null;
  } catch (error) {
    if (mine !== asked) return;
    state.trouble = error;
  }
  draw();
};

let gathered;
const refreshSoon = () => {
  gathered ??= setTimeout(() => {
    gathered = undefined;
    refresh();
  }, GATHER_MS);
};

// Live: the engine says that something changed. Where it cannot, the page asks now and then. A page that nobody looks
// at does neither: a browser opens six connections to one address, and a stream holds one.
let stream;
let again;
let poll;
const setPolling = (isOn) => {
  clearInterval(poll);
  poll = isOn ? setInterval(refresh, POLL_MS) : undefined;
};
const silence = () => {
  clearTimeout(again);
  stream?.close();
  setPolling(false);
};
const listen = () => {
  silence();
  setPolling(true);
  const mine = new EventSource(address('stream'));
  stream = mine;
  mine.addEventListener('open', () => {
    setPolling(false);
    refreshSoon();
  });
  for (const name of ['change', 'presence', 'reminder', 'sync', 'gap']) mine.addEventListener(name, refreshSoon);
  mine.addEventListener('error', () => {
    if (mine !== stream) return;
    if (!poll) setPolling(true);
    refreshSoon();
    if (mine.readyState === EventSource.CLOSED) again = setTimeout(listen, STREAM_AGAIN_MS);
  });
};

const show = (mode, from, follows) => {
  Object.assign(state, { mode, from, follows, why: null });
  drawFrame();
  refresh();
};
const today = () => nowIn(state.agenda?.time_zone ?? 'UTC').date;
const move = (steps) => {
  const from = addDays(state.from ?? today(), steps * (state.mode === 'week' ? 7 : 1));
  const current = state.mode === 'week' ? monday(today()) : today();
  show(state.mode, from, from === current);
};

const search = async (event) => {
  event?.preventDefault();
  state.searched = find('search').value.trim();
  if (!state.searched) {
    state.found = null;
    drawFound();
    return;
  }
  try {
    state.found = await get('search', { text: state.searched, limit: SEARCH_ITEMS });
  } catch (error) {
    toast(error.message, true);
    return;
  }
  drawFound();
};

const sync = async () => {
  const button = find('sync');
  button.disabled = true;
  toast(t('syncing'));
  await act(() => post('sync'), (answer) => (answer.weather
    ? t('sync_bad', answer.weather.message ?? answer.weather.kind.replaceAll('_', ' '))
    : t('synced', answer.upserted, answer.removed, answer.pushed)));
  button.disabled = false;
};

find('mode-day').addEventListener('click', () => show('day', state.follows ? today() : state.from, state.follows));
find('mode-week').addEventListener('click', () => show('week', monday(state.from ?? today()), state.follows));
find('back').addEventListener('click', () => move(-1));
find('forth').addEventListener('click', () => move(1));
find('today').addEventListener('click', () => show(state.mode, state.mode === 'week' ? monday(today()) : today(), true));
find('search-form').addEventListener('submit', search);
find('search').addEventListener('search', search);
find('found-close').addEventListener('click', () => {
  find('search').value = '';
  search();
  find('search').focus();
});
find('add').addEventListener('click', () => addEvent(state.from ?? today()));
find('sync').addEventListener('click', sync);
find('language').addEventListener('change', (event) => {
  speak(event.target.value);
  drawFrame();
  redraw();
  draw();
});
find('account').addEventListener('change', (event) => {
  state.account = state.status.accounts.find((account) => account.name === event.target.value);
  Object.assign(state, { agenda: null, why: null, found: null });
  ofAccount(state.account.name);
  refresh();
  listen();
});
window.addEventListener('online', refreshSoon);
window.addEventListener('resize', () => drawPresence());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    silence();
    return;
  }
  refreshSoon();
  listen();
});

onRefresh(refresh);
drawFrame();
await refresh();
listen();
// The marks of "now", and the words that say how old something is.
setInterval(() => {
  if (document.hidden) return;
  const isLater = state.follows && state.from && (state.mode === 'week' ? monday(today()) : today()) !== state.from;
  if (isLater) refresh();
  else draw();
}, TICK_MS);
