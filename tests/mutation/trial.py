"""A process for each mutant: it puts the mutant in the function's place, and runs what calls the function."""

import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any, TypeVar

from tests.mutation.checks import Check
from tests.mutation.choice import selected
from tests.mutation.mutants import ROOT, Mutant

SECONDS = 2.0  # of CPU time a mutant
_ENDLESS = 10.0  # what is not done by then never is
_MEMORY = 4 << 30  # bytes of addresses
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """`found_by`: the check that failed, "" where none did; `seconds` of CPU time."""

    mutant: Mutant
    found_by: str
    seconds: float

    @property
    def timed_out(self) -> bool:
        return self.found_by == "time"


def try_out(mutant: Mutant, checks: Sequence[Check]) -> Outcome:
    chosen = selected(mutant, checks)

    def run() -> str:
        try:
            put_in_place(mutant)
        except SyntaxError:
            return "syntax"
        return next((check.name for check in chosen if _fails(check)), "")

    found_by, seconds = in_child(run, SECONDS)
    if found_by is None:
        found_by, _ = in_child(run, _ENDLESS)
    return Outcome(mutant, "time" if found_by is None else found_by, seconds)


def _fails(check: Check) -> bool:
    try:
        check.run()
    except BaseException:  # noqa: BLE001 -- a mutant may fail in any way
        return True
    return False


def put_in_place(mutant: Mutant) -> None:
    """Whoever holds the function, by whatever name, calls the mutant from now on."""
    function = _function(mutant)
    code = compile(mutant.code, str(ROOT / mutant.file), "exec")
    for name in mutant.function.split("."):
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    function.__code__ = code
    if function.__defaults__ or function.__kwdefaults__:
        _put_defaults(function, mutant)


def _put_defaults(function: FunctionType, mutant: Mutant) -> None:
    namespace: dict[str, Any] = {"__name__": function.__module__, "__file__": str(ROOT / mutant.file)}
    exec(compile(mutant.code, mutant.file, "exec"), namespace)
    twin = _plain(_found(namespace, mutant.function))
    function.__defaults__, function.__kwdefaults__ = twin.__defaults__, twin.__kwdefaults__


def _function(mutant: Mutant) -> FunctionType:
    module = import_module(mutant.file.removesuffix(".py").replace("/", "."))
    return _plain(_found(vars(module), mutant.function))


def _found(namespace: Any, name: str) -> Any:
    first, _, rest = name.partition(".")
    return _found(vars(namespace[first]), rest) if rest else namespace[first]


def _plain(found: Any) -> FunctionType:
    """The function in a property, a class method, a cache."""
    for wrapper in ("fget", "__func__", "__wrapped__"):
        if (inner := getattr(found, wrapper, None)) is not None:
            return _plain(inner)
    return found


def in_child(run: Callable[[], T], seconds: float) -> tuple[T | None, float]:
    """What `run` returns in a process of its own, None where its CPU time ran out or it died; and its CPU time."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(run, seconds, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    _, _, usage = os.wait4(pid, 0)
    return pickle.loads(told) if told else None, usage.ru_utime + usage.ru_stime


def _child(run: Callable[[], Any], seconds: float, writer: int) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        told = pickle.dumps(run())
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(writer, told)
    finally:
        os._exit(0)
