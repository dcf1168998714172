# mypy: ignore-errors
"""Programs on numbers and text. Each takes a Python source text to work on."""

import ast
import collections
import decimal
import difflib
import fractions
import hashlib
import io
import itertools
import math
import random
import re
import statistics
import string
import textwrap
import tokenize
import zlib

# numbers


def primes(_text):
    limit, found = 30_000, []
    for candidate in range(2, limit):
        for prime in found:
            if prime * prime > candidate:
                found.append(candidate)
                break
            if candidate % prime == 0:
                break
        else:
            found.append(candidate)
    return len(found), sum(found)


def collatz(_text):
    known = {1: 1}
    for start in range(1, 9000):
        number, path = start, []
        while number not in known:
            path.append(number)
            number = number // 2 if number % 2 == 0 else 3 * number + 1
        length = known[number]
        for number in reversed(path):
            length += 1
            known[number] = length
    return max(known.values())


def julia(_text):
    inside = 0
    for row in range(60):
        for column in range(60):
            real, imaginary, steps = column / 20 - 1.5, row / 30 - 1.0, 0
            while steps < 50 and real * real + imaginary * imaginary < 4.0:
                real, imaginary = real * real - imaginary * imaginary - 0.8, 2.0 * real * imaginary + 0.156
                steps += 1
            inside += steps == 50
    return inside


def integrals(_text):
    def simpson(f, low, high, parts=400):
        width = (high - low) / parts
        total = f(low) + f(high)
        for index in range(1, parts):
            total += f(low + index * width) * (4 if index & 1 else 2)
        return total * width / 3

    functions = [math.sin, math.exp, lambda x: x**3 - 2 * x, lambda x: 1 / (1 + x * x), lambda x: abs(x) ** 0.5]
    return [round(simpson(f, 0.0, high), 9) for f in functions for high in (1.0, 2.0, 3.0, 4.0)]


def elimination(_text):
    size = 34
    rows = [[((i * 7 + j * 13) % 17) - 8.0 + (20 if i == j else 0) for j in range(size)] + [float(i)] for i in range(size)]
    for column in range(size):
        best = max(range(column, size), key=lambda r: abs(rows[r][column]))
        rows[column], rows[best] = rows[best], rows[column]
        for row in range(column + 1, size):
            factor = rows[row][column] / rows[column][column]
            rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column])]
    answer = [0.0] * size
    for row in range(size - 1, -1, -1):
        answer[row] = (rows[row][size] - sum(rows[row][k] * answer[k] for k in range(row + 1, size))) / rows[row][row]
    return round(sum(answer), 9)


def exact(_text):
    harmonic = sum((fractions.Fraction(1, k) for k in range(1, 150)), fractions.Fraction(0))
    with decimal.localcontext(prec=40):
        pi, term = decimal.Decimal(0), decimal.Decimal(1)
        for k in range(60):
            pi += term * 2 / (2 * k + 1) * (1 if k % 2 == 0 else -1)
            term /= 3
        money = sum((decimal.Decimal(k) * decimal.Decimal("0.07")).quantize(decimal.Decimal("0.01")) for k in range(1500))
    big = 1
    for k in range(1, 400):
        big = big * k + 1
    return harmonic.numerator % 10007, str(pi)[:12], str(money), len(str(big)), pow(7, 12345, 10**9 + 7), math.isqrt(big) % 101


def generators(_text):
    state, bits = 0x2545F491, 0
    for _ in range(50_000):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        bits += (state >> 3) & 1
    walk = list(itertools.accumulate(random.choice((-1, 1)) for _ in range(5000)))
    shuffled = list(range(2000))
    random.shuffle(shuffled)
    drawn = [random.gauss(0, 1) for _ in range(3000)] + [random.random() for _ in range(5000)]
    return bits, max(walk), shuffled[0], round(statistics.fmean(drawn), 6), round(statistics.pstdev(drawn[:800]), 6)


# text


def tokens(text):
    kinds = collections.Counter(token.type for token in tokenize.generate_tokens(io.StringIO(text[:30_000]).readline))
    return sorted(kinds.items())


def trees(text):
    tree = ast.parse(text)
    names = collections.Counter(type(node).__name__ for node in ast.walk(tree))

    class Renamer(ast.NodeTransformer):
        def visit_Name(self, node):
            return ast.copy_location(ast.Name(id=node.id.upper(), ctx=node.ctx), node)

    changed = ast.unparse(Renamer().visit(tree.body[-1]))
    code = compile(text, "training", "exec")
    return names.most_common(4), len(changed), len(code.co_consts)


def lines(text):
    report = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        head, _, tail = stripped.partition("(")
        if tail.endswith(":"):
            report.append(f"{number:>5} {head:<24.24} {len(tail):3d} {tail.count(',') / len(tail):.2%}")
        elif "=" in stripped:
            left, right = stripped.split("=", 1)
            report.append("%05d|%-10s|%r" % (number, left.rstrip(), right.lstrip()[:12]))
        else:
            report.append(stripped.replace("_", "-").capitalize().center(30, "."))
    joined = "\n".join(report)
    return len(joined), joined.count("|"), joined.upper().find("RETURN"), zlib.crc32(joined.encode())


def ciphers(text):
    table = str.maketrans(string.ascii_lowercase, string.ascii_lowercase[13:] + string.ascii_lowercase[:13])
    turned = text.translate(table)
    key = itertools.cycle(b"pangea")
    data = bytes(a ^ b for a, b in zip(text.encode()[:20_000], key))
    shifted = "".join(chr((ord(c) - 97 + 3) % 26 + 97) if c.islower() else c for c in text[:15_000])
    return len(turned), hashlib.sha256(data).hexdigest()[:8], shifted[:20], data.hex()[:10]


def searching(text):
    found = re.findall(r"[A-Za-z_]\w*(?=\()", text)
    numbers = [int(match[1]) for match in re.finditer(r"\b(\d{1,6})\b", text)]
    swapped = re.sub(r"(\w+)\s*=\s*(\w+)", lambda match: f"{match[2]}<-{match[1]}", text[:20_000])
    parts = re.split(r"\s*[,;:]\s*", text[:20_000])
    pattern = re.compile(r"^\s*(?:def|class)\s+(?P<name>\w+)", re.MULTILINE)
    dates = re.compile(r"(\d{4})-(\d\d)-(\d\d)|(\d\d?)/(\d\d?)/(\d{4})")
    hits = sum(1 for day in range(800) if dates.fullmatch(f"20{day % 100:02d}-{day % 12 + 1:02d}-{day % 28 + 1:02d}"))
    return len(found), sum(numbers), len(swapped), len(parts), [m["name"] for m in pattern.finditer(text)][:5], hits


def distances(text):
    first, second = text[100:260], text[140:310]
    previous = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        current = [i]
        for j, b in enumerate(second, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (a != b)))
        previous = current
    rows = text.splitlines()
    return previous[-1], round(difflib.SequenceMatcher(None, rows[:70], rows[7:80]).ratio(), 6)


def filling(text):
    words = re.sub(r"\W+", " ", text[:12_000])
    wrapped = textwrap.wrap(words, 64)
    template = string.Template("$who gives $what to ${whom}")
    sent = [template.substitute(who=line[:5], what=len(line), whom=line[-5:]) for line in wrapped]
    return len(wrapped), len("".join(sent)), textwrap.dedent("   a\n   b\n    c")


PROGRAMS = [
    primes,
    collatz,
    julia,
    integrals,
    elimination,
    exact,
    generators,
    tokens,
    trees,
    lines,
    ciphers,
    searching,
    distances,
    filling,
]
