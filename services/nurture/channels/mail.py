"""Mails: headers and MIME parts of a letter, as bytes for the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from services.nurture.channels.letters import Letter
from services.nurture.rules import Sender


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
    local, _, domain = envelope.to.rpartition("@")
    mail = EmailMessage(policy.SMTP)
    mail["From"] = Address(sender.name, addr_spec=sender.address)
    mail["To"] = Address(envelope.name, local, domain)
    mail["Reply-To"] = Address(sender.name, addr_spec=sender.reply_to)
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(envelope.date)
    mail["Message-ID"] = envelope.message_id
    mail["Content-Language"] = envelope.language
    mail["List-ID"] = f"{sender.list_name} <{sender.unsubscribe.replace('@', '.')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["Precedence"] = "bulk"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return _list_headers(sender, envelope) + mail.as_bytes()


def _list_headers(sender: Sender, envelope: Envelope) -> bytes:
    # written by hand: the library would break the long links into encoded words, which RFC 2369 forbids
    lines = (
        f"List-Unsubscribe: <{envelope.unsubscribe_url}>,\r\n"
        f" <mailto:{sender.unsubscribe}?subject={envelope.unsubscribe_token}>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )
    return lines.encode("ascii")
