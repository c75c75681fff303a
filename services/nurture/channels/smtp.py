"""The mail server: one connection per claimed batch, and what its answers mean."""

from __future__ import annotations

import re
import smtplib
import ssl

from services.nurture.settings import NurtureSettings
from services.nurture.steps import Postponed, Refused, Sent

_NO_SUCH_ADDRESS = re.compile(r"5\.1\.(0|1|2|3|4|6|10)(?!\d)")  # RFC 3463; 5.1.7 and 5.1.8 speak of the sender
_LONGEST_ANSWER = 200


class Line:
    """A connection to the mail server, opened when needed and closed by `hang_up`. For one thread."""

    def __init__(self, settings: NurtureSettings) -> None:
        self._settings = settings
        self._connection: smtplib.SMTP | None = None

    def hand_over(self, sender: str, recipient: str, mail: bytes) -> Sent | Refused | Postponed:
        """Offer one mail. Never raises for what a server or network may do; says what it means for the mail."""
        try:
            connection = self._connection = self._connection or self._open()
            code, text = connection.mail(sender, [f"size={len(mail)}"] if connection.has_extn("size") else [])
            if code != 250:  # about us, not about the recipient: no mail would pass, so it is as if nobody were there
                return self._later(code, text, away=True)
            code, text = connection.rcpt(recipient)
            if code not in (250, 251):
                return self._later(code, text) if code < 500 else self._no(code, text, at_recipient=True)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            return Postponed(f"{type(error).__name__}: no answer before the mail was sent", away=True)
        return self._data(connection, mail)

    def hang_up(self) -> None:
        """End the connection politely."""
        if self._connection is not None:
            try:
                self._connection.quit()
            except (OSError, smtplib.SMTPException):
                self._drop()
            self._connection = None

    def _data(self, connection: smtplib.SMTP, mail: bytes) -> Sent | Refused | Postponed:
        try:
            code, text = connection.data(mail)
        except smtplib.SMTPDataError as error:  # refused at the word DATA: nothing was sent
            code, text = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            return Postponed(f"{type(error).__name__}: no answer after the mail was sent", away=True, uncertain=True)
        if code == 250:
            return Sent(_answer(code, text))
        return self._later(code, text) if code < 500 else self._no(code, text)

    def _open(self) -> smtplib.SMTP:
        s = self._settings
        context = ssl.create_default_context() if s.smtp_tls != "none" else None
        connection: smtplib.SMTP
        if s.smtp_tls == "tls":
            connection = smtplib.SMTP_SSL(s.smtp_host, s.smtp_port, timeout=s.smtp_timeout_s, context=context)
        else:
            connection = smtplib.SMTP(s.smtp_host, s.smtp_port, timeout=s.smtp_timeout_s)
        try:
            if s.smtp_tls == "starttls":
                connection.starttls(context=context)
            if s.smtp_user:
                connection.login(s.smtp_user, s.smtp_password.get_secret_value())
            connection.ehlo_or_helo_if_needed()
        except BaseException:
            connection.close()
            raise
        return connection

    def _later(self, code: int, text: bytes, *, away: bool = False) -> Postponed:
        self._reset(code)
        return Postponed(_answer(code, text), away=away or code == 421)

    def _no(self, code: int, text: bytes, *, at_recipient: bool = False) -> Refused:
        self._reset(code)
        answer = _answer(code, text)
        return Refused(answer, hard=at_recipient and _NO_SUCH_ADDRESS.search(answer) is not None)

    def _reset(self, code: int) -> None:
        """Make the connection fit for the next mail; 421 and -1 mean that the server has ended it."""
        try:
            if code in (421, -1) or self._connection is None or self._connection.rset()[0] != 250:
                self._drop()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _answer(code: int, text: bytes) -> str:
    """The server's answer without anything that may hold an address: its code, and its extended code if it has one."""
    extended = re.match(rb"\s*([245]\.\d{1,3}\.\d{1,3})(?!\d)", text)
    return f"{code} {extended[1].decode()}"[:_LONGEST_ANSWER] if extended else str(code)
