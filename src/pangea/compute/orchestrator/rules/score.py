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
#: How much work the guess of the pace is worth: a tenth of a second.
_GUESSED_FUEL = 5e8
#: Of shaders a unit is a turn of a loop, a row or a byte: seconds of one before any has run here (llvmpipe, two cores, SHA-256).
SECONDS_PER_SHADER_FUEL = 4e-8
_GUESSED_SHADER_FUEL = 2.5e6


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


#: Modules' functions whose cost is known; the least recently learned go first.
_MODULES_MAX = 10_000


class Weights:
    """What modules cost, as seen: fuel per byte and fuel per chunk of each module, seconds per fuel of this node."""

    def __init__(self) -> None:
        """Know nothing yet."""
        #: By module and function: fuel and bytes, old answers counting less and less. Their ratio, not a mean of ratios, so that
        #: what a call costs whatever its input hides behind the bytes, and an input of none teaches nothing by itself.
        self._seen: dict[tuple[str, str], tuple[float, float]] = {}
        #: Fuel and seconds of this node's own work, likewise, that of shaders apart; the guess counts as so much work.
        self._pace = {
            False: (_GUESSED_FUEL, _GUESSED_FUEL * SECONDS_PER_FUEL),
            True: (_GUESSED_SHADER_FUEL, _GUESSED_SHADER_FUEL * SECONDS_PER_SHADER_FUEL),
        }

    @property
    def seconds_per_fuel(self) -> float:
        """This node's own pace, but for shaders."""
        return self.seconds(1, is_shader=False)

    def observe(self, spec: JobSpec, function: str, *, size_bytes: int, fuel: int) -> None:
        """Learn from an answer known to be right; from one about an empty input there is nothing to learn."""
        if size_bytes <= 0:
            return
        key = (spec.module, function)
        old_fuel, old_bytes = self._seen.pop(key, (0.0, 0.0))
        if len(self._seen) >= _MODULES_MAX:
            del self._seen[next(iter(self._seen))]  # of what was learned from longest ago
        self._seen[key] = old_fuel * (1 - _WEIGHT) + fuel, old_bytes * (1 - _WEIGHT) + size_bytes

    def measure(self, *, fuel: int, seconds: float, is_shader: bool = False) -> None:
        """Learn this node's own pace from its own engine: a task that is over at once says little, its start takes longest."""
        if fuel <= 0 or seconds <= 0:
            return
        old_fuel, old_seconds = self._pace[is_shader]
        self._pace[is_shader] = old_fuel * (1 - _WEIGHT) + fuel, old_seconds * (1 - _WEIGHT) + seconds

    def weight(self, spec: JobSpec, function: str, data_size: int) -> tuple[float, str]:
        """Core-seconds per byte, and where that comes from. `data_size` (bytes) spreads the job's estimated operations."""
        fuel_per_byte = self._fuel_per_byte(spec, function)
        if fuel_per_byte is not None:
            return fuel_per_byte * self.seconds(1, is_shader=spec.has_shader(function)), "learned from this module"
        if spec.estimated_flops:
            return spec.estimated_flops / FLOPS_PER_CORE / max(data_size, 1), "from estimatedFlops"
        known = spec.operation_type if spec.operation_type in OPERATION_WEIGHTS else ""
        return OPERATION_WEIGHTS[known], f"guessed for operationType {known!r}"

    def predict(self, spec: JobSpec, *, size_bytes: int) -> float | None:
        """Core-seconds that `size_bytes` of chunks will take, of a module that has been seen at work here; else None."""
        fuel_per_byte = self._fuel_per_byte(spec, "execute")
        return None if fuel_per_byte is None else self.seconds(round(fuel_per_byte * size_bytes), is_shader=spec.needs_adapter)

    def seconds(self, fuel: int, *, is_shader: bool) -> float:
        """Time this node would need for so much fuel, of shaders or of all else."""
        known, seconds = self._pace[is_shader]
        return fuel * seconds / known

    def _fuel_per_byte(self, spec: JobSpec, function: str) -> float | None:
        seen = self._seen.get((spec.module, function))
        return None if seen is None else seen[0] / seen[1]


def score(spec: JobSpec, weights: Weights, *, size_bytes: int, free_cores: float, function: str = "execute") -> Score:
    """The ComplexityScore of `size_bytes` of a job's work on this node."""
    weight, source = weights.weight(spec, function, size_bytes)
    return Score(data_size=size_bytes, operation_weight=weight, available_capacity=max(free_cores, 0.5), source=source)
