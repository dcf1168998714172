"""The Python guest called in Wasmtime and in V8 (Node's): each job in a fresh instance, its results and its bills."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pangea.compute.engine import sandbox
from pangea.compute.model.limits import Limits

FUEL = 10**11
#: A fresh instance for each job; the counter is filled before init and before the call.
_NODE = """
const fs = require("fs"), [wasm, given] = process.argv.slice(2);
const compiled = new WebAssembly.Module(fs.readFileSync(wasm));
const made = JSON.parse(fs.readFileSync(given)).map(([source, chunk]) => {
  const { exports } = new WebAssembly.Instance(compiled, {}), bills = [];
  let result = "";
  for (const [name, text] of [["init", source], ["execute", chunk]]) {
    const data = Buffer.from(text);
    exports.fuel.value = FUELn;
    const at = exports.alloc(data.length) >>> 0;
    new Uint8Array(exports.memory.buffer, at, data.length).set(data);
    const packed = BigInt.asUintN(64, exports[name](at, data.length));
    bills.push(Number(FUELn - exports.fuel.value));
    const size = Number(packed & 0xffffffffn);
    result = Buffer.from(new Uint8Array(exports.memory.buffer, Number(packed >> 32n), size)).toString();
  }
  return [result, ...bills];
});
console.log(JSON.stringify(made));
"""


def compiled_guest(wasm: bytes, path: Path) -> sandbox.CompiledModule:
    """The guest compiled for Wasmtime, with its code in the file `path`."""
    code, _ = sandbox.check_and_compile(wasm, Limits(), is_own=True)
    path.write_bytes(code)
    return sandbox.CompiledModule.load(str(path), is_own=True)


def in_wasmtime(compiled: sandbox.CompiledModule, source: str, chunk: str) -> list[object]:
    """Result, and the fuel of init and of the call."""
    guest = sandbox.Sandbox(compiled, Limits(fuel=FUEL))
    bills, result = [], ""
    for name, text in (("init", source), ("execute", chunk)):
        guest.refuel(FUEL)
        guest.reserve(len(text.encode()))[:] = text.encode()
        result = bytes(guest.call(name, 1 << 20)).decode()
        bills.append(guest.fuel_used)
    return [result, *bills]


def in_v8(wasm: bytes, given: Sequence[tuple[str, str]], folder: Path) -> list[Any]:
    """The same of each job, of its source and its chunk."""
    (folder / "guest.wasm").write_bytes(wasm)
    (folder / "jobs.json").write_text(json.dumps(given))
    (folder / "run.cjs").write_text(_NODE.replace("FUELn", f"{FUEL}n"))
    command = ["node", "--stack-size=3900", "run.cjs", "guest.wasm", "jobs.json"]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=1800).stdout
    found: list[Any] = json.loads(said)
    return found
