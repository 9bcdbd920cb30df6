"""cases.yaml: what a pack's queries must yield, change by change, tried on the engine as the log feeds it."""

from pipeline.cases.file import CaseFile, read
from pipeline.cases.run import Failure, Runner

__all__ = ["CaseFile", "Failure", "Runner", "read"]
