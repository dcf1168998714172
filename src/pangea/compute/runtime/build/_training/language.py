# mypy: ignore-errors
"""Programs with records, structures and what the language offers. Each takes a Python source text to work on."""

import collections
import contextlib
import copy
import csv
import dataclasses
import datetime
import enum
import functools
import heapq
import io
import itertools
import json
import math
import operator
import pickle
import random
import struct
import typing
import xml.etree.ElementTree as ElementTree

# records


class Kind(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Flags(enum.IntFlag):
    NEW = 1
    PAID = 2
    SENT = 4


@dataclasses.dataclass(order=True)
class Parcel:
    weight: float
    town: str = dataclasses.field(compare=False)
    kind: Kind = dataclasses.field(default=Kind.SMALL, compare=False)
    marks: list = dataclasses.field(default_factory=list, compare=False)

    @property
    def price(self):
        return 4.5 + self.weight * (0.8 if self.kind is Kind.SMALL else 1.1)


class Place(typing.NamedTuple):
    name: str
    x: float
    y: float


def parcels(_text):
    towns = ["Ulm", "Bern", "Graz", "Lyon", "Porto", "Turku"]
    made = [
        Parcel(random.uniform(0.1, 30), random.choice(towns), Kind.LARGE if i % 3 == 0 else Kind.SMALL, [i % 5])
        for i in range(2500)
    ]
    flags = [Flags.NEW | (Flags.PAID if i % 2 else Flags.SENT) for i in range(300)]
    totals = collections.defaultdict(float)
    for parcel in sorted(made):
        totals[parcel.town] += parcel.price
    heaviest = heapq.nlargest(8, made)
    heavier = [dataclasses.replace(parcel, weight=parcel.weight * 2) for parcel in made[:400]]
    places = sorted((Place(t, len(t) / 3, -i / 7) for i, t in enumerate(towns)), key=operator.attrgetter("x", "name"))
    return (
        {k: round(v, 4) for k, v in totals.items()},
        heaviest[0].town,
        sum(p.price for p in heavier),
        places[0],
        sum(map(int, flags)),
    )


def documents(_text):
    rows = [
        {"id": i, "tags": [f"t{i % 7}", None, i % 2 == 0], "at": {"x": i / 8, "y": -i}, "name": "nä" * (i % 5)}
        for i in range(500)
    ]
    compact = json.dumps(rows, separators=(",", ":"), ensure_ascii=False)
    pretty = json.dumps(rows[:150], indent=2, sort_keys=True)
    back = json.loads(compact) + json.loads(pretty)
    copied = pickle.loads(pickle.dumps(back, protocol=5))
    deep = copy.deepcopy(copied[:120])
    root = ElementTree.Element("rows")
    for row in deep:
        ElementTree.SubElement(root, "row", id=str(row["id"])).text = row["name"]
    text = ElementTree.tostring(root, encoding="unicode")
    return len(compact), len(pretty), copied == back, len(ElementTree.fromstring(text).findall("row"))


def spreadsheets(_text):
    out = io.StringIO()
    writer = csv.DictWriter(out, ["day", "shop", "sum", "note"])
    writer.writeheader()
    start = datetime.date(2023, 11, 1)
    for i in range(1500):
        writer.writerow(
            {
                "day": start + datetime.timedelta(days=i % 90),
                "shop": f"s{i % 11}",
                "sum": f"{i * 1.37:.2f}",
                "note": 'a "b", c' if i % 50 == 0 else "",
            }
        )
    months = collections.defaultdict(lambda: collections.defaultdict(float))
    for row in csv.DictReader(io.StringIO(out.getvalue())):
        day = datetime.date.fromisoformat(row["day"])
        months[day.strftime("%Y-%m")][row["shop"]] += float(row["sum"])
    packed = b"".join(struct.pack("<Hd", index, value) for index, value in enumerate(months["2023-12"].values()))
    moments = [datetime.datetime(2024, 1, 1, 8) + datetime.timedelta(minutes=17 * i) for i in range(800)]
    late = [m.isoformat() for m in moments if m.hour > 20 and m.weekday() < 5]
    return (
        {k: round(sum(v.values()), 2) for k, v in months.items()},
        len(packed),
        late[-1],
        list(struct.iter_unpack("<Hd", packed))[0],
    )


def accounts(_text):
    class Account:
        def __init__(self, owner, balance=0):
            self.owner, self.balance, self.history = owner, balance, []

        def deposit(self, amount):
            if amount <= 0:
                raise ValueError(f"amount {amount}")
            self.balance += amount
            self.history.append(("in", amount))

        def withdraw(self, amount):
            if amount > self.balance:
                raise LookupError("too little")
            self.balance -= amount
            self.history.append(("out", amount))

        def __repr__(self):
            return f"<{self.owner}: {self.balance}>"

    class Savings(Account):
        rate = 3

        def deposit(self, amount):
            super().deposit(amount + amount * self.rate // 100)

    accounts = [(Savings if i % 4 == 0 else Account)(f"o{i}", i) for i in range(60)]
    failures = collections.Counter()
    for step in range(12_000):
        account, amount = accounts[step * 7 % 60], step % 23 - 3
        try:
            if step % 3:
                account.deposit(amount)
            else:
                account.withdraw(amount * 3)
        except (ValueError, LookupError) as error:
            failures[type(error).__name__] += 1
        finally:
            if len(account.history) > 100:
                del account.history[:50]
    return sum(a.balance for a in accounts), failures, repr(accounts[8])


# structures


def graphs(_text):
    edges = collections.defaultdict(list)
    for node in range(900):
        for k in (1, 3, 7):
            edges[node].append(((node * k + 11) % 900, (node * k) % 19 + 1))
    distances, queue = {0: 0}, [(0, 0)]
    while queue:
        distance, node = heapq.heappop(queue)
        if distance > distances[node]:
            continue
        for neighbour, length in edges[node]:
            new = distance + length
            if new < distances.get(neighbour, 10**9):
                distances[neighbour] = new
                heapq.heappush(queue, (new, neighbour))
    seen, waiting = {0}, collections.deque([0])
    while waiting:
        for neighbour, _ in edges[waiting.popleft()]:
            if neighbour not in seen:
                seen.add(neighbour)
                waiting.append(neighbour)
    groups = list(range(900))

    def root(x):
        while groups[x] != x:
            groups[x] = groups[groups[x]]
            x = groups[x]
        return x

    for node, targets in edges.items():
        for target, _ in targets[:1]:
            groups[root(node)] = root(target)
    return sum(distances.values()), len(seen), len({root(x) for x in range(900)})


def backtracking(_text):
    puzzle = "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
    cells = [int(c) for c in puzzle]
    peers = [
        {9 * (i // 9) + k for k in range(9)}
        | {i % 9 + 9 * k for k in range(9)}
        | {27 * (i // 27) + 3 * (i % 9 // 3) + 9 * r + c for r in range(3) for c in range(3)}
        for i in range(81)
    ]

    def solve():
        open_cells = [(len({cells[p] for p in peers[i]}), i) for i in range(81) if not cells[i]]
        if not open_cells:
            return True
        _, best = max(open_cells)
        for digit in set(range(1, 10)) - {cells[p] for p in peers[best]}:
            cells[best] = digit
            if solve():
                return True
            cells[best] = 0
        return False

    def subsets(items, target):
        if target == 0:
            return 1
        if not items or target < 0:
            return 0
        return subsets(items[1:], target - items[0]) + subsets(items[1:], target)

    return solve(), "".join(map(str, cells))[:12], subsets(list(range(1, 15)), 40)


def tables(_text):
    weights, values = [3 + i * 7 % 11 for i in range(45)], [10 + i * 13 % 29 for i in range(45)]
    best = [0] * 301
    for weight, value in zip(weights, values, strict=True):
        for room in range(300, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    a, b = "GATTACAGATTTCAGGA" * 6, "TACGATTACCAGATGAC" * 6
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a)):
        for j in range(len(b)):
            table[i + 1][j + 1] = table[i][j] + 1 if a[i] == b[j] else max(table[i][j + 1], table[i + 1][j])
    world = {(x, y) for x in range(24) for y in range(24) if (x * 3 + y * 5) % 7 < 3}
    for _ in range(5):
        near = collections.Counter((x + dx, y + dy) for x, y in world for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy)
        world = {cell for cell, count in near.items() if count == 3 or (count == 2 and cell in world)}
    return best[-1], table[-1][-1], len(world)


def containers(text):
    words = text.split()
    index = {}
    for place, word in enumerate(words):
        index.setdefault(word.lower(), []).append(place)
    longest = sorted(index, key=lambda word: (-len(index[word]), word))[:20]
    ordered = collections.OrderedDict.fromkeys(words)
    for word in words[:1500]:
        ordered.move_to_end(word)
    recent, chain = collections.deque(maxlen=40), collections.ChainMap({}, {"a": 1}, dict(enumerate(words[:50])))
    for number, word in enumerate(words):
        recent.append((number, word))
        if number % 9 == 0:
            recent.rotate(2)
    pairs = collections.Counter(zip(words, words[1:]))
    unique = {frozenset(word) for word in words}
    sliced = [words[i : i + 3] for i in range(0, len(words) - 3, 2)]
    merged = {**{w: len(w) for w in words[:300]}, **dict.fromkeys(longest, 0)}
    return len(unique), pairs.most_common(2), len(sliced), chain.get("a"), recent[0][0], len(ordered), sum(merged.values())


def linked(_text):
    class Node:
        __slots__ = ("height", "key", "left", "right")

        def __init__(self, key):
            self.key, self.left, self.right, self.height = key, None, None, 1

    def height(node):
        return node.height if node else 0

    def update(node):
        node.height = 1 + max(height(node.left), height(node.right))
        return node

    def turn(node, up, down):
        child = getattr(node, up)
        setattr(node, up, getattr(child, down))
        setattr(child, down, update(node))
        return update(child)

    def insert(node, key):
        if node is None:
            return Node(key)
        if key < node.key:
            node.left = insert(node.left, key)
        else:
            node.right = insert(node.right, key)
        update(node)
        if height(node.left) - height(node.right) > 1:
            return turn(node, "left", "right")
        if height(node.right) - height(node.left) > 1:
            return turn(node, "right", "left")
        return node

    def walk(node):
        if node is not None:
            yield from walk(node.left)
            yield node.key
            yield from walk(node.right)

    root = None
    for i in range(1200):
        root = insert(root, i * 379 % 1201)
    chain = None
    for i in range(20_000):
        chain = (i, chain)
    total = 0
    while chain:
        value, chain = chain
        total += value
    return root.height, sum(walk(root)), total


# language


def pipelines(text):
    def numbers(source):
        for part in source:
            for character in part:
                yield ord(character)

    def pairs(source):
        previous = next(source)
        for value in source:
            yield value - previous
            previous = value

    def averages():
        total = count = 0
        while True:
            value = yield total / count if count else 0.0
            total, count = total + value, count + 1

    average = averages()
    next(average)
    last = 0.0
    for difference in itertools.islice(pairs(numbers(text.splitlines())), 9000):
        last = average.send(difference)
    squares = {n: n * n for n in range(800)}
    flat = [a * b for a in range(60) for b in range(60) if (a ^ b) & 1]
    return round(last, 6), sum(squares.values()), len(flat), any(x > 3000 for x in flat), sum(x % 3 == 0 for x in flat)


def calls(_text):
    def positional(a, b, c=3, *rest, scale=1, **named):
        return (a + b + c + sum(rest)) * scale + len(named)

    @functools.lru_cache(maxsize=256)
    def binomial(n, k):
        return 1 if k in (0, n) else binomial(n - 1, k - 1) + binomial(n - 1, k)

    def ackermann(m, n):
        if m == 0:
            return n + 1
        return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))

    @contextlib.contextmanager
    def noted(log, what):
        log.append(what)
        yield len(log)

    log, total = [], 0
    for i in range(4000):
        total += positional(i, 1) + positional(i, 2, 3, 4, scale=2) + positional(*(1, 2), x=i)
        with noted(log, i) as depth:
            total += depth
    by_parts = functools.partial(positional, 1, scale=3)
    compare = functools.cmp_to_key(lambda x, y: (x > y) - (x < y))
    return total, binomial(22, 11), ackermann(2, 60), sum(map(by_parts, range(2000))), sorted(range(500, 0, -1), key=compare)[0]


class Shape:
    registry: typing.ClassVar[dict] = {}

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        Shape.registry[cls.__name__] = cls

    def __eq__(self, other):
        return isinstance(other, Shape) and self.area == other.area

    def __hash__(self):
        return hash(self.area)

    def __add__(self, other):
        return Sum([self, other])


class Circle(Shape):
    def __init__(self, radius):
        self.radius = radius

    @functools.cached_property
    def area(self):
        return math.pi * self.radius**2


class Box(Shape):
    def __init__(self, *sides):
        self.sides = sides

    @property
    def area(self):
        return math.prod(self.sides)


class Sum(Shape):
    def __init__(self, parts):
        self.parts = parts

    def __getitem__(self, index):
        return self.parts[index]

    def __len__(self):
        return len(self.parts)

    def __iter__(self):
        return iter(self.parts)

    @property
    def area(self):
        return sum(part.area for part in self)


def shapes(_text):
    shapes = [Circle(i % 9 + 1) if i % 2 else Box(i % 7 + 1, 2.5) for i in range(3000)]
    total = functools.reduce(operator.add, shapes[:150])
    described = []
    for shape in shapes:
        match shape:
            case Circle(radius=r) if r > 4:
                described.append("large")
            case Box(sides=(a, b)):
                described.append(f"{a}x{b}")
            case _:
                described.append("other")
    return (
        len(set(shapes)),
        round(total.area, 6),
        collections.Counter(described).most_common(3),
        sorted(Shape.registry),
        len(total),
    )


PROGRAMS = [
    parcels,
    documents,
    spreadsheets,
    accounts,
    graphs,
    backtracking,
    tables,
    containers,
    linked,
    pipelines,
    calls,
    shapes,
]
