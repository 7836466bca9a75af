// What is shown and where calls go: now, by hand, and over the day or week as a picture that tells why.
import { get, post, remove } from './ask.js';
import { fill, find, h, svg, toast } from './draw.js';
import { act, state } from './state.js';
import { addDays, clock, dateOf, dateText, minutesOf, nowIn, since, stampText, timeText } from './time.js';
import { t, word } from './words.js';

const DAY_MINUTES = 1_440;
// The picture's measures in pixels.
const AXIS = 20;
const LABEL = 84;
const LABEL_NARROW = 56;
const NARROW = 560;
const DAY_LANES = { presence: 34, calls: 26, gap: 6 };
const WEEK_LANES = { presence: 16, calls: 8, gap: 3 };
const LETTER = 7;
const LETTER_BOLD = 9;

const av = (code) => ({ busy: t('av_busy'), working_elsewhere: t('av_working_elsewhere'), offline: t('offline_presence') }[code] ?? word('', code));

const target = (forwarding) => {
  if (forwarding === null || forwarding === undefined) return t('baseline');
  if (forwarding.target === 'none') return t('direct');
  return forwarding.target === 'voicemail' ? t('voicemail') : t('forward_to', forwarding.target);
};
export const callsText = (forwarding) => {
  const more = [];
  if (forwarding && forwarding.target !== 'none') {
    if (forwarding.scope && forwarding.scope !== 'all') more.push(word('', forwarding.scope));
    if (forwarding.condition === 'busy') more.push(t('when_busy'));
    if (forwarding.condition === 'no_answer') more.push(t('when_no_answer'));
    if (forwarding.after) more.push(t('after', forwarding.after));
  }
  return [target(forwarding), ...more].join(', ');
};

const dot = (availability) => h('span', { class: `dot av-${availability}`, 'aria-hidden': 'true' });
const stamp = (text) => stampText(text, nowIn(state.agenda.time_zone).date);

const drawNow = () => {
  const { presence } = state;
  fill(find('presence-now'), presence, () => h('p', { class: 'now-line' },
    dot(presence.availability), h('strong', {}, presence.profile), h('span', {}, av(presence.availability)),
    h('span', { class: 'quiet' }, presence.next_change ? t('until', stamp(presence.next_change)) : t('no_change')),
    h('span', {}, h('span', { class: 'quiet' }, `${t('calls')}: `), callsText(presence.forwarding)),
    h('span', {}, h('span', { class: 'quiet' }, `${t('decided_by')}: `), word('layer_', presence.reason.layer))));
};

const drawChoice = () => {
  const profiles = state.presence.profiles ?? [];
  const isChosen = state.presence.reason.layer === 'override';
  fill(find('presence-choice'), [profiles, isChosen], () => {
    if (!profiles.length) return [];
    const before = find('profile')?.value;
    const select = h('select', { id: 'profile', 'data-key': 'profile' }, ...profiles.map((name) => h('option', { value: name }, name)));
    select.value = profiles.includes(before) ? before : state.presence.profile;
    const choose = (lasting) => () => act(() => post('presence/override', { profile: select.value, ...lasting }), t('set_done', select.value));
    const button = (key, text, lasting) => h('button', { 'data-key': `choose-${key}`, onclick: choose(lasting) }, text);
    return h('div', { class: 'choice' },
      h('label', { for: 'profile' }, t('show_me')), select,
      h('div', { class: 'group', role: 'group', 'aria-label': t('show_me') },
        button('30m', t('for_30m'), { for: '30m' }), button('1h', t('for_1h'), { for: '1h' }), button('changed', t('until_changed'), { until_changed: true })),
      isChosen ? h('button', { class: 'main', 'data-key': 'clear', onclick: () => act(() => remove('presence/override'), t('clear_done')) }, t('clear')) : null);
  });
};

// Of each day the stretches of its segments, in minutes of the wall clock.
const stretchesOf = (date) => state.timeline.segments.flatMap((segment) => {
  const [first, last] = [dateOf(segment.start), dateOf(segment.end)];
  if (last < date || first > date) return [];
  const from = first < date ? 0 : minutesOf(segment.start);
  const to = last > date ? DAY_MINUTES : minutesOf(segment.end);
  return to > from ? [{ segment, from, to }] : [];
});

const sayStretch = ({ segment, from, to }, date) =>
  `${dateText(date, 'short')}, ${clock(from)} – ${clock(to % DAY_MINUTES)}: ${segment.profile}, ${av(segment.availability)}. ${t('calls')}: ${callsText(segment.forwarding)}`;

