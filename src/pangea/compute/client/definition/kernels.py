"""A job whose `execute` is a kernel: what its decorator says, what travels, and how it runs in this process.

    @Job.execute(kernel="float64[:], float64 -> float64[:]")
    def execute(values, factor): ...

`split` and `merge` stay Python: chunks of split are the kernel's arguments (a tuple, if there are several), and merge is given
its results, arrays or numbers. Without a split the kernel takes one array, and the input is cut between its rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

from pangea.compute.capture.functions import name_of, place_of
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.kinds import Kinds
from pangea.compute.model.signatures import KernelSignature

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Kernel:
    """An execute function that is to be compiled.

    Attributes:
        function: it.
        signature: its types.
        samples: arguments that its author has its module checked with.
    """

    function: Callable[..., Any]
    signature: KernelSignature
    samples: tuple[Any, ...] = ()

    @classmethod
    def of(cls, function: Function, signature: object, samples: Iterable[Any] = ()) -> Kernel:
        """Read the signature, and see that the function fits it.

        Raises:
            JobDefinitionError: it is no plain function of as many arguments, or the signature isn't understood.
        """
        parsed = KernelSignature.parse(signature)
        if not isinstance(function, FunctionType) or inspect.isgeneratorfunction(function):
            raise JobDefinitionError(f"a kernel is a plain function, not {name_of(function)}", option="kernel")
        parameters = inspect.signature(function).parameters.values()
        if len(parameters) != len(parsed.takes) or any(each.kind is not each.POSITIONAL_OR_KEYWORD for each in parameters):
            raise JobDefinitionError(
                f"{name_of(function)} ({place_of(function)}) takes {len(parameters)} arguments, its kernel={str(parsed)!r}"
                f" {len(parsed.takes)}",
                hint="one parameter for each type, without * and **",
                option="kernel",
            )
        return cls(function, parsed, tuple(samples))

    def check_input(self, *, has_split: bool) -> None:
        """See that somebody makes the arguments.

        Raises:
            JobDefinitionError: there is no split, and the kernel takes something else than one array.
        """
        takes = self.signature.takes
        if not has_split and (len(takes) > 1 or not takes[0].dimensions):
            raise JobDefinitionError(
                f"{name_of(self.function)} ({place_of(self.function)}) is a kernel of {', '.join(map(str, takes))}, and the job"
                " has no split that makes these",
                hint="add @Job.split: each chunk that it returns is a tuple of the arguments",
                option="kernel",
            )

    @property
    def module(self) -> bytes:
        """The WebAssembly module, built and checked, or from the cache.

        Raises:
            UnavailableError: what builds it isn't installed.
            JobDefinitionError: it can't be built, or differs from native Numba.
        """
        from pangea.compute.kernels.building import build

        return build(self.function, self.signature, self.samples)

    @cached_property
    def native(self) -> Function:
        """The kernel as a function of a chunk, natively.

        Raises:
            UnavailableError: what builds it isn't installed.
            JobDefinitionError: Numba can't compile it.
        """
        from pangea.compute.kernels.reference import read, reference

        call = reference(self.function, self.signature)
        return lambda chunk: call(*read(chunk, self.signature))

    def around(
        self, functions: Mapping[str, Function], kinds: Mapping[str, Kinds]
    ) -> tuple[dict[str, Function], dict[str, Kinds]]:
        """The functions beside it as they travel, and their kinds: split makes arguments, merge is given numbers."""
        from pangea.compute.kernels.chunks import (  # what reads arrays: jobs without kernels need none
            with_arguments,
            with_numbers,
        )

        found, taken = {}, {}
        if split := functions.get("split"):
            short = tuple((each.descr, each.dimensions, str(each)) for each in self.signature.takes)
            found["split"], taken["split"] = with_arguments(split, short), (kinds["split"][0], "bytes")
        if merge := functions.get("merge"):
            found["merge"] = merge if self.signature.returns.dimensions else with_numbers(merge)
            taken["merge"] = kinds["merge"]
        return found, taken
