"""Accepted to assigned: both moments are the broker's own append times, in milliseconds."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence

from schemas.topics import LEADS_ASSIGNED, LEADS_RECEIVED
from services.cli.benches.stand import Stand, stand
from services.cli.installation import source_keys
from services.cli.ports import read_ports
from services.cli.sending import post
from services.cli.up import WORKERS
from services.runtime.kafka.reader import Reader


def latency(per_second: int, seconds: int) -> dict[str, object]:
    """Post single leads at a steady rate and read off how long each took to be assigned."""
    with stand() as here:
        here.start("intake", *WORKERS)
        url, key = address(here)
        warm_up(here, url, key)
        started, count = time.monotonic(), per_second * seconds
        for n in range(count):
            time.sleep(max(0.0, started + n / per_second - time.monotonic()))
            post(url, body("steady", n), key)
        took = until_assigned(here, "steady", count)
    return {"per_s": per_second, "leads": count, **figures(took)}


def burst(leads: int, size: int = 100) -> dict[str, object]:
    """Post `leads` in batches of `size` without pause: how long after the first post is the last one assigned?"""
    with stand() as here:
        here.start("intake", *WORKERS)
        url, key = address(here)
        warm_up(here, url, key)
        first = time.time()
        for start in range(0, leads, size):
            items = [json.loads(body("burst", n)) for n in range(start, start + size)]
            post(url, json.dumps(items).encode(), key)
        posted = time.time()
        took = until_assigned(here, "burst", leads)
        last = max(assigned for _, assigned in took.values()) / 1000
    return {
        "leads": leads, "posted_s": round(posted - first, 2), "last_assigned_s": round(last - first, 2),
        **figures(took),
    }  # fmt: skip


def address(here: Stand) -> tuple[str, str]:
    """Where to post, and the key."""
    return f"http://127.0.0.1:{read_ports(here.home).intake}/v1/leads", source_keys(here.home)["website"]


def body(run: str, n: int) -> bytes:
    """The n-th lead of a run."""
    person = {"email": f"{run}{n}@example.com", "name": "Ana Soto", "country": "ES", "message": "What is the price?"}
    return json.dumps(person).encode()


def warm_up(here: Stand, url: str, key: str) -> None:
    """Let connections, caches and plans settle: what is measured is the steady state."""
    for n in range(200):
        post(url, body("warm", n), key)
        time.sleep(0.01)
    until_assigned(here, "warm", 200)


def until_assigned(here: Stand, run: str, count: int) -> dict[str, tuple[int, int]]:
    """Moments (received, assigned) in milliseconds by address, once all of a run are assigned."""
    found: dict[str, tuple[int, int]] = {}

    def all_there() -> bool:
        found.clear()
        found.update(_moments(here.parts.kafka, run))
        return len(found) >= count

    here.until(all_there, 120, f"{count} leads are assigned", 1.0)
    return found


def _moments(servers: str, run: str) -> dict[str, tuple[int, int]]:
    reader = Reader(servers, [LEADS_RECEIVED.name, LEADS_ASSIGNED.name])
    received: dict[str, int] = {}
    assigned: dict[str, int] = {}
    for record in reader.to_end():
        data = json.loads(record.value or b"{}")
        contact = data["lead"]["contact"] if record.topic == LEADS_ASSIGNED.name else data["contact"]
        if contact["email"].startswith(run):
            side = assigned if record.topic == LEADS_ASSIGNED.name else received
            side.setdefault(contact["email"], record.timestamp_ms)
    reader.close()
    return {email: (received[email], moment) for email, moment in assigned.items() if email in received}


def figures(took: dict[str, tuple[int, int]]) -> dict[str, float]:
    """Milliseconds from received to assigned."""
    ms = sorted(float(assigned - received) for received, assigned in took.values())
    return {"p50_ms": statistics.median(ms), "p99_ms": _quantile(ms, 0.99), "max_ms": ms[-1]}


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
