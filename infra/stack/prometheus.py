"""Prometheus with onhand's rules, and Alertmanager for who wants to see them routed."""

from collections.abc import Sequence
from string import Template
from typing import ClassVar

from infra.stack.part import Part, answers, program
from infra.stack.site import ROOT

RULES = ROOT / "infra/prometheus"
# Alerts end here: the local stack shows them, it tells nobody.
ALERTMANAGER_SETTINGS = """\
route: {receiver: shown, group_by: [alertname, source], group_wait: 1s, group_interval: 5s, repeat_interval: 1h}
receivers: [{name: shown}]
"""


class Prometheus(Part):
    """Scrapes the worker's metrics and evaluates the rules."""

    name: ClassVar[str] = "prometheus"

    @property
    def url(self) -> str:
        """The API's and the pages'."""
        return f"http://{self.host}:{self.port}"

    def commands(self) -> Sequence[Sequence[str]]:
        """Settings from the template in infra/prometheus."""
        settings = self.home / "prometheus.yml"
        template = Template((RULES / "prometheus.yml.template").read_text())
        settings.write_text(
            template.substitute(
                rules=RULES / "onhand.rules.yml",
                worker=f"{self.host}:{self.site.port('metrics')}",
                alertmanager=f"{self.host}:{self.site.port('alertmanager')}",
            )
        )
        address = f"--web.listen-address={self.host}:{self.port}"
        data = f"--storage.tsdb.path={self.home / 'data'}"
        return [[program("prometheus"), f"--config.file={settings}", data, address]]

    def is_ready(self) -> bool:
        """Its own word."""
        return answers(f"{self.url}/-/ready")


class Alertmanager(Part):
    """Takes what Prometheus fires; without gossip, which would listen on every interface."""

    name: ClassVar[str] = "alertmanager"

    @property
    def url(self) -> str:
        """The API's and the pages'."""
        return f"http://{self.host}:{self.port}"

    def commands(self) -> Sequence[Sequence[str]]:
        """One settings file."""
        settings = self.home / "alertmanager.yml"
        settings.write_text(ALERTMANAGER_SETTINGS)
        address = f"--web.listen-address={self.host}:{self.port}"
        data = f"--storage.path={self.home / 'data'}"
        server = program("prometheus-alertmanager")
        return [[server, f"--config.file={settings}", data, address, "--cluster.listen-address="]]

    def is_ready(self) -> bool:
        """Its own word."""
        return answers(f"{self.url}/-/ready")
