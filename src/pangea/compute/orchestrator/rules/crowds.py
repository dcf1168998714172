"""How sure the whole job is: what speaks against a crowd of keys that are one operator's, and against single liars.

Votes say nothing of a crowd: all who agree may be one operator's keys, and lie alike about the same tasks. What says something is
this node's own work: tasks that it has executed itself after others had answered (anchors), drawn so that nobody could know
which. Take a job with A right anchors in a row, and U further tasks that it has nobody's but the crowd's word for.

**What is stated** supposes that there is a crowd, and that it lies as often as serves it best. That is once: with w lies among
the A + U tasks none is among the A with a probability of C(A + U - w, A) / C(A + U, A), which is most for w = 1: U / (A + U),
`worst_doubt`. (Who draws for each task whether to lie does worse, whatever its rate.) Single liars don't agree with anybody: only
where one worker alone vouches for U tasks it may have lied, and it has passed k checks; the same formula, of k and U. Of the
workers as many are supposed to lie, each by itself, as `trust` assumes of strangers, and those whom that serves best:
`lone_doubt`.

Where only leaves of tasks were drawn (`merkle`), m of L after the root was in hand, a crowd of any size that lies anywhere, and
was honest as long as it pleased, comes through with one wrong leaf with a probability of 1 - m / L; with more it does worse:
`leaf_doubt`. That supposes nothing of what it did before.

**How much is executed here** is decided with less suspicion, else it were always nearly everything:

* A bold crowd lies about `BOLD_RATE` of the tasks or more, and is expected: (1 - r)^A (1 - (1 - r)^U).
* Of a shy crowd nothing is known, so each rate is as likely as any other; and one crowd in ten is one (`CROWD_SHARE`, h). Then
  h / (1 - h) ∫ (1 - s)^A (1 - (1 - s)^U) ds = h / (1 - h) U / ((A + 1) (A + U + 1)).

The larger of the two counts. A lie that was found begins the row anew: what crowds have in common is that all its members lie.
And it makes the row worth less: who goes on until a row is long enough finds one at last, whatever the rate of lies. Of R rows,
the first and as many as lies were found, one comes so far with a probability of R (1 - s)^A at most: R times as much is in doubt
(but of shy crowds, which is reckoned without regard to when one stops).

A crowd may hide behind workers whom this node knows from earlier jobs. So there are as many crowds to think of as there are
levels of acquaintance: for each, those known no better than that, the tasks that nobody better known vouches for, and their
anchors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pangea.compute.orchestrator.rules.trust import ASSUMED_FAULTY

#: From this share of lies on a crowd is bold: expected wherever nobody is known.
BOLD_RATE = 0.1
#: The share of crowds that are assumed to lie more rarely than that.
CROWD_SHARE = 0.1
_CROWD_ODDS = CROWD_SHARE / (1.0 - CROWD_SHARE)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Workers known no better than `level`.

    Attributes:
        level: anchors that the best known of them has from earlier jobs.
        anchors: tasks that this node found them right about: then, and in a row now.
        unseen: tasks of this job for which it has nobody's word but theirs.
        rows: of anchors, the one that goes on included: one more than lies were found in this job.
    """

    level: int
    anchors: int
    unseen: int
    rows: int = 1

    @property
    def doubt(self) -> float:
        """Probability that one of the unseen tasks is wrong, 0 to 1: the most that it can be."""
        return min(1.0, self.rows * worst_doubt(self.anchors, self.unseen))


def likely_doubt(anchors: int, unseen: int, rows: int = 1) -> float:
    """Probability that a crowd as it is expected has lied about one of so many unseen tasks at least, 0 to 1."""
    honest = 1.0 - BOLD_RATE
    bold = rows * honest**anchors * (1.0 - honest**unseen)
    shy = _CROWD_ODDS * unseen / ((anchors + 1.0) * (anchors + unseen + 1.0))
    return max(bold, shy)


def worst_doubt(anchors: int, unseen: int) -> float:
    """The same for a crowd, or a worker, that is there for certain and lies as often as serves it best, once: 0 to 1."""
    return unseen / (anchors + unseen) if unseen else 0.0


def leaf_doubt(sampled: Iterable[tuple[int, int]], *, lies: int = 0) -> float:
    """Probability that a wrong leaf wasn't drawn, 0 to 1: the most that it can be, whoever lies, however often.

    Args:
        sampled: for each task that this node hasn't executed as a whole, leaves that it has, and leaves that there are.
        lies: that were found in this job.
    """
    most = max((1.0 - drawn / leaves for drawn, leaves in sampled), default=0.0)
    return min(1.0, (1 + lies) * most)


def anchors_for(confidence: float) -> int:
    """Anchors that bold crowds leave no doubt with beyond `1 - confidence`, however large the job."""
    return math.ceil(math.log(1.0 - confidence) / math.log(1.0 - BOLD_RATE))


def crowds(known: Iterable[int], anchored: Iterable[int], vouched: Sequence[int], *, lies: int = 0) -> list[Crowd]:
    """The crowds that may stand behind a job's answers, the least known first.

    Args:
        known: of each worker of the job, the anchors from earlier jobs.
        anchored: for each anchor of this job, how well the least known worker is known that was right about it.
        vouched: for each task that this node hasn't executed, how well the best known worker is known that vouches for it.
        lies: that were found in this job.
    """
    known_before, anchors_now = list(known), list(anchored)
    return [
        Crowd(
            level=level,
            anchors=sum(one for one in known_before if one <= level) + sum(one <= level for one in anchors_now),
            unseen=sum(one <= level for one in vouched),
            rows=1 + lies,
        )
        for level in sorted(set(vouched))
    ]


def anchors_wanted(crowd: Crowd, doubt_max: float) -> int:
    """How many more of a crowd's unseen tasks to execute, so that no more than `doubt_max` is left if all are right."""
    low, high = 0, crowd.unseen
    while low < high:
        middle = (low + high) // 2
        if likely_doubt(crowd.anchors + middle, crowd.unseen - middle, crowd.rows) <= doubt_max:
            high = middle
        else:
            low = middle + 1
    return low


def lone_doubt(alone: Iterable[tuple[int, int]]) -> float:
    """Probability that one of the tasks is wrong which one worker alone vouches for, 0 to 1: the most that it can be.

    Args:
        alone: for each worker the checks that it has passed, and its tasks that nobody else vouches for.
    """
    worst = sorted((worst_doubt(passes, unseen) for passes, unseen in alone), reverse=True)
    return 1.0 - joint(worst[: math.ceil(ASSUMED_FAULTY * len(worst))])


def joint(doubts: Iterable[float]) -> float:
    """Probability that all is right, if these are those that something isn't, each for a reason of its own."""
    sure = 1.0
    for each in doubts:
        sure *= 1.0 - each
    return sure
