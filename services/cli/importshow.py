"""What an import shows: how the file is read, its first rows, what became of it, the runs there were."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from schemas.topics import LEADS_RECEIVED
from services.cli.importjob import Ready
from services.cli.tables import table
from services.intake.arrival import Accepted, Refused
from services.intake.files.faults import BadRow
from services.intake.files.items import Item
from services.intake.files.jobs import Counts, Job
from services.intake.files.layout import read
from services.intake.files.mapping import Mapped
from services.intake.files.submissions import submission
from services.intake.files.tally import unclear
from services.intake.submission import lead_of

_SHOWN_ROWS = 5


def layout_line(ready: Ready) -> str:
    """How the file is laid out, in one line."""
    found = ready.layout
    said = {
        "delimited": f"delimited by {found.delimiter!r}, {found.encoding}, header in line {found.header_number}"
        if found.header_number
        else f"delimited by {found.delimiter!r}, {found.encoding}, no header",
        "sheet": f"sheet {found.sheet!r}, header in row {found.header_number or 'none'}"
        + (f" (--sheet takes another: {', '.join(found.others)})" if found.others else ""),
    }.get(found.kind, f"{found.kind}, {found.encoding}")
    return escape(f"{Path(ready.job.file).name}: {said}; list {ready.job.list_name!r} of source {ready.job.source}")


def mapping_table(mapped: Iterable[Mapped]) -> Table:
    """Which column means which field, and how sure that is."""
    shown = table("column", "is read as", "sure", "by")
    for m in mapped:
        target = {None: "an answer", "-": "left out"}.get(m.field, m.field)
        shown.add_row(escape(m.column), target, f"{m.confidence} %" if m.field else "", escape(m.why))
    return shown


def preview_table(ready: Ready) -> Table:
    """The first rows as they will be read."""
    shown = table("row", "what becomes of it", title="the first rows")
    for item in itertools.islice(read(ready.stream, ready.layout), _SHOWN_ROWS):
        shown.add_row(str(item.number), escape(_becomes(ready, item)))
    return shown


def _becomes(ready: Ready, item: Item | BadRow) -> str:
    if isinstance(item, BadRow):
        return f"rejected: {item.message}"
    result = submission(item, 1, ready.terms, datetime.now(UTC))
    if isinstance(result, Refused):
        return "rejected: " + "; ".join(fault.message for fault in result.faults)
    return _said(result)


def _said(accepted: Accepted) -> str:
    event = accepted.events[0]
    if event.topic is not LEADS_RECEIVED:
        return f"{event.type} {event.value}"
    lead = lead_of(event)
    contact = lead.contact.model_dump(exclude_none=True, exclude={"email_raw", "phone_raw"})
    parts = [f"{name}: {value}" for name, value in contact.items()]
    parts += [f"{name}: {value}" for name in ("product", "message", "budget") if (value := getattr(lead, name))]
    parts += [f"consent by {c.channel}: {'granted' if c.granted else 'refused'}" for c in lead.consents]
    parts += ["consent: not understood"] if unclear(lead.answers) else []
    parts += [f"({name}: {value})" for name, value in lead.answers.items()]
    return ", ".join(parts)


def outcome(
    counts: Counts, job: Job, *, dry_run: bool = False, examples: Sequence[str] = (), folder: Path | None = None
) -> str:
    """What became of the rows, and what to do now."""
    rows = f"{counts.read} rows: {counts.sent} {'would be sent' if dry_run else 'sent'}"
    if not dry_run:
        rows += f", {counts.known} were on the log already"
    lines = [f"{rows}, {counts.rejected} rejected"]
    lines += [f"  {n} × {code}" for code, n in sorted(counts.reasons.items(), key=lambda r: -r[1])]
    lines += [f"  {example}" for example in examples]
    if counts.granted or counts.refused or counts.unclear:
        said = f"consents: {counts.granted} granted, {counts.refused} refused, {counts.unclear} not understood"
        lines.append(said + (" (kept as answers; neither yes nor no)" if counts.unclear else ""))
    if counts.unreachable:
        lines.append(f"nobody can be reached by {counts.unreachable} of them: no e-mail or phone that can be one")
    if counts.rejected and folder:
        lines.append(
            f"the rejected rows and why: {folder / 'rejects.csv'}; mend them there or in the list, and import that "
            f"again with --list {job.list_name!r}: only these go"
        )
    if not dry_run and job.state != "done":
        lines.append(f"{job.state}: {job.why}; go on with: caudal import --resume {job.name}")
    return escape("\n".join(lines))


def runs_table(runs: Iterable[Job]) -> Table:
    """Runs of jobs, one a row."""
    shown = table("job", "state", "list", "source", "begun", "file", "rows", "sent", "known", "rejected", "why")
    for run in runs:
        c = run.counts
        shown.add_row(
            run.name, run.state, escape(run.list_name), run.source,
            run.started_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"), escape(Path(run.file).name), str(c.read),
            str(c.sent), str(c.known), str(c.rejected), escape(run.why or ""),
        )  # fmt: skip
    return shown
