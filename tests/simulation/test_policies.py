"""Trials of the policies against liars: nothing wrong gets through, nobody honest is banned, and checking stays cheap.

The safeguards are also switched off one by one: then wrong results do get through, so the trials would notice.
"""

from __future__ import annotations

import pytest
from bench.policies import COLUMNS, Liars, Task, Trial, TrialResult, trial

from pangea.compute.model.options import VerificationMode
from pangea.compute.orchestrator.rules import audit
from tests.examples import first

FIFTH = {name: liars for name, liars in COLUMNS.items() if liars.share}
SEEDS = range(3)


def trials(liars: Liars, *, workers: int, per_worker: int, is_eager: bool = False, passes: int = 0) -> list[TrialResult]:
    return [
        trial(liars, workers=workers, tasks=workers * per_worker, seed=seed, is_eager=is_eager, passes=passes) for seed in SEEDS
    ]


def wrong(results: list[TrialResult]) -> int:
    return sum(result.wrong for result in results)


def cost(results: list[TrialResult]) -> float:
    return sum(result.executions for result in results) / len(results)


@pytest.mark.parametrize(
    ("name", "per_worker", "limit"), first(1, [("lie 30 %", 50, 2.0), ("lie 30 %", 400, 1.2), ("sleepers", 400, 1.25)])
)
def test_adaptive_lets_nothing_wrong_through_at_its_price(name: str, per_worker: int, limit: float) -> None:
    results = trials(COLUMNS[name], workers=40, per_worker=per_worker)
    assert wrong(results) == 0
    assert cost(results) <= limit


@pytest.mark.parametrize("name", first(1, ["clique 30 %", "clique always"]))
def test_a_clique_that_tells_one_lie_convinces_nobody(name: str) -> None:
    results = trials(COLUMNS[name], workers=60, per_worker=50)
    assert wrong(results) == 0
    assert all(result.caught == 12 for result in results)


@pytest.mark.parametrize("mode", VerificationMode)
@pytest.mark.parametrize("liars", FIFTH.values(), ids=FIFTH)
def test_no_honest_worker_is_ever_banned(liars: Liars, mode: VerificationMode) -> None:
    assert trial(liars, workers=20, tasks=600, mode=mode).banned_honest == 0


@pytest.mark.parametrize("mode", VerificationMode)
def test_among_the_honest_nothing_is_wrong_or_taken_back(mode: VerificationMode) -> None:
    result = trial(Liars(share=0.0), workers=20, tasks=600, mode=mode)
    assert result.wrong == result.caught == result.withdrawn == 0


def test_the_same_seed_is_the_same_trial() -> None:
    liars = COLUMNS["clique 5 %"]
    assert trial(liars, workers=20, tasks=600, seed=7) == trial(liars, workers=20, tasks=600, seed=7)


@pytest.mark.long
def test_workers_that_lie_about_fewer_tasks_than_the_target_allows_stay_within_it() -> None:
    for rate in (0.01, 0.02, 0.05):
        results = trials(Liars(rate=rate), workers=40, per_worker=250)
        assert wrong(results) / (3 * 40 * 250) <= 0.001


@pytest.mark.long
def test_waiting_for_credibility_is_cheaper_than_buying_it_at_once() -> None:
    lazy, eager = (trials(COLUMNS["sleepers"], workers=40, per_worker=100, is_eager=is_eager) for is_eager in (False, True))
    honest = Liars(share=0.0)
    assert wrong(lazy) == wrong(eager) == 0
    assert cost(trials(honest, workers=40, per_worker=10)) < cost(trials(honest, workers=40, per_worker=10, is_eager=True))


def test_veterans_that_turn_are_caught_however_trusted() -> None:
    results = trials(Liars(rate=1.0, honest_for=100), workers=20, per_worker=300, passes=1_000_000)
    assert wrong(results) == 0
    assert all(result.caught == 4 for result in results)


# Without a safeguard.


