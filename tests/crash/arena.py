"""The ground that a run stands on: a folder, broker and database, rule books, a mail server and a CRM."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.embedded.children import Children
from deploy.embedded.home import locked_home
from deploy.embedded.parts import prepare_parts
from deploy.embedded.process import stop
from deploy.embedded.settings import EmbeddedSettings
from services.cli import books
from services.cli.installation import Installation
from services.cli.up import children_of, prepare
from tests.crash.harness import Stand


@contextmanager
def running_stand(seed: int) -> Iterator[Stand]:
    """A stand for the time of the block; its folder goes with it unless something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="caudal-crash-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user where this process is root
    before = os.environ.get("CAUDAL_HOME")
    os.environ["CAUDAL_HOME"] = str(folder / "home")
    stand: Stand | None = None
    try:
        with locked_home(folder / "home") as home:
            children = Children(home)
            try:
                stand = _come_up(home, children, seed)
                yield stand
            finally:
                if stand:
                    stop([*stand.workers.values(), *([stand.load] if stand.load else [])], home)
                children.stop(list(children.running))
        if not stand.troubles:
            shutil.rmtree(folder)
    finally:
        os.environ.pop("CAUDAL_HOME") if before is None else os.environ.update(CAUDAL_HOME=before)
        if folder.exists():
            print(f"kept for you to look at: {folder}", flush=True)


def _come_up(home: Path, children: Children, seed: int) -> Stand:
    where, specs = prepare_parts(home, EmbeddedSettings.model_construct())
    children.start(specs)
    children.wait_ready()
    ports = prepare(where)
    for book in ("routing", "nurture"):
        books.publish(where.kafka, book, (Path(__file__).parent / f"{book}.yaml").read_text(), "crash")
    mailbox, any_worker = (children_of(name, where, ports, 1)[0] for name in ("mailbox", "qualify"))
    crm = replace(any_worker, name="crm", argv=(sys.executable, "-m", "tests.crash.crm"))
    children.start([mailbox, crm])
    return Stand(Installation(home, where.kafka, where.postgres, ports), children, random.Random(seed))
