// Signs in with the real program, a real OpenID provider and a real Chromium. usage: node drive.mjs CALMIRROR WORK
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { CLIENT, TENANT, start } from './provider.mjs';

const [program, work] = process.argv.slice(2);
const PATIENCE_MS = 60_000;
const data = join(work, 'data');
const config = join(work, 'calmirror.toml');
const shown = join(work, 'address');
const environment = {
  PATH: process.env.PATH,
  HOME: work,
  XDG_RUNTIME_DIR: work,
  BROWSER: join(work, 'browser'),
};

let passed = 0;
const step = async (name, act) => {
  await act();
  passed += 1;
  console.log(`ok: ${name}`);
};

// Runs the program. Answers its exit code and what it printed; `meanwhile` gets a way to wait for a text on stderr.
const calmirror = async (args, meanwhile) => {
  const child = spawn(program, ['--config', config, '--data-dir', data, ...args], { env: environment });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => { out[name] += text; });
  const closed = once(child, 'close');
  const says = async (pattern) => {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = out.stderr.match(pattern);
      if (found) return found;
      assert(Date.now() < until && child.exitCode === null, `never said ${pattern}: ${out.stderr}`);
      await new Promise((done) => { setTimeout(done, 50); });
    }
  };
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  try {
    await meanwhile?.(says);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const [code] = await closed;
  clearTimeout(timer);
  return { code, ...out };
};

// The address that the program gave to its browser.
const addressShown = async () => {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const address = await readFile(shown, 'utf8').catch(() => '');
    if (address.endsWith('\n')) {
      await writeFile(shown, '');
      return address.trim();
    }
    assert(Date.now() < until, 'the program opened no browser');
    await new Promise((done) => { setTimeout(done, 50); });
  }
};

const emulator = spawn(program, ['emulate', '--seed', '1', '--events', '60'], { env: environment });
const firstLine = await new Promise((done) => { createInterface({ input: emulator.stdout }).once('line', done); });
const { graph_url: graph, control_url: control, users } = JSON.parse(firstLine);
const post = async (url, body) => {
  const reply = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(reply.status, 200, await reply.clone().text());
  return reply.json();
};
const form = async (url, members) => {
  const reply = await fetch(url, { method: 'POST', body: new URLSearchParams(members) });
  return { status: reply.status, body: await reply.json().catch(() => null) };
};
const provider = await start({
  users,
  lifetimeS: 3600,
  accept: (access_token, user, expires_in) => post(`${control}/tokens`, { accept: { access_token, user, expires_in } }),
});
const { exchanges } = provider;
const count = (grant) => exchanges.filter((exchange) => exchange.grant === grant).length;

await mkdir(data, { recursive: true, mode: 0o700 });
await writeFile(environment.BROWSER, `#!/bin/sh\nprintf '%s\\n' "$1" >'${shown}'\n`);
await chmod(environment.BROWSER, 0o755);
await writeFile(shown, '');
const configure = (scopes) => writeFile(config, `
[[graph_app]]
display_name = "App"
application_id = "${CLIENT}"
directory_id = "${TENANT}"
graph_url = "${graph}"
authority_url = "${provider.origin}"
scopes = ${scopes}
[[group]]
name = "all"
graph_app = "App"
[[account]]
name = "anna"
group = "all"
source = "microsoft365"
`);
await configure('"minimal"');

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const [anna, bela] = users;

