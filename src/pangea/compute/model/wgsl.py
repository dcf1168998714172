"""Which WGSL a job's shader may be written in: so much of it that the same bytes come out on every adapter.

A shader here is functions, structs and constants; what binds buffers and starts invocations is written by `model.gpu`. So no two
invocations can meet, and each is a function of its index and the input alone. What is left of WGSL is kept to whole numbers, and
to operations whose result every driver must agree on; floating point is let in where a job says by how much results may differ.
It is an allow list over words, so that what a later version of the language adds is refused until somebody has looked at it.

Left out although they are about whole numbers: `clamp` (undefined where low > high in what drivers are given), shifts by what
isn't a literal (drivers differ beyond 31 bits; `shift_left` and `shift_right` of the prelude take any), pointers as types.

Sources: the WGSL specification (https://www.w3.org/TR/WGSL/), sections 3 (tokens), 6.2 (types), 17 (built-in functions); SPIR-V,
OpShiftLeftLogical; GLSL.std.450, UClamp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from pangea.compute.model.errors import JobDefinitionError

SOURCE_CHARACTERS_MAX = 64 * 1024
#: Numbers of 32 bits in all arrays that a shader names, together: an invocation's memory.
ARRAY_WORDS_MAX = 4_096
#: Names that begin so are the prelude's.
RESERVED = "pangea_"
#: Functions of the prelude that a shader may call.
PRELUDE = ("input", "input_length", "shift_left", "shift_right")

_KEYWORDS = (
    "break case const const_assert continue continuing default else false fn for if let loop return struct switch true var while"
).split()
_TYPES = "array bool i32 u32 vec2 vec3 vec4 vec2i vec3i vec4i vec2u vec3u vec4u".split()
_SPACES = ["function", "private"]
_BUILTINS = (
    "abs all any bitcast countLeadingZeros countOneBits countTrailingZeros dot extractBits firstLeadingBit firstTrailingBit"
    " insertBits max min reverseBits select sign"
).split()
_KNOWN = {*_KEYWORDS, *_TYPES, *_SPACES, *_BUILTINS, *PRELUDE}
_MATRICES = [f"mat{columns}x{rows}" for columns in (2, 3, 4) for rows in (2, 3, 4)]
_FLOAT_TYPES = ["f32", "vec2f", "vec3f", "vec4f", *_MATRICES, *(f"{name}f" for name in _MATRICES)]
#: What may be used under a tolerance.
_SINGLES = {
    *_FLOAT_TYPES,
    *"acos acosh asin asinh atan atanh atan2 ceil cos cosh cross degrees determinant distance exp exp2 faceForward floor".split(),
    *"fma fract frexp inverseSqrt ldexp length log log2 mix modf normalize pow radians reflect refract".split(),
    *"round saturate sin sinh smoothstep sqrt step tan tanh transpose trunc".split(),
}
#: Of floating point, too, and taken nowhere: of 16 bits, or a way to pack them.
_HALVES = {
    *"f16 vec2h vec3h vec4h quantizeToF16 pack4x8snorm pack4x8unorm pack2x16snorm".split(),
    *(f"{name}h" for name in _MATRICES),
    *"pack2x16unorm pack2x16float unpack4x8snorm unpack4x8unorm unpack2x16snorm unpack2x16unorm unpack2x16float".split(),
}
#: By which invocations would see each other, or the machine.
_SHARED = (
    "atomic atomicLoad atomicStore atomicAdd atomicSub atomicMax atomicMin atomicAnd atomicOr atomicXor atomicExchange"
    " atomicCompareExchangeWeak workgroup storage uniform storageBarrier workgroupBarrier textureBarrier workgroupUniformLoad"
    " handle read write read_write"
).split()
_OTHER = (
    "clamp ptr alias override enable requires diagnostic discard sampler sampler_comparison arrayLength dpdx dpdxCoarse dpdxFine"
    " dpdy dpdyCoarse dpdyFine fwidth fwidthCoarse fwidthFine dot4U8Packed dot4I8Packed pack4xI8 pack4xU8 pack4xI8Clamp"
    " pack4xU8Clamp unpack4xI8 unpack4xU8"
).split()
_INSTEAD = {
    "clamp": "write max(low, min(x, high)): drivers differ where low > high",
    "alias": "write the type itself",
    "override": "use const",
    "ptr": "pass values and return them",
    "arrayLength": "input_length() says how long the input is",
}
_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*)"
    r"|(?P<float>0[xX](?:[\da-fA-F]*\.[\da-fA-F]*(?:[pP][+-]?\d+)?|[\da-fA-F]+[pP][+-]?\d+)[fh]?"
    r"|(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?[fh]?|\d+[eE][+-]?\d+[fh]?|(?!0[xX])\d+[fh])"
    r"|(?P<int>0[xX][\da-fA-F]+[iu]?|\d+[iu]?)(?![\w.])"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||->|\+\+|--|[-+*/%&|^]=|[-+*/%&|^~!<>=(){}\[\],;:.@])",
    re.ASCII,
)
_TEMPLATED = {"array", "vec2", "vec3", "vec4", "bitcast", "var", *_MATRICES}
_WORDS = re.compile(r"vec([234])[iuf]?|mat([234])x([234])f?")
_SHIFTS = ("<<", ">>", "<<=", ">>=")


class Token(NamedTuple):
    """A word of the text.

    Attributes:
        kind: "name", "int", "float", "sign", or "<", ">" for brackets of a template.
        text: as written.
        line: from 1.
        at: where it begins in the text.
    """

    kind: str
    text: str
    line: int
    at: int = 0


def check(text: str, where: str = "the shader", *, takes_floats: bool = False) -> list[Token]:
    """Refuse a shader that may not give the same everywhere, byte for byte or under a tolerance; its tokens.

    Args:
        text: the WGSL.
        where: for messages: the file's name.
        takes_floats: whether a tolerance is stated, so that floating point of 32 bits may be used.

    Raises:
        JobDefinitionError: names the word, the line and what to write instead.
    """
    if len(text) > SOURCE_CHARACTERS_MAX:
        raise JobDefinitionError(
            f"{where} has {len(text):,} characters; at most {SOURCE_CHARACTERS_MAX:,}", hint="leave out what isn't used"
        )
    tokens = _with_templates([*_tokens(text, where)])
    declared = _declared(tokens)
    taken = {*_KNOWN, *_SINGLES, *_HALVES, *_SHARED, *_OTHER}
    for name in sorted({*declared} & taken | {n for n in declared if n.startswith(RESERVED)}):
        raise _refusal(where, declared[name], f"{name!r} is a name of the language's, or of the prelude's", "choose another name")
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.kind == "float" and (not takes_floats or token.text.endswith("h")):
            raise _floating(where, token, is_half=takes_floats)
        if token.kind == "name" and not (before is not None and before.text == "."):
            _check_name(token, declared, where, takes_floats=takes_floats)
    _check_shifts(tokens, where)
    _check_arrays(tokens, where)
    return tokens


def _tokens(text: str, where: str) -> Iterator[Token]:
    at, line = 0, 1
    while at < len(text):
        if text.startswith("/*", at):
            end = _end_of_comment(text, at)
            line += text.count("\n", at, end)
            at = end
            continue
        found = _TOKEN.match(text, at)
        if found is None:
            message = f"{text[at]!r} begins nothing that a shader may have"
            raise _refusal(where, Token("sign", text[at], line), message, "write plain WGSL, with names of ASCII letters")
        if found.lastgroup != "space":
            token = Token(str(found.lastgroup), found[0], line, at)
            if token.text == "@":
                hint = "give the function that computes one element: buffers, sizes and the entry point are added"
                raise _refusal(where, token, "attributes (@…) aren't taken", hint)
            yield token
        line += found[0].count("\n")
        at = found.end()


def _end_of_comment(text: str, at: int) -> int:
    """Where a block comment that begins at `at` ends: they nest, and one that isn't closed goes to the end."""
    depth = 0
    for found in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return at + found.end()
    return len(text)


