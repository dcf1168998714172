"""Ready jobs over text: how often each word, or each letter, comes."""

from __future__ import annotations

from pangea.compute.client.definition.job import Job, JobDefinition


def word_counts(*, ignore_case: bool = True) -> JobDefinition:
    """Count words: runs of letters, digits and underscores, with apostrophes inside.

    The input is UTF-8 text, cut between lines; what isn't UTF-8 counts as U+FFFD, which is in no word.

    Args:
        ignore_case: count "The" as "the" (Unicode's case folding).

    Returns:
        A job whose result is JSON: word to count, words in the order of their code points. `Counter(result.value)` sorts by
        frequency.
    """

    @Job.define(name="word_counts", split_strategy="row_based")
    def job() -> None:
        @Job.execute(output="json")
        def execute(chunk: bytes) -> dict[str, int]:
            import re
            from collections import Counter

            text = chunk.decode(errors="replace")
            words = re.findall(r"\w+(?:['’]\w+)*", text.casefold() if ignore_case else text)
            return dict(sorted(Counter(words).items()))

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, int]]) -> dict[str, int]:
            return add_counts(results)

    return job


def letter_counts(*, ignore_case: bool = True) -> JobDefinition:
    """Count letters, of whatever alphabet: what Unicode calls a letter.

    The input is UTF-8 text, cut between lines.

    Args:
        ignore_case: count "A" as "a".

    Returns:
        A job whose result is JSON: letter to count, in the order of their code points.
    """

    @Job.define(name="letter_counts", split_strategy="row_based")
    def job() -> None:
        @Job.execute(output="json")
        def execute(chunk: bytes) -> dict[str, int]:
            from collections import Counter

            text = chunk.decode(errors="replace")
            counts = Counter(text.lower() if ignore_case else text)
            return {character: count for character, count in sorted(counts.items()) if character.isalpha()}

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, int]]) -> dict[str, int]:
            return add_counts(results)

    return job


def add_counts(results: list[dict[str, int]]) -> dict[str, int]:
    """Add up counts by name; the names are sorted, so that equal counts are equal bytes."""
    total: dict[str, int] = {}
    for counts in results:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))
