"""The library from Python, by ctypes alone.

usage: python3 example.py LIBRARY CONFIG DATA_DIR       (where somebody has signed in before)
"""

import ctypes
import datetime
import json
import sys
import threading


class Problem(Exception):
    """What the library refused: `kind` is stable, the text is for people."""

    def __init__(self, problem):
        super().__init__(problem["detail"])
        self.kind = problem["kind"]


class Calendar:
    """An open data directory."""

    CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)

    def __init__(self, library, **options):
        self._library = lib = ctypes.CDLL(library)
        handle, text, size = ctypes.c_uint64, ctypes.c_char_p, ctypes.c_size_t
        # c_void_p, not c_char_p: the text is to be given back, and ctypes would copy and lose it.
        lib.calmirror_open.argtypes, lib.calmirror_open.restype = [text, size], handle
        lib.calmirror_call.argtypes, lib.calmirror_call.restype = [handle, text, size], ctypes.c_void_p
        lib.calmirror_next_notice.argtypes = [handle, ctypes.c_int64]
        lib.calmirror_next_notice.restype = ctypes.c_void_p
        lib.calmirror_on_notice.argtypes = [handle, self.CALLBACK, ctypes.c_void_p]
        lib.calmirror_free.argtypes, lib.calmirror_free.restype = [ctypes.c_void_p], None
        lib.calmirror_close.argtypes, lib.calmirror_last_error.restype = [handle], text
        lib.calmirror_version.restype = text
        document = json.dumps(options).encode()
        self._callback = None
        self._handle = lib.calmirror_open(document, len(document))
        if self._handle == 0:
            raise self._problem()

    def call(self, name, **parameters):
        document = json.dumps({"call": name, **parameters}).encode()
        answer = self._take(self._library.calmirror_call(self._handle, document, len(document)))
        if "problem" in answer:
            raise Problem(answer["problem"])
        return answer["ok"]

    def next_notice(self, seconds):
        """The next notice, or None when the time is over."""
        text = self._library.calmirror_next_notice(self._handle, int(seconds * 1000))
        if text is None and self._library.calmirror_last_error():
            raise self._problem()
        return None if text is None else self._take(text)

    def on_notice(self, function):
        # Kept as long as the library may call it.
        callback = self.CALLBACK(lambda _user, text, length: function(json.loads(text[:length])))
        if self._library.calmirror_on_notice(self._handle, callback, None) != 0:
            raise self._problem()
        self._callback = callback

    def close(self):
        if self._library.calmirror_close(self._handle) != 0:
            raise self._problem()

    def _take(self, text):
        try:
            return json.loads(ctypes.string_at(text))
        finally:
            self._library.calmirror_free(text)

    def _problem(self):
        return Problem(json.loads(self._library.calmirror_last_error())["problem"])


def main(library, config, data_dir):
    calendar = Calendar(library, config_file=config, data_dir=data_dir, keyring=False)
    told = threading.Event()
    calendar.on_notice(lambda notice: told.set())

    assert calendar.call("sync")["weather"] is None
    assert calendar.call("agenda", days=14)["fresh"]
    day = datetime.date.today() + datetime.timedelta(days=7)
    event = calendar.call("add", subject="Review in Python", start=f"{day}T12:00", end=f"{day}T13:00", tz="UTC")
    read, is_told = 0, False
    while not is_told and (notice := calendar.next_notice(30)):
        if notice["notice"] == "change":
            is_told = any(line["event"] == event["id"] for line in calendar.call("changes", since=read))
            read = notice["seq"]
    assert is_told, "the new event was not told"
    assert told.wait(30), "the callback was not called"
    assert calendar.call("show", id=event["id"])["subject"] == "Review in Python"
    calendar.call("remove", id=event["id"])
    for name, parameters, kind in [
        ("burn", {}, "not_found"),
        ("agenda", {"day": "someday"}, "usage"),
        ("show", {"id": "ffffffff"}, "not_found"),
    ]:
        try:
            calendar.call(name, **parameters)
        except Problem as problem:
            assert problem.kind == kind, problem.kind
        else:
            raise AssertionError(f"{name} was taken")
    calendar.close()
    try:
        calendar.close()
    except Problem as problem:
        assert problem.kind == "not_found"
    else:
        raise AssertionError("a second close was taken")
    print("python:", calendar._library.calmirror_version().decode())


if __name__ == "__main__":
    main(*sys.argv[1:4])
