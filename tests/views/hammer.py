"""Ten readers at once while a sync writes: five on the views through SQLite, one through its shell, four on the local API.

usage: hammer.py PROGRAM EVENTS

Starts the emulator and `serve` in a throw-away directory, reads from the first commit until the first sync is complete and
a little longer, and fails on the first busy error, torn read or wrong answer. Prints one JSON line of figures.
"""

import http.client
import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

READERS_SQL, READERS_HTTP = 5, 4
LIMIT_S = 240


def consistent(db):
    """What must hold in every state that a reader may see."""
    db.execute("BEGIN")
    try:
        last, = db.execute("SELECT last_seq FROM v1_sync_state").fetchone()
        newest, = db.execute("SELECT coalesce(max(seq), 0) FROM v1_changes").fetchone()
        assert newest == 0 or last == newest, f"the feed ends at {newest}, the state says {last}"
        events, = db.execute("SELECT count(*) FROM v1_events").fetchone()
        shown, = db.execute("SELECT count(*) FROM v1_agenda").fetchone()
        assert events == shown, f"{events} events, {shown} in the agenda"
        strays, = db.execute(
            "SELECT count(*) FROM v1_events WHERE calendar NOT IN (SELECT id FROM v1_calendars)").fetchone()
        assert strays == 0, f"{strays} events of no calendar"
        told, = db.execute("SELECT count(*) FROM v1_events WHERE id NOT IN "
                           "(SELECT event FROM v1_changes WHERE what = 'put')").fetchone()
        assert told == 0, f"{told} events that the feed has not told"
        return events
    finally:
        db.execute("COMMIT")


def read_views(path, stop, results):
    count, worst, events, error = 0, 0.0, 0, None
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0, isolation_level=None)
        while not stop.is_set():
            began = time.perf_counter()
            seen = consistent(db)
            worst, count = max(worst, time.perf_counter() - began), count + 1
            assert seen >= events, "events vanished in a first sync"
            events = seen
    except (AssertionError, sqlite3.Error) as caught:
        error = repr(caught)
    results.put(("views", count, worst, events, error))


def read_shell(path, stop, results):
    count, worst, error = 0, 0.0, None
    while not stop.is_set() and shutil.which("sqlite3"):
        began = time.perf_counter()
        ran = subprocess.run(["sqlite3", "-readonly", path, "SELECT count(*) FROM v1_agenda; SELECT * FROM v1_sync_state;"],
                             capture_output=True, text=True, check=False)
        worst, count = max(worst, time.perf_counter() - began), count + 1
        if ran.returncode or ran.stderr:
            error = ran.stderr
            break
    results.put(("shell", count, worst, 0, error))


def ask(connection, token, path):
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, json.loads(body)


def read_api(address, token, stop, results):
    times, error = [], None
    paths = ["/v1/agenda?days=7", "/v1/agenda", "/v1/status", "/v1/changes?limit=50", "/v1/busy", "/v1/search?text=review"]
    try:
        connection = http.client.HTTPConnection(address, timeout=60)
        while not stop.is_set():
            path = paths[len(times) % len(paths)]
            began = time.perf_counter()
            status, answer = ask(connection, token, path)
            times.append(time.perf_counter() - began)
            assert status == 200, f"{path}: {status} {answer.get('kind')}"
            if "agenda" in path:
                starts = [item["start"] or item["start_date"] for item in answer["items"] if not item["all_day"]]
                assert len({item["id"] for item in answer["items"]}) == len(answer["items"]), "an event twice"
                assert starts == sorted(starts), "an agenda that is not in order"
    except (AssertionError, OSError, http.client.HTTPException) as caught:
        error = repr(caught)
    times.sort()
    results.put(("api", len(times), times[-1] if times else 0.0, times[len(times) // 2] if times else 0.0, error))


def main():
    program, events = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    folder = tempfile.mkdtemp()
    environment = {"HOME": folder, "PATH": os.environ["PATH"], "DBUS_SESSION_BUS_ADDRESS": "disabled:",
                   "CALMIRROR_CONFIG": f"{folder}/config.toml", "CALMIRROR_DATA_DIR": f"{folder}/data"}
    children = []
    try:
        emulator = subprocess.Popen([program, "emulate", "--seed", "7", "--events", str(events)],
                                    stdout=subprocess.PIPE, text=True, env=environment)
        children.append(emulator)
        origin = json.loads(emulator.stdout.readline())["graph_url"].removesuffix("/v1.0")
        with open(f"{folder}/config.toml", "w", encoding="utf-8") as config:
            config.write(f'''[[graph_app]]
display_name = "Calendar_Sync"
application_id = "00000000-0000-0000-0000-000000000000"
directory_id = "contoso.example"
graph_url = "{origin}"
authority_url = "{origin}"
[[account]]
name = "anna"
window = {{ past = "730d", future = "730d" }}
''')
        subprocess.run([program, "login", "--device-code"], env=environment, check=True, capture_output=True)
        began = time.monotonic()
        server = subprocess.Popen([program, "serve", "--json"], stdout=subprocess.PIPE, text=True, env=environment)
        children.append(server)
        server.stdout.readline()
        with open(f"{folder}/data/engine.json", encoding="utf-8") as announced:
            door = json.load(announced)
        path = f"{folder}/data/anna/mirror.db"
        stop, results = multiprocessing.Event(), multiprocessing.Queue()
        workers = [multiprocessing.Process(target=read_views, args=(path, stop, results)) for _ in range(READERS_SQL)]
        workers.append(multiprocessing.Process(target=read_shell, args=(path, stop, results)))
        workers += [multiprocessing.Process(target=read_api, args=(door["address"], door["token"], stop, results))
                    for _ in range(READERS_HTTP)]
        for worker in workers:
            worker.start()
        connection = http.client.HTTPConnection(door["address"], timeout=60)
        while True:
            _, status = ask(connection, door["token"], "/v1/status")
            calendars = status["accounts"][0]["calendars"]
            if calendars and all(calendar["state"] == "ok" for calendar in calendars):
                break
            assert time.monotonic() - began < LIMIT_S, calendars
            time.sleep(0.2)
        synced = time.monotonic() - began
        time.sleep(1)
        stop.set()
        found = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join()
        errors = [f"{kind}: {error}" for kind, _, _, _, error in found if error]
        per = {kind: {"reads": sum(r[1] for r in found if r[0] == kind),
                      "slowest_ms": round(1000 * max(r[2] for r in found if r[0] == kind), 1)}
               for kind in ("views", "shell", "api")}
        per["api"]["median_ms"] = round(1000 * sorted(r[3] for r in found if r[0] == "api")[READERS_HTTP // 2], 1)
        mirrored = sum(calendar["events"] for calendar in calendars)
        print(json.dumps({"events": mirrored, "sync_s": round(synced, 1), **per, "errors": errors}))
        return 1 if errors or min(p["reads"] for k, p in per.items() if k != "shell") == 0 else 0
    finally:
        for child in reversed(children):
            child.terminate()
            child.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
