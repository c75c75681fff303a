"""`caudal send`: leads from options or a file, through intake like anybody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from services.cli import sending
from services.cli.installation import Installation, running, source_keys
from services.cli.leadfiles import Lead, read_leads
from services.intake import normalise

out = Console(highlight=False, soft_wrap=True)
BATCH = 500
SHORTEST_NUMBER = 5


def send(
    file: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="JSON, JSON lines or CSV.")] = None,
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Telephone number, best with its country: +34 600 000 011.")] = None,
    name: Annotated[str | None, typer.Option(help="Full name.")] = None,
    company: Annotated[str | None, typer.Option(help="Where they work.")] = None,
    country: Annotated[str | None, typer.Option(help="Name or two letters, such as ES.")] = None,
    language: Annotated[str | None, typer.Option(help="Two letters, such as es.")] = None,
    product: Annotated[str | None, typer.Option(help="What they ask about.")] = None,
    message: Annotated[str | None, typer.Option(help="What they say.")] = None,
    source: Annotated[str, typer.Option(help="Whose key is used: see `caudal sources keys`.")] = "website",
) -> None:
    """Send one lead made of options, or all leads of a file; prints the submissions' ids.

    Example: caudal send --email ana@example.com --name "Ana Soto" --message "What does it cost?"
    """
    given = {"email": email, "phone": phone, "name": name, "company": company, "country": country,
             "language": language, "product": product, "message": message}  # fmt: skip
    lead = {field: value for field, value in given.items() if value is not None}
    if bool(lead) == bool(file):
        _stop("give either a file or options such as --email and --message", 2)
    try:
        leads = read_leads(file.read_bytes()) if file else [lead]
    except ValueError as error:
        _stop(f"{file}: {error}", 1)
    complain(leads, listed=file is not None)
    here = running()
    try:
        refused = sum(_sent(here, source, key_of(here, source), leads))
    except sending.Refused as error:
        kept = f"the key kept here for {source} is not in force; `caudal sources key` makes another. "
        _stop(f"{kept * (error.code == 'unauthorized')}{error}", 1)
    except ValueError as error:
        _stop(str(error), 1)
    if refused:
        raise typer.Exit(1)


def complain(leads: Sequence[Lead], *, listed: bool) -> None:
    """Say which address is none. A lead by hand that nobody could reach is not sent; one of a list is what it is."""
    for number, lead in enumerate(leads, start=1):
        given, wrong = [name for name in JUDGES if lead.get(name)], faulty(lead)
        sentence = " and ".join(f"{lead[name]!r} is no {JUDGES[name][0]}" for name in wrong)
        if listed and wrong:
            typer.echo(f"lead {number}: {sentence}; sent as it is", err=True)
        elif wrong and wrong == given:
            _stop(f"{sentence}: nothing is sent, for nobody could be reached", 2)
        elif wrong:
            typer.echo(f"{sentence}; sent all the same, for there is another address", err=True)


def faulty(lead: Lead) -> list[str]:
    """Names of the fields that hold an address that intake will not take for one."""
    return [name for name, (_, judge) in JUDGES.items() if isinstance(lead.get(name), str) and judge(lead) == "invalid"]


def _email_quality(lead: Lead) -> str:
    return normalise.email(lead["email"])[1]


def _phone_quality(lead: Lead) -> str:
    """Of a number without a country only the source's region, which is not known here, can tell."""
    region = normalise.region_of(str(lead.get("country") or ""), None)
    if region is None and "+" not in lead["phone"] and sum(map(str.isdigit, lead["phone"])) >= SHORTEST_NUMBER:
        return "ok"
    return normalise.phone(lead["phone"], region)[1]


JUDGES = {"email": ("e-mail address", _email_quality), "phone": ("telephone number", _phone_quality)}


def key_of(here: Installation, source: str) -> str:
    """The key of a default source of this machine. Raises `ValueError` where there is none."""
    keys = source_keys(here.home)
    if source not in keys:
        raise ValueError(f"no key of source {source!r} is kept here; there are {', '.join(keys) or 'none'}")
    return keys[source]


def batches(leads: Sequence[Lead], size: int = BATCH) -> Iterator[bytes]:
    """The leads as JSON arrays of at most `size`."""
    return (json.dumps(leads[n : n + size], ensure_ascii=False).encode() for n in range(0, len(leads), size))


def faults(answer: Any) -> Iterator[tuple[int, str, str]]:
    """Place, code and sentence of every item of a batch that intake refused."""
    for line in answer.get("results", ()):
        if error := line.get("error"):
            yield line["index"], error["code"], error["message"]


def _sent(here: Installation, source: str, key: str, leads: Sequence[Lead]) -> Iterator[int]:
    """Post, note what was acknowledged, print; how many each batch lost."""
    url, ledger = f"http://127.0.0.1:{here.ports.intake}/v1/leads", sending.Ledger(here.ledger / "send.jsonl")
    bodies = batches(leads) if len(leads) > 1 else [json.dumps(leads[0], ensure_ascii=False).encode()]
    for number, body in enumerate(bodies):
        answer = sending.post(url, body, key)
        ids = sending.submission_ids(answer)
        ledger.note(ids, source)
        for submission_id in ids:
            out.print(submission_id)
        refused = list(faults(answer))
        for index, code, message in refused:
            typer.echo(f"lead {number * BATCH + index + 1}: {code}: {message}", err=True)
        yield len(refused)


def _stop(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
