"""One run of the simulator, as data: the job, the nodes, the network, the liars, the faults, the seed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import sqrt
from random import Random
from typing import Final

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.limits import nearest
from pangea.compute.model.options import VerificationMode
from pangea.compute.simulation.faults import Faults, draw_faults
from pangea.compute.simulation.liars import LIARS
from pangea.compute.simulation.ranges import check_ranges

#: Of the fault mix. Its checker wants every result right, so a target that allows one wrong task in a thousand won't do.
MIX_CONFIDENCE: Final = 0.99999

#: The owner's bandwidth, in those of others.
OWNER_BANDWIDTH: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What to simulate. All fields are checked when the object is made.

    Attributes:
        nodes: the owner of the job included.
        chunks: of the job.
        chunk_seconds: what a chunk costs on a node of speed 1.
        chunk_spread: how many times dearer the dearest chunk is than the cheapest.
        chunk_bytes: size of a chunk.
        result_bytes: size of a chunk's result.
        batches: how many pieces the chunks come in, as if they were cut from a long input.
        associative: whether the job's merge may be applied early.
        cores: of each node but the owner.
        owner_cores: of the owner.
        speed_spread: how many times faster the fastest node is than the slowest; speeds average 1.
        memory_bytes: of tasks that a node holds for others; 0: no limit.
        fan_out: children of a node; 0: as many as keep the tree flat.
        latency: seconds one way between regions, on average; a tenth of it inside a region.
        jitter: share by which a message's latency varies.
        regions: in which nodes are.
        bandwidth: bytes a second of a node, each way; the owner has ten times as much.
        verification: how results are checked.
        confidence: target probability that a task's result is right.
        redundancy: votes per task under `redundancy`.
        check_share: what the job's own check of a result costs, as a share of executing it; 0: it has none.
        retry_count: tries of a task after the first, when machines fail.
        attempt_timeout: seconds for one attempt at a task; 0: 30, or more if chunks are that dear.
        malicious: share of nodes that lie.
        liars: kinds of liars, in equal parts; empty: all of them.
        lie_rate: how often those lie that don't always do.
        sleep_tasks: honest answers of a sleeper before its first lie.
        faults: what else goes wrong.
        fault_seconds: how long the safety phase lasts after the job's start; 0: as long as the run is estimated to.
        seed: of everything that is drawn.
        check_every: the invariants of a node are asserted at each so many of its events; 0: never.
    """

    nodes: int = 100
    chunks: int = 10_000
    chunk_seconds: float = 0.1
    chunk_spread: float = 1.0
    chunk_bytes: int = 256
    result_bytes: int = 32
    batches: int = 1
    associative: bool = False
    cores: int = 1
    owner_cores: int = 16
    speed_spread: float = 1.0
    memory_bytes: int = 0
    fan_out: int = 0
    latency: float = 0.02
    jitter: float = 0.1
    regions: int = 4
    bandwidth: float = 125e6
    verification: VerificationMode = VerificationMode.ADAPTIVE
    confidence: float = 0.999
    redundancy: int = 2
    check_share: float = 0.0
    retry_count: int = 3
    attempt_timeout: float = 0.0
    malicious: float = 0.0
    liars: tuple[str, ...] = ()
    lie_rate: float = 0.3
    sleep_tasks: int = 60
    faults: Faults = field(default_factory=Faults)
    fault_seconds: float = 0.0
    seed: int = 0
    check_every: int = 0

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ManifestError: names the field, its value, the range and the remedy.
        """
        check_ranges(self, RANGES)
        modes = [str(mode) for mode in VerificationMode]
        if str(self.verification) not in modes:
            raise _unknown("verification", str(self.verification), modes)
        object.__setattr__(self, "verification", VerificationMode(self.verification))
        for kind in self.liars:
            if kind not in LIARS:
                raise _unknown("liars", kind, list(LIARS))
        if self.malicious and self.nodes < 2:
            raise ManifestError(
                "malicious needs somebody who can lie", hint="raise nodes: the owner is honest", field="malicious"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of liars there are."""
        if not self.malicious:
            return ()
        return self.liars or tuple(LIARS)

    @property
    def work_seconds(self) -> float:
        """Of one core of speed 1, for the job executed once, unchecked."""
        return self.chunks * self.chunk_seconds

    @property
    def speed(self) -> float:
        """Of all nodes together, in cores of speed 1."""
        return float(self.owner_cores + self.cores * (self.nodes - 1))

    @property
    def data_seconds(self) -> float:
        """In which the owner's link carries all chunks and results, once."""
        return self.chunks * (self.chunk_bytes + self.result_bytes) / (OWNER_BANDWIDTH * self.bandwidth)

    @property
    def estimate_seconds(self) -> float:
        """A rough guess of how long the run takes: each task as often as its mode buys it, some seconds to start and to end."""
        executions = {VerificationMode.ADAPTIVE: 2.0, VerificationMode.REDUNDANCY: float(self.redundancy)}
        return executions.get(self.verification, 1.0) * max(self.work_seconds / self.speed, self.data_seconds) + 3.0

    @property
    def safety_seconds(self) -> float:
        """How long the safety phase lasts."""
        return self.fault_seconds or self.estimate_seconds

    @property
    def liveness_seconds(self) -> float:
        """Within which the job must end once all is healed: each task ten times, checks by the owner alone, a few leases."""
        by_owner = self.work_seconds / self.owner_cores if self.verification in _CHECKED_BY_OWNER else 0.0
        return 10.0 * (self.work_seconds / self.speed * self.faults_slowdown + self.data_seconds) + by_owner + 120.0

    @property
    def attempt_seconds(self) -> float:
        """For one attempt at a task."""
        return self.attempt_timeout or max(30.0, 4.0 * self.chunk_seconds * self.chunk_spread * self.faults_slowdown)

    @property
    def faults_slowdown(self) -> float:
        """How much slower the slowest are than the average node."""
        return max(1.0, sqrt(self.speed_spread)) * (10.0 if self.faults.stragglers else 1.0)

    def stream(self, purpose: str) -> Random:
        """A stream of random numbers of its own: one more draw in one place doesn't change all others."""
        return Random(f"{self.seed}/{purpose}")  # noqa: S311 (a simulation, not a secret); text is seeded by its SHA-512


