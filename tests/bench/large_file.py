"""A CSV of a gigabyte, imported whole: how much memory the import takes at each tenth of it.

Example: python -m tests.bench.large_file --megabytes 1000
"""

import argparse
import csv
import json
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from services.cli.benches.lists import importing
from services.cli.benches.stand import stand
from services.cli.up import WORKERS

ROW_BYTES = 5_000


def measured(megabytes: int) -> dict[str, object]:
    """Write the file, import it beside all services, and read off the import's memory until it ends."""
    with stand() as here:
        here.start("intake", *WORKERS)
        file = written(here.home / "large.csv", megabytes * 1_000_000)
        began = time.monotonic()
        process = importing(here, file)
        memory = watched(process)
        said = (here.home / "import.log").read_text().splitlines()[-12:]
        size = file.stat().st_size
    return {
        "file_mb": round(size / 1e6), "exit_code": process.returncode, "seconds": round(time.monotonic() - began),
        "peak_mb": round(max(memory) / 1e6), "mb_by_tenth": tenths(memory), "said": said,
    }  # fmt: skip


def written(file: Path, size: int) -> Path:
    with file.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out, delimiter=";")
        lines.writerow(["Correo electrónico", "Nombre", "Comentarios"])
        for n in range(size // ROW_BYTES):
            told = f"¿Cuánto cuesta la bomba número {n}? ".ljust(ROW_BYTES - 60, "x")
            lines.writerow([f"large{n}@example.com", f"Núria Peña {n}", told])
    return file


def watched(process: "subprocess.Popen[bytes]") -> list[int]:
    memory = [0]
    while process.poll() is None:
        with suppress(psutil.Error):
            memory.append(psutil.Process(process.pid).memory_info().rss)
        time.sleep(0.2)
    return memory


def tenths(memory: list[int]) -> list[int]:
    step = max(1, len(memory) // 10)
    return [round(max(memory[at : at + step]) / 1e6) for at in range(0, len(memory), step)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=1000)
    print(json.dumps(measured(options.parse_args().megabytes), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
