"""How heavy is it, and who should do it? The mission's ComplexityScore, in predicted seconds.

    ComplexityScore = data_size × operation_weight / available_capacity

`data_size` is bytes, `operation_weight` core-seconds per byte, `available_capacity` free cores of this node: so the score is
the seconds this node would need by itself. Above the threshold it becomes manager, else worker.

The weight is a guess by kind of operation until the module was seen at work. From then on it is fuel per byte (exact: fuel is
deterministic) times this node's own seconds per unit of fuel (measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pangea.compute.model.packet import JobSpec
from pangea.compute.orchestrator.limits import THRESHOLD_SECONDS

#: Core-seconds per byte before anything is known. Measured on the Python guest with the examples' jobs: counting words takes
#: 8e-9 s per byte, parsing logs 1e-7; numeric work per byte is dearer the more it re-uses each byte.
OPERATION_WEIGHTS: dict[str, float] = {
    "": 1e-7,
    "byte_scan": 1e-8,
    "text_processing": 5e-8,
    "sort": 1e-7,
    "compression": 2e-7,
    "image_processing": 5e-7,
    "matrix_multiply": 1e-6,
    "monte_carlo": 1e-3,
    "simulation": 1e-3,
}
#: A core does about this many floating-point operations a second in the Python guest: about 100 fuel units each, 2e-10 s a unit.
FLOPS_PER_CORE = 5e7
#: Seconds per unit of fuel before this node has run anything (Python guest, 2.5 GHz class machine: 1e11 units in about 20 s).
SECONDS_PER_FUEL = 2e-10
_WEIGHT = 0.3


class Role(Enum):
    """What a node is for a job."""

    WORKER = "worker"
    MANAGER = "manager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A ComplexityScore with the figures that made it."""

    data_size: int
    "bytes"
    operation_weight: float
    "core-seconds per byte"
    available_capacity: float
    "free cores"
    source: str
    "where the weight comes from"
    threshold: float = THRESHOLD_SECONDS
    "seconds"

    @property
    def seconds(self) -> float:
        """Predicted time on this node alone."""
        return self.data_size * self.operation_weight / self.available_capacity

    @property
    def role(self) -> Role:
        """What the node becomes."""
        return Role.MANAGER if self.seconds > self.threshold else Role.WORKER

    def __str__(self) -> str:
        """The calculation, in one line."""
        return (
            f"score {self.seconds:.3g} s = {self.data_size:,} bytes × {self.operation_weight:.3g} core-s/byte"
            f" / {self.available_capacity:g} free cores (weight {self.source}); threshold {self.threshold:g} s: {self.role.value}"
        )


class Weights:
    """What modules cost, as seen: fuel per byte and fuel per chunk of each module, seconds per fuel of this node."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._fuel_per_byte: dict[tuple[str, str], float] = {}
        self.seconds_per_fuel = SECONDS_PER_FUEL
        self._is_measured = False

    def observe(self, spec: JobSpec, function: str, *, size_bytes: int, fuel: int) -> None:
        """Learn from an answer known to be right."""
        key, seen = (spec.module, function), fuel / max(size_bytes, 1)
        old = self._fuel_per_byte.get(key)
        self._fuel_per_byte[key] = seen if old is None else old + _WEIGHT * (seen - old)

    def measure(self, *, fuel: int, seconds: float) -> None:
        """Learn this node's own pace from its own engine."""
        if fuel <= 0 or seconds <= 0:
            return
        seen = seconds / fuel
        self.seconds_per_fuel += (_WEIGHT if self._is_measured else 1.0) * (seen - self.seconds_per_fuel)
        self._is_measured = True

    def weight(self, spec: JobSpec, function: str, data_size: int) -> tuple[float, str]:
        """Core-seconds per byte, and where that comes from. `data_size` (bytes) spreads the job's estimated operations."""
        fuel_per_byte = self._fuel_per_byte.get((spec.module, function))
        if fuel_per_byte is not None:
            return fuel_per_byte * self.seconds_per_fuel, "learned from this module"
        if spec.estimated_flops:
            return spec.estimated_flops / FLOPS_PER_CORE / max(data_size, 1), "from estimatedFlops"
        known = spec.operation_type if spec.operation_type in OPERATION_WEIGHTS else ""
        return OPERATION_WEIGHTS[known], f"guessed for operationType {known!r}"

    def predict(self, spec: JobSpec, *, size_bytes: int) -> float | None:
        """Core-seconds that `size_bytes` of chunks will take, of a module that has been seen at work here; else None."""
        fuel_per_byte = self._fuel_per_byte.get((spec.module, "execute"))
        return None if fuel_per_byte is None else self.seconds(round(fuel_per_byte * size_bytes))

    def seconds(self, fuel: int) -> float:
        """Time this node would need for so much fuel."""
        return fuel * self.seconds_per_fuel


def score(spec: JobSpec, weights: Weights, *, size_bytes: int, free_cores: float, function: str = "execute") -> Score:
    """The ComplexityScore of `size_bytes` of a job's work on this node."""
    weight, source = weights.weight(spec, function, size_bytes)
    return Score(data_size=size_bytes, operation_weight=weight, available_capacity=max(free_cores, 0.5), source=source)
