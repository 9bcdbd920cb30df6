"""The mapping engine: a pack's SQL, compiled to Python that maintains its answer row by row."""

from pipeline.query.ddl import catalog_of
from pipeline.query.engine import Amount, Engine, View, compile_source
from pipeline.query.place import MappingText
from pipeline.query.tables import TableFold
from pipeline.query.values import BadValueError

__all__ = ["Amount", "BadValueError", "Engine", "MappingText", "TableFold", "View", "catalog_of", "compile_source"]
