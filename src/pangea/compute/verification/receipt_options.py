"""The options of a job that govern what it computes, as they stand in its spec and its receipt."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.verification.receipt_fields import Fields, unreadable

#: Field of the file and of `JobOptions`: the options that decide how the input is cut, what shares a sandbox
#: instance, and how the results are merged.
_CUTTING = {
    "splitStrategy": "split_strategy",
    "minChunkSize": "min_chunk_size",
    "maxChunkSize": "max_chunk_size",
    "chunksPerPack": "chunks_per_pack",
    "associativeMerge": "associative_merge",
}


def governing(options: JobOptions, *, limits: Limits, associative: bool) -> JobOptions:
    """Of a job's options those that decide what is computed; the others have their defaults.

    Args:
        options: as submitted.
        limits: as the workers had them: with the fuel of the job's kind filled in.
        associative: whether results were allowed to be merged early, by the job's word or by the options'.
    """
    kept = {option: getattr(options, option) for option in _CUTTING.values()}
    return JobOptions.of({**kept, "delimiter": options.delimiter, "limits": limits, "associative_merge": associative})


def options_to_json(options: JobOptions) -> dict[str, Any]:
    """What `governing` left, as JSON types."""
    return {
        **{name: getattr(options, option) for name, option in _CUTTING.items()},
        "delimiter": base64.b64encode(options.delimiter).decode(),
        "limits": asdict(options.limits),
    }


def options_from_json(value: object, where: str) -> JobOptions:
    """Read what `options_to_json` gave.

    Raises:
        UnverifiedError: it isn't that; errors call it `where`.
    """
    fields = Fields(value, where)
    values = {option: fields.take(name) for name, option in _CUTTING.items()}
    values["delimiter"] = fields.data("delimiter")
    values["limits"] = fields.take("limits")
    fields.end()
    try:
        return JobOptions.of(values)
    except (ManifestError, TypeError) as error:
        raise unreadable(f"{where}: {error}") from error
