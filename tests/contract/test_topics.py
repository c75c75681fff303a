"""Laws of the topic catalogue (DESIGN §3)."""

import re

import pytest

from schemas.events import activities, assignments, event, leads, operations, outcomes, people, touches
from schemas.messages import TOPICS
from schemas.topics import ALL, CATALOGUE, DAY_MS, DEADLETTERS, all_topics

NAME = re.compile(r"[a-z]+(\.([a-z]+|\{[a-z]+\}))*\.v[1-9][0-9]*")
OUTSIDE = {"command line", "console", "operations", "CRMs", "{source}", "{destination}"}
by_name = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def event_models() -> set[type]:
    families = (activities, assignments, leads, operations, outcomes, people, touches)
    found = {value for family in families for value in vars(family).values() if getattr(value, "types", ())}
    return {model for model in found if model is not event.Event}


@by_name
def test_names_are_lower_case_words_with_dots_and_the_version_last(topic) -> None:
    assert NAME.fullmatch(topic.name)


def test_no_two_topics_share_a_name() -> None:
    names = [topic.name for topic in all_topics(("ads", "fairs"), ("crm", "north"))]
    assert len(names) == len(set(names)) == len(CATALOGUE) + 2 + 4


@by_name
def test_writers_and_readers_are_known_and_some_party_is_ours(topic) -> None:
    assert topic.writers
    assert topic.readers
    assert {*topic.writers, *topic.readers} <= {*ALL} | OUTSIDE
    assert {*topic.writers, *topic.readers} & {*ALL}


@by_name
def test_beside_analytics_one_service_reads_a_raw_topic(topic) -> None:
    if ".received." in topic.name or topic.foreign:
        assert len({*topic.readers} - {"analytics"}) == 1


def test_every_event_model_is_on_a_topic_and_every_type_on_the_models_that_declare_it() -> None:
    assert {model for topic in TOPICS for model in topic.models} == event_models()
    for topic in TOPICS:
        declared = [event_type for model in topic.models for event_type in model.types]
        assert len(declared) == len(set(declared)), f"two models of {topic.name} claim one type"
        assert list(topic.events) == declared


def test_one_type_means_one_model_but_for_reports_not_yet_judged() -> None:
    models: dict[str, set[type]] = {}
    for model in event_models():
        for event_type in model.types:
            models.setdefault(event_type, set()).add(model)
    shared = {event_type: found for event_type, found in models.items() if len(found) > 1}
    assert shared == {name: {outcomes.Outcome, outcomes.OutcomeReport} for name in outcomes.OUTCOMES}


@by_name
def test_types_are_past_facts_in_lower_case_without_a_version(topic) -> None:
    for event_type in topic.events:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", event_type)


@by_name
def test_compacted_topics_compact_after_seven_days_and_before_eight(topic) -> None:
    settings = topic.config()
    lags = settings.get("min.compaction.lag.ms"), settings.get("max.compaction.lag.ms")
    assert lags == ((str(7 * DAY_MS), str(8 * DAY_MS)) if topic.compacted else (None, None))
    assert (settings["cleanup.policy"] == "compact") is topic.compacted
    if topic.compacted:
        assert int(settings["delete.retention.ms"]) >= 7 * DAY_MS
        assert settings["retention.ms"] == "-1"


@by_name
def test_personal_data_leave_event_topics_within_fourteen_days(topic) -> None:
    without_persons = {"people.erasures.v1", "campaigns.results.v1", "rules.published.v1", "insights.alerts.v1"}
    if not topic.compacted and topic.name not in without_persons:
        assert topic.config()["retention.ms"] == str(14 * DAY_MS)


@by_name
def test_broker_time_rules_and_segments_close_daily(topic) -> None:
    settings = topic.config()
    assert settings["message.timestamp.type"] == "LogAppendTime"
    assert settings["segment.ms"] == str(DAY_MS)


def test_dead_letters_outlive_the_topics_with_persons_and_hold_their_largest_record() -> None:
    assert DEADLETTERS.retention_days is not None
    for topic in TOPICS:
        if ".received." in topic.name or topic.foreign:
            assert DEADLETTERS.retention_days >= (topic.retention_days or 0)
        if topic is not DEADLETTERS:
            assert DEADLETTERS.max_bytes >= 2 * topic.max_bytes
