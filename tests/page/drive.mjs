// Looks at the page as a person does. usage: node drive.mjs CALMIRROR WORK
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [program, work] = process.argv.slice(2);
const PATIENCE_MS = 60_000;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let passed = 0;
let page;
const step = async (name, act) => {
  try {
    await act();
  } catch (error) {
    await page?.screenshot({ path: join(work, 'failed.png'), fullPage: true }).catch(() => {});
    throw new Error(`not ok: ${name}`, { cause: error });
  }
  passed += 1;
  console.log(`ok: ${name}`);
};

const demo = spawn(program, ['--json', 'demo', '--serve'], {
  env: { PATH: process.env.PATH, HOME: work, XDG_RUNTIME_DIR: work, TMPDIR: work, DBUS_SESSION_BUS_ADDRESS: 'disabled:' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = once(demo, 'close');
const serving = await new Promise((done, fail) => {
  const timer = setTimeout(() => fail(new Error('the demo never served')), PATIENCE_MS * 2);
  createInterface({ input: demo.stdout }).on('line', (text) => {
    const line = JSON.parse(text);
    if (line.event !== 'serving') return;
    clearTimeout(timer);
    done(line.value);
  });
});
const { address, control_url: control, data_dir: data, link } = serving;
const { token } = JSON.parse(await readFile(join(data, 'engine.json'), 'utf8'));

const reply = async (method, url, body) => {
  const headers = url.startsWith(control) ? {} : { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  assert(answer.ok, `${method} ${url}: ${answer.status}`);
  return answer.json();
};
const api = (method, path, body) => reply(method, `http://${address}/v1/${path}`, body);
const server = (path, body) => reply(body === undefined ? 'GET' : 'POST', `${control}${path}`, body);
const sync = () => api('POST', 'sync');

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

// A person in a fresh browser profile. `problems` are what the browser's console complains about, `foreign` what was
// asked of anybody but our door.
const person = async ({ theme = 'light', width = 1280, height = 900, locale = 'en-GB' } = {}) => {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale });
  await context.addInitScript(axe);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const [problems, foreign] = [[], []];
  page.on('console', (message) => { if (message.type() === 'error') problems.push(`${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('request', (request) => { if (new URL(request.url()).host !== address) foreign.push(request.url()); });
  page.on('dialog', (dialog) => dialog.accept());
  return { page, problems, foreign, leave: () => context.close() };
};
const signIn = async (options) => {
  const someone = await person(options);
  await someone.page.goto((await api('POST', 'page/link')).link);
  await someone.page.waitForSelector('#agenda-list .day');
  return someone;
};
const accessible = async (page, what) => {
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
  const told = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.target).join(' ; ')}`);
  assert.deepEqual(violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).length, 0, `${what}: ${told.join('\n')}`);
  return told;
};
const picture = (page, name, options = {}) => page.screenshot({ path: join(work, `${name}.png`), ...options });
const row = (page, subject) => page.locator('#agenda .event', { has: page.getByRole('button', { name: subject, exact: true }) });
// The day of the demo's mailbox, in its zone.
const { time_zone: zone, items } = await api('GET', 'agenda');
const today = new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(new Date());
const at = (time) => ({ dateTime: `${today}T${time}:00`, timeZone: zone });
const mine = (await api('GET', 'status')).accounts[0].calendars[0].id;
const remote = async (subject) => {
  const found = (await api('GET', 'agenda')).items.find((event) => event.subject === subject);
  assert(found, `${subject} is not in the agenda`);
  return found.remote_id;
};
const notes = [];

try {
  await step('without a session the page says how to get one, and nothing else', async () => {
    const stranger = await person();
    assert.equal((await stranger.page.goto(`http://${address}/`)).status(), 401);
    assert.match(await stranger.page.textContent('body'), /calmirror serve --link/);
    notes.push(...await accessible(stranger.page, 'closed'));
    await picture(stranger.page, 'closed');
    await stranger.leave();
  });

  const first = await person();
  const { problems, foreign } = first;
  page = first.page;
  await step('the printed link signs in once; the cookie is out of reach of scripts', async () => {
    await page.goto(link);
    await page.waitForURL(`http://${address}/`);
    await page.waitForSelector('#agenda-list .day');
    const [cookie, ...more] = await page.context().cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, more.length], [true, 'Strict', 0]);
    assert.equal(await page.evaluate(() => document.cookie), '');
    const late = await person();
    assert.equal((await late.page.goto(link)).status(), 401);
    await late.leave();
  });

  await step('the day shows what the engine answers, marked', async () => {
    for (const event of items) assert.equal(await row(page, event.subject).count() > 0, true, event.subject);
    const focus = row(page, 'Focus time');
    assert.match(await focus.textContent(), /private/);
    const online = items.find((event) => event.online_meeting?.join_url);
    const join_ = row(page, online.subject).getByRole('link', { name: 'Join' });
    assert.equal(await join_.getAttribute('href'), online.online_meeting.join_url);
    assert.match(await join_.getAttribute('rel'), /noopener noreferrer/);
    notes.push(...await accessible(page, 'day'));
    await picture(page, 'day-light-wide', { fullPage: true });
  });

  await step('a change on the server appears by itself', async () => {
    const event = { subject: 'Fire drill', start: at('12:00'), end: at('12:15'), location: { displayName: 'Yard' } };
    await server('/edits', { edit: 'create', calendar: (await server('')).calendars[0][0].id, event });
    await sync();
    await row(page, 'Fire drill').waitFor();
    assert.match(await row(page, 'Fire drill').textContent(), /Yard/);
  });

  await step('the picture tells why, by mouse and by keyboard', async () => {
    await page.locator('.stretch').first().click();
    await page.locator('#presence-why h3').waitFor();
    assert.match(await page.textContent('#presence-why'), /Decided by/);
    await page.locator('.stretch').first().focus();
    const before = await page.textContent('#presence-why h3');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await page.waitForFunction((old) => document.querySelector('#presence-why h3').textContent !== old, before);
    const kunde = page.getByRole('button', { name: /CUST/ }).first();
    await kunde.click();
    await page.waitForFunction(() => /Kunde: Meyer/.test(document.querySelector('#presence-why').textContent));
    assert.match(await page.textContent('#presence-why'), /customers/);
    const focus = page.getByRole('button', { name: /FOCUS/ }).first();
    await focus.click();
    await page.waitForFunction(() => /private appointment/.test(document.querySelector('#presence-why').textContent));
    assert.doesNotMatch(await page.textContent('#presence-why'), /Focus time/);
    notes.push(...await accessible(page, 'why'));
    await picture(page, 'why-light-wide', { fullPage: true });
  });

  await step('a profile is chosen by hand and given back', async () => {
    await page.selectOption('#profile', 'FOCUS');
    await page.getByRole('button', { name: '30 minutes' }).click();
    await page.getByRole('button', { name: 'Back to the calendar' }).waitFor();
    const chosen = await api('GET', 'presence');
    assert.deepEqual([chosen.profile, chosen.reason.layer], ['FOCUS', 'override']);
    assert.match(await page.textContent('#presence-now'), /FOCUS.*your choice/s);
    await page.getByRole('button', { name: 'Back to the calendar' }).click();
    await page.getByRole('button', { name: 'Back to the calendar' }).waitFor({ state: 'detached' });
    assert.notEqual((await api('GET', 'presence')).reason.layer, 'override');
  });

  await step('search finds, and an event opens, by keyboard alone', async () => {
    await page.focus('#search');
    await page.keyboard.type('Kunde');
    await page.keyboard.press('Enter');
    const found = page.locator('#found-list .subject').first();
    await found.waitFor();
    await found.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    assert.match(await page.textContent('dialog'), /Clara Meyer/);
    notes.push(...await accessible(page, 'event'));
    await picture(page, 'event-light-wide');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Close' }).first().click();
  });

  await step('without a network the page says so, how old it is, and keeps what is added', async () => {
    await server('/network', { down: true });
    await sync();
    await page.locator('#banner', { hasText: 'Offline' }).waitFor();
    assert.match(await page.textContent('#banner'), /as of/);
    await page.getByRole('button', { name: 'New event' }).click();
    await page.locator('#field-subject').fill('Buy a <b>present</b>');
    await page.locator('#field-start').fill(`${today}T19:00`);
    await page.locator('#field-end').fill(`${today}T19:30`);
    notes.push(...await accessible(page, 'form'));
    await picture(page, 'form-light-wide');
    await page.getByRole('button', { name: 'Save' }).click();
    const added = row(page, 'Buy a <b>present</b>');
    await added.waitFor();
    assert.match(await added.textContent(), /not sent yet/);
    await page.locator('#outbox-list', { hasText: 'Buy a <b>present</b>' }).waitFor();
    assert.equal(await page.locator('#agenda b').count(), 0);
    notes.push(...await accessible(page, 'offline'));
    await picture(page, 'offline-light-wide', { fullPage: true });
  });

  await step('both sides change an event: the conflict shows three versions and is decided', async () => {
    const id = await remote('Budget review');
    await row(page, 'Budget review').getByRole('button', { name: 'Budget review' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Edit' }).click();
    await page.locator('#field-subject').fill('Budget review with Bela');
    await page.getByRole('button', { name: 'Save' }).click();
    await row(page, 'Budget review with Bela').waitFor();
    await server('/edits', { edit: 'update', id, patch: { subject: 'Budget review, second part' } });
    await server('/network', { down: false });
    await page.getByRole('button', { name: 'Sync now' }).click();
    await page.locator('#conflicts table').waitFor();
    const cells = await page.locator('#conflicts tbody tr').first().locator('th, td').allTextContents();
    assert.deepEqual(cells, ['Subject', 'Budget review', 'Budget review with Bela', 'Budget review, second part']);
    await page.locator('#banner p').waitFor({ state: 'detached' });
    notes.push(...await accessible(page, 'conflict'));
    await picture(page, 'conflict-light-wide', { fullPage: true });
    await page.locator('#conflicts').getByRole('button', { name: 'Keep mine' }).click();
    await page.locator('#conflicts').waitFor({ state: 'hidden' });
    await page.locator('#decided', { hasText: 'Conflicts decided before: 1' }).waitFor();
    await sync();
    await page.locator('#outbox-list', { hasText: 'Everything is sent' }).waitFor();
    const { items: truth } = await server(`/truth?from=${today}T00:00:00Z&to=${today}T23:59:00Z`);
    const there = truth.map((event) => event.subject);
    assert(there.includes('Budget review with Bela') && there.includes('Buy a <b>present</b>'), there.join(', '));
  });

  await step('an invitation is answered', async () => {
    await row(page, 'Town hall').getByRole('button', { name: 'Town hall' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Answer' }).click();
    await page.locator('#field-response').selectOption('accept');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await sync();
    assert.equal((await api('GET', 'agenda')).items.find((event) => event.subject === 'Town hall').response, 'accepted');
  });

  await step('a reminder is dismissed', async () => {
    const due = page.locator('#reminders-list li.due').first();
    const name = await due.locator('strong').textContent();
    await due.getByRole('button', { name: 'Dismiss' }).click();
    await page.waitForFunction((text) => !document.querySelector('#reminders-list').textContent.includes(text), name);
  });

  await step('German and English, light and dark, wide and narrow: readable and accessible', async () => {
    await page.selectOption('#language', 'de');
    await page.locator('#agenda-title', { hasText: 'Agenda' }).waitFor();
    assert.equal(await page.textContent('#add'), 'Neuer Termin');
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
    for (const theme of ['light', 'dark']) {
      for (const [size, width] of [['wide', 1280], ['narrow', 390]]) {
        const other = await signIn({ theme, width, locale: theme === 'dark' ? 'de-DE' : 'en-US' });
        const wide = await other.page.evaluate(() => document.documentElement.scrollWidth);
        assert(wide <= width, `${theme} ${size}: ${wide} px wide`);
        notes.push(...await accessible(other.page, `${theme} ${size} day`));
        await picture(other.page, `day-${theme}-${size}-after`, { fullPage: true });
        await other.page.click('#mode-week');
        await other.page.waitForFunction(() => document.querySelectorAll('#agenda-list .day').length === 7);
        notes.push(...await accessible(other.page, `${theme} ${size} week`));
        await picture(other.page, `week-${theme}-${size}`, { fullPage: true });
        assert.deepEqual(other.problems, []);
        await other.leave();
      }
    }
  });

  await step('nobody else was asked, and the browser had nothing to complain about', async () => {
    assert.deepEqual(foreign, []);
    assert.deepEqual(problems.filter((text) => !text.includes('401')), []);
  });

  await step('when the engine stops, the page keeps what it has and says so', async () => {
    demo.kill('SIGINT');
    await ended;
    await page.locator('#banner .bad', { hasText: 'antwortet nicht' }).waitFor();
    assert(await row(page, 'Fire drill').count() > 0);
    await picture(page, 'stopped-light-wide');
  });
  for (const note of new Set(notes)) console.log(`note: ${note}`);
  console.log(`${passed} passed, 0 failed`);
} finally {
  await browser.close();
  demo.kill('SIGKILL');
}
