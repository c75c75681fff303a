"""Whatever intake accepted reaches an end state in the database: nothing that it lets pass is refused further on."""

import pytest

from schemas.topics import DEADLETTERS
from services.runtime.postgres import select, transaction
from tests.pipeline.test_chain import Chain
from tests.unit.test_intake_app import FORM, Desk

ODD = (
    rb'{"email": "ana@example.com", "name": "A\u0000na", "message": "\u0000", "x\u0000": {"y\u0000": "z\u0000"}}',
    rb'{"email": "ben@example.com", "name": "Ben\ud83d", "company": "\udc00", "x\ud800": {"y\ud800": ["\ud800"]}}',
    rb'[{"phone": 600000012.0, "city": "\u0000\ud800"}, {"email": "carl@example.com", "x": "\\u0000\u0000\\\ud800"}]',
    b'{"email": 123, "phone": "600000013", "budget": 1e999}',
    b'{"email": "dora@example.com", "n": ' + b"9" * 4300 + b', "deep": ' + b"[" * 150 + b"]" * 150 + b"}",
    b"\xef\xbb\xbf" + b'{"email": "eva@example.com", "consent": true, "consent_text": "\\u0000"}',
)  # fmt: skip
FORMS = (b"email=fay%40example.com&message=a%00b\x00&%00=%00&n%00=1",)


@pytest.fixture
def chain(database: str) -> Chain:
    return Chain(database)


def test_every_odd_submission_that_was_accepted_ends_as_a_lead(chain: Chain) -> None:
    desk = Desk()
    for body, label in [(b, "text/plain") for b in ODD] + [(b, FORM) for b in FORMS]:
        assert desk.post(body, content_type=label).status_code == 200
    for message in desk.log.messages:
        chain.log.append(message)
    chain.run()
    session = chain.session(chain.services[-1])
    with transaction(session) as cursor:
        ends = dict(select(cursor, "SELECT submission_id, end_state FROM submission"))
        documents = select(cursor, "SELECT count(data::jsonb) FROM inbox WHERE data IS NOT NULL")
    session.close()
    assert ends == {lead.cause_id: "opened" for lead in desk.leads()}
    assert len(ends) == 8
    assert documents[0][0] > 8
    assert chain.log.records(DEADLETTERS.name) == []
