// The library from Node, by koffi.
//
// usage: node example.mjs LIBRARY CONFIG DATA_DIR       (where somebody has signed in before; koffi is found from here)
//
// Calls that take long and the wait for notices run on koffi's worker threads (`.async`). The callback of the C library is
// not used: its thread would wait for Node's, which may be waiting in `close`.
import assert from "node:assert";
import { createRequire } from "node:module";
import { promisify } from "node:util";

// Where the packages are, if not here.
const require = createRequire(process.env.NODE_DIR ? `${process.env.NODE_DIR}/` : import.meta.url);
const koffi = require("koffi");

class Problem extends Error {
  constructor({ kind, detail }) {
    super(detail);
    this.kind = kind;
  }
}

class Calendar {
  #lib;
  #handle;

  constructor(path, options) {
    const library = koffi.load(path);
    const free = library.func("void calmirror_free(void *text)");
    // A text that is copied and given back as soon as it arrives.
    koffi.disposable("Text", "str", free);
    this.#lib = {
      version: library.func("const char *calmirror_version()"),
      open: library.func("uint64_t calmirror_open(const char *options, size_t length)"),
      call: promisify(library.func("Text calmirror_call(uint64_t handle, const char *call, size_t length)").async),
      next: promisify(library.func("Text calmirror_next_notice(uint64_t handle, int64_t timeout_ms)").async),
      close: library.func("int32_t calmirror_close(uint64_t handle)"),
      lastError: library.func("const char *calmirror_last_error()"),
    };
    const text = JSON.stringify(options);
    this.#handle = this.#lib.open(text, Buffer.byteLength(text));
    if (!this.#handle) throw new Problem(JSON.parse(this.#lib.lastError()).problem);
  }

  get version() {
    return this.#lib.version();
  }

  async call(name, parameters = {}) {
    const text = JSON.stringify({ call: name, ...parameters });
    const answer = JSON.parse(await this.#lib.call(this.#handle, text, Buffer.byteLength(text)));
    if (answer.problem) throw new Problem(answer.problem);
    return answer.ok;
  }

  // Null when the time is over or the handle is closed: the problem is kept on a worker's thread.
  async nextNotice(milliseconds) {
    return JSON.parse((await this.#lib.next(this.#handle, milliseconds)) ?? "null");
  }

  close() {
    return this.#lib.close(this.#handle) === 0;
  }
}

const [library, config, data] = process.argv.slice(2);
const calendar = new Calendar(library, { config_file: config, data_dir: data, keyring: false });
assert.equal((await calendar.call("sync")).weather, null);
assert.ok((await calendar.call("agenda", { days: 14 })).fresh);
const day = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10);
const event = await calendar.call("add", {
  subject: "Review in Node",
  start: `${day}T14:00`,
  end: `${day}T15:00`,
  tz: "UTC",
});
let [read, isTold] = [0, false];
for (let notice; !isTold && (notice = await calendar.nextNotice(30_000)); ) {
  if (notice.notice !== "change") continue;
  const lines = await calendar.call("changes", { since: read });
  isTold = lines.some((line) => line.event === event.id);
  read = notice.seq;
}
assert.ok(isTold, "the new event was not told");
const answers = await Promise.all(Array.from({ length: 20 }, () => calendar.call("show", { id: event.id })));
assert.ok(answers.every((answer) => answer.subject === "Review in Node"));
await calendar.call("remove", { id: event.id });
await assert.rejects(calendar.call("burn"), { kind: "not_found" });
await assert.rejects(calendar.call("agenda", { day: "someday" }), { kind: "usage" });
assert.ok(calendar.close());
assert.ok(!calendar.close());
await assert.rejects(calendar.call("status"), { kind: "not_found" });
console.log("node:", calendar.version);
