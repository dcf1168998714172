"""The small modules that close the guest off: WASI answers that never vary, and the exports of guest ABI 1.

componentize-py stubs WASI with functions that trap. Some of those are called by CPython in ordinary work (looking for a
source line to quote, asking the time, seeding a hash), and a trap there would end the job without a word. They are
replaced by constants here; all others still trap.
"""

from __future__ import annotations

from pangea.compute.runtime.build.component import Place


def wasi_replacement(exports: frozenset[str], memory: Place, malloc: Place) -> str | None:
    """WAT of a harmless stand-in for the stub module with these `exports`, or None when the stub may stay."""
    use_memory = f'(import "i{memory[0]}" "{memory[1]}" (memory 1))'
    empty = "(param i32) (i64.store (local.get 0) (i64.const 0))"
    bodies = {
        frozenset({"get-directories"}): f'{use_memory} (func (export "get-directories") {empty})',
        frozenset({"get-environment", "get-arguments"}): (
            f'{use_memory} (func (export "get-environment") {empty}) (func (export "get-arguments") {empty})'
        ),
        frozenset({"now", "resolution"}): (
            f'{use_memory} (func (export "now") (param i32)'
            " (i64.store (local.get 0) (i64.const 0)) (i32.store offset=8 (local.get 0) (i32.const 0)))"
            ' (func (export "resolution") (param i32)'
            " (i64.store (local.get 0) (i64.const 0)) (i32.store offset=8 (local.get 0) (i32.const 1)))"
        ),
        frozenset({"now", "resolution", "subscribe-duration", "subscribe-instant"}): (
            '(func (export "now") (result i64) (i64.const 0)) (func (export "resolution") (result i64) (i64.const 1))'
            ' (func (export "subscribe-duration") (param i64) (result i32) (unreachable))'
            ' (func (export "subscribe-instant") (param i64) (result i32) (unreachable))'
        ),
        frozenset({"get-random-bytes"}): _random_bytes(use_memory, malloc),
    }
    body = bodies.get(exports)
    return None if body is None else f"(module {body})"


def _random_bytes(use_memory: str, malloc: Place) -> str:
    """A fixed xorshift64 stream (Marsaglia, 2003, "Xorshift RNGs", shifts 13, 7, 17): the same bytes at every start."""
    step = "(global.set $state (i64.xor (global.get $state) (i64.{shift} (global.get $state) (i64.const {by}))))"
    steps = " ".join(step.format(shift=shift, by=by) for shift, by in (("shl", 13), ("shr_u", 7), ("shl", 17)))
    return f"""{use_memory}
      (import "i{malloc[0]}" "{malloc[1]}" (func $malloc (param i32) (result i32)))
      (global $state (mut i64) (i64.const 0x9E3779B97F4A7C15))
      (func (export "get-random-bytes") (param $count i64) (param $result i32) (local $p i32) (local $i i32) (local $n i32)
        (local.set $n (i32.wrap_i64 (local.get $count)))
        (local.set $p (call $malloc (i32.add (local.get $n) (i32.const 8))))
        (i32.store (local.get $result) (local.get $p))
        (i32.store offset=4 (local.get $result) (local.get $n))
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
          {steps}
          (i64.store (i32.add (local.get $p) (local.get $i)) (global.get $state))
          (local.set $i (i32.add (local.get $i) (i32.const 8)))
          (br $next))))"""


def abi(providers: dict[str, Place], memory: Place, prefix: str) -> str:
    """WAT of the module whose exports, each named with `prefix`, are guest ABI 1.

    `alloc` makes a `bytes` object and returns where its bytes lie; a call passes that very object to the Python function,
    and its result is read where it lies. So a chunk is copied once on its way in and once on its way out.

    Args:
        providers: where each function of `C_API` is exported.
        memory: where the memory is exported.
        prefix: what the build's linker step keeps and strips.
    """
    imports = [f'(import "i{place[0]}" "{place[1]}" (func ${name} {C_API[name]}))' for name, place in providers.items()]
    functions = [_function(name, index, prefix) for index, name in enumerate(FUNCTIONS)]
    return "\n".join(
        [
            "(module",
            f'(import "i{memory[0]}" "{memory[1]}" (memory $memory 1))',
            *imports,
            f'(export "{prefix}memory" (memory $memory))',
            _BODY.replace("PREFIX", prefix),
            *functions,
            ")",
        ]
    )


#: The exports that take (pointer, length), in the order of the guest's `sys.abi1`.
FUNCTIONS = ("init", "split", "execute", "execute_many", "merge", "take_prints")

