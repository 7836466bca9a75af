// Microsoft's Graph client for JavaScript against the emulator: GRAPH_URL and TOKEN come from the environment.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.env.SDK_DIR}/js/`));
const sdk = require("@microsoft/microsoft-graph-client");
const base = process.env.GRAPH_URL;
let passed = 0, failed = 0;

function check(what, ok, detail = "") {
  if (ok) { passed += 1; } else { failed += 1; console.log(`FAILED ${what} ${detail}`); }
}

/** The SDK's own handler adds the token to https requests only. */
class BearerHandler {
  async execute(context) {
    context.options.headers = { ...context.options.headers, Authorization: `Bearer ${process.env.TOKEN}` };
    await this.next.execute(context);
  }
  setNext(next) { this.next = next; }
}

const chain = [new BearerHandler(), new sdk.RetryHandler(), new sdk.RedirectHandler(), new sdk.TelemetryHandler(), new sdk.HTTPMessageHandler()];
chain.forEach((handler, n) => { if (n + 1 < chain.length) handler.setNext(chain[n + 1]); });
const client = sdk.Client.initWithMiddleware({ middleware: chain[0], baseUrl: `${base}/` });
/** A state link without origin and version, as `api` takes it. */
const follow = (link) => client.api(link.replace(`${base}/v1.0`, ""));
const prefer = 'odata.maxpagesize=50, IdType="ImmutableId"';

async function all(first) {
  let page = await first;
  const rows = [...page.value];
  while (page["@odata.nextLink"]) {
    page = await follow(page["@odata.nextLink"]).header("Prefer", prefer).get();
    rows.push(...page.value);
  }
  return { rows, delta: page["@odata.deltaLink"] };
}

const me = await client.api("/me").get();
check("the signed-in user is shown", me.userPrincipalName.includes("@"));
const calendars = await all(client.api("/me/calendars").header("Prefer", prefer).get());
check("calendars are listed over several pages", calendars.rows.length > 10, calendars.rows.length);
const calendar = calendars.rows.find((c) => c.isDefaultCalendar);
const path = `/me/calendars/${encodeURIComponent(calendar.id)}`;

const day = 86400000;
const at = (days) => new Date(Date.now() + days * day).toISOString();
const round = await all(client.api(`${path}/calendarView/delta`).header("Prefer", prefer)
  .query({ startDateTime: at(-30), endDateTime: at(365) }).get());
check("a delta round brings events", round.rows.length > 20, round.rows.length);
check("a delta round ends with a delta link", Boolean(round.delta));

const start = new Date(Math.floor(Date.now() / day) * day + 2 * day + 9 * 3600000);
const time = (ms) => ({ dateTime: new Date(ms).toISOString().slice(0, 19), timeZone: "UTC" });
const made = await client.api(`${path}/events`).header("Prefer", prefer).post({
  subject: "Made by the SDK", start: time(+start), end: time(+start + 3600000),
  body: { contentType: "text", content: "hello" }, transactionId: crypto.randomUUID(),
});
check("an event is created", made.type === "singleInstance" && made.subject === "Made by the SDK");
const found = await all(follow(round.delta).header("Prefer", prefer).get());
check("the next round brings it", found.rows.some((e) => e.id === made.id && e.subject === made.subject));

const event = `${path}/events/${encodeURIComponent(made.id)}`;
const changed = await client.api(event).header("Prefer", prefer).patch({ subject: "Changed by the SDK" });
check("an event is changed", changed.subject === "Changed by the SDK" && changed.changeKey !== made.changeKey);
const stale = await client.api(event).header("If-Match", made["@odata.etag"]).patch({ subject: "Stale" }).catch((e) => e);
check("a stale change is refused", stale.statusCode === 412 && stale.code === "ErrorIrresolvableConflict", stale.code);
const again = await all(follow(found.delta).header("Prefer", prefer).get());
check("the next round brings the change", again.rows.some((e) => e.id === made.id && e.subject === changed.subject));

await client.api(event).delete();
const gone = await client.api(event).get().catch((e) => e);
check("an event is deleted", gone.statusCode === 404 && gone.code === "ErrorItemNotFound", gone.code);
const last = await all(follow(again.delta).header("Prefer", prefer).get());
check("the next round removes it", last.rows.some((e) => e.id === made.id && e["@removed"]));

const batch = await client.api("/$batch").post({ requests: [
  { id: "1", method: "GET", url: "/me/calendar" }, { id: "2", method: "GET", url: "/me/events?$top=3" },
] });
check("a batch answers each request", batch.responses.length === 2 && batch.responses.every((r) => r.status === 200));

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
