"""What goes wrong, as named probabilities and shares; and the mix of a seed, which switches whole features on and off.

Swarm testing: a run in which everything fails at once hides the bugs that need some things to go well. So each seed draws
which features it has at all, and how strong.

Source: Groce et al., "Swarm Testing", ISSTA 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from pangea.compute.simulation.ranges import check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong while the safety phase lasts; in the liveness phase all of it is healed. Shares are of all nodes.

    Attributes:
        loss: probability that a message is lost, as with a connection that breaks at that moment.
        duplicate: probability that a message arrives twice.
        reorder: probability that a message is overtaken by later ones.
        clogged: share of nodes one of whose directions loses most messages for a while (asymmetric loss).
        partitions: how often the nodes fall into two halves that can't reach each other.
        partition_seconds: how long each time, on average.
        crash: share of nodes whose process dies once; neighbours notice at once.
        power_loss: share of nodes that fall silent once; nobody is told.
        restart_seconds: after how long a dead node comes back, on average, with its memory lost; 0: never.
        crash_at: when they die, as a share of the estimated run, all at once; 0: spread over the run.
        churn: share of nodes that leave during the run; as many new ones join.
        stragglers: share of nodes that are ten times slower than they say.
        stalls: share of nodes that stand still once (a suspended machine), for
        stall_seconds: on average.
        machine_failure: probability that an execution fails through the machine's fault.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    clogged: float = 0.0
    partitions: int = 0
    partition_seconds: float = 4.0
    crash: float = 0.0
    power_loss: float = 0.0
    restart_seconds: float = 5.0
    crash_at: float = 0.0
    churn: float = 0.0
    stragglers: float = 0.0
    stalls: float = 0.0
    stall_seconds: float = 3.0
    machine_failure: float = 0.0

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ManifestError: names the field, its value and the range.
        """
        check_ranges(self, RANGES)


#: Lowest and highest value of each field. Above half of all messages lost nothing can be said to work.
RANGES: Final[dict[str, tuple[float, float]]] = {
    "loss": (0.0, 0.5),
    "duplicate": (0.0, 0.5),
    "reorder": (0.0, 0.5),
    "clogged": (0.0, 1.0),
    "partitions": (0, 100),
    "partition_seconds": (0.0, 3600.0),
    "crash": (0.0, 1.0),
    "power_loss": (0.0, 1.0),
    "restart_seconds": (0.0, 86400.0),
    "crash_at": (0.0, 1.0),
    "churn": (0.0, 1.0),
    "stragglers": (0.0, 1.0),
    "stalls": (0.0, 1.0),
    "stall_seconds": (0.0, 3600.0),
    "machine_failure": (0.0, 0.5),
}

#: Of each feature of the mix: the strongest value a seed may draw.
_STRONGEST: Final[dict[str, float]] = {
    "loss": 0.05,
    "duplicate": 0.05,
    "reorder": 0.1,
    "clogged": 0.1,
    "crash": 0.3,
    "power_loss": 0.2,
    "churn": 0.3,
    "stragglers": 0.2,
    "stalls": 0.3,
    "machine_failure": 0.05,
}


def draw_faults(random: Random) -> Faults:
    """The faults of one seed: each feature is off in half of the seeds, weak in most others, strong in a few."""
    values = {name: strongest * random.random() ** 2 if random.random() < 0.5 else 0.0 for name, strongest in _STRONGEST.items()}
    return Faults(
        **values,
        partitions=random.choice((0, 0, 1, 3)),
        partition_seconds=random.choice((1.0, 4.0, 12.0)),
        restart_seconds=random.choice((0.5, 5.0, 20.0)),
        stall_seconds=random.choice((0.5, 3.0, 15.0)),
    )
