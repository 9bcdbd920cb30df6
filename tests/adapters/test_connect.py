"""The connector's configuration, as Debezium and Kafka Connect will read it."""

import re

from pipeline.adapters.connect import connector_config
from pipeline.settings import Kafka, Source

PLAIN = Kafka()
CAPTURED = {"public.move": ("id", "qty"), "public.move_line": ("id",), "stock.item$x": ("id", "code")}


def config(broker: Kafka = PLAIN, **settings: object) -> dict[str, str]:
    given = {"name": "erp_1", "pack": "p", "database": "postgresql://cdc@db:5433/erp?sslmode=verify-full"} | settings
    return connector_config(broker, Source.model_validate(given), CAPTURED)


def test_captured_columns_and_no_others() -> None:
    patterns = [re.compile(p) for p in config()["column.include.list"].split(",")]
    for column in ("public.move.id", "public.move.qty", "public.move_line.id", "stock.item$x.code"):
        assert any(p.fullmatch(column) for p in patterns)
    for column in ("public.move.cost", "publicxmove.id", "public.move_line.qty", "other.public.move.id"):
        assert not any(p.fullmatch(column) for p in patterns)
    tables = [re.compile(p) for p in config()["table.include.list"].split(",")]
    assert not any(t.fullmatch("publicxmove") for t in tables)


def test_every_kind_of_record_goes_to_the_log() -> None:
    given = config()
    assert re.fullmatch(given["transforms.rows.topic.regex"], "onhand.erp_1.stock.item_x")
    assert not re.fullmatch(given["transforms.rows.topic.regex"], "onhandxerp_1.public.move")
    for name, topic in (
        ("tx", "onhand.erp_1.transaction"),
        ("heartbeat", "__debezium-heartbeat.onhand.erp_1"),
        ("message", "onhand.erp_1.message"),
    ):
        assert re.fullmatch(given[f"predicates.is_{name}.pattern"], topic)
        assert not re.fullmatch(given[f"predicates.is_{name}.pattern"], topic.replace(".", "x"))
        assert given[f"transforms.{name}.replacement"] == "onhand.erp_1.log"
        assert not re.fullmatch(given["transforms.rows.topic.regex"], topic)
    assert given["transforms"].endswith(",hoist")


def test_the_password_is_a_placeholder() -> None:
    assert "database.password" not in config()
    assert config(password_file="/run/secrets/erp")["database.password"] == "${dir:/run/secrets:erp}"
    assert config(connect_password="${env:PW}", password="x")["database.password"] == "${env:PW}"
    assert "hush" not in str(config(password="hush"))


def test_the_database_address() -> None:
    given = config()
    assert (given["database.hostname"], given["database.port"], given["database.dbname"]) == ("db", "5433", "erp")
    assert (given["database.user"], given["database.sslmode"]) == ("cdc", "verify-full")
    assert (given["slot.name"], given["publication.name"]) == ("onhand_erp_1", "onhand")


def test_mariadb_is_captured_into_the_same_log() -> None:
    given = config(database="mariadb://cdc@db/erp", password_file="/run/secrets/erp")
    assert (given["connector.class"].rpartition(".")[2], given["database.port"]) == ("MariaDbConnector", "3306")
    assert given["database.password"] == "${dir:/run/secrets:erp}"
    assert given["schema.history.internal.kafka.topic"] == "onhand.erp_1.schema"
    assert not any(name.startswith(("slot.", "publication.", "heartbeat.action")) for name in given)
    assert (given["predicates"], given["transforms.rows.topic.replacement"]) == (
        "is_tx,is_heartbeat",
        "onhand.erp_1.log",
    )
    other = config(database="mariadb://cdc@db/erp", server_id=77)
    assert (other["database.server.id"], given["database.server.id"].isdecimal()) == ("77", True)
    login = {"sasl_username": "onhand", "sasl_password": "hush", "sasl_password_file": "/run/secrets/kafka"}
    secured = Kafka.model_validate({"security_protocol": "SASL_SSL", "ssl_cafile": "/etc/ca.pem", **login})
    given = config(secured, database="mariadb://cdc@db/erp")
    assert given["schema.history.internal.consumer.ssl.truststore.location"] == "/etc/ca.pem"
    jaas = given["schema.history.internal.producer.sasl.jaas.config"]
    assert 'username="onhand" password="${dir:/run/secrets:kafka}"' in jaas
    assert "hush" not in str(given)
