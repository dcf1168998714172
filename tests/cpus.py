"""Jobs on a CPU that is named: what each gives, to the byte, and the fuel that it takes.

    python -m tests.cpus compile GUEST.wasm CODE --cpu arm64        # native code for that CPU, made on any other
    python -m tests.cpus run CODE JOBS.json RESULTS.json            # on that CPU, or in an emulator of it

`JOBS.json` is a list of [source, chunk]: Python for the guest's `init`, text for its `execute`; or, with `--module` (and a module
of one's own for GUEST.wasm), of ["", chunk in hex]. It imports nothing but the sandbox, so that it runs wherever wasmtime does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from wasmtime import Config, Engine, Linker, Module
from wasmtime import _bindings as native

from pangea.compute.engine import sandbox
from pangea.compute.engine.globals import with_globals_exported
from pangea.compute.model.limits import Limits
from pangea.compute.model.units import OWN_STACK_BYTES

FUEL = 10**11
_RESULT_MAX = 64 << 20


class Cpu(NamedTuple):
    """What code is made for.

    Attributes:
        triple: as compilers name it; "": this machine's, with all that it has.
        features: of Cranelift's, beyond what every CPU of that kind has.
    """

    triple: str = ""
    features: tuple[str, ...] = ()


#: The guest's vectors take SSE 4.1 at least. Pulley is Wasmtime's own interpreter: a CPU that is none.
CPUS = {
    "this": Cpu(),
    "x86-64 with SSE 4.1": Cpu("x86_64-unknown-linux-gnu", ("has_sse3", "has_ssse3", "has_sse41")),
    "x86-64 with AVX": Cpu(
        "x86_64-unknown-linux-gnu",
        ("has_sse3", "has_ssse3", "has_cmpxchg16b", "has_sse41", "has_sse42", "has_popcnt", "has_avx"),
    ),
    "pulley": Cpu("pulley64"),
    "arm64": Cpu("aarch64-unknown-linux-gnu"),
}


def engine(cpu: Cpu, *, is_own: bool) -> Engine:
    """An engine that makes code for a CPU, with the sandbox's settings."""
    config = Config()
    native.wasmtime_config_async_stack_size_set(config.ptr(), OWN_STACK_BYTES)
    for name, value in (sandbox._OWN_SETTINGS if is_own else sandbox._SETTINGS).items():
        setattr(config, name, value)
    if cpu.triple:
        config.target = cpu.triple
    for feature in cpu.features:
        native.wasmtime_config_cranelift_flag_enable(config.ptr(), feature.encode())
    return Engine(config)


def compiled(wasm: bytes, cpu: Cpu, *, is_own: bool) -> bytes:
    """A module's code for a CPU."""
    return bytes(Module(engine(cpu, is_own=is_own), with_globals_exported(wasm)).serialize())


def ran(code: Path, cpu: Cpu, jobs: list[tuple[str, str]], *, is_own: bool) -> list[list[object]]:
    """Of each job, in a fresh instance: its result in hex or its failure, and the fuel of init and of the call."""
    made = engine(cpu, is_own=is_own)
    template = Linker(made).instantiate_pre(Module.deserialize_file(made, str(code)))
    loaded = sandbox.CompiledModule(made, template, is_own)
    return [_job(loaded, source, chunk) for source, chunk in jobs]


def _job(loaded: sandbox.CompiledModule, source: str, chunk: str) -> list[object]:
    guest = sandbox.Sandbox(loaded, Limits(fuel=FUEL, memory=512 << 20))
    steps = [("init", source.encode()), ("execute", chunk.encode())] if source else [("execute", bytes.fromhex(chunk))]
    bills = list[int]()
    given = ""
    for name, data in steps:
        guest.refuel(FUEL)
        guest.reserve(len(data))[:] = data
        try:
            given = bytes(guest.call(name, _RESULT_MAX)).hex()
        except sandbox.SandboxError as error:
            return [f"{error.failure.kind}: {error.failure.message}", *bills, guest.fuel_used]
        bills.append(guest.fuel_used)
    return [given, *bills]


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu", choices=CPUS, default="this")
    parser.add_argument("--module", action="store_true", help="a user's module, metered by Wasmtime")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, files in (("compile", ["wasm", "code"]), ("run", ["code", "jobs", "results"])):
        command = commands.add_parser(name)
        for file in files:
            command.add_argument(file, type=Path)
    given = parser.parse_args()
    cpu, is_own = CPUS[given.cpu], not given.module
    if given.command == "compile":
        given.code.write_bytes(compiled(given.wasm.read_bytes(), cpu, is_own=is_own))
        return
    results = ran(given.code, cpu, json.loads(given.jobs.read_text()), is_own=is_own)
    given.results.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
