"""Every metric, declared once. Labels hold configured names only, never an id, address or anything a sender writes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
_STEPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

INTAKE_REQUESTS = Counter(
    "caudal_intake_requests_total", "Requests by source and outcome.", ["source", "outcome"], registry=REGISTRY
)
INTAKE_DURATION = Histogram(
    "caudal_intake_request_duration_seconds", "Time to answer, the broker's acknowledgement included.", ["source"],
    buckets=_STEPS, registry=REGISTRY)  # fmt: skip
INTAKE_CAPPED = Counter(
    "caudal_intake_capped_total", "Leads refused because a cap of their source was full, by its period.",
    ["source", "per"], registry=REGISTRY)  # fmt: skip
STAGE_RECORDS = Counter(
    "caudal_stage_records_total", "Records by what became of them: emitted, taken, dropped, dead, duplicate, waiting.",
    ["stage", "outcome"], registry=REGISTRY)  # fmt: skip
STAGE_DURATION = Histogram(
    "caudal_stage_duration_seconds", "Time of one step of one batch.", ["stage", "step"], buckets=_STEPS,
    registry=REGISTRY)  # fmt: skip
STAGE_LAST = Gauge(
    "caudal_stage_last_processed_timestamp_seconds", "When the last batch was committed.", ["stage"], registry=REGISTRY
)
DLQ_RECORDS = Counter(
    "caudal_dlq_records_total", "Dead letters by reason.", ["stage", "reason"], registry=REGISTRY)  # fmt: skip
DROPPED = Counter(
    "caudal_dropped_records_total", "Business refusals by reason.", ["stage", "reason"], registry=REGISTRY
)
REBALANCES = Counter("caudal_rebalances_total", "Times the assignment changed.", ["stage"], registry=REGISTRY)
FENCED = Counter("caudal_fenced_total", "Times another owner was met.", ["stage"], registry=REGISTRY)
RESTORED = Counter(
    "caudal_compacted_corrections_total", "Stale keys of compacted topics that were written again.", ["stage"],
    registry=REGISTRY)  # fmt: skip
UNAVAILABLE = Counter(
    "caudal_dependency_failures_total", "Times the broker, the database or another dependency failed.",
    ["stage", "dependency"], registry=REGISTRY)  # fmt: skip
OUTBOX_RELAYED = Counter("caudal_outbox_relayed_total", "Events relayed from the outbox.", ["stage"], registry=REGISTRY)
CLOCK_FIRED = Counter("caudal_clock_fired_total", "Due rows worked off.", ["stage", "clock"], registry=REGISTRY)
CLOCK_FAILURES = Counter(
    "caudal_clock_failures_total", "Clock turns that failed.", ["stage", "clock"], registry=REGISTRY
)
CLOCK_PUT_OFF = Counter(
    "caudal_clock_put_off_total", "Due rows and calls that failed alone and were put off.", ["stage", "clock"],
    registry=REGISTRY)  # fmt: skip
HYDRATE_BACKLOG = Gauge(
    "caudal_hydrate_backlog_records", "Leads told by id that are not read from their source yet.", ["source"],
    registry=REGISTRY)  # fmt: skip
HYDRATE_OLDEST = Gauge(
    "caudal_hydrate_oldest_age_seconds", "How long the oldest of them waits.", ["source"], registry=REGISTRY
)
