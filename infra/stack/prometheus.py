"""Prometheus with onhand's rules and Alertmanager with its routes: the shipped settings, with the stack's addresses."""

from collections.abc import Sequence
from typing import Any, ClassVar

import yaml

from infra.stack.part import Part, answers, program
from infra.stack.site import ROOT, Site

SHIPPED = ROOT / "infra/prometheus"
INTERVAL = "2s"
AT_ONCE = {"group_wait": "1s", "group_interval": "2s"}


class Prometheus(Part):
    """Scrapes the worker and itself, evaluates the rules; with `monitoring` scrapes and tells all that is shipped."""

    name: ClassVar[str] = "prometheus"

    @property
    def url(self) -> str:
        """The API's and the pages'."""
        return f"http://{self.host}:{self.port}"

    def commands(self) -> Sequence[Sequence[str]]:
        """One settings file."""
        settings = self.home / "prometheus.yml"
        settings.write_text(yaml.safe_dump(self._settings()))
        data, address = f"--storage.tsdb.path={self.home / 'data'}", f"--web.listen-address={self._at(self.name)}"
        return [[program("prometheus"), f"--config.file={settings}", data, address]]

    def _settings(self) -> dict[str, Any]:
        """Those shipped; a job that this site does not have is left out."""
        told, ports = _shipped("prometheus.yml"), _scraped(self.site)
        told["global"] = dict.fromkeys(told["global"], INTERVAL)
        told["rule_files"] = [str(SHIPPED / pattern) for pattern in told["rule_files"]]
        told["scrape_configs"] = [
            {"job_name": job["job_name"], "static_configs": [{"targets": [self._at(ports[job["job_name"]])]}]}
            for job in told["scrape_configs"]
            if job["job_name"] in ports
        ]
        alertmanagers = [{"static_configs": [{"targets": [self._at("alertmanager")]}]}] if self.site.monitoring else []
        return told | {"alerting": {"alertmanagers": alertmanagers}}

    def is_ready(self) -> bool:
        """Its own word."""
        return answers(f"{self.url}/-/ready")

    def _at(self, port: str) -> str:
        return f"{self.host}:{self.site.port(port)}"


class Alertmanager(Part):
    """Takes what Prometheus fires, at once; without gossip, which would listen on every interface."""

    name: ClassVar[str] = "alertmanager"

    @property
    def url(self) -> str:
        """The API's and the pages'."""
        return f"http://{self.host}:{self.port}"

    @property
    def receivers_port(self) -> int:
        """The port held for who wants to be told: each receiver is sent to /NAME there. Nobody listens by default."""
        return self.site.port("alert-receivers")

    def commands(self) -> Sequence[Sequence[str]]:
        """One settings file."""
        settings = self.home / "alertmanager.yml"
        settings.write_text(yaml.safe_dump(self._settings()))
        address = f"--web.listen-address={self.host}:{self.port}"
        data = f"--storage.path={self.home / 'data'}"
        server = program("prometheus-alertmanager")
        return [[server, f"--config.file={settings}", data, address, "--cluster.listen-address="]]

    def _settings(self) -> dict[str, Any]:
        told = _shipped("alertmanager.yml")
        for receiver in told["receivers"]:
            receiver["webhook_configs"] = [{"url": f"http://{self.host}:{self.receivers_port}/{receiver['name']}"}]
        return told | {"route": told["route"] | AT_ONCE}

    def is_ready(self) -> bool:
        """Its own word."""
        return answers(f"{self.url}/-/ready")


def _scraped(site: Site) -> dict[str, str]:
    """Scrape jobs, and the names under which the site holds their ports."""
    ports = {"onhand": "metrics", "prometheus": "prometheus"}
    if site.monitoring:
        ports |= {"onhand-verify": "verify", "onhand-connect": "connect-metrics", "onhand-redis": "redis-exporter"}
    return ports


def _shipped(file: str) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((SHIPPED / file).read_text())
    return told
