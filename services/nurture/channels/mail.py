"""Mails: headers and MIME parts of a letter, as bytes for the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

from services.nurture.channels.letters import Letter
from services.nurture.rules import Sender

# headers go out as given: the library would break the long links into encoded words, which RFC 2369 forbids, and
# takes twice as long
_AS_GIVEN = policy.SMTP.clone(refold_source="none")
# plain ASCII without quoting: other addresses need SMTPUTF8, which few servers take
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who gets a mail, its identity, and how to have no more of them."""

    to: str
    name: str
    message_id: str
    date: datetime
    language: str
    unsubscribe_url: str
    unsubscribe_token: str


def message_id(enrolment_id: str, step: int, sender: Sender) -> str:
    """Message-ID of a step: the same whenever it is sent again."""
    return f"<{enrolment_id}.{step}@{sender.address.rpartition('@')[2]}>"


def compose(letter: Letter, sender: Sender, envelope: Envelope) -> bytes:
    """The whole mail, lines ended by CRLF. Raises `ValueError` when the address is none that mail can carry."""
    if not _ADDRESS.fullmatch(envelope.to):
        raise ValueError("the address is none that every mail server takes")
    mail = EmailMessage(_AS_GIVEN)
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    for name, value in _headers(letter, sender, envelope).items():
        mail.set_raw(name, _one_line(value))
    return mail.as_bytes()


def _headers(letter: Letter, sender: Sender, envelope: Envelope) -> dict[str, str]:
    url, token = envelope.unsubscribe_url, envelope.unsubscribe_token
    return {
        "From": formataddr((sender.name, sender.address)),
        "To": formataddr((envelope.name, envelope.to)),
        "Reply-To": formataddr((sender.name, sender.reply_to)),
        "Subject": letter.subject,
        "Date": format_datetime(envelope.date),
        "Message-ID": envelope.message_id,
        "Content-Language": envelope.language,
        "List-ID": f"{sender.list_name} <{sender.unsubscribe.replace('@', '.')}>",
        "List-Unsubscribe": f"<{url}>, <mailto:{sender.unsubscribe}?subject={token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
        "Precedence": "bulk",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
    }


def _one_line(value: str) -> str:
    if "\r" in value or "\n" in value:
        raise ValueError("a header must be one line")
    return value if value.isascii() else Header(value, "utf-8").encode(linesep="\r\n")
