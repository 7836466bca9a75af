// Asks the engine. An answer that says no becomes a `Refused`, no answer a `Silence`.

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.kind = problem.kind;
  }
}
export class Silence extends Error {}

const TIMEOUT_MS = 35_000;
const SYNC_TIMEOUT_MS = 600_000;
let account;

export const ofAccount = (name) => { account = name; };

export const address = (path, values = {}) => {
  const query = new URLSearchParams();
  if (account && path !== 'status') query.set('account', account);
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.append(name, value);
  const text = query.toString();
  return `/v1/${path}${text ? `?${text}` : ''}`;
};

const ask = async (method, path, values, body) => {
  let reply;
  let text;
  try {
    reply = await fetch(address(path, values), {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      signal: AbortSignal.timeout(path === 'sync' ? SYNC_TIMEOUT_MS : TIMEOUT_MS),
    });
    text = await reply.text();
  } catch (error) {
    throw new Silence(String(error));
  }
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    // What is no JSON is told by its status.
  }
  if (!reply.ok) throw new Refused(reply.status, value ?? {});
  return value;
};

export const get = (path, values) => ask('GET', path, values);
export const post = (path, body, values) => ask('POST', path, values, body);
export const patch = (path, body) => ask('PATCH', path, {}, body);
export const remove = (path, values) => ask('DELETE', path, values);
export const part = (text) => encodeURIComponent(text);
