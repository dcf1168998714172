"""Job archives that are small to send and dear to open, or broken: refused as no module, on whichever node they come to."""

from __future__ import annotations

import io
import json
import zipfile
from random import Random
from struct import pack

import pytest

from pangea.compute import runtime
from pangea.compute.engine import job_archive
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import PreparedJob, prepare
from pangea.compute.errors import BadModuleError
from pangea.compute.model.limits import Limits

#: An entry of a directory (APPNOTE 4.3.12), of a file called "a" that isn't there.
ENTRY = pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
REFUSED = "the job archive can't be read"


def archive(method: int = zipfile.ZIP_DEFLATED, **more: object) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as files:
        files.writestr("job.json", json.dumps({"runtime": runtime.sha256(), "entry": {"execute": "f"}, **more}))
    return file.getvalue()


def crowded(entries: int, *, is_64: bool = False) -> bytes:
    """An archive whose directory names so many files more, told in the record at its end, or in the larger one before that."""
    plain = archive()
    end = plain.rindex(b"PK\x05\x06")
    size, place = int.from_bytes(plain[end + 12 : end + 16], "little"), int.from_bytes(plain[end + 16 : end + 20], "little")
    directory = plain[place : place + size] + ENTRY * entries
    body, count = plain[:place] + directory, entries + 1
    last = pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count % 2**16, count % 2**16, 0 if is_64 else len(directory), place, 0)
    if is_64:
        large = pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), place)
        last = large + pack("<4sLQL", b"PK\x06\x07", 0, len(body), 1) + last
    return body + last


def prepared(content: bytes, engine: Engine) -> PreparedJob:
    return prepare(content, Limits(), engine, lambda _what: None, name="liar", associative=False)


def test_what_is_made_here_is_taken(engine: Engine) -> None:
    assert prepared(archive(), engine).has_merge is False
    assert prepared(crowded(1_000), engine).has_merge is False


@pytest.mark.parametrize(
    "content",
    [crowded(100_000), crowded(100_000, is_64=True), archive() + b"x", archive(zipfile.ZIP_LZMA), archive(zipfile.ZIP_BZIP2)],
    ids=["many names", "many names in 64 bits", "something after it", "a dictionary of any size", "bzip2"],
)
def test_archives_that_are_dear_to_open_are_refused_unopened(content: bytes, engine: Engine) -> None:
    with pytest.raises(BadModuleError, match=REFUSED):
        prepared(content, engine)


def test_a_directory_of_many_names_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = (crowded(100_000), crowded(100_000, is_64=True))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    for content in contents:
        with pytest.raises(ValueError, match=r"bytes; at most|more than 4 GiB"):
            job_archive.open_archive(content)


def test_a_description_that_unpacks_to_much_is_refused(engine: Engine) -> None:
    content = archive(more=[[]] * 400_000)
    assert len(content) < 10_000
    with pytest.raises(BadModuleError, match=REFUSED):
        prepared(content, engine)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_whatever_is_damaged_in_it_it_is_refused_as_no_module(method: int, engine: Engine) -> None:
    whole, draw = archive(method, kernels={"execute": "00"}), Random(7)
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 1, 2, 5])):
            content[draw.randrange(4, len(content))] = draw.randrange(256)
        with pytest.raises(BadModuleError):
            prepared(bytes(content), engine)
