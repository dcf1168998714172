"""How the turns of a shader's loops are counted: most as they are taken, those that the text tells before they begin.

A turn is a condition that is asked, its last answer included, or the beginning of the body of `loop`. Of

    for (var i = 2u; i < 10u; i += 3u) { … }

the text says that it takes four, if nothing in the body sets i or leaves it: they are counted in one step before it begins, and
it doesn't begin if they are more than are left. To count each costs more than a short body does: it more than doubled the time of
the shader of `make bench-gpu` on llvmpipe. The sum is the same either way.
"""

from __future__ import annotations

import re
from itertools import pairwise

from pangea.compute.model.wgsl import Token

_WORDS = ("for", "loop", "while")
#: With which a body may leave its loop, or take turns that the text doesn't tell.
_UNKNOWN = {*_WORDS, "break", "return"}
_ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"}
#: The variable of a counted loop stays below, so that it wraps around in neither type, and so does any sum of turns.
_COUNTED_MAX = 2**30
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*|0[xX][0-9a-fA-F]+)[iu]?")
#: A word behind which `&` is an operation on two numbers.
_ENDS_A_VALUE = re.compile(r"\w+|[)\]]")


def metered(text: str, tokens: list[Token], *, turn: str, ahead: str) -> str:
    """The text with its loops' turns counted; the lines stay.

    Args:
        text: the WGSL.
        tokens: its words, as `wgsl.check` gives them.
        turn: a function to be asked at each turn, with the loop's condition, whether the loop goes on.
        ahead: a function to be asked before a loop, with all its turns, whether it may begin.
    """
    places: list[tuple[int, str]] = []
    functions = _functions([token.text for token in tokens])
    for at, token in enumerate(tokens):
        if token.kind == "name" and token.text in _WORDS:
            places += _counted(tokens, at, ahead, functions) or _METERED[token.text](tokens, at, turn)
    for place, inserted in sorted(places, reverse=True):
        text = text[:place] + inserted + text[place:]
    return text


def fixed_turns(tokens: list[Token], entry: str) -> int | None:
    """How many turns each call of the function `entry` takes; None if that may hang on anything but the text.

    It doesn't where all loops are counted ones that stand in `entry` itself, in no block of it, before it may return.
    """
    words = [token.text for token in tokens]
    start = next((at for at in range(1, len(words)) if words[at - 1 : at + 1] == ["fn", entry]), len(words))
    functions = _functions(words)
    depth = total = 0
    may_return = False
    for at, token in enumerate(tokens):
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        may_return = may_return or (at > start and token.text == "return")
        if token.kind == "name" and token.text in _WORDS:
            turns = _turns_of(tokens, at, functions)
            if turns is None or depth != 1 or at < start or "fn" in words[start:at] or may_return:
                return None
            total += turns
    return total


def _loop(tokens: list[Token], at: int, turn: str) -> list[tuple[int, str]]:
    """`loop {` asks first thing."""
    return [(tokens[_brace(tokens, at)].at + 1, f" if !{turn}(true) {{ break; }} ")]


def _while(tokens: list[Token], at: int, turn: str) -> list[tuple[int, str]]:
    """`while condition {` asks with it."""
    return [(tokens[at].at + len("while"), f" {turn}("), (tokens[_brace(tokens, at)].at, ") ")]


def _for(tokens: list[Token], at: int, turn: str) -> list[tuple[int, str]]:
    """`for (…; condition; …) {` likewise; without one, with true."""
    ends = [number for number in range(at, len(tokens)) if tokens[number].text == ";"][:2]
    if len(ends) < 2:
        return []  # the compiler will say so
    first, second = ends
    return [(tokens[first].at + 1, f" {turn}({'true' if second == first + 1 else ''}"), (tokens[second].at, ")")]


_METERED = {"loop": _loop, "while": _while, "for": _for}


def _counted(tokens: list[Token], at: int, ahead: str, functions: set[str]) -> list[tuple[int, str]]:
    """`for` whose turns the text tells begins if there are so many left; nothing for others."""
    turns = _turns_of(tokens, at, functions)
    if turns is None:
        return []
    closing = _closing(tokens, _brace(tokens, at))
    return [(tokens[at].at, f"if {ahead}({turns}u) {{ "), (tokens[closing].at + 1, " }")]


def _turns_of(tokens: list[Token], at: int, functions: set[str]) -> int | None:
    """How many turns the loop whose word is token `at` takes whenever it is begun; None if the text doesn't tell."""
    opening = _brace(tokens, at)
    turns = _turns([token.text for token in tokens[at:opening]])
    if turns is None:
        return None
    name, body = tokens[at + 3].text, [token.text for token in tokens[opening : _closing(tokens, opening)]]
    return None if not (_UNKNOWN | functions).isdisjoint(body) or _may_be_set(name, body) else turns


def _turns(head: list[str]) -> int | None:
    """How many turns the words `for (var i = 0u; i < 16u; i++)` tell; None if they don't."""
    if head[4:5] == [":"]:
        head = head[:4] + head[6:]  # the type
    match head:
        case ["for", "(", "var", name, "=", start, ";", asked, ("<" | "<=") as until, end, ";", stepped, "++", ")"]:
            by = "1"
        case ["for", "(", "var", name, "=", start, ";", asked, ("<" | "<=") as until, end, ";", stepped, "+=", by, ")"]:
            pass
        case _:
            return None
    numbers = [int(each.rstrip("iu"), 0) for each in (start, end, by) if _NUMBER.fullmatch(each)]
    if len(numbers) < 3 or not (name == asked == stepped):
        return None
    first, last, step = numbers[0], numbers[1] + (until == "<="), numbers[2]
    if not step or first > _COUNTED_MAX or last + step > _COUNTED_MAX:
        return None
    return len(range(first, last, step)) + 1


def _may_be_set(name: str, body: list[str]) -> bool:
    """Whether a body has its loop's variable where it might be set: `i = …`, `(i) = …`, or its address, `&i`."""
    for at, word in enumerate(body):
        if word != name:
            continue
        after = next(each for each in [*body[at + 1 :], ""] if each != ")")
        if after in _ASSIGNMENTS or (body[at - 1] == "&" and not _ENDS_A_VALUE.fullmatch(body[at - 2])):
            return True
    return False


def _functions(words: list[str]) -> set[str]:
    """The names of those that the text has."""
    return {after for word, after in pairwise(words) if word == "fn"}


def _brace(tokens: list[Token], at: int) -> int:
    """Where the body of the loop whose word is token `at` begins: no expression has braces."""
    found = (number for number in range(at, len(tokens)) if tokens[number].text == "{")
    return next(found, len(tokens) - 1)  # without, the compiler will say so


def _closing(tokens: list[Token], opening: int) -> int:
    """Where what begins at token `opening` ends; at the last one, where the compiler will say that it doesn't."""
    depth = 0
    for at in range(opening, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[at].text, 0)
        if not depth:
            return at
    return len(tokens) - 1
