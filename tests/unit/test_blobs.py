from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest

from pangea.compute.model.errors import InputError, QuotaError
from pangea.compute.node.storage import blobs
from pangea.compute.node.storage.blobs import BlobStore
from tests.leaks import assert_none_left_open

DATA = b"content" * 1000
NAME = sha256(DATA).hexdigest()
OLD = 10**10


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files(store: BlobStore) -> list[str]:
    return sorted(path.name for path in store._folder.rglob("*") if path.is_file())


def test_content_is_found_by_its_hash_also_after_a_restart(store: BlobStore) -> None:
    assert store.put([DATA[:10], memoryview(DATA)[10:]], durable=True) == NAME
    for each in (store, BlobStore(store._folder)):
        assert (each.has(NAME), each.size(NAME), each.total_bytes) == (True, len(DATA), len(DATA))
        assert each.read(NAME, 7, 7) == b"content"
        assert each.check(NAME)


def test_the_same_content_twice_is_kept_once(store: BlobStore) -> None:
    store.put([DATA], durable=False)
    store.put([DATA], durable=True)
    assert files(store) == [NAME]
    assert store.total_bytes == len(DATA)


@pytest.mark.parametrize(
    ("size", "name", "sent", "message"),
    [
        (len(DATA), "0" * 64, DATA, "announced were"),
        (len(DATA), NAME, DATA[:-1], "announced were"),
        (len(DATA) - 1, NAME, DATA, "were announced"),
    ],
)
def test_what_isnt_as_announced_is_refused_and_leaves_nothing(
    store: BlobStore, size: int, name: str, sent: bytes, message: str
) -> None:
    def send() -> None:
        with store.writer(size, name) as writer:
            writer.write(sent)
            writer.finish()

    with pytest.raises(InputError, match=message):
        send()
    assert files(store) == []


@pytest.mark.parametrize("name", ["../" * 20 + "etc/passwd", "A" * 64, "", "a" * 63, "a" * 64 + "/x"])
def test_only_a_hash_is_a_name(store: BlobStore, name: str) -> None:
    with pytest.raises(InputError):
        store.writer(1, name)
    with pytest.raises(InputError):
        store.path(name)


def test_content_larger_than_the_disk_is_refused_before_a_byte_is_sent(store: BlobStore) -> None:
    with pytest.raises(QuotaError, match="don't fit"):
        store.writer(1 << 60, NAME)


def test_a_disk_that_fills_up_is_an_error_with_the_figure_and_leaves_nothing(store: BlobStore) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from pangea.compute.node.storage.blobs import BlobStore;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from pangea.compute.model.errors import QuotaError\n"
        "try: BlobStore(Path(sys.argv[1])).put([bytes(60_000)] * 3, durable=False)\n"
        "except QuotaError as error: print(error.message)"
    )
    command = [sys.executable, "-c", code, str(store._folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "the node's disk fails: file too large, after 58.6 KiB of a blob" in done.stdout
    assert files(store) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000


def test_a_flipped_bit_is_noticed(store: BlobStore) -> None:
    store.put([DATA], durable=False)
    with open(store.path(NAME), "r+b") as file:
        file.seek(100)
        file.write(b"\0")
    assert not store.check(NAME)


def test_only_what_is_neither_needed_nor_pinned_nor_young_is_collected(store: BlobStore) -> None:
    needed, pinned, _useless = (store.put([each], durable=False) for each in (b"needed", b"pinned", b"useless"))
    store.pin(pinned)
    assert store.collect({needed}, older_than=60.0, now=time.monotonic()) == 0
    assert store.collect({needed}, older_than=60.0, now=OLD) == len(b"useless")
    assert files(store) == sorted([needed, pinned])
    store.unpin(pinned)
    store.collect({needed}, older_than=60.0, now=OLD)
    assert files(store) == [needed]


def test_many_threads_may_write_the_same_and_other_blobs(store: BlobStore) -> None:
    contents = [b"%d" % (index % 5) * 10_000 for index in range(40)]
    threads = [threading.Thread(target=store.put, args=([content],), kwargs={"durable": False}) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert files(store) == sorted({sha256(content).hexdigest() for content in contents})
    assert store.total_bytes == 50_000


def test_what_a_crash_left_is_cleared_away_and_nothing_else(store: BlobStore) -> None:
    store.put([DATA], durable=True)
    folder = store._folder
    for left in (f"{NAME[:2]}/.{NAME}-123-4", ".new-abcd"):
        (folder / left).write_bytes(b"left")
    (folder / ".keep").write_bytes(b"")
    assert BlobStore(folder).names() == [NAME]
    assert files(store) == sorted([NAME, ".keep"])


def test_on_a_file_system_without_unnamed_files_blobs_are_whole_or_not_there(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path, _mode: int) -> int:
        raise OSError(errno.EOPNOTSUPP, "no such files here")

    monkeypatch.setattr(blobs, "unnamed_file", refuse)
    with store.writer(len(DATA), NAME) as writer:
        writer.write(DATA[:5])
        assert not store.has(NAME)
    assert files(store) == []
    for _ in range(2):
        assert store.put([DATA], durable=True) == NAME
    assert files(store) == [NAME]
    assert os.stat(store.path(NAME)).st_mode & 0o777 == 0o600


def test_who_writes_something_else_than_announced_holds_no_file_open(store: BlobStore) -> None:
    with assert_none_left_open():
        writer = store.writer(1, NAME)
        with pytest.raises(InputError):
            writer.finish()


def test_what_isnt_there_is_an_error(store: BlobStore) -> None:
    with pytest.raises(InputError, match="has no content"):
        store.size(NAME)
    with pytest.raises(InputError, match="can't be read"):
        store.read(NAME, 0, 1)
    assert not store.check(NAME)
    assert store.delete(NAME) == 0


def test_a_deleted_blob_frees_its_bytes(store: BlobStore) -> None:
    store.put([DATA], durable=False)
    assert store.delete(NAME) == len(DATA)
    assert (store.names(), store.total_bytes, files(store)) == ([], 0, [])


def test_a_long_read_is_put_together(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "_READ_BYTES_MAX", 1000)
    store.put([DATA], durable=False)
    assert store.read(NAME, 1, 10**9) == DATA[1:]
