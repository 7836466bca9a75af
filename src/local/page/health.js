// How the sync is: the account, its queue, and every calendar.
import { post } from './ask.js';
import { fill, find, h } from './draw.js';
import { act, state } from './state.js';
import { ago, dateOf, dateText, nowIn } from './time.js';
import { t, word } from './words.js';

const pair = (name, value, kind) => (value ? [h('dt', {}, name), h('dd', { class: kind }, value)] : null);
const errorText = (error) => `${error.kind.replaceAll('_', ' ')}, ${ago(error.at)}`;

const network = (account) => {
  if (!account.attempted_at) return [t('net_untried'), 'quiet'];
  const until = account.network === 'throttled' && account.throttled_until ? ` ${t('until_time', ago(account.throttled_until))}` : '';
  return [`${t(`net_${account.network}`)}${until} · ${ago(account.attempted_at)}`, account.network === 'online' ? 'good' : 'warn'];
};

const accept = (calendar) => {
  if (!window.confirm(t('accept_sure'))) return;
  act(() => post('sync', undefined, { accept_removals: 'true', calendar: calendar.id }), (answer) => t('synced', answer.upserted, answer.removed, answer.pushed));
};

const calendarCard = (calendar) => h('li', {},
  h('details', {},
    h('summary', { 'data-key': `calendar-${calendar.id}` }, h('strong', {}, calendar.name), ' ',
      h('span', { class: `mark ${{ ok: 'good', held: 'bad', failed: 'bad' }[calendar.state] ?? 'warn'}` }, t(`state_${calendar.state}`)), ' ',
      h('span', { class: 'quiet' }, calendar.last_pull ? ago(calendar.last_pull) : t('never'))),
    h('dl', { class: 'facts' },
      pair(t('events'), String(calendar.events)),
      pair(t('window'), calendar.window ? `${dateText(dateOf(calendar.window.from), 'short')} – ${dateText(dateOf(calendar.window.to))}` : null),
      pair(t('last_pull'), calendar.last_pull ? ago(calendar.last_pull) : t('never')),
      pair(t('last_check'), calendar.last_full_check ? ago(calendar.last_full_check) : t('never')),
      pair(t('last_error'), calendar.last_error ? errorText(calendar.last_error) : null, 'bad'))),
  calendar.skipped ? h('div', { class: 'warn' }, t('skipped', calendar.skipped)) : null,
  calendar.held_removals ? h('div', { class: 'buttons' }, h('span', { class: 'bad' }, t('held', calendar.held_removals)),
    h('button', { 'data-key': `accept-${calendar.id}`, onclick: () => accept(calendar) }, t('accept'))) : null);

export const drawHealth = () => {
  const { account, status, agenda } = state;
  if (!account) return;
  const place = find('health-list');
  const opened = [...place.querySelectorAll('details[open] > summary')].map((summary) => summary.dataset.key);
  fill(place, [account, status.engine, agenda && nowIn(agenda.time_zone)], () => {
    const [text, kind] = network(account);
    const queue = ['waiting', 'sending', 'parked'].filter((name) => account.outbox[name]).map((name) => `${account.outbox[name]} ${t(`state_${name}`)}`);
    return [
      h('dl', { class: 'facts' },
        pair(t('account'), account.user ?? account.name),
        pair(t('sign_in'), account.signed_in ? t('signed_in') : t('not_signed_in'), account.signed_in ? 'good' : 'bad'),
        pair(t('server'), text, kind),
        pair(t('last_error'), account.last_error ? errorText(account.last_error) : null, 'bad'),
        pair(t('queue'), queue.join(', ') || t('queue_empty')),
        account.edits_lost ? pair(t('outbox'), t('edits_lost', account.edits_lost), 'bad') : null),
      h('ul', { class: 'cards' }, ...account.calendars.map(calendarCard)),
      h('p', { class: 'quiet' }, `calmirror ${status.engine.version}`),
    ];
  });
  for (const key of opened) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.parentElement.setAttribute('open', '');
};
