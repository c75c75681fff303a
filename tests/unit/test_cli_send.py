"""`caudal send` against an intake that refuses what it is told to, over real HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.__main__ import command_line
from services.cli.sending import acknowledged


class Intake(BaseHTTPRequestHandler):
    """Takes leads with an e-mail address; answers as intake does."""

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != "Bearer secret":
            return self.answer(401, {"code": "unauthorized", "message": "no valid API key"})
        if isinstance(content, list):
            results = [{"index": n, **self.taken(lead)} for n, lead in enumerate(content)]
            return self.answer(200, {"results": results})
        taken = self.taken(content)
        return self.answer(422, taken["error"]) if "error" in taken else self.answer(200, taken)

    @staticmethod
    def taken(lead: dict[str, Any]) -> dict[str, Any]:
        if "email" in lead:
            return {"id": f"id of {lead['email']}"}
        return {"error": {"code": "required", "message": "email or phone is required"}}

    def answer(self, status: int, content: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Intake)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "keys.json").write_text('{"website": "secret", "fair": "stale"}')
    settings = {"HOME": tmp_path, "KAFKA": "127.0.0.1:1", "POSTGRES": "dbname=none", "INTAKE_PORT": server.server_port}
    for name, value in settings.items():
        monkeypatch.setenv(f"CAUDAL_{name}", str(value))
    yield tmp_path
    server.shutdown()
    server.server_close()


def send(*arguments: str) -> Result:
    return CliRunner().invoke(command_line(["send"]), ["send", *arguments])


def test_a_lead_of_options_is_sent_its_id_printed_and_noted(home: Path) -> None:
    result = send("--email", "ana@example.com", "--message", "¿Cuánto cuesta?")
    assert (result.exit_code, result.output) == (0, "id of ana@example.com\n")
    assert acknowledged(home / "ledger") == {"id of ana@example.com"}


def test_of_a_file_only_what_was_acknowledged_is_noted_and_the_rest_is_named(home: Path) -> None:
    file = home / "list.csv"
    file.write_text("name;email\nAna;ana@example.com\nIván;\nEva;eva@example.org\n")
    result = send(str(file))
    assert result.exit_code == 1
    assert "lead 2: required: email or phone is required" in result.output
    assert acknowledged(home / "ledger") == {"id of ana@example.com", "id of eva@example.org"}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--name", "Ana"), 1, "required: email or phone is required"),
        (("--email", "ana@example.com", "--source", "fair"), 1, "the key kept here for fair is not in force"),
        (("--email", "ana@example.com", "--source", "nobody"), 1, "no key of source 'nobody'"),
        (
            ("--email", "notanemail"),
            2,
            "'notanemail' is no e-mail address: nothing is sent, for nobody could be reached",
        ),
        (("--phone", "12"), 2, "'12' is no telephone number: nothing is sent"),
        (("--phone", "+34 1", "--email", "a@b"), 2, "'a@b' is no e-mail address and '+34 1' is no telephone number"),
        ((), 2, "give either a file or options"),
    ],
)
def test_a_refusal_is_told_in_its_own_words_and_nothing_is_noted(
    home: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = send(*arguments)
    assert result.exit_code == code
    assert sentence in result.output
    assert acknowledged(home / "ledger") == set()


@pytest.mark.parametrize("phone", ["+34 600 000 011", "600 000 011"])
def test_a_lead_that_can_be_reached_otherwise_is_sent_with_a_word_about_the_wrong_address(
    home: Path, phone: str
) -> None:
    """Whether a number without a country is one is for intake to say, which knows the source's region."""
    result = send("--email", "notanemail", "--phone", phone)
    assert (result.exit_code, result.stdout) == (0, "id of notanemail\n")
    assert result.stderr == "'notanemail' is no e-mail address; sent all the same, for there is another address\n"


def test_of_a_list_wrong_addresses_are_named_by_their_line_and_sent_as_they_are(home: Path) -> None:
    file = home / "list.json"
    file.write_text('[{"email": "ana@example.com", "phone": 34}, {"email": "ana@"}, {"email": 7, "phone": ""}]')
    result = send(str(file))
    assert result.stdout.splitlines() == ["id of ana@example.com", "id of ana@", "id of 7"]
    assert result.stderr == "lead 2: 'ana@' is no e-mail address; sent as it is\n"
