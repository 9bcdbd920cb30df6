"""Java programs of the stack: which JDK, which jars, which flags."""

import os
import re
import subprocess
from pathlib import Path

from infra.stack.part import INSTALL
from infra.stack.site import DOWNLOADS
from pipeline.domain.errors import NotReadyError

JARS = DOWNLOADS / "jars"
OLDEST = 17  # what Kafka 4 runs on, and what is tested
# the first compiler tier only: ready sooner, slower when hot, so never in benchmarks
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
LOGGED = ("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
# UsePerfData would write to /tmp/hsperfdata for jps, which nobody asks
ALWAYS = ("-Xms64m", "-XX:-UsePerfData", "-Djava.awt.headless=true", *LOGGED)


def java_command(main: str, *arguments: str, heap: str, fast: bool, metrics: str = "") -> list[str]:
    """The command that runs a class of Kafka's jars; `heap`: -Xmx's value, `metrics`: what the JMX exporter is told."""
    jars = JARS / "kafka"
    if not jars.is_dir():
        raise NotReadyError(f"Kafka's jars are not in {jars}", INSTALL)
    flags = [f"-Xmx{heap}", *ALWAYS, *(QUICK_START if fast else ()), *([_agent(metrics)] if metrics else [])]
    return [_java(), *flags, "-cp", f"{jars}/*", main, *arguments]


def _agent(told: str) -> str:
    jar = JARS / "agent/jmx_prometheus_javaagent.jar"
    if not jar.exists():
        raise NotReadyError(f"the JMX exporter is not at {jar}", INSTALL)
    return f"-javaagent:{jar}={told}"


def _java() -> str:
    """A JDK of the tested version, else JAVA_HOME's or the PATH's when it is new enough."""
    tested = [str(path / "bin/java") for path in sorted(Path("/usr/lib/jvm").glob(f"*{OLDEST}*"))]
    home = os.environ.get("JAVA_HOME")
    for java in (*tested, *([f"{home}/bin/java"] if home else []), "java"):
        if _version(java) >= OLDEST:
            return java
    raise NotReadyError(f"no Java {OLDEST} or newer is installed", INSTALL)


def _version(java: str) -> int:
    """The major version; 0 when it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    number = re.search(r'version "(\d+)', said)
    return int(number[1]) if number else 0
