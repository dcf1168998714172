"""What is changed in CPython's source for the guest: exact replacements, each with its reason. One that doesn't fit is an error.

* The allocator. Every object is allocated through a function pointer that a debugger may change. Compared with the usual one
  first, the call is direct, and the compiler inlines it. Hooks (tracemalloc) go on working.
* The meter. Bytecode is charged for where it can go on for ever, at backward jumps and new frames, and not at every turn of the
  interpreter's loop, which the meter then spares (`meter.py`).
* Deep recursion in C. CPython watches the stack that it keeps in linear memory, while the engine has a stack of its own, whose
  depth depends on the machine. Whoever asks CPython for the depth gets a frame of a least size in linear memory, so CPython's
  limit is always met first: a RecursionError after the same call everywhere, where it would be a trap.
* Waits for ever. There is one thread, so a lock that is taken stays taken while somebody waits for it, and an empty queue empty:
  a RuntimeError that says so, where wasi-libc's condition variables trap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Bytes of the stack in linear memory that CPython may use, and of each frame that asks for the depth. The engine's own stack
#: must be as large as nine tenths of the first (`engine/sandbox.py`); deep_recursion tests in tests/ hold the three together.
STACK_BYTES = 5 << 20
FRAME_BYTES = 1024
PARSER_FRAME_BYTES = 512
#: Units of the meter for a bytecode instruction on the way of a backward jump, and for a new frame.
JUMP_UNITS, FRAME_UNITS = 8, 64


@dataclass(frozen=True)
class Change:
    """Replace `old` by `new` in `file`, exactly `times` times."""

    file: str
    old: str
    new: str
    times: int = 1


def _direct(domain: str, function: str, arguments: str, result: str) -> Change:
    """Compare a pointer of the allocator with the usual function before it is called."""
    usual = f"_PyObject_{function.capitalize()}"
    call = f"{domain}.{function}({domain}.ctx, {arguments});"
    direct = f"{result}{usual}(NULL, {arguments});" if result else f"{{ {usual}(NULL, {arguments}); return; }}"
    return Change(
        "Objects/obmalloc.c", f"    {result}{call}\n", f"    if ({domain}.{function} == {usual}) {direct}\n    {result}{call}\n"
    )


_DEADLOCK = "deadlock: a job has one thread, so nothing else"
_FRAME = f'    char room_[{FRAME_BYTES}];\n    __asm__ volatile("" : : "r"(room_) : "memory");\n'
_PARSER_FRAME = f"""
#undef MAXSTACK
#define MAXSTACK 6000
#define _Py_ReachedRecursionLimitWithMargin(tstate, n) ({{ char room_[{PARSER_FRAME_BYTES}]; \\
    __asm__ volatile("" : : "r"(room_) : "memory"); (_Py_ReachedRecursionLimitWithMargin)(tstate, n); }})
"""

ALLOCATOR = [
    *(_direct(domain, "malloc", "size", "return ") for domain in ("_PyMem", "_PyObject")),
    *(_direct(domain, "free", "ptr", "") for domain in ("_PyMem", "_PyObject")),
]
METER = [
    Change("Python/ceval_macros.h", "#define JUMPBY(x)", '#include "fuel.h"\n#define JUMPBY(x)'),
    Change("Python/generated_cases.c.h", "JUMPBY(-oparg);", f"CHARGE(oparg * {JUMP_UNITS}); JUMPBY(-oparg);", 4),
    Change(
        "Python/generated_cases.c.h",
        "LABEL(start_frame)\n        {\n",
        f"LABEL(start_frame)\n        {{\n            CHARGE({FRAME_UNITS});\n",
    ),
    Change(
        "Python/generated_cases.c.h",
        "frame = tstate->current_frame = temp;",
        f"CHARGE({FRAME_UNITS}); frame = tstate->current_frame = temp;",
        11,
    ),
]
RECURSION = [
    Change(
        "Include/internal/pycore_ceval.h",
        "                                               const char *where) {\n    return (_Py_MakeRecCheck",
        f"                                               const char *where) {{\n{_FRAME}    return (_Py_MakeRecCheck",
    ),
    # The public function's own frame would be gone when it returns: the callers below get the inlined one.
    Change(
        "Include/internal/pycore_ceval.h",
        "static inline void _Py_LeaveRecursiveCallTstate(",
        "#define Py_EnterRecursiveCall _Py_EnterRecursiveCall\n\nstatic inline void _Py_LeaveRecursiveCallTstate(",
    ),
    Change("Python/ceval.c", "\nint Py_EnterRecursiveCall(", "\n#undef Py_EnterRecursiveCall\nint Py_EnterRecursiveCall("),
    *(
        Change(f"Python/{name}.c", '#include "Python.h"\n', '#include "Python.h"\n#include "pycore_ceval.h"\n')
        for name in ("symtable", "ast", "ast_preprocess")
    ),
    Change("Parser/parser.c", "static const int n_keyword_lists", f"{_PARSER_FRAME}static const int n_keyword_lists"),
    # A hash goes as deep as tuples are nested, and nobody watches.
    Change(
        "Objects/tupleobject.c",
        "    Py_ssize_t len = Py_SIZE(v);\n    PyObject **item = v->ob_item;\n    acc = _PyTuple_HASH_XXPRIME_5;\n",
        "    Py_ssize_t len = Py_SIZE(v);\n    PyObject **item = v->ob_item;\n    acc = _PyTuple_HASH_XXPRIME_5;\n"
        '    if (Py_EnterRecursiveCall(" while hashing a tuple")) return -1;\n    Py_LeaveRecursiveCall();\n',
    ),
    Change("Objects/object.c", "\nvoid\n_Py_Dealloc(PyObject *op)\n{\n", f"\nvoid\n_Py_Dealloc(PyObject *op)\n{{\n{_FRAME}"),
]
_LOCK = "    PyTime_t now;\n    // silently ignore error: cannot report error to the caller\n"
WAITS = [
    Change(
        "Python/lock.c",
        f"{_LOCK}    (void)PyTime_MonotonicRaw(&now);\n    PyTime_t endtime = 0;\n",
        "    if (timeout < 0 && (flags & _PY_LOCK_HANDLE_SIGNALS)) {\n"
        f'        PyErr_SetString(PyExc_RuntimeError, "{_DEADLOCK} releases this lock");\n'
        "        return PY_LOCK_INTR;\n    }\n"
        f"{_LOCK}    (void)PyTime_MonotonicRaw(&now);\n    PyTime_t endtime = 0;\n",
    ),
    Change(
        "Modules/_queuemodule.c",
        "        bool waiting = 1;\n",
        "        if (timeout_ns < 0) {\n"
        f'            PyErr_SetString(PyExc_RuntimeError, "{_DEADLOCK} puts anything into this queue");\n'
        "            return NULL;\n        }\n"
        "        bool waiting = 1;\n",
    ),
]
CPYTHON = [*ALLOCATOR, *METER, *RECURSION, *WAITS]


def apply(changes: list[Change], source: Path) -> None:
    """Make `changes` in the folder `source`.

    Raises:
        ValueError: one doesn't fit: the source is of another version.
    """
    for change in changes:
        path = source / change.file
        text = path.read_text(encoding="utf-8")
        if (found := text.count(change.old)) != change.times:
            raise ValueError(f"{change.file}: {change.old!r} is there {found} times, not {change.times}")
        path.write_text(text.replace(change.old, change.new), encoding="utf-8")
