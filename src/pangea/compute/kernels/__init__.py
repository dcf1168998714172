"""Kernels: an `execute` of typed numeric Python becomes a WebAssembly module of its own, by Numba's types and LLVM's compiler.

Numba infers the types (`frontend`), LLVM and zig make a module of guest ABI 1 of them (`backend`), and what it gives is compared
with native Numba, bit for bit, before anybody may use it (`checking`). Numba is imported when the first kernel is built, by its
author alone: whoever runs one needs nothing.
"""
