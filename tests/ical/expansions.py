"""Writes recurrence rules and what python-dateutil makes of them, as a JSON list.

usage: expansions.py SEED COUNT
Wall time alone: zones are another test. Rules that dateutil refuses are left out.
"""

import datetime
import json
import random
import sys

from dateutil.rrule import rrulestr

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
FROM = datetime.datetime(2026, 1, 1)
TO = datetime.datetime(2028, 1, 1)
DATES_MAX = 40


def pick(roll, values, most):
    return ",".join(str(value) for value in sorted(roll.sample(values, roll.randint(1, most))))


def rule(roll, start):
    freq = roll.choice(["DAILY", "DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY", "HOURLY"])
    parts = [f"FREQ={freq}"]
    if roll.random() < 0.6:
        parts.append(f"INTERVAL={roll.randint(1, 13)}")
    if roll.random() < 0.3:
        parts.append(f"WKST={roll.choice(DAYS)}")
    if freq in ("DAILY", "WEEKLY", "HOURLY") and roll.random() < 0.6:
        parts.append("BYDAY=" + ",".join(roll.sample(DAYS, roll.randint(1, 4))))
    if freq in ("MONTHLY", "YEARLY"):
        kind = roll.random()
        if kind < 0.3:
            parts.append("BYMONTHDAY=" + pick(roll, [1, 13, 15, 28, 29, 30, 31, -1, -2], 3))
        elif kind < 0.6:
            nth = [1, 2, 3, 4, 5, -1, -2] if freq == "MONTHLY" else [1, 2, 10, 30, -1]
            parts.append("BYDAY=" + ",".join(f"{roll.choice(nth)}{day}" for day in roll.sample(DAYS, roll.randint(1, 2))))
        elif kind < 0.75:
            parts.append("BYDAY=" + ",".join(roll.sample(DAYS, roll.randint(2, 5))))
            if freq == "MONTHLY":
                parts.append(f"BYSETPOS={roll.choice([1, 2, -1, -2])}")
    if freq == "YEARLY" and roll.random() < 0.6 or roll.random() < 0.15:
        parts.append("BYMONTH=" + pick(roll, list(range(1, 13)), 4))
    if freq == "YEARLY" and len(parts) < 3 and roll.random() < 0.3:
        parts.append("BYYEARDAY=" + pick(roll, [1, 59, 60, 61, 100, 365, 366, -1, -366], 3))
    if freq == "YEARLY" and roll.random() < 0.1 and not any(part.startswith("BY") for part in parts):
        parts.append("BYWEEKNO=" + pick(roll, [1, 2, 20, 52, 53], 2))
        parts.append(f"BYDAY={roll.choice(DAYS)}")
    if freq != "HOURLY" and roll.random() < 0.15:
        parts.append("BYHOUR=" + pick(roll, list(range(6, 20)), 3))
    end = roll.random()
    if end < 0.3:
        parts.append(f"COUNT={roll.randint(1, 800)}")
    elif end < 0.6:
        until = start + datetime.timedelta(days=roll.randint(0, 3000), hours=roll.randint(-3, 3))
        parts.append(f"UNTIL={until:%Y%m%dT%H%M%S}")
    return ";".join(parts)


def main():
    roll = random.Random(int(sys.argv[1]))
    cases = []
    while len(cases) < int(sys.argv[2]):
        start = datetime.datetime(2010, 1, 1) + datetime.timedelta(
            days=roll.randint(0, 6500), minutes=roll.choice([0, 15, 30]), hours=roll.randint(0, 23)
        )
        text = rule(roll, start)
        try:
            found = rrulestr(text, dtstart=start).between(FROM, TO - datetime.timedelta(seconds=1), inc=True)
        except (ValueError, IndexError):
            continue
        dates = [f"{date:%Y%m%dT%H%M%S}" for date in found[:DATES_MAX]]
        cases.append({"start": f"{start:%Y%m%dT%H%M%S}", "rule": text, "count": len(found), "dates": dates})
    print("[")
    print(",\n".join(json.dumps(case) for case in cases))
    print("]")


main()