// A person in a fresh browser profile. `problems` are what the browser's console complains about.
const person = async () => {
  const context = await browser.newContext({ viewport: { width: 900, height: 600 }, locale: 'en-US' });
  // Pages come from this machine alone.
  await context.route(/^https?:\/\/(?!localhost|127\.0\.0\.1)/, (route) => route.abort());
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const problems = [];
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
  page.on('pageerror', (error) => problems.push(String(error)));
  return { page, problems, leave: () => context.close() };
};
const enter = async (page, login) => {
  await page.fill('input[name=login]', login);
  await page.fill('input[name=password]', 'not looked at');
  await page.click('button[type=submit]');
};
const signInAs = (login, consents = true) => async () => {
  const { page, problems, leave } = await person();
  await page.goto(await addressShown());
  await enter(page, login);
  await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
  const asked = await page.textContent('body');
  await page.screenshot({ path: join(work, 'consent.png') });
  problems.length = 0;
  if (consents) await page.click('button[type=submit]');
  else await page.click('a:has-text("Cancel")');
  await page.waitForURL(/^http:\/\/localhost:\d+\//);
  await page.waitForSelector('h1');
  const landed = { asked, problems, text: await page.textContent('body'), title: await page.title() };
  await page.screenshot({ path: join(work, consents ? 'done.png' : 'declined.png') });
  await leave();
  return landed;
};

try {
  await step('login in a browser: authorize page, consent, closing page without a complaint of the browser', async () => {
    let landed;
    const { code, stderr } = await calmirror(['login'], async () => { landed = await signInAs(anna.address)(); });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Calendars\.ReadWrite - to mirror your calendars/);
    assert.match(landed.asked, /Calendars\.ReadWrite/);
    assert.match(landed.text, /Sign-in received/);
    assert.match(landed.text, /Anmeldung angekommen/);
    assert.deepEqual(landed.problems, []);
    const { code: synced, stdout } = await calmirror(['--json', 'sync']);
    assert.equal(synced, 0, stdout);
    assert.equal(count('authorization_code'), 1);
    const [account] = JSON.parse((await calmirror(['--json', 'accounts'])).stdout);
    assert.deepEqual([account.signed_in, account.scopes_missing], [true, []]);
  });

  await step('an access token that ended is renewed once, and the refresh token rotates', async () => {
    assert.equal(count('refresh_token'), 0);
    await post(`${control}/tokens`, { expire_access: true });
    for (const _ of [1, 2, 3]) assert.equal((await calmirror(['sync'])).code, 0);
    assert.equal(count('refresh_token'), 1);
    const [first, second] = exchanges.filter((exchange) => exchange.refresh);
    assert(first.refresh && second.refresh && first.refresh !== second.refresh);
  });

  await step('a refresh token that is replayed ends the session there, and asks the user once here', async () => {
    const [first] = exchanges.filter((exchange) => exchange.refresh);
    const replay = { grant_type: 'refresh_token', client_id: CLIENT, refresh_token: first.refresh };
    const { status, body } = await form(provider.token, replay);
    assert.deepEqual([status, body.error], [400, 'invalid_grant']);
    await post(`${control}/tokens`, { expire_access: true });
    const tried = exchanges.length;
    const { code, stderr } = await calmirror(['sync']);
    assert.equal(code, 3, stderr);
    assert.equal((await calmirror(['sync'])).code, 3);
    assert.equal(exchanges.length, tried + 1, 'what is over is not tried again');
    const agenda = await calmirror(['--json', 'agenda', '--days', '30']);
    assert.equal(agenda.code, 0, 'the mirror answers all the same');
  });

  await step('a sign-in that is declined ends with 3 and keeps nothing', async () => {
    let landed;
    const { code, stderr } = await calmirror(['login'], async () => { landed = await signInAs(anna.address, false)(); });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /the sign-in was declined/);
    assert.match(stderr, /adminconsent\?client_id=/);
    assert.match(landed.text, /Not signed in/);
    assert.deepEqual(landed.problems, []);
  });

  await step('another mailbox than the mirror\'s is refused with 5', async () => {
    const { code, stderr } = await calmirror(['login'], signInAs(bela.address));
    assert.equal(code, 5, stderr);
    assert.match(stderr, /another mailbox/);
  });

  await step('login by device code, with the verification page in Chromium', async () => {
    const { code, stderr } = await calmirror(['login', '--device-code'], async (says) => {
      const [, address, userCode] = await says(/open (\S+) and enter the code (\S+)/);
      const { page, leave } = await person();
      await page.goto(address);
      await page.fill('input[name=user_code]', userCode);
      await page.click('button[type=submit]');
      await page.waitForSelector('text=Confirm Device');
      await page.click('button[type=submit][autofocus]');
      await enter(page, anna.address);
      await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
      await page.click('button[type=submit]');
      await page.waitForSelector('text=Sign-in Success');
      await leave();
    });
    assert.equal(code, 0, stderr);
    assert.equal(count('urn:ietf:params:oauth:grant-type:device_code') > 0, true);
    assert.equal((await calmirror(['sync'])).code, 0);
  });

  await step('a device code that is refused on the verification page ends with 3', async () => {
    const { code, stderr } = await calmirror(['login', '--device-code'], async (says) => {
      const [, address, userCode] = await says(/open (\S+) and enter the code (\S+)/);
      const { page, leave } = await person();
      await page.goto(address);
      await page.fill('input[name=user_code]', userCode);
      await page.click('button[type=submit]');
      await page.waitForSelector('text=Confirm Device');
      await page.click('button[name=abort]');
      await page.waitForSelector('text=interrupted');
      await leave();
    });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /declined/);
    assert.equal((await calmirror(['sync'])).code, 0, 'the former sign-in is kept');
  });

  await step('a permission that is configured later is shown as missing and asked for by the next sign-in', async () => {
    await configure('["User.Read", "Calendars.ReadWrite", "MailboxSettings.Read"]');
    await post(`${control}/tokens`, { expire_access: true });
    assert.equal((await calmirror(['sync'])).code, 0, 'the session goes on with what was granted');
    const before = JSON.parse((await calmirror(['--json', 'accounts'])).stdout)[0];
    assert.deepEqual(before.scopes_missing, ['MailboxSettings.Read']);
    assert.match((await calmirror(['accounts'])).stdout, /calmirror login/);
    let landed;
    const { code, stderr } = await calmirror(['login'], async () => { landed = await signInAs(anna.address)(); });
    assert.equal(code, 0, stderr);
    assert.match(landed.asked, /MailboxSettings\.Read/);
    const after = JSON.parse((await calmirror(['--json', 'accounts'])).stdout)[0];
    assert.deepEqual(after.scopes_missing, []);
  });

  await step('doctor finds the registration in order', async () => {
    const { code, stdout } = await calmirror(['--json', 'doctor']);
    const { checks } = JSON.parse(stdout);
    const failed = checks.filter((check) => check.state === 'fail');
    assert.deepEqual([code, failed], [0, []], stdout);
    for (const name of ['authority', 'application', 'client_type', 'redirect', 'mailbox', 'clock', 'scopes']) {
      assert.equal(checks.find((check) => check.check === name)?.state, 'ok', `${name}: ${stdout}`);
    }
  });

  await step('a revocation at the server ends the session with the next renewal', async () => {
    const newest = exchanges.filter((exchange) => exchange.refresh).at(-1);
    const revoked = await form(provider.revoke, { client_id: CLIENT, token: newest.refresh });
    assert.equal(revoked.status, 200);
    await post(`${control}/tokens`, { expire_access: true });
    assert.equal((await calmirror(['sync'])).code, 3);
  });

  await step('logout keeps the mirror, and with --wipe it goes too', async () => {
    const kept = await calmirror(['--json', 'logout']);
    assert.equal(kept.code, 0, kept.stderr);
    assert.deepEqual(JSON.parse(kept.stdout).signed_in, false);
    assert.equal((await calmirror(['sync'])).code, 3);
    assert.equal((await calmirror(['agenda'])).code, 0);
    const wiped = await calmirror(['logout', '--wipe']);
    assert.equal(wiped.code, 0, wiped.stderr);
    await assert.rejects(readFile(join(data, 'anna', 'mirror.db')));
  });
  console.log(`${passed} passed, 0 failed`);
} finally {
  await browser.close();
  provider.stop();
  emulator.kill();
}
