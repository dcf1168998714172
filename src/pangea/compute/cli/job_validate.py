"""`pangea job validate`: try a job on a sample before it costs anything."""

from __future__ import annotations

from pangea.compute.cli.console import say
from pangea.compute.cli.job_files import Inputs, Own, open_job
from pangea.compute.cli.manifest_options import ManifestOptions
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.cli.usage import options_of
from pangea.compute.model.errors import UnverifiedError

#: Findings that are told; JSON has all.
_TOLD_MAX = 20


def validate(
    target: str,
    *,
    input: Inputs = None,  # noqa: A002
    options: ManifestOptions | None = None,
    as_json: AsJson = False,
    **own: Own,
) -> None:
    """Try a job on a sample of its input, on this machine: does it repeat, are chunks independent, is merge associative?

    The first 1,000 chunks are executed in packs and each by itself, twice; results and fuel must be the same. A merge that is
    declared associative is applied in random groups. Exit codes: 0 all is well, 1 the job failed, 4 something is wrong: a list.

    Parameters
    ----------
    target
        A job file (job.py), one job of it (job.py:name), or a module (job.wasm).
    """
    from pangea.compute.client.definition.any_job import options_for
    from pangea.compute.client.submission.validating import validate_job

    file = open_job(target, input, own, options_of(validate))
    chosen = options_for(file.job, (options or ManifestOptions()).keywords())
    found = validate_job(file.job, file.input_data, chosen)
    if wants_json(as_json=as_json):
        print_data(found.to_json())
    else:
        for line in found.lines(chosen.limits.memory):
            print_out(line)
        for finding in found.findings[:_TOLD_MAX]:
            say(finding)
    if found.findings:
        count = len(found.findings)
        raise UnverifiedError(
            f"the job doesn't stand: {count:,} {'thing is' if count == 1 else 'things are'} wrong",
            findings=found.findings[:_TOLD_MAX],
        )
    if not wants_json(as_json=as_json):
        print_out("all is well: the same bytes and fuel each time, packed and isolated")
