"""Asks a cheap page of a site every 20 ms on one connection, until told to stop.

    .venv/bin/python bench/load/probe.py PORT

Tells the longest time between two answers: what somebody sees who reloads a page while
the site does something else. Percentiles cannot show it.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from collections import Counter

EVERY = 0.02  # seconds
HEADERS = {"Host": "tas.example", "X-Forwarded-For": "10.255.255.1"}


def main(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    statuses: Counter[str] = Counter()
    start = last = time.perf_counter()
    gap = at = 0.0
    due = start
    while not select.select([sys.stdin], [], [], max(due - time.perf_counter(), 0))[0]:
        connection.request("GET", "/teacher/help", headers=HEADERS)
        answer = connection.getresponse()
        answer.read()
        now = time.perf_counter()
        statuses[str(answer.status)] += 1
        if now - last > gap:
            gap, at = now - last, last - start
        last, due = now, max(due + EVERY, now)
    told = {"answers": statuses.total(), "statuses": statuses, "gap": gap, "at": at}
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]))
