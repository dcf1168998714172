"""What came with a job beside its own code: pure-Python packages and the files among them, below `/job/lib`, to be read only.

Nothing is compiled before it is imported. What a package has at home and couldn't come along says so when it is looked for, as
its absence would lead to another result. Modules that a package imports and that can't be here have stand-ins: their names can be
imported, subclassed and excepted, as many a package does without ever using them, and raise once they are called.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import importlib.machinery
import io
import os
import pathlib
import re
import stat
import sys
import types
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from pangea.compute.runtime.guest.graph.remembering import remember
from pangea.compute.runtime.guest.library import BlockedFinder, MemoryFinder
from pangea.compute.runtime.guest.sealing import deny

FOLDER = "/job/lib"
_LIB = "lib/"
_INIT = "/__init__.py"
_DIST_INFO = ".dist-info"
_SEPARATORS = re.compile(r"[-_.]+")


class Reader:
    """What `importlib.resources` asks for a package's files."""

    def __init__(self, folder: str) -> None:
        """Read below `folder`."""
        self._folder = folder

    def files(self) -> pathlib.Path:
        """The folder, which `open` and its kin read here."""
        return pathlib.Path(self._folder)


class Folder:
    """What `pkgutil` asks which modules there are in a package."""

    def __init__(self, packages: PackageFinder, path: str) -> None:
        """Look into `path`."""
        self._packages, self._path = packages, path

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Their names, and whether they are packages."""
        around = self._path.removeprefix(f"{FOLDER}/").replace("/", ".")
        for module in sorted(self._packages.library):
            parent, _, name = module.rpartition(".")
            if parent == around:
                yield prefix + name, self._packages.library[module][0]


class Entry:
    """What `os.scandir` gives of a file or folder."""

    def __init__(self, packages: PackageFinder, folder: str, name: str) -> None:
        """Be `name` in `folder`."""
        self.name, self.path, self._packages = name, f"{folder}/{name}", packages

    def __fspath__(self) -> str:
        """As paths have it."""
        return self.path

    def stat(self, **_options: Any) -> os.stat_result:
        """What `os.stat` says."""
        return self._packages.status(self.path)

    def is_dir(self, **_options: Any) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.stat().st_mode)

    def is_file(self, **_options: Any) -> bool:
        """Whether it is a file."""
        return not self.is_dir()

    def is_symlink(self) -> bool:
        """Whether it is a link: there is none."""
        return False


class PackageFinder(MemoryFinder):
    """Import the packages of a job, and read their files."""

    def __init__(self) -> None:
        """Have none."""
        super().__init__({}, FOLDER)
        self._archive: zipfile.ZipFile | None = None
        #: Files below the folder, and by folder what is in it.
        self._files: dict[str, str] = {}
        self._folders: dict[str, dict[str, None]] = {}
        self._left_out: frozenset[str] = frozenset()
        self._codes: dict[str, types.CodeType] = {}

    def fill(self, archive: zipfile.ZipFile, left_out: Sequence[str]) -> None:
        """Take what is below `lib/` in the archive of a job.

        Args:
            archive: it stays open.
            left_out: files and folders of the packages that didn't come along.
        """
        self._archive, self._left_out = archive, frozenset(left_out)
        for name in archive.namelist():
            if name.startswith(_LIB):
                path = name.removeprefix(_LIB)
                self._files[path] = name
                if path.endswith(".py"):
                    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                    self.library[module] = (path.endswith(_INIT), b"")
        for each in [*self._files, *self._left_out]:
            parts = each.split("/")
            for end, name in enumerate(parts):
                self._folders.setdefault("/".join(parts[:end]), {}).setdefault(name)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module, or a folder of files inside a package, which can be imported as well."""
        if (found := super().find_spec(name, path, target)) is not None:
            return found
        if "." not in name or name.replace(".", "/") not in self._folders:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, is_package=True)
        spec.submodule_search_locations = [f"{FOLDER}/{name.replace('.', '/')}"]
        return spec

    def code(self, name: str) -> types.CodeType:
        """Compile a module's text; warnings of that, its author has seen."""
        if name not in self.library:
            return compile("", name, "exec")
        if name not in self._codes:
            path = f"{name.replace('.', '/')}{_INIT if self.library[name][0] else '.py'}"
            text = self.read(path)
            lines = text.decode("utf-8", "replace").splitlines(keepends=True)
            file = f"{FOLDER}/{path}"
            remember(file, lines, 1)
            with warnings.catch_warnings(action="ignore"):
                self._codes[name] = compile(text, file, "exec", dont_inherit=True)
        return self._codes[name]

    def read(self, path: str) -> bytes:
        """The bytes of a file below the folder."""
        assert self._archive is not None
        return self._archive.read(self._files[path])

    def get_data(self, path: str) -> bytes:
        """The bytes of a file, as `pkgutil.get_data` asks for them."""
        return self.read(self.place(path))

    def get_resource_reader(self, name: str) -> Reader | None:
        """For `importlib.resources`."""
        return Reader(f"{FOLDER}/{name.replace('.', '/')}")

    def find_distributions(self, context: Any) -> Iterator[Any]:
        """For `importlib.metadata`: what says of a package who made it, and its version."""
        wanted = _plain(context.name) if context.name is not None else None
        for name in sorted(self._folders.get("", ())):
            if name.endswith(_DIST_INFO) and wanted in (None, _plain(name.partition("-")[0])):
                yield sys.modules["importlib.metadata"].PathDistribution(pathlib.Path(FOLDER, name))

    def place(self, path: Any) -> str:
        """Where below the folder a file is.

        Raises:
            PermissionError: it is elsewhere, where a job has nothing.
            FileNotFoundError: there is none at home either.
            RuntimeError: it is there at home, and didn't come along.
        """
        found = self._below(path)
        if found not in self._files:
            code = errno.EISDIR if found in self._folders else errno.ENOENT
            raise OSError(code, os.strerror(code), path)
        return found

    def status(self, path: Any) -> os.stat_result:
        """What `os.stat` says."""
        found = self._below(path)
        if found in self._folders:
            return os.stat_result((stat.S_IFDIR | 0o555, 0, 0, 1, 0, 0, 0, 0, 0, 0))
        size = self._archive.getinfo(self._files[self.place(path)]).file_size if self._archive is not None else 0
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, size, 0, 0, 0))

    def names(self, path: Any) -> list[str]:
        """What `os.listdir` says."""
        found = self._below(path)
        if found not in self._folders:
            self.place(path)
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return sorted(self._folders[found])

    @contextlib.contextmanager
    def entries(self, path: Any) -> Iterator[Iterator[Entry]]:
        """What `os.scandir` gives."""
        yield (Entry(self, os.fspath(path), name) for name in self.names(path))

    def _below(self, path: Any) -> str:
        name = os.fspath(path) if isinstance(path, str | bytes | os.PathLike) else deny()
        name = os.path.normpath(os.fsdecode(name))
        if name != FOLDER and not name.startswith(f"{FOLDER}/"):
            deny()
        found = name.removeprefix(FOLDER).removeprefix("/")
        parts = found.split("/")
        if any("/".join(parts[:end]) in self._left_out for end in range(1, len(parts) + 1)):
            raise RuntimeError(f"{found} is of a package's files, and didn't come with the job: they are too large together")
        return found


