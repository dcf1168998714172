"""Texts of jobs that must travel, each with one thing that is hard about it."""

TRAVELLING = {
    "a decorator that decorates what it makes": """
        import functools
        def memo(function):
            cache = {}
            @functools.wraps(function)
            def inner(n):
                if n not in cache:
                    cache[n] = function(n)
                return cache[n]
            return inner
        @memo
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
        @Job.define
        def job():
            @Job.execute
            def execute(chunk):
                return b"%d" % fib(30)
        """,
    "helpers, constants, closures": """
        RATE = 3
        def scaled(x): return x * RATE
        def outer():
            suffix = b"!"
            def inner(x): return scaled(x) + suffix
            @Job.define
            def job():
                prefix = b">"
                @Job.split
                def split(data): yield from data.split()
                @Job.execute
                def execute(chunk: bytes) -> bytes: return prefix + inner(chunk)
                @Job.merge(associative=True)
                def merge(results): return b",".join(results)
            return job
        job = outer()
    """,
    "recursion, mutual and of oneself": """
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
        @Job.define
        def job():
            @Job.execute
            def execute(chunk):
                if len(chunk) > 2: return execute(chunk[:2])
                return repr((even(len(chunk)), factorial(5))).encode()
    """,
    "a local that is called like a global": """
        import threading
        lock = threading.Lock()
        data = open(__file__)
        data.close()
        @Job.define
        def job():
            @Job.execute
            def execute(chunk):
                lock = [data for data in chunk]
                return bytes(lock)
    """,
    "imports of every form": """
        # future
        import os.path, math as m
        import xml.etree.ElementTree as ET
        import collections.abc
        from random import Random, randint as draw
        from string import *
        try:
            from json import dumps
        except ImportError:
            dumps = None
        @Job.define
        def job():
            from base64 import b64encode
            @Job.execute
            def execute(chunk: bytes) -> bytes:
                import textwrap
                parts = [os.path.join("a", "b"), m.pi, ET.Element("x").tag, isinstance([], collections.abc.Sequence)]
                parts += [Random(3).random(), draw(3, 3), dumps({}), textwrap.dedent(" x"), ascii_letters, Template("a").template]
                return b64encode(repr(parts).encode())
    """,
    "classes, bases first": """
        import enum
        from abc import ABC, abstractmethod
        from collections import namedtuple
        from dataclasses import dataclass, field
        from typing import ClassVar, Generic, NamedTuple, TypeVar
        T = TypeVar("T")
        LIMIT = 4
        @dataclass(frozen=True)
        class Point:
            x: int
            ys: list[int] = field(default_factory=list)
            limit: ClassVar[int] = LIMIT
            handle: "Socket" = None
            @property
            def size(self): return abs(self.x) + helper(self)
            @staticmethod
            def zero(): return Point(0)
        def helper(p): return p.limit + BONUS
        BONUS = 100
        class Child(Point, Generic[T]):
            @property
            def size(self): return super().size + 1
        class Color(enum.Enum):
            RED = 1
            def lower(self): return self.name.lower()
        class Bits(enum.IntFlag):
            A = 1
            B = 2
        class Row(NamedTuple):
            a: int
            b: str = "b"
        Pair = namedtuple("Pair", "left right", defaults=[7])
        CONSTANTS = {Color.RED: Point(1, [2]), "row": Row(1), "pair": Pair(1), "bits": Bits.A | Bits.B, "type": Child}
        @Job.define
        def job():
            class Local(Child):
                pass
            @Job.execute
            def execute(chunk):
                assert issubclass(Child, Point) and CONSTANTS["type"] is Child
                return repr([Local(3).size, Point.zero(), CONSTANTS, Color.RED.lower(), Child.__module__]).encode()
    """,
    "decorators": """
        import contextlib, functools
        CALLS = [0]
        def counting(function):
            @functools.wraps(function)
            def wrapper(*args):
                CALLS[0] = step()
                return function(*args)
            return wrapper
        def plain(function):
            def wrapped(x): return b"<" + function(x) + b">"
            return wrapped
        def registering(function): return function
        def step(): return 2
        @counting
        def one(x): return x + b"1"
        @plain
        def two(x): return x + b"2"
        @registering
        @functools.lru_cache(maxsize=None)
        def three(x): return x + b"3"
        def slow(x): return x + b"4"
        four = functools.lru_cache(8)(slow)
        @contextlib.contextmanager
        def around(): yield b"5"
        @Job.define
        def job():
            def local(f): return f
            @local
            def helper(x, extra=len("ab")): return x * extra
            @Job.execute
            @counting
            def execute(chunk):
                with around() as five:
                    return helper(four(three(two(one(chunk))))) + five + str(CALLS).encode()
    """,
    "jobs under other names, local decorators and bases": """
        import pangea.compute.client.definition.job as dsl
        from pangea.compute.client.definition.job import Job as J
        def loud(method):
            def wrapper(self): return method(self).upper()
            return wrapper
        class Voice:
            word = "voice"
            @loud
            def speak(self): return self.word
            @classmethod
            def make(cls): return cls()
            @property
            def name(self): return SUFFIX
        SUFFIX = "suffix"
        def factory():
            def deco(function): return lambda x: function(x) + b"?"
            class Base(Voice):
                def end(self): return self.word
            class Quiet(Base):
                word = Base.word[::-1]
                def end(self): return super().end() + self.name
            @J.define
            def job():
                bonus = 3
                @dsl.Job.split
                def split(data, size=bonus): return [data[i:i + size] for i in range(0, len(data), size)]
                @J.execute
                def execute(chunk): return chunk + (Voice.make().speak() + Quiet().end()).encode()
                @(J
                    .merge)(associative=False)
                def merge(results): return b"".join(results)
            return job
        job = factory()
    """,
    "lambdas, aliases, tables, partials": """
        import functools, operator
        def add(a, b): return a + b
        plus = add
        first, second = (lambda x: x + b"1"), (lambda x: x + b"2")
        third = lambda x: (
            x
            + b"3"
        )
        def factory(n):
            def multiply(x): return x * n
            return multiply
        twice = factory(2)
        TABLE = {"add": add, "up": str.upper, "len": len, "lam": lambda x: x * 2, "get": operator.itemgetter(1), "int": int}
        add_one = functools.partial(add, 1, b=2)
        job = Job.from_functions(
            execute=lambda chunk: repr([plus(1, 2), first(chunk), second(chunk), third(chunk), twice(chunk), add_one(),
                TABLE["add"](1, 2), TABLE["up"]("x"), TABLE["len"](chunk), TABLE["lam"](2), TABLE["get"]("ab")]).encode(),
            split=lambda data: [data, data], merge=lambda results: b"/".join(results))
    """,
    "defaults keep the value they had": """
        functions = []
        for index in range(3):
            def helper(x, i=index, *, j=index): return x + b"%d%d" % (i, j)
            functions.append(helper)
        chosen = functions[1]
        @Job.define
        def job():
            @Job.execute
            def execute(chunk, sep=b"-"): return chosen(chunk) + sep
    """,
    "odd text": """
        def helper(x):
            text = '''
          not indented
        as the function is'''  # comment
        # a comment at the margin
            return text + "\\u2028" + x + "\u2028\x0c" + "tab\\t"

        class Strange:
            '''Docstring \x0c with a form feed.'''
            def __private(self): return __global
            def call(self): return self.__private()
        _Strange__global = "mangled"
        @Job.define
        def job():
            if True:
                @Job.execute
                def execute(chunk): return (helper("é") + Strange().call()).encode()
    """,
}
