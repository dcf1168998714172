"""How a run was checked, in sentences: what counts for every task, and what the owner's own account adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pangea.compute.model.trace import Check
from pangea.compute.pictures.runs.facts import UNVERIFIED, RunFacts
from pangea.compute.pictures.runs.scales import count

#: What each way of checking says of so many tasks.
_OF_TASKS = {
    Check.HERE: ("was computed by the owner itself: nobody else could have lied", "were computed by the owner itself"),
    Check.AGAIN: (
        "was executed again by the owner, whole, and was right",
        "were executed again by the owner, whole, and were right",
    ),
    Check.PARTLY: ("was executed again by the owner in parts", "were executed again by the owner in parts, drawn at random"),
    Check.OWN: ("has passed the job's own check", "have passed the job's own check"),
    Check.VOTES: ("was given the same answer by independent workers", "were each given the same answer by independent workers"),
    Check.WORD: ("was believed on one worker's word", "were believed on one worker's word, for what its record is worth"),
}
_AGAIN_HERE = "of {tasks}, each was executed again in fresh sandboxes, and compared byte for byte"


def verification(facts: RunFacts) -> list[str]:
    """How a run was checked, one sentence a line."""
    return [text[:1].upper() + text[1:] + ("" if text.endswith((".", "!")) else ".") for text in _sentences(facts)]


def _sentences(facts: RunFacts) -> Iterator[str]:
    if facts.report is not None:
        yield facts.report.verification
    yield from _of_tasks(facts)
    yield from _of_checks(facts)
    yield from facts.findings
    if facts.state == UNVERIFIED:
        yield f"it did not stand: {(facts.error or {}).get('message', '')}"


def _of_tasks(facts: RunFacts) -> Iterator[str]:
    tasks: Counter[Check] = Counter()
    for span in facts.trace.spans:
        tasks[span.check] += span.tasks
    if facts.is_here:
        if tasks[Check.AGAIN]:
            yield _AGAIN_HERE.format(tasks=count(tasks[Check.AGAIN], "task"))
        return
    for check, (one, many) in _OF_TASKS.items():
        if number := tasks[check]:
            yield f"{count(number, 'task')} {one if number == 1 else many}"


def _of_checks(facts: RunFacts) -> Iterator[str]:
    """The owner's account, where there was something to account for."""
    checks = facts.checks
    number = {name: value for name in _COUNTED if isinstance(value := checks.get(name), int) and value}
    confidence = checks.get("confidence")
    if isinstance(confidence, float):
        yield f"every task is right with a probability of {confidence:.6g} at least"
    for name, (one, many) in _COUNTED.items():
        if name in number:
            yield f"{number[name]:,} {one if number[name] == 1 else many}"
    bans = checks.get("bans")
    if isinstance(bans, list) and bans:
        names = ", ".join(str(peer)[:20] for peer in bans[:5]) + (" …" if len(bans) > 5 else "")
        yield f"{count(len(bans), 'worker')} {'was' if len(bans) == 1 else 'were'} found to be wrong and shut out: {names}"
    notes = checks.get("notes")
    told = facts.report.verification if facts.report is not None else ""
    for note in notes[:5] if isinstance(notes, list) else ():
        if str(note) not in told:
            yield str(note)


_COUNTED = {
    "audits": (
        "answer was checked by executing it again here",
        "answers were checked by executing them again here, wholly or in part",
    ),
    "disputes": ("task had answers that differed", "tasks had answers that differed"),
    "withdrawn": ("accepted answer was taken back", "accepted answers were taken back, as their worker was caught elsewhere"),
    "retries": ("attempt was lost to a machine", "attempts were lost to machines"),
}
