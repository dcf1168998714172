"""What to do with the answers that came in: the five ways of checking, as pure functions of the votes.

Rule 1: an answer is judged as a whole, result and fuel. Whoever is caught with another than the true one lied; votes never
        decide who. The owner does: it executes the first differing leaf itself (the local referee), or the whole task.
Rule 2: whether an answer is checked is drawn when it is in hand, never before: nobody can know which work to do well.
Rule 3: one key is one vote; keys that came through one branch, or that are in one network, are one vote, too.

Rule 4: those on probation convince nobody, however many agree: all may be one operator's. One of the voters must have proven
        itself, or the owner executes the task. It does so for the unproven anyway, as far as its machine has time.
Rule 5: agreement says nothing about a clique. What workers have passed by nobody's word but each other's doesn't count where
        they agree again; and who checks whom is drawn by the owner.

Theory of `adaptive`. If all votes agree, and G is their odds of being right (`trust.joint_weight`), then

    P(right) = G / (1 + G)

and a task is accepted when that reaches the job's target. Early on hardly anybody is credible, and buying a second opinion
on everything would double the price. So a task whose voters aren't credible *yet* is parked: they go on working, some of
that work is checked, and when nothing fresh is left most parked tasks are accepted at no cost. For the rest replicas are
bought, and every replica that agrees makes two workers more credible, which frees further tasks.

The owner's loop: an answer comes in → `check_is_due` → `judge`. A check that is due is a second, independent vote; both
workers pass when they agree (`agreed`). On `PROBE` the referee says who lied (`liars`, `liars_at`): they are banned, all their
votes that aren't merged yet are removed, and the tasks concerned are judged again. Before a job ends, each worker's last vote
that nobody checked is checked: a worker that turned late isn't missed.

Sources: Sarmenta 2002 (credibility, voting as checking, backtracking); BOINC's adaptive replication, with a floor; Canetti,
Riva and Rothblum 2013 (a referee re-executes one step).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import TYPE_CHECKING

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import Apart, JobSpec, TaskResult
from pangea.compute.orchestrator.rules.trust import PROBATION_PASSES, TrustBook, Verdict, joint_weight, work_of

if TYPE_CHECKING:
    from random import Random

#: However credible a worker is, this share of its answers is checked, for ever: who lies whenever it is trusted is caught.
AUDIT_FLOOR = 0.05
#: A worker with k passes is checked with probability a/k, where a is this, or …
AUDITS_PER_PASS = 3.0
#: … this over the error the job allows (10 for 99.9 %). Passes then grow like sqrt(4 a t) over t tasks: checks thin out.
#: With 3 for three nines, one in four pools of 40 workers that lie in 5 % kept one to the end; with 10 none (bench/policies.py).
AUDITS_PER_ERROR = 0.01
#: Share of the tasks under `hash` that the owner executes again.
SAMPLE_SHARE = 0.05
#: Share of the tasks of a job with a check of its own that the owner executes again all the same: a check passes results, and
#: says nothing of the fuel that is charged for them.
CHECKED_SHARE = 0.02
#: Share of a task's leaves under `merkle` that the owner executes again, and how many at least.
LEAF_SHARE = 0.05
SAMPLED_LEAVES_MIN = 1
#: Votes under `redundancy`, at least: one vote is no redundancy.
REDUNDANCY_MIN = 2
#: Leaves of one answer that no fault of a machine gets wrong at once: at one in a thousand that is less than one in a billion.
WRONG_LEAVES_OF_A_LIAR = 3
#: What `needed` is when a check is due: the answer, and an independent one to compare with.
CHECKED_VOTES = 2

#: What a failure's name follows in an answer's digest.
FAILURE_PREFIX = b"failure:"
#: What is compared: digest and fuel.
Answer = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Vote:
    """One worker's answer to a task, as the owner got it.

    Attributes:
        worker: who executed it; proven by its signature.
        branch: the owner's own child that the answer came through: the one thing the owner knows for sure about its way.
        network: where the worker says it is; "" says nothing.
        digest: Merkle root over `leaves`. Under `merkle` the caller has checked that it is; elsewhere nothing hangs on it.
        fuel: fuel units used.
        leaves: hashes of the task's runs of results, in order.
        is_trusted: whether the owner executed the task itself.
        is_checked: whether its results have passed the job's own check.
        apart: under a tolerance, how far it is from earlier answers: see `TaskResult`.
    """

    worker: PeerId
    branch: PeerId
    network: str
    digest: bytes
    fuel: int
    leaves: tuple[bytes, ...] = ()
    is_trusted: bool = False
    is_checked: bool = False
    apart: Apart = ()

    @property
    def is_certain(self) -> bool:
        """Whether it stands without anybody's word for it."""
        return self.is_trusted or self.is_checked

    @property
    def answer(self) -> Answer:
        """What is signed, and what is compared of an exact job."""
        return self.digest, self.fuel

    def agrees(self, other: Vote) -> bool:
        """Whether the two are the same answer: for the same fuel the same bytes, or numbers within the job's tolerance.

        Under a tolerance that isn't transitive.
        """
        return self.fuel == other.fuel and (self.digest == other.digest or _leaves_apart(self, other) == 0)


