"""python -m infra.stack: the local stack by hand."""

import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from infra.stack import DEFAULT_PARTS, PARTS, Stack
from pipeline.domain.errors import OnhandError

EXAMPLES = """Examples:

  python -m infra.stack

  python -m infra.stack --parts postgres,redis
"""
talk = Console(stderr=True)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog=EXAMPLES)
def run(
    parts: Annotated[str, typer.Option(help=f"What to start, by commas: {', '.join(PARTS)}.")] = ",".join(
        DEFAULT_PARTS
    ),
    fast_jvm: Annotated[bool, typer.Option(help="Kafka and Connect start sooner but run slower when hot.")] = True,
    fsync: Annotated[
        bool, typer.Option(help="Let the databases flush to disk; without, a power cut loses data.")
    ] = True,
    monitoring: Annotated[
        bool, typer.Option(help="Prometheus also scrapes Connect, Redis and verify, and tells Alertmanager.")
    ] = False,
) -> None:
    """Start the servers onhand works with, on loopback, and keep them until Ctrl-C.

    Data and logs lie in a fresh folder below .onhand/stacks, which is deleted at the end.
    """
    with Stack(parts=parts.split(","), say=talk.print, fast_jvm=fast_jvm, fsync=fsync, monitoring=monitoring) as stack:
        Console().print(_addresses(stack))
        talk.print("running until Ctrl-C")
        try:
            while True:
                stack.check()
                time.sleep(1)
        except KeyboardInterrupt:
            talk.print("stopping")


def _addresses(stack: Stack) -> Table:
    table = Table("part", Column("address", overflow="fold"), "process", "log", title=str(stack.directory))
    address = {
        "postgres": stack.postgres.dsn,
        "mariadb": f"{stack.mariadb.host}:{stack.mariadb.port}",
        "kafka": stack.kafka.bootstrap,
        "connect": stack.connect.url,
        "redis": stack.redis.url,
        "prometheus": stack.prometheus.url,
        "alertmanager": stack.alertmanager.url,
        "redis-exporter": stack.redis_exporter.url,
    }
    for name in filter(stack.is_running, PARTS):
        table.add_row(name, address[name], str(stack.pid(name)), str(stack.logs[name].relative_to(stack.directory)))
    return table


def main() -> None:
    """Run the command; what a person can mend is shown without a traceback."""
    try:
        app()
    except OnhandError as error:
        talk.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