#: What the exports use of CPython's C API and libc, with signatures. Source: docs.python.org, "Python/C API".
C_API = {
    "malloc": "(param i32) (result i32)",
    "PyGILState_Ensure": "(result i32)",
    "PyGILState_Release": "(param i32)",
    "PySys_GetObject": "(param i32) (result i32)",
    "PyTuple_GetItem": "(param i32 i32) (result i32)",
    "PyTuple_Size": "(param i32) (result i32)",
    "PyBytes_FromStringAndSize": "(param i32 i32) (result i32)",
    "PyBytes_AsString": "(param i32) (result i32)",
    "PyBytes_Size": "(param i32) (result i32)",
    "PyObject_CallOneArg": "(param i32 i32) (result i32)",
    "PyErr_Clear": "",
    "Py_IncRef": "(param i32)",
    "Py_DecRef": "(param i32)",
}

_BODY = """
(global $name (mut i32) (i32.const 0))       ;; "abi1" as a C string
(global $input (mut i32) (i32.const 0))      ;; the bytes object that alloc made last
(global $input_at (mut i32) (i32.const 0))   ;; where its bytes lie
(global $result (mut i32) (i32.const 0))     ;; the bytes object that holds the last result or error
(func (export "PREFIXalloc") (param $n i32) (result i32) (local $lock i32)
  (local.set $lock (call $PyGILState_Ensure))
  (if (global.get $input) (then (call $Py_DecRef (global.get $input)) (global.set $input (i32.const 0))))
  (global.set $input_at (i32.const 0))
  (global.set $input (call $PyBytes_FromStringAndSize (i32.const 0) (local.get $n)))
  (if (global.get $input)
    (then (global.set $input_at (call $PyBytes_AsString (global.get $input))))
    (else (call $PyErr_Clear)))
  (call $PyGILState_Release (local.get $lock))
  (global.get $input_at))
(func $argument (param $p i32) (param $n i32) (result i32) (local $object i32)
  (local.set $object (global.get $input))
  (if (result i32) (i32.and (i32.eq (local.get $p) (global.get $input_at)) (i32.ne (local.get $object) (i32.const 0)))
    (then
      (if (result i32) (i32.eq (call $PyBytes_Size (local.get $object)) (local.get $n))
        (then (global.set $input (i32.const 0)) (local.get $object))
        (else (call $PyBytes_FromStringAndSize (local.get $p) (local.get $n)))))
    (else (call $PyBytes_FromStringAndSize (local.get $p) (local.get $n)))))
(func $python (param $index i32) (result i32)
  (if (i32.eqz (global.get $name)) (then
    (global.set $name (call $malloc (i32.const 8)))
    (i64.store (global.get $name) (i64.const 0x31696261))))
  (call $PyTuple_GetItem (call $PySys_GetObject (global.get $name)) (local.get $index)))
(func $packed (result i64)
  (i64.or
    (i64.shl (i64.extend_i32_u (call $PyBytes_AsString (global.get $result))) (i64.const 32))
    (i64.extend_i32_u (call $PyBytes_Size (global.get $result)))))
(func (export "PREFIXlast_error") (result i64)
  (if (result i64) (global.get $result) (then (call $packed)) (else (i64.const 0))))
(func $call (param $index i32) (param $p i32) (param $n i32) (result i64)
  (local $lock i32) (local $argument i32) (local $answer i32) (local $text i32)
  (local.set $lock (call $PyGILState_Ensure))
  (if (global.get $result) (then (call $Py_DecRef (global.get $result)) (global.set $result (i32.const 0))))
  (local.set $argument (call $argument (local.get $p) (local.get $n)))
  (local.set $answer (call $PyObject_CallOneArg (call $python (local.get $index)) (local.get $argument)))
  (if (i32.eqz (local.get $answer)) (then (unreachable)))
  (call $Py_DecRef (local.get $argument))
  ;; An error is a tuple of one bytes object; PyTuple_Size of anything else is -1 and sets an exception.
  (if (result i64) (i32.eq (call $PyTuple_Size (local.get $answer)) (i32.const 1))
    (then
      (local.set $text (call $PyTuple_GetItem (local.get $answer) (i32.const 0)))
      (call $Py_IncRef (local.get $text))
      (call $Py_DecRef (local.get $answer))
      (global.set $result (local.get $text))
      (call $PyGILState_Release (local.get $lock))
      (i64.const -1))
    (else
      (call $PyErr_Clear)
      (global.set $result (local.get $answer))
      (call $PyGILState_Release (local.get $lock))
      (call $packed))))
"""


def _function(name: str, index: int, prefix: str) -> str:
    return f"""(func (export "{prefix}{name}") (param $p i32) (param $n i32) (result i64)
  (call $call (i32.const {index}) (local.get $p) (local.get $n)))"""
