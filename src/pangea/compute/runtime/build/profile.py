"""Make the guest's profile: train an instrumented guest, write what its counters say in LLVM's raw format, have that merged.

The raw format is compiler-rt's (`InstrProfData.inc`, version 10, little-endian, 32-bit): header, a record for each function,
counters, names, and the values that were seen. The profile is kept as data (`profile.profdata.xz`), so that builds repeat
without training.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pangea.compute.runtime.build.machine import Machine

#: The flags of an instrumented build. Names stay uncompressed: not every llvm-profdata can unpack them.
INSTRUMENTED = ["-fprofile-generate", "-mllvm", "-enable-name-compression=false"]
#: How often each program runs, and the text that it is given.
_ROUNDS, _TEXT = 3, "python/lib/dataclasses.py"
_TRAINING = Path(__file__).parent / "_training"
#: What makes a job of a file of programs: `execute` takes a program's number and, after a line's end, its text.
_DOOR = """
def execute(chunk):
    import random
    random.seed(7)
    number, _, text = chunk.decode().partition("\\n")
    return repr(PROGRAMS[int(number)](text)).encode()[:200] if number else str(len(PROGRAMS)).encode()
"""
_RECORD = struct.Struct("<QQIIIIIHHHxxI")
_ENTRY = struct.Struct("<IIQQ")
#: "\xfflprofR\x81": a raw profile of a 32-bit program.
_MAGIC = int.from_bytes(b"\xfflprofR\x81")
_VALUE_KINDS, _VALUES_MAX = 3, 16


def train(instrumented: bytes, files: Mapping[str, bytes]) -> bytes:
    """Run the training programs; returns the raw profile."""
    machine = Machine(instrumented, files)
    if machine.run("setup") != 0:
        raise RuntimeError("the instrumented guest doesn't start (see above)")
    for part in sorted(_TRAINING.glob("[a-z]*.py")):
        machine.call("init", part.read_bytes() + _DOOR.encode())
        programs = range(int(machine.call("execute", b"")))
        for number in [*programs] * _ROUNDS:
            machine.call("execute", f"{number}\n".encode() + files[_TEXT])
    return _raw(machine)


def _raw(machine: Machine) -> bytes:
    places = [(machine.run("profile_place", which) or 0) & 0xFFFF_FFFF for which in range(9)]
    data, counters, names, entries = (machine.read(places[at], places[at + 1] - places[at]) for at in (0, 2, 4, 6))
    version = int.from_bytes(machine.read(places[8], 8), "little")
    values: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for function, site, value, count in _ENTRY.iter_unpack(entries):
        if count:
            values[function, site].append((count, value))
    seen = b"".join(_values(data, at, places[0], values) for at in range(0, len(data), _RECORD.size))
    header = struct.pack(
        "<16Q",
        *(_MAGIC, version, 0, len(data) // _RECORD.size, -len(data) % 8, len(counters) // 8, -len(counters) % 8),
        *(0, 0, len(names), (places[2] - places[0]) & 0xFFFF_FFFF, 0, places[4], 0, 0, _VALUE_KINDS - 1),
    )
    parts = (part + bytes(-len(part) % 8) for part in (data, counters, names))
    return header + b"".join(parts) + seen


def _values(data: bytes, at: int, base: int, values: Mapping[tuple[int, int], list[tuple[int, int]]]) -> bytes:
    """The values seen in the function whose record is at `at`."""
    sites = _RECORD.unpack_from(data, at)[7:10]
    body, first = bytearray(), 0
    for kind, count in enumerate(sites):
        if not count:
            continue
        found = [sorted(values.get((base + at, first + site), []), reverse=True)[:_VALUES_MAX] for site in range(count)]
        head = struct.pack("<II", kind, count) + bytes(map(len, found))
        body += head + bytes(-len(head) % 8)
        body += b"".join(struct.pack("<QQ", value, times) for site in found for times, value in site)
        first += count
    return struct.pack("<II", 8 + len(body), sum(map(bool, sites))) + bytes(body) if body else b""
