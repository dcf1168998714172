"""LLVM's back end for WebAssembly, and zig's linker: from a kernel's LLVM code to a module of guest ABI 1.

The code is for 64-bit pointers and stays so where it counts and indexes; pointers themselves become 32 bits wide. The texts of
exceptions, which Numba pickles, are put in plain. The module depends on the code, the runtime and the tools' versions alone.
"""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pangea.compute.kernels.frontend import REMEDY, Lowered
from pangea.compute.model.errors import JobDefinitionError, NotDoneError, UnavailableError
from pangea.compute.model.signatures import KernelSignature, KernelType

SDK = Path(__file__).with_name("sdk")
SOURCES = ("math.zig", "runtime.c", "runtime.h")
_SYMBOL = "pangea_kernel"
_TRIPLE = "wasm32-unknown-unknown"
_FEATURES = "+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint,+mutable-globals"
#: The first build also compiles the parts of the compiler's runtime.
_LINK_SECONDS = 600.0
_STACK_BYTES = 256 * 1024
#: Parts of musl that zig ships: pow, and what it needs.
_MUSL_MATH = (
    "pow pow_data exp_data __math_oflow __math_uflow __math_xflow __math_invalid __math_divzero powf powf_data exp2f_data"
    " __math_oflowf __math_uflowf __math_xflowf __math_invalidf"
).split()
_MUSL_INCLUDE = ("musl/src/internal", "musl/src/include", "musl/arch/generic", "include/generic-musl", "musl/include")
#: No product and sum in one rounding: not all machines have that.
_MATH_FLAGS = ("-O2", "-w", "-fno-builtin", "-ffp-contract=off")
_PICKLED = re.compile(
    r'(@\.const\.pickledata\.[0-9a-f]+(?:\.\d+)? = \w+ constant \[(\d+) x i8\]) c"((?:[^"\\]|\\[0-9A-Fa-f]{2})*)"'
)
#: To integers, as x86-64 does it, of which LLVM only says where it is undefined.
_TO_INTEGER = re.compile(r"= fptosi (double|float) (\S+) to (i64|i32)$", re.MULTILINE)
_CONVERSION = """
define internal {integer} @pangea_{real}_to_{integer}({real} %given) alwaysinline {{
  %x = {widened}
  %above = fcmp {least}
  %below = fcmp olt double %x, {most}
  %is_in = and i1 %above, %below
  %safe = select i1 %is_in, double %x, double 0.0
  %whole = fptosi double %safe to {integer}
  %found = select i1 %is_in, {integer} %whole, {integer} {none}
  ret {integer} %found
}}
"""
_UNDEFINED = re.compile(r"undefined symbol: (\S+)")


def versions() -> str:
    """The tools that a module depends on.

    Raises:
        UnavailableError: one of them isn't installed.
    """
    try:
        return " ".join(f"{name}={version(name)}" for name in ("numba", "llvmlite", "ziglang"))
    except PackageNotFoundError as error:
        message = f"a kernel is compiled with Numba, LLVM and zig, and {error.name} isn't installed"
        raise UnavailableError(message, hint=REMEDY, library=error.name) from error


def module(lowered: Lowered, signature: KernelSignature, name: str) -> bytes:
    """A module of guest ABI 1 whose `execute` is the kernel.

    Args:
        lowered: its code.
        signature: its types.
        name: for messages.

    Raises:
        UnavailableError: zig isn't installed.
        JobDefinitionError: the kernel uses something that isn't there inside a module.
        NotDoneError: linking takes longer than ten minutes.
    """
    with tempfile.TemporaryDirectory(prefix="pangea-kernel-") as folder:
        place = Path(folder)
        (place / "kernel.o").write_bytes(_object(lowered))
        (place / "glue.c").write_text(_glue(signature))
        target = place / "kernel.wasm"
        flags = ["-fno-entry", "-target", "wasm32-freestanding", "-O", "ReleaseFast", "-fstrip", "--stack", str(_STACK_BYTES)]
        inner = [
            "-cflags",
            "-O2",
            "-Wno-builtin-requires-header",
            f"-I{SDK}",
            "--",
            str(SDK / "runtime.c"),
            str(place / "glue.c"),
        ]
        command = ["build-exe", *flags, str(SDK / "math.zig"), *pow_sources(), *inner, str(place / "kernel.o")]
        run_zig([*command, f"-femit-bin={target}"], name)
        return target.read_bytes()


