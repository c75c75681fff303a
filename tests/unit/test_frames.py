"""What waits to be published comes back to the byte, whatever keys and values hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.topics import PEOPLE_CHANGED, source_topic
from services.runtime import frames
from services.runtime.frames import Frame, TooLarge, frame
from services.runtime.verdict import Outgoing

NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=30)
JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner), max_leaves=5
)
FRAMES = st.builds(
    Frame, NAMES, st.none() | st.binary(max_size=300) | st.text().map(str.encode), st.integers(0, 2**40), NAMES, NAMES,
    st.just("") | NAMES, st.none() | JSON.map(json.dumps) | JSON.map(lambda v: json.dumps(v, ensure_ascii=False)),
)  # fmt: skip


@given(st.lists(FRAMES, max_size=5))
def test_frames_come_back_as_they_were(items: list[Frame]) -> None:
    assert frames.load(frames.dump(items)) == items


@given(FRAMES)
def test_the_text_is_one_that_postgresql_takes(item: Frame) -> None:
    text = frames.dump([item])
    assert "\x00" not in text
    assert text.encode().decode() == text


@given(FRAMES)
def test_the_same_frame_gives_the_same_record(item: Frame) -> None:
    first, again = frames.message(item, "caudal/toy"), frames.message(frames.load(frames.dump([item]))[0], "caudal/toy")
    assert first == again
    assert (first.value is None) == (item.value is None)


@given(st.binary(max_size=60), st.lists(st.tuples(st.sampled_from(["traceparent", "ce_id"]), st.binary(max_size=60))))
def test_what_others_write_into_their_headers_cannot_break_a_frame(
    value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    envelope = codec.read(source_topic("site"), b"k", value or b"x", headers, "2026-03-02")
    event = Outgoing(PEOPLE_CHANGED, "person.changed", "ana", "id", 1, "{}", None)
    item = frame(event, envelope.traceparent)
    assert frames.load(frames.dump([item])) == [item]


@pytest.mark.parametrize("letter", ["x", "ñ", "\U0001f30a"])
def test_an_event_that_its_topic_would_not_take_is_refused_before_it_is_kept(letter: str) -> None:
    room = PEOPLE_CHANGED.max_bytes // len(letter.encode())
    fits, too_large = letter * (room - 10_000), letter * room
    event = Outgoing(PEOPLE_CHANGED, "person.changed", "ana", "id", 1, fits, None)
    assert frame(event, None).value == fits
    with pytest.raises(TooLarge, match=r"person\.changed id does not fit on people\.changed\.v1"):
        frame(Outgoing(PEOPLE_CHANGED, "person.changed", "ana", "id", 1, too_large, None), None)
