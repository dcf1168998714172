"""Compare a kernel's module with native Numba on sample data, bit for bit; what differs is refused.

The module runs as it will run: in a sandbox of this machine's engine. What it can't finish there, for want of fuel or memory,
isn't compared; what fails must fail alike. NaNs count as equal: a machine may write any, a module writes one.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from typing import Any

from pangea.compute.capture.functions import name_of, place_of
from pangea.compute.engine.cache import RefusedError
from pangea.compute.engine.engines import embedded
from pangea.compute.engine.failures import error_of
from pangea.compute.engine.task import Guest, Task
from pangea.compute.kernels.backend import said_of
from pangea.compute.kernels.reference import reference, written
from pangea.compute.kernels.samples import Sample, samples
from pangea.compute.model import frames
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.libraries import need
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Outcome
from pangea.compute.model.signatures import KernelSignature

#: Of one sample. A count of loops may be a number at the edge: then the module stops here, and native code isn't started.
_LIMITS = Limits(fuel=200_000_000)
_SECONDS_MAX = 120.0
#: Ends that say nothing of the kernel: it takes more than a sample is worth.
_NOT_COMPARED = {FailureKind.OUT_OF_FUEL, FailureKind.OUT_OF_MEMORY, FailureKind.RESULT_TOO_LARGE, FailureKind.TIMED_OUT}


def check(wasm: bytes, function: Callable[..., Any], signature: KernelSignature, own: Sequence[Any]) -> int:
    """Compare; the number of samples whose results were equal.

    Args:
        wasm: the module.
        function: what it was made of.
        signature: its types.
        own: the author's sample arguments.

    Raises:
        JobDefinitionError: a result differs, names the sample; or no sample came to an end.
        BadModuleError: the engine doesn't take the module.
    """
    native = reference(function, signature)
    given = samples(signature, own)
    equal = 0
    for sample, outcome in zip(given, _outcomes(wasm, [_chunk(each, signature) for each in given]), strict=True):
        if isinstance(outcome, Failure) and outcome.kind in _NOT_COMPARED:
            continue
        if (found := _said(outcome, signature)) is None:
            continue
        expected = _native(native, sample, outcome)
        if found != expected:
            raise JobDefinitionError(
                f"{_place(function)} isn't used as a kernel: on a sample ({sample.name}) the module gives"
                f" {_shown(found)}, and native Numba {_shown(expected)}",
                hint="leave kernel= out to run it as Python; NaN or too large a number, converted to an integer, may differ",
                option="kernel",
            )
        equal += isinstance(found, bytes)
    if not equal:
        raise JobDefinitionError(
            f"{_place(function)} can't be checked as a kernel: it gives a result for none of {len(given)} samples",
            hint="give it arguments that it takes: @Job.execute(kernel=..., samples=[(array, number), ...])",
            option="samples",
        )
    return equal


def _place(function: Callable[..., Any]) -> str:
    return f"{name_of(function)} ({place_of(function)})"


def _chunk(sample: Sample, signature: KernelSignature) -> bytes:
    numpy, file = need("numpy", "a kernel's sample data"), io.BytesIO()
    for value, type_ in zip(sample.arguments, signature.takes, strict=True):
        numpy.lib.format.write_array(file, numpy.asarray(value, type_.descr), version=(1, 0))
    return file.getvalue()


def _outcomes(wasm: bytes, chunks: Sequence[bytes]) -> list[Outcome]:
    engine, _ = embedded.engine()
    guest = Guest(hashlib.sha256(wasm).hexdigest(), b"", _LIMITS)
    try:
        engine.prepare(guest.module, _LIMITS, lambda: wasm, lambda: None)
    except RefusedError as error:
        raise error_of(error.failure, function="compile", chunk_index=None) from None
    futures = [engine.submit(Task(guest, "execute", 1, [frames.pack([chunk])])) for chunk in chunks]
    return [each.result(_SECONDS_MAX) for each in futures]


def _said(outcome: Outcome, signature: KernelSignature) -> bytes | str | None:
    """A result, or why there is none; None for one that NumPy doesn't hold: an array without items, and of 2⁶³ - 1 columns."""
    if isinstance(outcome, Failure):
        return outcome.traceback if outcome.kind is FailureKind.GUEST_ERROR else outcome.message
    numpy = need("numpy", "a kernel's sample data")
    (result,) = frames.unpack(outcome.results)
    try:
        values = numpy.lib.format.read_array(io.BytesIO(result))
    except ValueError:
        return None
    return written(values, signature.returns)


def _native(native: Callable[..., bytes], sample: Sample, outcome: Outcome) -> bytes | str:
    if isinstance(outcome, Failure) and outcome.kind is not FailureKind.GUEST_ERROR:
        return "isn't asked, as it might end this process"
    try:
        return native(*(each.copy() for each in sample.arguments))
    except Exception as error:  # whatever the kernel raises
        return said_of(type(error), error.args)


def _shown(said: bytes | str) -> str:
    if isinstance(said, str):
        return said
    numpy = need("numpy", "a kernel's sample data")
    values = numpy.lib.format.read_array(io.BytesIO(said))
    text = numpy.array2string(values, threshold=8, edgeitems=3, floatmode="unique", separator=", ")
    return " ".join(text.split())
