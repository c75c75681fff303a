"""A list imported while single leads come in: how long until its last row is qualified, and what the others notice."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from deploy.embedded.errors import EmbeddedError
from schemas.topics import LEADS_QUALIFIED
from services.cli import load
from services.cli.benches.chain import counted, make_room, preload
from services.cli.benches.latency import address, body, figures, until_assigned, warm_up
from services.cli.benches.stand import Stand, stand
from services.cli.installation import installation_secret
from services.cli.sending import post
from services.cli.up import WORKERS, prepare
from services.runtime.kafka.reader import Reader

_RUN_IN = 20_000
_CITIES = ("Málaga", "Logroño", "Ávila", "Cáceres", "A Coruña")


def lists(rows: int, per_second: int) -> dict[str, object]:
    """Import a CSV of `rows` people with `caudal import` while `per_second` leads a second are posted."""
    with stand() as here:
        prepare(here.parts)
        make_room(here.parts.kafka)
        here.start("intake", *WORKERS)
        url, key = address(here)
        _run_in(here)
        warm_up(here, url, key)
        file = _written(here.home / "people.csv", rows)
        before, began = here.cpu(), time.time()
        process = importing(here, file)
        posted, peak = _post_until_done(process, url, key, per_second)
        took = until_assigned(here, "live", posted)
        last = _last_qualified(here, rows)
        after = here.cpu()
    return {
        "rows": rows, "qualified_s": round(last - began, 1), "rows_per_s": round(rows / (last - began)),
        "import_peak_mb": round(peak / 1e6), "live": posted, **figures(took),
        "cpu_s": {name: round(after[name] - before[name], 1) for name in after},
    }  # fmt: skip


def _run_in(here: Stand) -> None:
    """Leads enough for the broker's virtual machine to have compiled what it runs, as on one that is in use."""
    preload(here.parts.kafka, load.messages(_RUN_IN, installation_secret(here.home), "before"))
    here.until(lambda: counted(here) >= _RUN_IN, 300, f"{_RUN_IN} leads are assigned and counted", 0.5)


def _written(file: Path, rows: int) -> Path:
    with file.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out, delimiter=";")
        lines.writerow(["Correo electrónico", "Nombre y apellidos", "Tlfno. móvil", "Población", "C.P."])
        for n in range(rows):
            city = _CITIES[n % len(_CITIES)]
            lines.writerow([f"list{n}@example.com", f"Núria Peña {n}", f"72{n % 10**7:07d}", city, f"{n % 52000:05d}"])
    return file


def importing(here: Stand, file: Path) -> subprocess.Popen[bytes]:
    """Start `caudal import` of a file into this stand; what it says stands in `import.log`."""
    env = os.environ | {"CAUDAL_KAFKA": here.parts.kafka, "CAUDAL_POSTGRES": here.parts.postgres}
    argv = [sys.executable, "-m", "services.cli", "import", str(file), "--source", "fair", "--yes"]
    with (here.home / "import.log").open("wb") as out:
        return subprocess.Popen(argv, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)  # our own command


def _post_until_done(process: subprocess.Popen[bytes], url: str, key: str, per_second: int) -> tuple[int, int]:
    """Leads posted until the import has ended, and its largest memory in bytes."""
    began, posted, peak = time.monotonic(), 0, 0
    while process.poll() is None:
        post(url, body("live", posted), key)
        posted += 1
        if posted % 10 == 0:
            with suppress(psutil.Error):
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
        time.sleep(max(0.0, began + posted / per_second - time.monotonic()))
    if process.returncode:
        raise EmbeddedError(f"caudal import ended with exit code {process.returncode}")
    return posted, peak


def _last_qualified(here: Stand, rows: int) -> float:
    """When the last row was qualified, in seconds since 1970 by the broker's clock."""
    moments: dict[str, int] = {}

    def all_there() -> bool:
        reader = Reader(here.parts.kafka, [LEADS_QUALIFIED.name])
        for record in reader.to_end(600):
            contact = json.loads(record.value or b"{}").get("lead", {}).get("contact", {})
            if str(contact.get("email", "")).startswith("list"):
                moments.setdefault(contact["email"], record.timestamp_ms)
        reader.close()
        return len(moments) >= rows

    here.until(all_there, 300, f"{rows} rows are qualified", 1.0)
    return max(moments.values()) / 1000
