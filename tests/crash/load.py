"""Offers a feed at a steady rate, and keeps the ledger of what the broker acknowledged."""

from __future__ import annotations

import argparse
import os
import random
import signal
import threading
import time
from pathlib import Path

from services.cli.sending import Ledger
from services.runtime.errors import Unavailable
from services.runtime.kafka.producer import LogProducer
from tests.crash.feed import Feed

TICK_S = 0.1
MOST_AT_ONCE = 1000


def offer(feed: Feed, servers: str, ledger: Ledger, per_s: float, stopping: threading.Event) -> tuple[int, float]:
    """Offer until told to stop, a chunk again until the broker has acknowledged it; records offered, and seconds."""
    items, offered, started, producer = feed.items(), 0, time.monotonic(), LogProducer(servers, "crash-load")
    while not stopping.wait(TICK_S):
        due = int((time.monotonic() - started) * per_s) - offered
        chunk = [next(items) for _ in range(min(due, MOST_AT_ONCE))]
        while True:
            try:
                producer.publish([record for record, _ in chunk], lambda: True)
                break
            except Unavailable:
                time.sleep(0.2)
        ledger.note([noted for _, noted in chunk if noted], "crash-load")
        offered += len(chunk)
    producer.close()
    return offered, time.monotonic() - started


def main() -> None:
    """Offer until SIGTERM, then say how much it was."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--run", required=True)
    ask.add_argument("--first", type=int, required=True)
    ask.add_argument("--per-s", type=float, required=True)
    me, stopping = ask.parse_args(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    feed = Feed(os.environ["CAUDAL_SECRET"], me.run, me.first, random.Random(me.run))
    ledger = Ledger(Path(os.environ["CAUDAL_HOME"]) / "ledger" / f"{me.run}.jsonl")
    offered, seconds = offer(feed, os.environ["CAUDAL_KAFKA"], ledger, me.per_s, stopping)
    print(f"offered={offered} seconds={seconds:.1f} per_s={offered / seconds:.0f}", flush=True)


if __name__ == "__main__":
    main()