const fit = (text, width, letter = LETTER) => (text.length * letter <= width - 12 ? text : '');

const drawPicture = () => {
  const place = find('presence-picture');
  const width = Math.max(280, Math.floor(place.clientWidth));
  const { timeline, mode, from, agenda } = state;
  const now = nowIn(agenda.time_zone);
  const days = mode === 'week' ? [0, 1, 2, 3, 4, 5, 6].map((n) => addDays(from, n)) : [from];
  fill(place, [timeline, mode, from, width, now, state.why?.key], () => {
    const isWeek = days.length > 1;
    const lanes = isWeek ? WEEK_LANES : DAY_LANES;
    const left = width < NARROW ? LABEL_NARROW : LABEL;
    const rowHeight = lanes.presence + lanes.calls + lanes.gap + (isWeek ? 10 : 4);
    const height = AXIS + days.length * rowHeight + 4;
    const scale = (width - left - 1) / DAY_MINUTES;
    const x = (minutes) => left + minutes * scale;
    // Labels with AM and PM need more room.
    const room = (width - left) / (clock(0).length * LETTER + 14);
    const every = room >= 8 ? 3 : room >= 4 ? 6 : 12;
    const hours = [];
    for (let hour = 0; hour <= 24; hour += every) hours.push(hour);
    const parts = hours.map((hour) => svg('g', { class: 'hour', 'aria-hidden': 'true' },
      svg('line', { x1: x(hour * 60), x2: x(hour * 60), y1: AXIS - 4, y2: height }),
      svg('text', { x: x(hour * 60), y: 12, 'text-anchor': hour === 0 ? 'start' : hour === 24 ? 'end' : 'middle' }, clock((hour * 60) % DAY_MINUTES))));
    const texts = [];
    let isFirst = true;
    days.forEach((date, row) => {
      const top = AXIS + row * rowHeight + 2;
      const callsTop = top + lanes.presence + lanes.gap;
      if (isWeek) {
        parts.push(svg('text', { class: 'lane', x: 0, y: top + 15, 'aria-hidden': 'true' }, dateText(date, 'short').replace(/\s?\S+$/, (end) => (left === LABEL ? end : ''))));
      } else {
        parts.push(svg('text', { class: 'lane', x: 0, y: top + 21, 'aria-hidden': 'true' }, t('lane_presence')),
          svg('text', { class: 'lane', x: 0, y: callsTop + 17, 'aria-hidden': 'true' }, t('lane_calls')));
      }
      for (const stretch of stretchesOf(date)) {
        const { segment } = stretch;
        const [start, length] = [x(stretch.from), Math.max(2, (stretch.to - stretch.from) * scale - 1)];
        const calls = segment.forwarding === null || segment.forwarding === undefined ? 'baseline' : segment.forwarding.target === 'none' ? 'direct' : 'forwarded';
        const tell = () => askWhy(segment, date, stretch);
        parts.push(svg('g', {
          class: state.why?.key === `${date} ${stretch.from}` ? 'stretch chosen' : 'stretch', role: 'button', tabindex: isFirst ? '0' : '-1', 'aria-label': sayStretch(stretch, date), 'data-key': `stretch-${date}-${stretch.from}`,
          onclick: tell,
          onkeydown: (event) => {
            if (event.key === 'Enter' || event.key === ' ') {
              event.preventDefault();
              tell();
            }
          },
        },
        svg('title', {}, sayStretch(stretch, date)),
        svg('rect', { class: `av-${segment.availability}`, x: start, y: top, width: length, height: lanes.presence, rx: 3 }),
        svg('rect', { class: `calls ${calls}`, x: start, y: callsTop, width: length, height: lanes.calls, rx: 3 })));
        if (!isWeek) {
          texts.push(svg('text', { class: `on av-${segment.availability}`, x: start + 6, y: top + 21 }, fit(segment.profile, length, LETTER_BOLD)),
            svg('text', { class: `in-calls ${calls}`, x: start + 6, y: callsTop + 17 }, fit(calls === 'baseline' ? '' : target(segment.forwarding), length)));
        }
        isFirst = false;
      }
      if (date === now.date) parts.push(svg('line', { class: 'needle', x1: x(now.minutes), x2: x(now.minutes), y1: top - 3, y2: callsTop + lanes.calls + 2, 'aria-hidden': 'true' }));
    });
    const what = isWeek ? `${dateText(days[0], 'short')} – ${dateText(days[6], 'short')}` : dateText(from);
    const used = [...new Set(timeline.segments.map((segment) => segment.availability))];
    return [
      svg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': t('picture', what), onkeydown: walk }, ...parts, svg('g', { 'aria-hidden': 'true' }, ...texts)),
      h('p', { class: 'legend quiet' }, ...used.map((code) => h('span', {}, dot(code), av(code))), h('span', {}, t('picture_hint'))),
    ];
  });
};

