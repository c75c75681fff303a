import json
import smtplib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

MAIL = (
    "From: a@example.com\r\nTo: b@example.com\r\nSubject: <b>Hello</b>\r\nMessage-ID: <1@example.com>\r\n"
    "Content-Type: text/html\r\n\r\n<html><head></head><body><script>x</script>The words</body></html>\r\n"
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[tuple[int, str]]:
    smtp, http = free_port(), free_port()
    command = [sys.executable, "-m", "deploy.demo.mailbox", "--smtp-port", str(smtp), "--http-port", str(http)]
    process = subprocess.Popen([*command, "--home", str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    yield smtp, f"http://127.0.0.1:{http}"
    process.terminate()
    assert process.wait(10) == 0, "it stops when told to"
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


def page(url: str) -> tuple[str, str]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode(), answer.headers["Content-Security-Policy"]


def test_the_mailbox_keeps_every_mail_counts_it_and_shows_it_in_a_sandbox(mailbox: tuple[int, str]) -> None:
    smtp, url = mailbox
    with smtplib.SMTP("127.0.0.1", smtp, timeout=5) as line:
        for _ in range(2):
            line.sendmail("a@example.com", ["b@example.com"], MAIL)
    assert json.loads(page(f"{url}/count")[0]) == {"mails": 2, "message_ids": 1}
    listed, _ = page(f"{url}/")
    assert "&lt;b&gt;Hello" in listed
    assert "<p>2 mails. None of them left this machine.</p>" in listed
    name = listed.split('href="/mail/')[1].split('"')[0]
    shown, _ = page(f"{url}/mail/{name}")
    assert f'src="/html/{name}"' in shown
    assert 'iframe sandbox="allow-popups' in shown
    html, content_policy = page(f"{url}/html/{name}")
    assert "The words" in html
    assert "sandbox" in content_policy
    assert "allow-scripts" not in content_policy
    for wrong in ("/mail/../../etc/passwd", "/html/x", "/mail/0000000000000-000000.eml"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            page(url + wrong)


def test_the_mailbox_remembers_what_it_kept(tmp_path: Path) -> None:
    from deploy.demo.mailbox import Mailbox

    first = Mailbox(tmp_path)
    first.load()
    first.keep(MAIL.encode())
    time.sleep(0.002)
    second = Mailbox(tmp_path)
    second.load()
    assert second.counts() == {"mails": 1, "message_ids": 1}


@pytest.mark.parametrize(
    ("mails", "told"), [(0, "0 mails"), (1, "1 mail"), (353, "353 mails"), (1353, "1,353 mails, the newest 500 shown")]
)
def test_the_mailbox_says_how_many_it_shows_only_where_it_shows_not_all(mails: int, told: str) -> None:
    from deploy.demo.mailbox import _counted

    assert _counted(mails) == told
