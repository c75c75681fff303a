"""One due mail that a defect of ours hits keeps no other from being sent, and is seen by a person."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from schemas.topics import INSIGHTS_ALERTS, LEADS_TOUCHES
from services.nurture import aside
from services.nurture.decide import BOOK as BOOK_NAME
from services.nurture.rules import NurtureRules
from services.nurture.service import build
from services.nurture.settings import NurtureSettings
from services.runtime import clocks as clocks_module
from services.runtime import fence, frames
from services.runtime.clocks import Clocks
from services.runtime.decode import Decoder
from services.runtime.faults import Faults
from services.runtime.follower import Books
from services.runtime.frames import Frame
from services.runtime.postgres import Session, connect, migrate, transaction
from tests.nurture_cases import BOOK, SECRET, Nurture, consent, lead
from tests.smtp_sink import Sink, smtp_sink

REFUSES = "RAISE check_violation USING MESSAGE = 'lead2@example.com'"
LEAD_OF_IT = "WHERE lead_id = (SELECT lead_id FROM enrolment WHERE person_id = 'person 2')"
IS_BAD = "enrolment_id = (SELECT enrolment_id FROM enrolment WHERE person_id = 'person 2')"


class Office:
    """Nurture's clocks as the engine runs them; what they say lies in the outbox."""

    def __init__(self, dsn: str, sink: Sink, **changes: Any) -> None:
        settings = NurtureSettings(secret=SECRET, smtp_port=sink.port, smtp_timeout_s=2, mail_lease_s=120, **changes)
        migrate(dsn, "nurture", ("services.runtime",))
        self.nurture, self.dsn, self.now = Nurture(dsn, settings), dsn, datetime.now(UTC)
        books = Books({BOOK_NAME: NurtureRules})
        books.active[BOOK_NAME] = BOOK
        self.clocks = Clocks(
            build(settings), Decoder({}, frozenset()), books, lambda: {"t": 1}, self.session, lambda: self.now, Faults()
        )
        with transaction(self.nurture.session) as cursor:
            fence.create(cursor, {"t": 1})
        for n in (1, 2, 3):
            email = f"lead{n}@example.com"
            self.nurture.feed(consent(email=email, at=self.now), lead(n, email=email, at=self.now), now=self.now)

    def session(self) -> Session:
        session = connect(self.dsn, "nurture", "test")
        with transaction(session) as cursor:
            cursor.execute("SET statement_timeout = '500ms'")
        return session

    def change(self, sql: str) -> None:
        with transaction(self.nurture.session) as cursor:
            cursor.execute(sql)

    def turn_after(self, wait: timedelta) -> None:
        """One turn of all clocks, so much later."""
        self.now += wait
        self.change(f"UPDATE fence SET applied_until = '{self.now.isoformat()}'")
        self.clocks._next.clear()
        self.clocks.turn()

    def told(self) -> list[Frame]:
        return [frames.load(text)[0] for (text,) in self.nurture.rows("SELECT frame FROM outbox ORDER BY id")]

    def close(self) -> None:
        self.clocks.hang_up()
        self.nurture.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with smtp_sink() as made:
        yield made


@pytest.fixture
def office(database: str, sink: Sink) -> Iterator[Office]:
    structlog.reset_defaults()
    made = Office(database, sink)
    yield made
    made.close()


def on_write(state: str, does: str) -> str:
    """Whoever writes this state of the bad row meets `does`."""
    return (
        "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.state = '{state}' AND NEW.{IS_BAD} THEN {does}; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER bad BEFORE INSERT OR UPDATE ON step FOR EACH ROW EXECUTE FUNCTION bad()"
    )


WRONG = {
    "a document that cannot be read": f"UPDATE lead SET document = '[\"damaged' {LEAD_OF_IT}",
    "a country that cannot be judged": "UPDATE lead SET document = "
    f"jsonb_set(document::jsonb, '{{12}}', '[\"ES\"]')::text {LEAD_OF_IT}",
    "a row that the table refuses": on_write("claimed", REFUSES),
    "a row that takes too long": on_write("claimed", "PERFORM pg_sleep(3)"),
}

UNWRITABLE = on_write("claimed", REFUSES).replace("NEW.state = 'claimed'", "TG_OP IS NOT NULL")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_row_that_cannot_be_judged_keeps_no_other_mail_from_being_sent(
    office: Office, sink: Sink, wrong: str
) -> None:
    office.change(WRONG[wrong])
    with capture_logs() as logs:
        office.turn_after(timedelta(seconds=6))
    assert sorted(sink.recipients) == ["lead1@example.com", "lead3@example.com"]
    assert [entry["event"] for entry in logs] == ["clock.defect", "clock.put_off"]
    assert "example.com" not in str([entry for entry in logs if entry.pop("exc_info", None)])
    assert office.nurture.rows(f"SELECT state, failures, act_at FROM step WHERE {IS_BAD}") == [
        ("due", 1, office.now + aside.WAITS[0])
    ]


@pytest.mark.parametrize("wrong", WRONG)
def test_after_the_last_wait_it_is_set_aside_with_an_alert_and_never_tried_again(
    office: Office, sink: Sink, wrong: str
) -> None:
    office.change(WRONG[wrong])
    office.nurture.rows(f"UPDATE step SET act_at = NULL, state = 'skipped' WHERE NOT ({IS_BAD}) RETURNING step")
    for wait in (timedelta(seconds=6), *aside.WAITS):
        assert office.told() == []
        office.turn_after(wait)
    assert [(f.topic, f.type) for f in office.told()] == [
        (LEADS_TOUCHES.name, "touch.failed"), (LEADS_TOUCHES.name, "enrolment.ended"),
        (INSIGHTS_ALERTS.name, "alert.raised"),
    ]  # fmt: skip
    assert all('"lead_id"' in (f.value or "") and "example.com" not in (f.value or "") for f in office.told())
    office.turn_after(timedelta(days=30))
    assert len(office.told()) == 3
    assert sink.recipients == []
    assert office.nurture.rows(f"SELECT state, answer FROM step WHERE {IS_BAD}") == [("failed", "defect")]


