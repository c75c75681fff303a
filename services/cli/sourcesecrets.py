"""The file of the sources' secrets, written for its owner alone; intake reads it within a second."""

from __future__ import annotations

import json
import os
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from deploy.embedded.errors import disk_errors
from deploy.embedded.home import write_private
from services.cli.configured import configured
from services.cli.installation import home
from services.intake.settings import IntakeSettings
from services.intake.sources.source import Source
from services.runtime.errors import CaudalError

PARTS = ("secret", "verify", "token")
Values = dict[str, dict[str, list[str]]]


class SecretsUnreadable(CaudalError):
    """The file of secrets is there and cannot be read: it is not written over."""


def secrets_file() -> Path:
    """Where the secrets are: as `CAUDAL_SOURCE_SECRETS` says, else in the installation's home."""
    named = configured(IntakeSettings, "source_secrets").source_secrets
    return Path(named).expanduser() if named else home() / "source-secrets.json"


def read_secrets(file: Path) -> Values:
    """All secrets by source and part, the newest first; none where there is no file."""
    try:
        with disk_errors(file):
            content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return {source: {part: _listed(values) for part, values in parts.items()} for source, parts in content.items()}
    except (ValueError, AttributeError) as error:
        said = f"{file} is not the JSON that it should be ({type(error).__name__}): mend it, or move it away"
        raise SecretsUnreadable(said) from error


def keep_secret(file: Path, source: str, part: str, value: str, only: bool = False) -> int:
    """Put a value first; the one before it stays valid, unless `only`. How many are valid now."""
    content = read_secrets(file)
    before = content.setdefault(source, {}).get(part, [])
    kept = [value, *(old for old in before[:1] if old != value and not only)]
    content[source][part] = kept
    with disk_errors(file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, json.dumps(content, indent=1))
    return len(kept)


def still_due(source: Source, kept: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The parts that this source cannot do without, and that are not kept yet."""
    needed = {
        "secret": source.kind == "http" and source.signature is not None,
        "verify": source.protocol == "meta",
        "token": source.hydrate is not None,
    }
    return tuple(part for part in PARTS if needed[part] and not kept.get(part))


def new_secret(source: Source | None) -> str:
    """A fresh secret of 256 random bits, as its scheme writes them."""
    if source is not None and source.signature is not None and source.signature.scheme == "standard-webhooks":
        return "whsec_" + b64encode(os.urandom(32)).decode()
    return secrets.token_urlsafe(32)


def _listed(values: object) -> list[str]:
    if isinstance(values, str):
        return [values]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("not a list of texts")
    return values