#: Modes in which the owner executes again what it checks, by itself; under `adaptive` all of it, while workers are too new for
#: the job's confidence.
_CHECKED_BY_OWNER: Final = (VerificationMode.HASH, VerificationMode.MERKLE, VerificationMode.ADAPTIVE)
#: Lowest and highest value of each numeric field.
RANGES: Final[dict[str, tuple[float, float]]] = {
    "nodes": (1, 100_000),
    "chunks": (0, 100_000_000),
    "chunk_seconds": (1e-6, 3600.0),
    "chunk_spread": (1.0, 1000.0),
    "chunk_bytes": (0, 64 << 20),
    "result_bytes": (0, 64 << 20),
    "batches": (1, 10_000),
    "cores": (1, 1024),
    "owner_cores": (1, 1024),
    "speed_spread": (1.0, 1000.0),
    "memory_bytes": (0, 1 << 50),
    "fan_out": (0, 64),
    "latency": (0.0, 10.0),
    "jitter": (0.0, 10.0),
    "regions": (1, 64),
    "bandwidth": (1000.0, 1e12),
    "confidence": (0.5, 0.999999999),
    "redundancy": (1, 7),
    "check_share": (0.0, 1.0),
    "retry_count": (0, 100),
    "attempt_timeout": (0.0, 86400.0),
    "malicious": (0.0, 0.9),
    "lie_rate": (0.0, 1.0),
    "sleep_tasks": (0, 1_000_000),
    "fault_seconds": (0.0, 7 * 86400.0),
    "seed": (0, 2**63),
    "check_every": (0, 1_000_000),
}


def draw_scenario(seed: int) -> Scenario:
    """The scenario of one seed of the fault mix: some dozens of nodes, some hundreds of chunks, and what may go wrong."""
    random = Random(f"{seed}/scenario")  # noqa: S311
    malicious = random.choice((0.0, 0.1, 0.2))
    mode = VerificationMode.ADAPTIVE if malicious else random.choice(list(VerificationMode))
    return Scenario(
        seed=seed,
        nodes=random.randint(4, 40),
        chunks=random.randint(50, 400),
        chunk_seconds=random.choice((0.05, 0.2, 0.5)),
        chunk_spread=random.choice((1.0, 1.0, 10.0)),
        batches=random.choice((1, 5)),
        associative=random.random() < 0.5,
        cores=random.choice((1, 2)),
        owner_cores=random.choice((1, 4)),
        speed_spread=random.choice((1.0, 2.0, 10.0)),
        memory_bytes=random.choice((0, 0, 16_384)),
        fan_out=random.choice((0, 2, 4)),
        latency=random.choice((0.001, 0.02, 0.1)),
        verification=mode,
        confidence=MIX_CONFIDENCE,
        redundancy=random.choice((2, 3)),
        retry_count=100,
        malicious=malicious,
        liars=_some(random, tuple(LIARS)) if malicious else (),
        lie_rate=random.choice((0.1, 0.3, 1.0)),
        sleep_tasks=random.choice((2, 5)),
        faults=draw_faults(random),
        fault_seconds=random.choice((5.0, 20.0)),
        check_every=8,
    )


def changed(scenario: object, default: object) -> dict[str, object]:
    """The fields in which `scenario` differs from `default`."""
    names = [f.name for f in fields(scenario)]  # type: ignore[arg-type]
    return {name: getattr(scenario, name) for name in names if getattr(scenario, name) != getattr(default, name)}


def _some(random: Random, names: tuple[str, ...]) -> tuple[str, ...]:
    drawn = tuple(name for name in names if random.random() < 0.5)
    return drawn or (random.choice(names),)


def _unknown(field_name: str, value: str, known: list[str]) -> ManifestError:
    near = nearest(value, known)
    hint = f"did you mean {near!r}?" if near else f"leave {field_name} out for the default"
    return ManifestError(f"{field_name} is {value!r}; it must be one of {', '.join(known)}", hint=hint, field=field_name)