def _with_templates(tokens: list[Token]) -> list[Token]:
    """The tokens with the brackets of templates told from comparisons and shifts."""
    rest, done, depth = tokens[::-1], list[Token](), 0
    while rest:
        token = rest.pop()
        if token.text == "<" and done and done[-1].text in _TEMPLATED:
            depth += 1
            done.append(token._replace(kind="<"))
        elif depth and token.kind == "sign" and token.text.startswith(">"):
            depth -= 1
            done.append(Token(">", ">", token.line, token.at))
            if len(token.text) > 1:
                rest.append(Token("sign", token.text[1:], token.line, token.at + 1))
        elif depth and token.kind == "sign" and token.text != ",":
            rest.append(token)  # an expression where a type or a number belongs: the compiler will say so
            depth = 0
        else:
            done.append(token)
    return done


def _declared(tokens: list[Token]) -> dict[str, Token]:
    """Names that the text gives, and where: functions, structs, constants, variables, parameters and members."""
    found: dict[str, Token] = {}
    for at, token in enumerate(tokens):
        if token.kind != "name":
            continue
        before = tokens[at - 1].text if at else ""
        after = tokens[at + 1].text if at + 1 < len(tokens) else ""
        is_variable = before == ">" and tokens[at - 1].kind == ">" and _opens_variable(tokens, at - 1)
        if before in ("fn", "struct", "let", "const", "var") or is_variable or (after == ":" and before in ("(", ",", "{")):
            found.setdefault(token.text, token)
    return found


