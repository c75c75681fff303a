"""Plays sent by an unmodified tracking SDK: `python tracking.py MODULE < plays.json`; prints what each was told.

A play is `{"key", "host", "gzip", "events"}`, an event `{"call", "id", "email"}`. All plays run at the same time, each
with a client of its own.
"""

import importlib
import json
import sys
from typing import Any

CLIENT = importlib.import_module(f"{sys.argv[1]}.client").Client


def begun(play: dict[str, Any], told: list[str]) -> Any:
    """A client that was handed every event of the play, and sends them beside us."""
    client = CLIENT(
        play["key"], host=play["host"], gzip=play["gzip"], upload_size=4, max_retries=3,
        on_error=lambda why, _: told.append(str(why)),
    )  # fmt: skip
    for event in play["events"]:
        if event["call"] == "track":
            client.track(event["id"], "Lead Submitted", {"email": event["email"]}, message_id=event["id"])
        else:
            client.identify(event["id"], {"email": event["email"]}, message_id=event["id"])
    return client


plays = json.load(sys.stdin)
told: list[list[str]] = [[] for _ in plays]
for client in [begun(play, answers) for play, answers in zip(plays, told, strict=True)]:
    client.flush()
json.dump(told, sys.stdout)
