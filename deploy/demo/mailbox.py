"""A mail server that delivers nothing: it keeps what nurture sends, and shows it to a person on a web page.

`python -m deploy.demo.mailbox --smtp-port 1025 --http-port 8025 --home .caudal`; mails lie in `<home>/mail/*.eml`.
For a trial on one machine: it listens on loopback only and takes mail from anybody there.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import typer
from aiosmtpd.controller import Controller

HOST = "127.0.0.1"
SHOWN = 500
_NAME = re.compile(r"\d{13}-\d{6}\.eml")
# a mail may open links in a window of their own, and nothing else: no scripts, forms, pictures or fonts from outside
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_MAIL_POLICY = f"sandbox {_SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"
_STYLE = """
body{margin:0;font:15px/1.5 system-ui,sans-serif;color:#22333a;background:#f4f6f7}
header{background:#0b5c66;color:#fff;padding:16px 28px;font-size:18px;font-weight:600}header a{color:#fff}
main{max-width:960px;margin:24px auto;padding:0 20px}
table{width:100%;border-collapse:collapse;background:#fff;border-radius:8px;overflow:hidden}
td,th{padding:9px 14px;text-align:left;border-bottom:1px solid #e6ecee;vertical-align:top}
th{color:#5c6d71;font-weight:600}
a{color:#0b5c66}
iframe{width:100%;height:880px;border:1px solid #dde5e7;border-radius:8px;background:#fff;margin-top:20px}
td.at{white-space:nowrap;font-variant-numeric:tabular-nums}td.to{overflow-wrap:anywhere}
@media(max-width:700px){main{padding:0 10px}table.list th{display:none}
table.list td{display:block;border:0;padding:2px 12px}
table.list tr{display:block;padding:8px 0;border-bottom:1px solid #e6ecee}iframe{height:1100px}}
td.v{font-family:ui-monospace,monospace;font-size:13px;word-break:break-all}
"""


@dataclass(slots=True)
class Mailbox:
    """The folder with the mails, and what the list shows of each."""

    folder: Path
    mails: dict[str, EmailMessage] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self) -> None:
        """Read what earlier runs kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folder.glob("*.eml")):
            self.mails[path.name] = _parse(path.read_bytes())

    def keep(self, raw: bytes) -> None:
        """Write one mail to the disk, whole or not at all."""
        with self._lock:
            name = f"{time.time_ns() // 1_000_000:013d}-{len(self.mails) % 1_000_000:06d}.eml"
            unfinished = self.folder / f"{name}.part"
            unfinished.write_bytes(raw)
            unfinished.rename(self.folder / name)
            self.mails[name] = _parse(raw)

    def counts(self) -> dict[str, int]:
        """Mails, and how many different Message-IDs they have."""
        with self._lock:
            return {"mails": len(self.mails), "message_ids": len({str(m["Message-ID"]) for m in self.mails.values()})}

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail: the hook that aiosmtpd calls."""
        self.keep(envelope.original_content)
        return "250 2.0.0 kept"


class Pages(BaseHTTPRequestHandler):
    """The list at `/`, one mail at `/mail/<name>`, its HTML part at `/html/<name>`, numbers at `/count`."""

    def __init__(self, mailbox: Mailbox, *rest: Any) -> None:
        self.mailbox = mailbox
        super().__init__(*rest)

    def do_GET(self) -> None:
        """Answer one request."""
        kind, _, name = self.path.lstrip("/").partition("/")
        mail = self.mailbox.mails.get(name) if _NAME.fullmatch(name) else None
        if self.path == "/":
            self._answer(_list(self.mailbox), _PAGE_POLICY)
        elif self.path == "/count":
            self._answer(json.dumps(self.mailbox.counts()), _PAGE_POLICY, "application/json")
        elif kind == "mail" and mail is not None:
            self._answer(_view(name, mail), _PAGE_POLICY)
        elif kind == "html" and mail is not None:
            shown = _html_part(mail).replace("<head>", '<head><base target="_blank">', 1)
            self._answer(shown, _MAIL_POLICY)
        else:
            self.send_error(404)

    def _answer(self, text: str, content_policy: str, content_type: str = "text/html") -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", content_policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: paths are of no interest."""


def main(smtp_port: int = 1025, http_port: int = 8025, home: Path = Path(".caudal")) -> None:
    """Run the mail server and its page until stopped."""
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    mailbox = Mailbox(home / "mail")
    mailbox.load()
    smtp = Controller(mailbox, hostname=HOST, port=smtp_port)
    smtp.start()
    web = ThreadingHTTPServer((HOST, http_port), partial(Pages, mailbox))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    typer.echo(f"mail on {HOST}:{smtp_port}, page on http://{HOST}:{http_port}/")
    stopped.wait()
    web.shutdown()
    smtp.stop()


def _parse(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage), "the default policy makes EmailMessages"  # noqa: S101  # narrows the type
    return mail


def _html_part(mail: EmailMessage) -> str:
    part = mail.get_body(("html", "plain"))
    content = str(part.get_content()) if part is not None else ""
    return content if part is not None and part.get_content_subtype() == "html" else f"<pre>{escape(content)}</pre>"


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f'<header><a href="/">Mailbox of the trial</a></header><main>{body}</main></html>'
    )


def _list(mailbox: Mailbox) -> str:
    newest = list(mailbox.mails.items())[-SHOWN:][::-1]
    rows = "".join(
        f'<tr><td class="at">{escape(_when(mail))}</td><td class="to">{escape(str(mail["To"]))}</td>'
        f'<td><a href="/mail/{name}">{escape(str(mail["Subject"]))}</a></td></tr>'
        for name, mail in newest
    )
    head = f"<p>{_counted(len(mailbox.mails))}. None of them left this machine.</p>"
    return _page("Mailbox", f"{head}<table class=list><tr><th>Sent (UTC)<th>To<th>Subject</tr>{rows}</table>")


def _when(mail: EmailMessage) -> str:
    """When it was sent, UTC; as it stands there where it is no date."""
    date = getattr(mail["Date"], "datetime", None)
    return f"{date.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if date else str(mail["Date"] or "")


def _counted(mails: int) -> str:
    """How many there are, and how many of them are in the list."""
    whole = "1 mail" if mails == 1 else f"{mails:,} mails"
    return whole if mails <= SHOWN else f"{whole}, the newest {SHOWN} shown"


def _view(name: str, mail: EmailMessage) -> str:
    rows = "".join(f'<tr><th>{escape(k)}<td class="v">{escape(str(v))}</tr>' for k, v in mail.items())
    seen = (f"From {mail['From']}", f"To {mail['To']}", f"{_when(mail)} UTC")
    head = f"<h2>{escape(str(mail['Subject']))}</h2><p>{'<br>'.join(map(escape, seen))}</p>"
    headers = f"<details><summary>All headers</summary><table>{rows}</table></details>"
    frame = f'<iframe sandbox="{_SANDBOX}" src="/html/{name}" title="The mail"></iframe>'
    return _page(str(mail["Subject"]), f"{head}{headers}{frame}")


if __name__ == "__main__":
    typer.run(main)
