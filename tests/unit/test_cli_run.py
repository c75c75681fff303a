"""`caudal run` says what it runs, where that is asked how it is, and how it ends."""

from pathlib import Path

import pytest

from deploy.embedded.process import Child
from services.cli.installation import Installation
from services.cli.ports import Ports
from services.cli.run import told, with_ports

HERE = Installation(
    Path("/home/of"), "broker:9092", "dbname=x", Ports(intake=8410, console=8420, mailbox=8430, smtp=25)
)
TWO = [Child("router-7-1", ("true",), {}), Child("router-7-2", ("true",), {})]


def test_two_workers_are_told_with_their_ports_and_logs() -> None:
    children = with_ports(TWO, HERE.ports)
    first, *each, last = told("router", children, HERE)
    assert first == "router: 2 processes on Kafka broker:9092"
    assert last == "Ctrl-C stops it"
    ports = [child.env["CAUDAL_HEALTH_PORT"] for child in children]
    assert len(set(ports)) == 2
    for child, port, line in zip(TWO, ports, each, strict=True):
        assert f"{child.name}  http://127.0.0.1:{port}/readyz  log /home/of/run/router-" in line


def test_a_health_port_of_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one worker alone: for several it is refused before."""
    monkeypatch.setenv("CAUDAL_HEALTH_PORT", "9100")
    assert [child.env["CAUDAL_HEALTH_PORT"] for child in with_ports(TWO[:1], HERE.ports)] == ["9100"]


@pytest.mark.parametrize(
    ("service", "where"),
    [("intake", "http://127.0.0.1:8410/readyz"), ("console", "http://127.0.0.1:8420/healthz"),
     ("mailbox", "http://127.0.0.1:8430/ ")],
)  # fmt: skip
def test_services_of_http_are_told_with_their_own_port(service: str, where: str) -> None:
    assert where in "\n".join(told(service, with_ports([Child(service, ("true",), {})], HERE.ports), HERE))