def _opens_variable(tokens: list[Token], at: int) -> bool:
    """Whether the template that ends at `at` is that of `var<private>`."""
    return at >= 3 and tokens[at - 2].kind == "<" and tokens[at - 3].text == "var"


def _check_name(token: Token, declared: dict[str, Token], where: str, *, takes_floats: bool) -> None:
    name = token.text
    if name in _SINGLES and takes_floats:
        return
    if name in _SINGLES or name in _HALVES:
        raise _floating(where, token, is_half=takes_floats)
    if name in _SHARED or name.startswith(("texture", "subgroup", "quad", "ray")):
        hint = "an invocation may read the input, input(i), and return its element; nothing else is shared"
        raise _refusal(where, token, f"{name!r} would let invocations see each other, so that their order shows", hint)
    if name in _OTHER or (name not in _KNOWN and name not in declared):
        what = "isn't taken" if name in _OTHER else "is neither declared here nor among what a shader may use"
        raise _refusal(where, token, f"{name!r} {what}", _INSTEAD.get(name, "docs/gpu.md lists what there is"))


def _check_shifts(tokens: list[Token], where: str) -> None:
    for at, token in enumerate(tokens):
        if token.kind != "sign" or token.text not in _SHIFTS:
            continue
        by = tokens[at + 1] if at + 1 < len(tokens) else token
        end = tokens[at + 2].text if at + 2 < len(tokens) else ""
        if by.kind != "int" or int(by.text.rstrip("iu"), 0) > 31 or end in ("[", "."):
            hint = "use shift_left(x, n) or shift_right(x, n), which take any n modulo 32"
            raise _refusal(where, token, f"{token.text} by what isn't a literal from 0 to 31: drivers differ beyond it", hint)


def _check_arrays(tokens: list[Token], where: str) -> None:
    """Bound what arrays take: of plain elements, and not too many all in all."""
    total = 0
    for at, token in enumerate(tokens):
        if token.text != "array":
            continue
        if at + 1 >= len(tokens) or tokens[at + 1].kind != "<":
            raise _refusal(where, token, "an array without its type", "write array<u32, 8>(…)")
        words, depth, end = 1, 0, at + 1
        while end < len(tokens) and (depth or end == at + 1):
            inner = tokens[end]
            depth += {"<": 1, ">": -1}.get(inner.kind, 0)
            if inner.kind == "int":
                words *= int(inner.text.rstrip("iu"), 0)
            elif inner.kind == "name" and (sides := _WORDS.fullmatch(inner.text)) is not None:
                words *= prod(int(side) for side in sides.groups() if side)
            elif inner.kind == "name" and inner.text not in _TYPES and inner.text != "f32":
                message = f"an array of {inner.text!r}, or of that length"
                raise _refusal(where, inner, message, "elements are numbers, vectors or arrays; lengths are literals")
            end += 1
        total += words
    if total > ARRAY_WORDS_MAX:
        raise JobDefinitionError(
            f"{where} names arrays of {total:,} numbers together; at most {ARRAY_WORDS_MAX:,}", hint="use smaller arrays"
        )


def _floating(where: str, token: Token, *, is_half: bool) -> JobDefinitionError:
    if is_half:
        return _refusal(where, token, f"{token.text!r} is floating point of another size than 32 bits", "use f32")
    return _refusal(
        where,
        token,
        f"{token.text!r} is floating point, which differs between adapters",
        'say by how much results may differ, as tolerance="4ulp" or tolerance=1e-5, with an output of float32; or compute in'
        " whole numbers (fixed point), or leave gpu= out: floats are exact in the sandbox",
    )


def _refusal(where: str, token: Token, what: str, hint: str) -> JobDefinitionError:
    return JobDefinitionError(f"{where}, line {token.line}: {what}", hint=hint, line=token.line, word=token.text)