// Arrow keys go from stretch to stretch; one of them is in the order of tabs.
const walk = (event) => {
  const all = [...event.currentTarget.querySelectorAll('.stretch')];
  const at = all.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (at < 0 || to === undefined || !all[to]) return;
  event.preventDefault();
  all[at].setAttribute('tabindex', '-1');
  all[to].setAttribute('tabindex', '0');
  all[to].focus();
};

// An event's subject, unless it is private.
const subjects = async (ids) => {
  const known = new Map(state.agenda.items.map((event) => [event.id, event.subject]));
  for (const id of new Set(ids.filter((one) => one && !known.has(one)))) {
    known.set(id, (await get(`events/${encodeURIComponent(id)}`).catch(() => ({ subject: null }))).subject);
  }
  return known;
};

const askWhy = async (segment, date, { from }) => {
  const zone = state.agenda.time_zone;
  const now = nowIn(zone);
  const isCurrent = Date.parse(segment.start) <= Date.now() && Date.now() < Date.parse(segment.end) && date === now.date;
  // Within the stretch: its first instant on this day, or now.
  const first = dateOf(segment.start) === date ? segment.start : `${date}T00:00`;
  try {
    const why = await get('presence/why', isCurrent ? {} : { at: first });
    const known = await subjects([why.segment.reason.event, ...why.losers.map((loser) => loser.event)]);
    state.why = { why, subjects: [...known], at: isCurrent ? t('now') : clock(from), key: `${date} ${from}` };
  } catch (error) {
    toast(error.message, true);
    return;
  }
  drawPresence();
};

const drawWhy = () => {
  const place = find('presence-why');
  if (!state.why) {
    place.replaceChildren();
    fill(place, null, () => []);
    return;
  }
  const { why, at } = state.why;
  const known = new Map(state.why.subjects);
  const { segment } = why;
  const named = ({ event, private: isPrivate }) => (isPrivate ? t('private_appointment') : event ? known.get(event) ?? t('no_subject') : null);
  const line = (name, value) => (value ? [h('dt', {}, name), h('dd', {}, value)] : null);
  fill(place, [state.why], () => h('div', { class: 'why' },
    h('div', { class: 'head' }, h('h3', {}, t('why_title', segment.profile, at)),
      h('button', { class: 'plain', 'aria-label': t('close'), onclick: () => {
        state.why = null;
        drawPresence();
      } }, '✕')),
    h('dl', { class: 'facts' },
      line(t('decided_by'), word('layer_', segment.reason.layer)),
      line(t('appointment'), named(segment.reason)),
      line(t('rule'), segment.reason.rule),
      line(t('calls'), callsText(segment.forwarding)),
      line(t('when'), why.until ? `${timeText(segment.start)} · ${t('until', stamp(why.until))}` : t('no_change'))),
    why.layers.length > 1 ? [h('h4', {}, t('layers')), h('ol', {}, ...why.layers.map((layer) =>
      h('li', {}, `${word('layer_', layer.layer)}: ${layer.profile}${layer.forwarding ? ` · ${t('forwarding_decides')}` : ''}`)))] : null,
    why.losers.length ? [h('h4', {}, t('losers')), h('ul', {}, ...why.losers.map((loser) =>
      h('li', {}, [named(loser), loser.profile, loser.rule].filter(Boolean).join(' · '), h('span', { class: 'quiet' }, ` — ${word('because ', loser.because)}`))))] : null,
    why.command ? h('p', { class: 'quiet' }, t('command_line', why.command.channel, word('state_', why.command.state), why.command.attempts)) : null,
    why.as_of ? h('p', { class: 'quiet' }, t('as_of', since(why.as_of, nowIn(state.agenda.time_zone).date))) : null));
};

export const drawPresence = () => {
  find('presence').hidden = !state.presence || !state.timeline;
  if (!state.presence || !state.timeline || !state.agenda) return;
  drawNow();
  drawChoice();
  drawPicture();
  drawWhy();
};
