"""The engine, DESIGN §4 point 5: states of one key that one batch decided in several partitions. Real PostgreSQL."""

import pytest

from schemas.topics import PEOPLE_CHANGED
from services.runtime.frames import Frame
from services.runtime.memory.clients import MemoryProducer
from services.runtime.publisher import Publisher
from tests.rig import Rig
from tests.toy import submission, toy


@pytest.fixture
def rig(database: str) -> Rig:
    rig = Rig(database)
    rig.write(submission("ana"), submission("ana", n=1))
    rig.run()
    return rig


def told(rig: Rig) -> list[Frame]:
    """What was told of Ana, as frames: her first and her second state."""
    records = rig.log.records(PEOPLE_CHANGED.name)
    return [
        Frame(PEOPLE_CHANGED.name, r.key, n, dict(r.headers)["ce_id"].decode(), "person.changed", "", r.value.decode())
        for n, r in enumerate(records, start=1)
        if r.value
    ]


def test_states_of_one_key_are_published_in_the_order_of_their_versions(rig: Rig) -> None:
    first, second = told(rig)
    Publisher(toy(), MemoryProducer(rig.log)).publish(rig.session(), {}, [second, first])
    assert rig.event_ids()[2:] == [first.id, second.id]


def test_an_older_state_written_after_a_newer_one_is_followed_by_the_newer_one_again(rig: Rig) -> None:
    first, second = told(rig)
    publisher, session = Publisher(toy(), MemoryProducer(rig.log)), rig.session()
    publisher.publish(session, {}, [second])
    publisher.publish(session, {}, [first])
    assert rig.event_ids()[2:] == [second.id, first.id, second.id]