def answer_of(result: TaskResult) -> Answer:
    """What is compared of a worker's result: a failure of the job's is an answer like any other."""
    digest = result.digest if result.failure is None else FAILURE_PREFIX + result.failure.value.encode()
    return digest, result.fuel


class Action(Enum):
    """What the owner does next about a task."""

    ACCEPT = "accept"
    "the answer stands, unless one of its voters is caught later"
    PARK = "park"
    "wait until the voters are more credible; judge again when there is no fresh work"
    MORE = "more"
    "have another worker, in another branch, execute it"
    PROBE = "probe"
    "answers differ: execute the first differing leaf here"
    AUDIT = "audit"
    "execute the whole task here"
    PROVE = "prove"
    "execute the whole task here: none of its workers has proven itself"
    SAMPLE = "sample"
    "execute some leaves of the answer here"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a task, and why.

    Attributes:
        action: what to do.
        answer: the answer that is accepted; None unless `action` is ACCEPT.
        confidence: probability that the votes' common answer is right, 0 to 1; None if they differ, or nothing is said.
        why: the reason, for people.
    """

    action: Action
    answer: Answer | None
    confidence: float | None
    why: str


_NO_VOTES = "no answer is left"
_DISPUTE = Decision(Action.PROBE, None, None, "answers differ: the owner executes where they first do")
_EXECUTED_HERE = "the owner executed it itself"
_PASSED = "its results have passed the job's own check"
_UNCHECKED = "verification is off"
_NOT_SAMPLED = "not in the sample"
_SAMPLED = "in the sample: executed again by the owner"
_LEAVES_WANTED = "committed: some leaves are executed again by the owner"
_LEAVES_RIGHT = "the sampled leaves are right"
_AGREED = "enough independent workers agree"
_FEW_VOTES = "too few independent workers agree"
_CHECK_IS_DUE = "a check by an independent worker is due"
_UNPROVEN = "none of its workers has proven itself yet"
_CREDIBLE = "its workers are credible enough"
_PARKED = "waits until its workers are more credible"
_NOT_CREDIBLE = "its workers are not credible enough"

# Enum members by name of their own: looking them up on the class is slow, and `judge` runs for every answer.
_NONE, _HASH, _REDUNDANCY = VerificationMode.NONE, VerificationMode.HASH, VerificationMode.REDUNDANCY
_MERKLE, _ADAPTIVE = VerificationMode.MERKLE, VerificationMode.ADAPTIVE
_ACCEPT, _PARK, _MORE, _AUDIT, _SAMPLE = Action.ACCEPT, Action.PARK, Action.MORE, Action.AUDIT, Action.SAMPLE
_PROVE = Action.PROVE


def check_is_due(spec: JobSpec, vote: Vote, book: TrustBook, rng: Random, *, is_first_of_worker: bool) -> bool:
    """Draw whether an answer is to be checked, now that it is in hand. If so, `judge` needs 2 votes, else 1.

    Args:
        spec: the job.
        vote: the answer.
        book: what is known of its worker.
        rng: the owner's own; nobody else may know it.
        is_first_of_worker: whether it is the worker's first answer to this job.
    """
    mode = spec.verification
    if vote.is_trusted:
        return False
    if mode is _ADAPTIVE:
        return rng.random() < check_probability(book.passes(vote.worker, spec.runtime), spec.confidence)
    if mode is _HASH:
        return not spec.expected and (is_first_of_worker or rng.random() < SAMPLE_SHARE)
    return mode is _MERKLE


def check_probability(passes: int, confidence: float) -> float:
    """How likely an answer of a worker with so many passes is checked under `adaptive`, 0.05 to 1.

    Args:
        passes: as `TrustBook.passes` counts them.
        confidence: the job's target, below 1.
    """
    if passes < PROBATION_PASSES:
        return 1.0
    return min(1.0, max(AUDIT_FLOOR, AUDITS_PER_PASS / passes, AUDITS_PER_ERROR / (1.0 - confidence) / passes))


def judge(
    spec: JobSpec,
    votes: Sequence[Vote],
    book: TrustBook,
    *,
    needed: int,
    can_ask_more: bool,
    is_final: bool,
    can_prove: bool = False,
    wants_anchor: bool = False,
    mutual: int = 0,
    function: str = "execute",
) -> Decision:
    """Decide what to do with a task, given all answers to it so far.

    Args:
        spec: the job.
        votes: the answers in hand, of workers that aren't banned.
        book: what is known of their workers.
        needed: independent votes that a drawn check demands, 1 or 2; under `merkle` 0 says that the sample was right.
        can_ask_more: whether another independent worker could be asked. If not, the owner executes the task itself.
        is_final: whether nothing else is left to do, so that waiting would not help.
        can_prove: whether the owner has time to execute a task whose workers are all unproven …
        wants_anchor: … or, though they aren't, has too little of its own to go by: how sure the job is hangs on that (`crowds`).
        mutual: passes that these workers owe to nobody but each other.
        function: what they did; they are trusted as far as they have proven themselves in that.
    """
    if not votes:
        return Decision(_MORE if can_ask_more else _AUDIT, None, None, _NO_VOTES)
    mode = spec.verification
    voice = _voice(votes)
    if voice is None:
        return _DISPUTE if mode is not _NONE else Decision(_ACCEPT, votes[0].answer, None, _UNCHECKED)
    answer = (voice.digest, voice.fuel)
    if voice.is_trusted:
        return Decision(_ACCEPT, answer, 1.0, _EXECUTED_HERE)
    if mode is _NONE:
        return Decision(_ACCEPT, answer, None, _UNCHECKED)
    if voice.is_checked and mode is not _REDUNDANCY:  # there so many answers were asked for, by number
        return Decision(_ACCEPT, answer, 1.0, _PASSED)
    work = work_of(spec.runtime, function)
    count, confidence = _support(votes, book, work, mutual)
    if mode is _ADAPTIVE:
        if can_prove and wants_anchor:
            action, why = _PROVE, _UNPROVEN
        elif any(book.is_proven(vote.worker, work) for vote in votes):
            action, why = _by_credibility(spec, count, confidence, needed=needed, is_final=is_final)
        else:
            action, why = _of_unproven(count, needed=needed, is_final=is_final, can_prove=can_prove)
    elif mode is _REDUNDANCY:
        action, why = (_ACCEPT, _AGREED) if count >= max(spec.redundancy, REDUNDANCY_MIN) else (_MORE, _FEW_VOTES)
    elif mode is _HASH:
        action, why = (_ACCEPT, _NOT_SAMPLED) if needed < CHECKED_VOTES else (_AUDIT, _SAMPLED)
    else:
        action, why = (_SAMPLE, _LEAVES_WANTED) if needed else (_ACCEPT, _LEAVES_RIGHT)
    if action is _MORE and not can_ask_more:
        action = _AUDIT
    return Decision(action, answer if action is _ACCEPT else None, confidence, why)


def standing(votes: Sequence[Vote]) -> Vote:
    """The vote whose bytes become the result, of votes that agree: the owner's own, else that with the smallest digest.

    Without a tolerance all have the same, and it is the first. It depends on what the answers are, and not on who came first.
    """
    if len(votes) == 1:
        return votes[0]
    trusted = next((vote for vote in votes if vote.is_trusted), None)
    return trusted or min((vote for vote in votes if vote.agrees(votes[0])), key=lambda vote: vote.digest)


def groups(votes: Sequence[Vote]) -> list[list[Vote]]:
    """The votes by what they say, each in the first group all of which it agrees with."""
    found: list[list[Vote]] = []
    for vote in votes:
        for group in found:
            if all(vote.agrees(other) for other in group):
                group.append(vote)
                break
        else:
            found.append([vote])
    return found


def _voice(votes: Sequence[Vote]) -> Vote | None:
    """The vote that speaks for all: the owner's own, else the one that stands if they agree; None if they don't."""
    for vote in votes:
        if vote.is_trusted:
            return vote
    return standing(votes) if _are_one(votes) else None


def _are_one(votes: Sequence[Vote]) -> bool:
    """Whether each agrees with each."""
    first = votes[0]
    different = [vote for vote in votes if vote.digest != first.digest or vote.fuel != first.fuel]
    return not different or all(one.agrees(other) for one, other in combinations(votes, 2))


def _leaves_apart(one: Vote, other: Vote) -> int | None:
    """How many leaves of two answers aren't within the job's tolerance; None: nobody has compared them."""
    for known, digest in ((one.apart, other.digest), (other.apart, one.digest)):
        for named, count in known:
            if named == digest:
                return count
    return None


def _by_credibility(spec: JobSpec, count: int, confidence: float, *, needed: int, is_final: bool) -> tuple[Action, str]:
    if count < needed:
        return _MORE, _CHECK_IS_DUE
    if confidence >= spec.confidence:
        return _ACCEPT, _CREDIBLE
    return (_MORE, _NOT_CREDIBLE) if is_final else (_PARK, _PARKED)


def _of_unproven(count: int, *, needed: int, is_final: bool, can_prove: bool) -> tuple[Action, str]:
    if can_prove:
        return _PROVE, _UNPROVEN
    if count < needed:
        return _MORE, _CHECK_IS_DUE
    return (_MORE if is_final else _PARK), _UNPROVEN


def _support(votes: Sequence[Vote], book: TrustBook, work: str, mutual: int) -> tuple[int, float]:
    """How many independent votes there are, and the probability that their common answer is right."""
    if len(votes) == 1:
        odds = book.weight(votes[0].worker, work)
        return 1, odds / (1.0 + odds)
    counted = independent(sorted(votes, key=lambda vote: -book.passes(vote.worker, work)))
    passes = sum(book.passes(vote.worker, work) for vote in counted) - mutual
    odds = max(joint_weight(len(counted), passes), book.weight(counted[0].worker, work))
    return len(counted), 1.0 - 1.0 / (1.0 + odds)


def support(votes: Sequence[Vote], book: TrustBook, work: str) -> float:
    """The probability that the common answer of these votes is right, by what is known of their workers, 0 to 1."""
    return _support(votes, book, work, 0)[1]


def independent(votes: Sequence[Vote]) -> tuple[Vote, ...]:
    """The votes that count: of those that share a key, a branch or a named network the first. So sort the heaviest first."""
    if len(votes) < 2:
        return tuple(votes)
    counted: list[Vote] = []
    for vote in votes:
        if not any(_are_related(vote, other) for other in counted):
            counted.append(vote)
    return tuple(counted)


def _are_related(a: Vote, b: Vote) -> bool:
    return a.worker == b.worker or a.branch == b.branch or (a.network != "" and a.network == b.network)


def agreed(votes: Sequence[Vote]) -> tuple[PeerId, ...]:
    """Whose answers pass a check by this: independent workers that agree with each other, or with the owner's own execution.

    Of related workers the first in order passes alone: one execution earns one pass, however many keys present it. A worker
    passes at most once per task: keeping that is up to the caller.
    """
    truth = next((vote for vote in votes if vote.is_trusted), None)
    others = [vote for vote in votes if not vote.is_trusted]
    if truth is not None:
        return tuple(vote.worker for vote in independent([vote for vote in others if vote.agrees(truth)]))
    counted = independent(others)
    if len(counted) < 2 or not _are_one(others):
        return ()
    return tuple(vote.worker for vote in counted)


def liars(votes: Sequence[Vote], truth: Vote) -> tuple[PeerId, ...]:
    """Whose answer isn't the true one; `truth` is the owner's own."""
    return tuple(vote.worker for vote in votes if not vote.is_trusted and not vote.agrees(truth))


def liars_at(votes: Sequence[Vote], leaf: int, truth: bytes) -> tuple[PeerId, ...]:
    """Whose leaf number `leaf` isn't the true one (or is missing): what a probe of that leaf proves."""
    return tuple(vote.worker for vote in votes if not vote.is_trusted and vote.leaves[leaf : leaf + 1] != (truth,))