def pow_sources(*defines: str) -> list[str]:
    """The words that have zig compile pow, in C."""
    found = find_spec("ziglang")
    if found is None or not found.submodule_search_locations:
        raise UnavailableError("a kernel is linked by zig, which isn't installed", hint=REMEDY, library="ziglang")
    libc = Path(found.submodule_search_locations[0]) / "lib" / "libc"
    include = [f"-I{libc / each}" for each in _MUSL_INCLUDE]
    return [
        "-cflags",
        *_MATH_FLAGS,
        *defines,
        *include,
        "--",
        *(str(libc / "musl/src/math" / f"{each}.c") for each in _MUSL_MATH),
    ]


def run_zig(arguments: list[str], name: str) -> None:
    """Run zig.

    Raises:
        JobDefinitionError: it refuses; of what is missing in a module, each name.
        NotDoneError: it takes longer than ten minutes.
    """
    command = [sys.executable, "-m", "ziglang", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LINK_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotDoneError(f"linking the kernel {name} takes longer than {_LINK_SECONDS:g} s") from error
    if done.returncode == 0:
        return
    if missing := sorted(set(_UNDEFINED.findall(done.stderr))):
        raise JobDefinitionError(
            f"the kernel {name} uses what a module doesn't have: {', '.join(missing)}",
            hint="kernels don't print, draw random numbers, use strings, dicts or linear algebra, or compute what they raise",
            option="kernel",
        )
    raise JobDefinitionError(f"the kernel {name} can't be linked:\n{done.stderr.strip()[-2000:]}", option="kernel")


def _object(lowered: Lowered) -> bytes:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(_TRIPLE)
    machine = target.create_target_machine(cpu="generic", features=_FEATURES, opt=3, reloc="static", codemodel="default")
    code = llvm.parse_assembly(_retargeted(lowered.code))
    code.triple, code.data_layout = _TRIPLE, str(machine.target_data)
    for each in code.functions:
        if not each.is_declaration:
            each.linkage = "external" if each.name == lowered.symbol else "internal"
    code.get_function(lowered.symbol).name = _SYMBOL
    for each in code.global_variables:
        if not each.is_declaration:
            each.linkage = "internal"
    code.verify()
    _optimise(llvm, code, machine)
    return bytes(machine.emit_object(code))


def _optimise(llvm: Any, code: Any, machine: Any) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = True
    builder = llvm.create_pass_builder(machine, options)
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()  # Numba's wrappers for Python: nobody calls them
    passes.run(code, builder)
    builder.getModulePassManager().run(code, builder)
    pruning = llvm.create_new_module_pass_manager()
    pruning.add_refprune_pass()
    pruning.run(code, builder)
    builder.getModulePassManager().run(code, builder)


def _retargeted(code: str) -> str:
    code = re.sub(r'target (triple|datalayout) = ".*"', "", code)
    code = re.sub(r'"(target-cpu|target-features|probe-stack)"="[^"]*"', "", code)
    code = code.replace("= common ", "= internal ")  # LLVM's writer of WebAssembly ends the process at such a global
    code = _TO_INTEGER.sub(lambda found: f"= call {found[3]} @pangea_{found[1]}_to_{found[3]}({found[1]} {found[2]})", code)
    return _PICKLED.sub(_plain, code) + "".join(_conversion(real, bits) for real in ("double", "float") for bits in (32, 64))


def _conversion(real: str, bits: int) -> str:
    """A function that converts as x86-64 does: what no integer holds becomes the least one. Source: CVTTSD2SI, Intel's manual."""
    limit = float(1 << (bits - 1))
    widened = "fadd double %given, -0.0" if real == "double" else "fpext float %given to double"
    least = f"oge double %x, {-limit!r}" if bits == 64 else f"ogt double %x, {-limit - 1!r}"
    none = -(1 << (bits - 1))
    return _CONVERSION.format(integer=f"i{bits}", real=real, widened=widened, least=least, most=repr(limit), none=none)


def _plain(match: re.Match[str]) -> str:
    """The constant with the text of the exception in it, as long as it was."""
    declared, size = match[1], int(match[2])
    pickled = re.sub(rb"\\([0-9A-Fa-f]{2})", lambda each: bytes([int(each[1], 16)]), match[3].encode())
    what = pickle.loads(pickled)  # noqa: S301  # Numba has just made it, of the author's own program
    text = b""
    if isinstance(what, tuple) and len(what) == 3 and isinstance(what[0], type):
        text = said_of(what[0], what[1] or ()).encode()
    text = text[: size - 1].ljust(size, b"\0")
    escaped = "".join(map(r"\{:02X}".format, text))
    return f'{declared} c"{escaped}"'


def said_of(raised: type, arguments: Iterable[object]) -> str:
    """What is said of an exception: its class, and the first line of its text; below that Numba names files of its own."""
    said = ", ".join(map(str, arguments)).partition("\n")[0]
    return f"{raised.__name__}: {said}" if said else raised.__name__


def _glue(signature: KernelSignature) -> str:
    """C that turns a chunk into the kernel's arguments and what it returns into a result."""
    parameters, reads, arguments = [], [], []
    for index, type_ in enumerate(signature.takes):
        passed = _argument(type_, index)
        parameters += passed.parameters
        reads.append(passed.read)
        arguments += passed.arguments
    returns = signature.returns
    made = _array_struct(returns.dimensions) if returns.dimensions else _C_TYPES[returns.item]
    written = "made.data, made.shape, made.strides" if returns.dimensions else "&made, (int64_t[]){1}, (int64_t[]){sizeof made}"
    return f"""#include "runtime.h"
typedef {made} returned;
extern int32_t {_SYMBOL}(returned *, const exception **, {", ".join(parameters)});
__attribute__((export_name("execute"))) int64_t pangea_execute(const uint8_t *data, uint32_t size) {{
    npy_reader reader = {{data, size, 0}};
    {chr(10).join(reads)}
    if (pangea_end(&reader)) return -1;
    returned made;
    const exception *raised = 0;
    int32_t status = {_SYMBOL}(&made, &raised, {", ".join(arguments)});
    if (status) return pangea_raised(status, raised);
    static const array_type type = {_array_type(returns, max(1, returns.dimensions))};
    return pangea_write_array(&type, {written});
}}
"""


class _Argument:
    def __init__(self, parameters: list[str], read: str, arguments: list[str]) -> None:
        self.parameters, self.read, self.arguments = parameters, read, arguments


_C_TYPES = {
    "bool": "uint8_t",
    "float32": "float",
    "float64": "double",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def _argument(type_: KernelType, index: int) -> _Argument:
    count = type_.dimensions
    read = f"""
    static const array_type type{index} = {_array_type(type_, count)};
    void *data{index};
    int64_t shape{index}[{max(1, count)}], items{index};
    if (pangea_read_array(&reader, &type{index}, &data{index}, shape{index}, &items{index})) return -1;"""
    if not count:
        c_type = _C_TYPES[type_.item]
        return _Argument([c_type], read, [f"*({c_type} *)data{index}"])
    strides = [
        " * ".join([*(f"shape{index}[{inner}]" for inner in range(axis + 1, count)), str(type_.item_bytes)])
        for axis in range(count)
    ]
    shape = [f"shape{index}[{axis}]" for axis in range(count)]
    parameters = ["void *", "void *", "int64_t", "int64_t", "void *", *["int64_t"] * (2 * count)]
    return _Argument(parameters, read, ["0", "0", f"items{index}", str(type_.item_bytes), f"data{index}", *shape, *strides])


def _array_type(type_: KernelType, dimensions: int) -> str:
    return f'{{"{type_.descr}", "{type_}", {type_.item_bytes}, {dimensions}}}'


def _array_struct(dimensions: int) -> str:
    """Numba's model of an array. Source: numba/core/datamodel/models.py, ArrayModel."""
    sides = f"int64_t shape[{dimensions}], strides[{dimensions}];"
    return f"struct {{ void *info, *parent; int64_t items, item_bytes; void *data; {sides} }}"
