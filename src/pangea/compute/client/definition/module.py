"""A job that is a WebAssembly module of guest ABI 1, written in any language."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pangea.compute.inputs.missing import hint_of_missing
from pangea.compute.model.errors import InputError
from pangea.compute.model.kinds import Declared, InputKind, OutputKind, ResultKind, check_declared
from pangea.compute.model.options import JobOptions
from pangea.compute.model.units import MODULE_BYTES_MAX, human_bytes
from pangea.compute.network.small_files import read_small


@dataclass(frozen=True)
class ModuleJob:
    """A module as a job.

    Attributes:
        wasm: the module's bytes.
        name: for messages.
        associative: whether results may be merged early, in groups.
        input_kind: what the module takes: .npy files ("array"), Arrow streams ("table"), and so on.
        output_kind: what its result is.
    """

    wasm: bytes = field(repr=False)
    name: str = "module"
    associative: bool = False
    input_kind: InputKind = "bytes"
    output_kind: OutputKind = "bytes"

    def __post_init__(self) -> None:
        """Check the kinds.

        Raises:
            JobDefinitionError: one of them is unknown.
        """
        check_declared("execute", Declared(self.input_kind, self.output_kind))

    @property
    def result_kind(self) -> ResultKind:
        """How the result's bytes are to be read."""
        return ResultKind(self.output_kind)

    def options(self, keywords: Mapping[str, Any]) -> JobOptions:
        """The options of a run: the keywords.

        Raises:
            ManifestError: an option is unknown or out of range.
        """
        return JobOptions.of(keywords)

    def archive(self) -> bytes:
        """What travels: the module itself."""
        return self.wasm

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        associative: bool = False,
        input_kind: InputKind = "bytes",
        output_kind: OutputKind = "bytes",
    ) -> ModuleJob:
        """Read a module from a file; whether it is one is found out when it is compiled.

        Raises:
            InputError: the file can't be read, or is larger than any module may be.
            JobDefinitionError: a kind is unknown.
        """
        file = Path(path)
        try:
            size = file.stat().st_size
            if size > MODULE_BYTES_MAX:
                message = f"{file} is {human_bytes(size)}; a module has at most {human_bytes(MODULE_BYTES_MAX)}"
                raise InputError(message, hint="strip it of debug information")
            return cls(read_small(file, MODULE_BYTES_MAX, is_stream_fine=True), file.stem, associative, input_kind, output_kind)
        except FileNotFoundError as error:
            hint = hint_of_missing(file, "name a job file (.py) or a module (.wasm)")
            raise InputError(f"there is no file {file}", hint=hint, path=str(file)) from error
        except IsADirectoryError as error:
            raise InputError(f"{file} is a folder", hint="name the file with the job in it", path=str(file)) from error
        except OSError as error:
            raise InputError(f"the module {file} can't be read: {error.strerror}", path=str(file)) from error