def test_a_row_that_is_mended_in_time_is_sent(office: Office, sink: Sink) -> None:
    office.change(WRONG["a row that the table refuses"])
    office.turn_after(timedelta(seconds=6))
    office.change("DROP TRIGGER bad ON step")
    office.turn_after(aside.WAITS[0])
    assert sink.recipients.count("lead2@example.com") == 1
    assert office.nurture.rows(f"SELECT state, failures FROM step WHERE {IS_BAD} AND step = 1") == [("sent", 0)]


def test_a_mail_whose_record_always_fails_goes_out_once_and_is_set_aside_as_uncertain(
    office: Office, sink: Sink
) -> None:
    office.change(on_write("sent", REFUSES))
    office.turn_after(timedelta(seconds=6))
    for _ in range(3):
        office.turn_after(timedelta(minutes=5))
    assert sink.recipients.count("lead2@example.com") == 1
    assert sink.recipients.count("lead3@example.com") >= 1
    assert office.nurture.rows(f"SELECT state, uncertain FROM step WHERE {IS_BAD}") == [("failed", True)]
    assert [f.type for f in office.told() if f.topic == INSIGHTS_ALERTS.name] == ["alert.raised"]


def test_a_row_that_cannot_even_be_put_off_keeps_no_other_from_being_sent(office: Office, sink: Sink) -> None:
    office.change(UNWRITABLE)
    office.turn_after(timedelta(seconds=6))
    assert sorted(sink.recipients) == ["lead1@example.com", "lead3@example.com"]


def test_rows_that_cannot_even_be_put_off_fill_no_claim_and_come_again_later(database: str, sink: Sink) -> None:
    office = Office(database, sink, mail_batch=1)
    office.change(f"UPDATE step SET act_at = act_at - interval '1 minute' WHERE {IS_BAD}; {UNWRITABLE}")
    with capture_logs() as logs:
        for _ in range(4):
            office.turn_after(timedelta(seconds=6))
    assert sorted(set(sink.recipients)) == ["lead1@example.com", "lead3@example.com"]
    assert [entry["event"] for entry in logs].count("clock.not_put_off") == 1
    office.change("DROP TRIGGER bad ON step")
    office.turn_after(aside.WAITS[0])
    assert sink.recipients.count("lead2@example.com") == 1
    office.close()


@pytest.mark.parametrize("words", ["{{ 1 + name }}", "{{ 1 / 0 }}"])
def test_a_mail_whose_template_fails_waits_and_is_never_said_to_have_been_sent(
    database: str, sink: Sink, tmp_path: Path, words: str
) -> None:
    (tmp_path / "welcome.en.j2").write_text(words)
    office = Office(database, sink, mail_templates=str(tmp_path))
    office.nurture.rows(f"UPDATE step SET act_at = NULL, state = 'skipped' WHERE NOT ({IS_BAD}) RETURNING step")
    office.turn_after(timedelta(seconds=6))
    for failures, wait in enumerate(aside.WAITS, 1):
        assert office.told() == []
        assert office.nurture.rows(f"SELECT state, failures, uncertain, act_at FROM step WHERE {IS_BAD}") == [
            ("due", failures, False, office.now + wait)
        ]
        with capture_logs() as logs:
            office.turn_after(wait)
        assert [entry["event"] for entry in logs] == ["clock.put_off"]
    assert office.nurture.rows(f"SELECT state, answer, uncertain FROM step WHERE {IS_BAD}") == [
        ("failed", "defect", False)
    ]
    (alert,) = [f.value or "" for f in office.told() if f.topic == INSIGHTS_ALERTS.name]
    assert "It failed 4 times" in alert
    assert sink.recipients == []
    office.close()


def test_a_template_that_is_mended_in_time_is_sent_and_its_failures_are_forgotten(
    database: str, sink: Sink, tmp_path: Path
) -> None:
    (tmp_path / "welcome.en.j2").write_text("{{ 1 / 0 }}")
    office = Office(database, sink, mail_templates=str(tmp_path))
    office.turn_after(timedelta(seconds=6))
    (tmp_path / "welcome.en.j2").unlink()
    office.clocks.service = build(office.nurture.settings)
    office.turn_after(aside.WAITS[0])
    assert sorted(sink.recipients) == [f"lead{n}@example.com" for n in (1, 2, 3)]
    sent = "SELECT DISTINCT state, failures, uncertain FROM step WHERE step = 1"
    assert office.nurture.rows(sent) == [("sent", 0, False)]
    office.close()


def test_mails_that_a_slow_database_cannot_record_are_not_set_aside(
    office: Office, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks_module, "RECORD_PAUSES_S", (0.0,))
    office.change(on_write("sent", "PERFORM pg_sleep(3)"))
    office.turn_after(timedelta(seconds=6))
    assert office.nurture.rows(f"SELECT state FROM step WHERE {IS_BAD}") == [("claimed",)]
    office.change("DROP TRIGGER bad ON step")
    office.turn_after(timedelta(minutes=3))
    assert office.nurture.rows(f"SELECT state, uncertain FROM step WHERE {IS_BAD} AND step = 1") == [("sent", True)]
    assert [f.type for f in office.told() if f.topic == INSIGHTS_ALERTS.name] == []