def _plain(name: str) -> str:
    return _SEPARATORS.sub("_", name).lower()


def let_read(packages: PackageFinder) -> None:
    """Have `open`, `os.stat`, `os.listdir` and `os.scandir` read what came with packages, where all else stays denied."""

    def open_(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **_others: Any,
    ) -> Any:
        if {*mode} & {*"wax+"}:
            deny()
        data = io.BytesIO(packages.read(packages.place(file)))
        return data if "b" in mode else io.TextIOWrapper(data, encoding or "utf-8", errors, newline)

    def status(path: Any, **_options: Any) -> os.stat_result:
        return packages.status(path)

    def names(path: Any = ".") -> list[str]:
        return packages.names(path)

    def entries(path: Any = ".") -> Any:
        packages.names(path)
        return packages.entries(path)

    def folder(path: str) -> Folder:
        if not path.startswith(f"{FOLDER}/"):
            raise ImportError(f"{path} is no folder of a package that came with the job", path=path)
        return Folder(packages, path)

    sys.path_hooks[:] = [folder]  # type: ignore[list-item]
    os.scandir = entries
    builtins.open = io.open = open_  # type: ignore[assignment]
    os.stat = os.lstat = status
    os.listdir = names  # type: ignore[assignment]


class StandIns(BlockedFinder):
    """Refuse what the guest lacks, but for modules that packages of the job import and may never use."""

    def __init__(self) -> None:
        """Stand in for none."""
        self.names: frozenset[str] = frozenset()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a stand-in, or refuse."""
        if name in self.names:
            return importlib.machinery.ModuleSpec(name, self, origin="<absent>", is_package=True)  # type: ignore[arg-type]
        return super().find_spec(name, path, target)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make one whose names are `absent`."""
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: names are made as they are asked for."""


class _StandIn(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} inside a job", name=name, obj=self)
        made = absent(self.__name__, name)
        setattr(self, name, made)
        return made


def absent(module: str, name: str) -> type:
    """A class, so that packages can subclass it, annotate with it and except it, that can't be called."""

    def refuse(*_arguments: Any, **_options: Any) -> NoReturn:
        raise PermissionError(f"a job has no {module}.{name}: it has no files, network, processes or terminal")

    return type(name, (Exception,), {"__module__": module, "__new__": refuse})
