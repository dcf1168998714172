"""A job that is a WebAssembly module of guest ABI 1, written in any language."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pangea.compute.model.errors import InputError
from pangea.compute.model.units import MODULE_BYTES_MAX, human_bytes


@dataclass(frozen=True)
class ModuleJob:
    """A module as a job.

    Attributes:
        wasm: the module's bytes.
        name: for messages.
        associative: whether results may be merged early, in groups.
    """

    wasm: bytes = field(repr=False)
    name: str = "module"
    associative: bool = False

    def archive(self) -> bytes:
        """What travels: the module itself."""
        return self.wasm

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, associative: bool = False) -> ModuleJob:
        """Read a module from a file; whether it is one is found out when it is compiled.

        Raises:
            InputError: the file can't be read, or is larger than any module may be.
        """
        file = Path(path)
        try:
            size = file.stat().st_size
            if size > MODULE_BYTES_MAX:
                message = f"{file} is {human_bytes(size)}; a module has at most {human_bytes(MODULE_BYTES_MAX)}"
                raise InputError(message, hint="strip it of debug information")
            return cls(file.read_bytes(), file.stem, associative)
        except OSError as error:
            raise InputError(f"the module {file} can't be read: {error.strerror}", path=str(file)) from error