def test_without_the_floor_of_audits_veterans_lie_till_the_closing_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "AUDIT_FLOOR", 0.0)
    monkeypatch.setattr(Trial, "close", lambda trial: False)
    assert wrong(trials(Liars(rate=1.0, honest_for=100), workers=20, per_worker=300, passes=1_000_000)) > 1_000


def test_without_the_closing_check_late_sleepers_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Liars(rate=1.0, honest_for=325)
    assert wrong(trials(late, workers=20, per_worker=300, passes=1_000_000)) == 0
    monkeypatch.setattr(Trial, "close", lambda trial: False)
    assert wrong(trials(late, workers=20, per_worker=300, passes=1_000_000)) > 0


def test_without_withdrawal_what_liars_said_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    sleepers = Liars(rate=1.0, honest_for=60)
    monkeypatch.setattr(Trial, "withdraw", _withdraw_open)
    assert wrong(trials(sleepers, workers=20, per_worker=300, passes=100)) > 0


def _withdraw_open(trial: Trial, worker: str, index: int) -> None:
    """Take an answer back only from a task that isn't accepted."""
    task = trial.tasks[index]
    if task.answer is None:
        task.votes = [vote for vote in task.votes if vote.worker != worker]
        if task.is_parked:
            task.is_parked = False
            trial.fresh.append(index)


def test_without_bans_the_same_liars_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with_bans = trial(COLUMNS["lie 30 %"], workers=10, tasks=2_000, mode=VerificationMode.HASH).wrong
    monkeypatch.setattr(Trial, "ban", lambda trial, workers: None)
    assert trial(COLUMNS["lie 30 %"], workers=10, tasks=2_000, mode=VerificationMode.HASH).wrong > 5 * with_bans + 50


def test_without_drawn_checks_trusted_workers_lie_at_will(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong(trials(COLUMNS["lie 30 %"], workers=20, per_worker=400, passes=1_000)) == 0
    monkeypatch.setattr(audit, "check_is_due", lambda *args, **kwargs: False)
    assert wrong(trials(COLUMNS["lie 30 %"], workers=20, per_worker=400, passes=1_000)) > 200


def test_without_the_referee_a_majority_of_liars_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    clique = Liars(share=0.6, rate=1.0, is_clique=True)
    assert wrong(trials(clique, workers=20, per_worker=50)) == 0
    execute_here = Trial.execute_here

    def vote_out(trial: Trial, task: Task) -> None:
        """Ban the minority, if there is one."""
        answers = [vote.answer for vote in task.votes]
        if len(set(answers)) < 2:
            execute_here(trial, task)
        else:
            most = max(answers, key=answers.count)
            trial.ban(audit.liars(task.votes, next(vote for vote in task.votes if vote.answer == most)))

    monkeypatch.setattr(Trial, "execute_here", vote_out)
    assert wrong(trials(clique, workers=20, per_worker=50)) > 500


# In full: the figures that docs/verification promises.


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "workers", "limit"),
    [
        ("lie 30 %", 2_000, 2.0),
        ("lie 30 %", 200, 1.15),
        ("sleepers", 200, 1.2),
        ("clique always", 2_000, 2.0),
        ("clique always", 200, 1.15),
        ("clique 30 %", 2_000, 2.0),
        ("clique 30 %", 200, 1.15),
        ("clique 5 %", 200, 1.2),
        ("lie 30 %", 10_000, 2.1),
    ],
)
def test_a_hundred_thousand_tasks_without_a_wrong_one(name: str, workers: int, limit: float) -> None:
    results = [trial(COLUMNS[name], workers=workers, tasks=100_000, seed=seed) for seed in range(5)]
    assert wrong(results) == 0
    assert all(result.banned_honest == 0 for result in results)
    assert cost(results) <= limit


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("workers", "share"), [(2_000, 1e-4), (10_000, 1e-3)])
def test_short_lived_cliques_that_lie_rarely_stay_within_the_target(workers: int, share: float) -> None:
    results = [trial(COLUMNS["clique 5 %"], workers=workers, tasks=100_000, seed=seed) for seed in range(3)]
    assert wrong(results) / 300_000 <= share
