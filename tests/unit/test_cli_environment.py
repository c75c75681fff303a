"""A setting that cannot be used is told in a sentence that names it, whoever would read it."""

import os

import pytest

from services.cli.environment import check_environment, check_listening
from services.runtime.errors import CaudalError, SettingsInvalid


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CAUDAL_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA", "broker"), ("POSTGRES", "my database"), ("KAFKA_PORT", "0"), ("POSTGRES_PORT", "65536"),
        ("KAFKA_HEAP", "zzz"), ("KAFKA_HEAP", "1m"), ("KAFKA_HEAP", "99999g"), ("INTAKE_PORT", "99999"),
        ("CONSOLE_PORT", "-1"), ("MAILBOX_PORT", "http"), ("SMTP_PORT", "65536"), ("SECRET", "short"),
        ("PARTITIONS", "0"), ("REPLICATION", "-1"), ("DESTINATIONS", "a b"), ("SOURCES", "a/b"),
        ("HEALTH_PORT", "70000"), ("BATCH", "many"), ("SESSION_TIMEOUT_MS", "1"), ("LOG_LEVEL", "loud"),
        ("INTAKE_IN_FLIGHT", "0"), ("INTAKE_WORKERS", "0"), ("SMTP_TLS", "yes"), ("SMTP_TIMEOUT_S", "0"),
        ("PUBLIC_URL", "leads"), ("MAIL_BATCH", "0"), ("MAIL_LEASE_S", "1"), ("MAIL_TEMPLATES", "/no/such/folder"),
    ],
)  # fmt: skip
def test_wrong_value_is_one_sentence_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CAUDAL_{name}", value)
    with pytest.raises(SettingsInvalid, match=rf"^CAUDAL_{name}[^\n]*\.$"):
        check_environment()


def test_defaults_and_everything_documented_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    check_environment()
    good = {
        "KAFKA": "a.example.com:9092,[::1]:9093", "POSTGRES": "postgresql://u:p@db.example.com/caudal",
        "KAFKA_HEAP": "1G", "SMTP_PORT": "0", "INTAKE_PORT": "0", "SECRET": "s" * 32, "DESTINATIONS": "crm, partner.es",
        "SOURCES": "", "LOG_LEVEL": "debug",
    }  # fmt: skip
    for name, value in good.items():
        monkeypatch.setenv(f"CAUDAL_{name}", value)
    check_environment()
    check_listening()


@pytest.mark.parametrize("name", ["SECRET", "POSTGRES"])
def test_secret_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"CAUDAL_{name}", "hush hush")
    with pytest.raises(SettingsInvalid) as told:
        check_environment()
    assert "hush" not in str(told.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"INTAKE_HOST": "192.0.2.1"}, "CAUDAL_INTAKE_HOST=192.0.2.1 is no address of this machine"),
        ({"CONSOLE_HOST": "no such"}, "CAUDAL_CONSOLE_HOST=no such is no address of this machine"),
        ({"HEALTH_PORT": "9000"}, "CAUDAL_HEALTH_PORT=9000 is for one worker alone"),
        ({"INTAKE_PORT": "9000", "KAFKA_PORT": "9000"}, "CAUDAL_KAFKA_PORT and CAUDAL_INTAKE_PORT are both 9000"),
    ],
)
def test_what_is_about_to_listen_has_an_address_and_a_port_of_its_own(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"CAUDAL_{name}", value)
    with pytest.raises(CaudalError, match=said):
        check_listening()
