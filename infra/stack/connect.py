"""Kafka Connect with Debezium's connectors."""

from collections.abc import Sequence
from typing import ClassVar

from infra.stack.java import JARS, java_command
from infra.stack.part import Part, answers
from infra.stack.site import ROOT

METRICS = ROOT / "infra/prometheus/connect-metrics.yml"
# Secrets reach connectors as ${file:..}, ${dir:..} of the stack's own folder or ${env:ONHAND_..} only.
# A killed worker's tasks are handed on after the session timeout: 6 s, where Connect would wait 10 + 300.
SETTINGS = """\
bootstrap.servers={bootstrap}
group.id=connect
client.id=connect
listeners=http://{host}:{port}
rest.advertised.host.name={host}
config.storage.topic=_connect_configs
offset.storage.topic=_connect_offsets
status.storage.topic=_connect_status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=1
status.storage.partitions=1
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
plugin.path={plugins}
plugin.discovery=service_load
offset.flush.interval.ms=1000
session.timeout.ms=6000
heartbeat.interval.ms=2000
scheduled.rebalance.max.delay.ms=0
config.providers=env,file,dir
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
config.providers.env.param.allowlist.pattern=ONHAND_.*
config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
config.providers.file.param.allowed.paths={secrets}
config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider
config.providers.dir.param.allowed.paths={secrets}
"""


class Connect(Part):
    """One Connect worker; with `monitoring` its and Debezium's metrics are served to Prometheus."""

    name: ClassVar[str] = "connect"
    needs: ClassVar[tuple[str, ...]] = ("kafka",)

    @property
    def url(self) -> str:
        """The REST API's."""
        return f"http://{self.host}:{self.port}"

    def commands(self) -> Sequence[Sequence[str]]:
        """One settings file."""
        settings = self.home / "connect.properties"
        settings.write_text(
            SETTINGS.format(
                bootstrap=f"{self.host}:{self.site.port('kafka')}",
                host=self.host,
                port=self.port,
                plugins=JARS / "plugins",
                secrets=self.site.secrets,
            )
        )
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        metrics = f"{self.host}:{self.site.port('connect-metrics')}:{METRICS}" if self.site.monitoring else ""
        return [java_command(main, str(settings), heap="1g", fast=self.site.fast_jvm, metrics=metrics)]

    def is_ready(self) -> bool:
        """The worker has joined its group and read its topics."""
        return answers(f"{self.url}/health")