def verdict_on(vote: Vote, others: Sequence[Vote]) -> Verdict:
    """What a wrong answer says of who gave it, before it is asked again.

    Machines that compute wrong are wrong each in a way of its own: so who tells the very words of another lied. Anything else
    may be the machine.

    Args:
        vote: the wrong answer.
        others: other wrong answers to the same task.
    """
    return Verdict.LIED if any(vote.agrees(other) for other in others) else Verdict.FAULTY


def verdict_after(vote: Vote, again: Vote | None, truth: Vote | None) -> Verdict:
    """What it says of who gave a wrong answer that it gives this one when it is asked again.

    A machine that computes wrong now and then is right the next time, or wrong otherwise, and in one place. So who repeats the
    wrong answer lied, and who was wrong in several leaves at once and isn't right now.

    Args:
        vote: the wrong answer.
        again: the later one; None if there is none.
        truth: the owner's own execution of the whole task; None if it has executed but a leaf.
    """
    if again is None:
        return Verdict.FAULTY
    if again.answer == vote.answer:
        return Verdict.LIED
    if truth is None or again.agrees(truth) or len(truth.leaves) != len(vote.leaves):
        return Verdict.FAULTY
    wrong = _leaves_apart(vote, truth)
    if wrong is None:
        wrong = sum(said != true for said, true in zip(vote.leaves, truth.leaves, strict=True))
    return Verdict.LIED if wrong >= WRONG_LEAVES_OF_A_LIAR or again.agrees(vote) else Verdict.FAULTY


def first_difference(a: Vote, b: Vote) -> int | None:
    """Index of the first leaf in which two answers differ. None: none does (fuel may), so the whole task must be executed."""
    if len(a.leaves) != len(b.leaves):
        return None
    return next((index for index, (x, y) in enumerate(zip(a.leaves, b.leaves, strict=True)) if x != y), None)


def sample_leaves(spec: JobSpec, vote: Vote, book: TrustBook, rng: Random) -> tuple[int, ...]:
    """Draw which leaves of a committed answer to execute again under `merkle`; its root must be in hand.

    All while the worker is on probation, afterwards a twentieth, one at least. Only a sample of all leaves is a check
    that the worker passes: one wrong leaf would slip through the others.

    Returns:
        Indices of leaves, rising; none if the answer has no leaves.
    """
    count = len(vote.leaves)
    if book.passes(vote.worker, spec.runtime) < PROBATION_PASSES:
        return tuple(range(count))
    wanted = max(SAMPLED_LEAVES_MIN, math.ceil(count * LEAF_SHARE))
    return tuple(sorted(rng.sample(range(count), min(wanted, count))))
