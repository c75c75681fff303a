"""One beat as the page shows it: texts, paths of drawings and fragments of HTML, each under the id of its element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.analytics.console import shapes
from services.analytics.console.live import STAGES, rate
from services.analytics.console.pages import Pages
from services.analytics.console.pulse import Beat
from services.analytics.console.words import Tongue
from services.analytics.contribution import BOUNDS_MS
from services.analytics.reports.speed import percentile

LATE = 1_000
VERY_LATE = 20_000
BUCKETS_SHOWN = BOUNDS_MS[:-1]


def shown(beat: Beat, tongue: Tongue, pages: Pages) -> dict[str, dict[str, str]]:
    """Everything on the live page that moves: `text`, `path` and `html` by element id, `level` by stage card."""
    live = beat.live
    waits, note = _waits(beat, tongue)
    text = {
        "clock": f"{live.at:%H:%M:%S}",
        "speed-p50": tongue.duration(percentile(waits, 0.5)), "speed-p99": tongue.duration(percentile(waits, 0.99)),
        "speed-note": note, "today-n": tongue.number(live.today.received),
        "dead-n": tongue.number(live.dead_kept),
    }  # fmt: skip
    path = {"speed-bars": shapes.bars([waits.get(upto, 0) for upto in BUCKETS_SHOWN], 560, 64)}
    level = {}
    for stage in STAGES:
        series = live.series[stage]
        text[f"rate-{stage}"] = tongue.number(rate(series), 1)
        text[f"lag-{stage}"] = _lag(stage, beat.lags, tongue)
        path[f"line-{stage}"], path[f"area-{stage}"] = shapes.line(series), shapes.area(series)
        level[f"stage-{stage}"] = _level(stage, beat.lags)
    html = {
        name: pages.fragment(name, tongue, live=live)
        for name in ("today", "funnel", "dead", "latest")
    }  # fmt: skip
    return {"text": text, "path": path, "html": html, "level": level}


def _waits(beat: Beat, tongue: Tongue) -> tuple[Mapping[int, int], str]:
    recent = sum(beat.waits.values())
    if recent:
        span = tongue.duration(max(1.0, beat.window_s) * 1000)
        return beat.waits, tongue.t("window_recent", n=tongue.number(recent), span=span)
    total = sum(beat.live.waits.values())
    return beat.live.waits, tongue.t("window_today" if total else "window_empty", n=tongue.number(total))


def _lag(stage: str, lags: Mapping[str, int], tongue: Tongue) -> str:
    if stage == "intake":
        return tongue.t("no_lag")
    if stage not in lags:
        return tongue.t("lag_unknown")
    return f"{tongue.number(lags[stage])} {tongue.t('lag_some')}" if lags[stage] else tongue.t("lag_none")


def _level(stage: str, lags: Mapping[str, int]) -> str:
    behind: Any = 0 if stage == "intake" else lags.get(stage)
    if behind is None:
        return "unknown"
    return "ok" if behind < LATE else "late" if behind < VERY_LATE else "very-late"
