import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from schemas.events.touches import Touch
from schemas.tokens import verify
from services.nurture.settings import NurtureSettings
from services.nurture.steps import Sent
from services.runtime.verdict import Outgoing
from tests.nurture_cases import SECRET, Nurture, consent, hashed, lead
from tests.smtp_sink import Sink, smtp_sink

START = datetime.now(UTC)


def at(seconds: float) -> datetime:
    """The lease is held against the real clock, so these tests live now."""
    return START + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def _starts_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins when it runs: minutes after its module was read, the lease would be over."""
    monkeypatch.setattr(sys.modules[__name__], "START", datetime.now(UTC))


@pytest.fixture
def sink() -> Iterator[Sink]:
    with smtp_sink() as made:
        yield made


@pytest.fixture
def nurture(database: str, sink: Sink) -> Iterator[Nurture]:
    settings = NurtureSettings(
        secret=SECRET, smtp_port=sink.port, smtp_timeout_s=2, mail_lease_s=120, public_url="https://leads.example.com"
    )
    made = Nurture(database, settings)
    yield made
    made.close()


def enrol(nurture: Nurture, *numbers: int) -> None:
    for n in numbers or (1,):
        email = f"lead{n}@example.com"
        nurture.feed(consent(email=email, at=START), lead(n, email=email, at=START), now=START)


def only(events: list[Outgoing]) -> Touch:
    (event,) = events
    assert isinstance(event.data, Touch)
    return event.data


def test_every_step_of_every_lead_is_one_mail_over_one_connection_a_claim(nurture: Nurture, sink: Sink) -> None:
    enrol(nurture, 1, 2, 3)
    events = nurture.work(at(5))
    assert [e.type for e in events] == ["touch.sent"] * 3
    assert sink.connections == 1
    for seconds in (15, 25, 35, 400, 4000):
        events += nurture.work(at(seconds))
    ids = [mail["Message-ID"] for mail in sink.mails]
    sent = [e.data.message_id for e in events if isinstance(e.data, Touch)]
    assert len(ids) == len(set(ids)) == 9
    assert sorted(ids) == sorted(i for i in sent if i)
    assert sorted(sink.recipients) == sorted(f"lead{n}@example.com" for n in (1, 2, 3) for _ in range(3))


def test_the_mail_on_the_wire_lets_its_reader_leave_with_one_click(nurture: Nurture, sink: Sink) -> None:
    enrol(nurture)
    nurture.work(at(5))
    (mail,) = sink.mails
    link = str(mail["List-Unsubscribe"]).split(">")[0].lstrip("<")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link.startswith("https://leads.example.com/u/")
    assert verify(SECRET, link.rsplit("/", 1)[1]) == (hashed("lead1@example.com"), "email", "marketing")
    for part in mail.iter_parts():
        assert link in part.get_content()
    assert mail["To"] == "Maya <lead1@example.com>"
    assert mail["Subject"] == "Thank you for your enquiry, Maya"


def test_a_lead_that_writes_spanish_gets_spanish(nurture: Nurture, sink: Sink) -> None:
    event = lead(email="lead1@example.com", at=START, language="es-MX", given_name="José María")
    nurture.feed(consent(email="lead1@example.com", at=START), event, now=START)
    nurture.work(at(5))
    assert sink.mails[0]["Subject"] == "Gracias por su consulta, José María"
    assert sink.mails[0]["Content-Language"] == "es"


@pytest.mark.parametrize("place", ["at_recipient", "at_data"])
def test_not_now_is_tried_again_until_it_is_taken(nurture: Nurture, sink: Sink, place: str) -> None:
    getattr(sink, place).append("450 4.2.1 busy, lead1@example.com")
    enrol(nurture)
    assert nurture.work(at(5)) == []
    assert nurture.rows("SELECT answer, refusals FROM step") == [("450 4.2.1", 1)], "no address is kept"
    assert nurture.work(at(34)) == []
    assert not only(nurture.work(at(36))).uncertain
    assert len(sink.mails) == 1


@pytest.mark.parametrize("place", ["at_recipient", "at_data"])
def test_never_is_not_tried_again(nurture: Nurture, sink: Sink, place: str) -> None:
    getattr(sink, place).append("554 5.7.1 policy")
    enrol(nurture)
    assert only(nurture.work(at(5))).reason == "554 5.7.1"
    assert nurture.work(at(14)) == []
    assert sink.mails == []
    assert only(nurture.work(at(16))).step == 2


def test_an_unknown_address_is_suppressed(nurture: Nurture, sink: Sink) -> None:
    sink.at_recipient.append("550 5.1.1 nobody here")
    enrol(nurture)
    assert [e.type for e in nurture.work(at(5))] == ["touch.failed", "consent.changed", "enrolment.ended"]
    assert nurture.work(at(9999)) == []
    assert sink.mails == []


@pytest.mark.parametrize("answer", ["553 5.1.8 sender unknown", "530 5.7.0 log in first"])
def test_a_server_that_refuses_us_condemns_no_recipient(nurture: Nurture, sink: Sink, answer: str) -> None:
    sink.at_sender.append(answer)
    enrol(nurture)
    assert nurture.work(at(5)) == []
    assert only(nurture.work(at(60))).reason is None
    assert len(sink.mails) == 1


def test_one_refused_recipient_does_not_hold_up_the_others_of_the_batch(nurture: Nurture, sink: Sink) -> None:
    sink.at_recipient.extend(["550 5.7.1 no", "421 4.3.2 going down"])
    enrol(nurture, 1, 2, 3)
    assert sorted(e.type for e in nurture.work(at(5))) == ["touch.failed", "touch.sent"]
    assert sink.connections == 2
    assert sorted(e.data.step for e in nurture.work(at(60)) if isinstance(e.data, Touch)) == [1, 2, 2]


def test_a_crash_between_the_servers_answer_and_our_record_repeats_one_mail_under_its_id(
    nurture: Nurture, sink: Sink
) -> None:
    enrol(nurture)
    (job,) = nurture.claim(at(5))
    assert isinstance(nurture.post.call(job, None), Sent)  # type: ignore[arg-type]  # a call looks at its job alone
    assert nurture.work(at(100)) == [], "nobody sends while the lease lasts"
    touch = only(nurture.work(at(126)))
    assert touch.uncertain
    assert [mail["Message-ID"] for mail in sink.mails] == [touch.message_id] * 2


def test_a_line_that_breaks_instead_of_an_answer_repeats_under_the_same_id(nurture: Nurture, sink: Sink) -> None:
    sink.at_data.append("vanish")
    enrol(nurture)
    assert nurture.work(at(5)) == []
    touch = only(nurture.work(at(60)))
    assert touch.uncertain
    assert [mail["Message-ID"] for mail in sink.mails] == [touch.message_id] * 2


def test_without_a_server_mails_wait(database: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = NurtureSettings(secret=SECRET, smtp_port=taken.getsockname()[1], smtp_timeout_s=1)
        nurture = Nurture(database, nobody)
        enrol(nurture)
        assert nurture.work(at(5)) == []
        ((state, answer),) = nurture.rows("SELECT state, answer FROM step")
        nurture.close()
    assert state == "due"
    assert answer.startswith("ConnectionRefusedError")


def test_a_sender_that_slept_through_its_lease_sends_nothing(nurture: Nurture, sink: Sink) -> None:
    enrol(nurture)
    (job,) = nurture.claim(at(5))
    slept = type(job)(
        job.due, job.judgement, job.book, job.applied_until, datetime.now(UTC) + timedelta(seconds=1), True
    )
    assert nurture.record(slept, nurture.post.call(slept, None), at(6)) == []  # type: ignore[arg-type]  # as above
    assert sink.mails == []
    assert not only(nurture.work(at(7))).uncertain


@pytest.mark.parametrize("email", ["año@example.com", "a b@example.com", "x@example.com\r\nRCPT TO:<y@example.com>"])
def test_an_address_that_is_none_fails_its_step_and_reaches_nobody(nurture: Nurture, sink: Sink, email: str) -> None:
    nurture.feed(consent(email=email, at=START), lead(email=email, at=START), now=START)
    assert only(nurture.work(at(5))).reason == "address_invalid"
    assert sink.recipients == []
