"""Cut a job's input into segments: `cut` of the reference semantics, lazily and without copying.

Every strategy keeps the inputs apart, in order, and loses nothing: the segments of an input, joined, are the input (for
`npy_rows` and `arrow_batches`, without the header or schema that each segment repeats). Empty inputs among others have no pieces,
but `custom` hands them over as they are, and a job always gets at least one segment.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator

from pangea.compute.inputs.cutting_arrow import arrow_segments, is_arrow
from pangea.compute.inputs.cutting_npy import NPY_MAGIC, npy_segments
from pangea.compute.inputs.inputs import Input, Inputs, Made, open_inputs
from pangea.compute.inputs.reading import Opened, Segment, View
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import JobOptions, SplitStrategy
from pangea.compute.model.units import CHUNK_BYTES_MAX, KIB, human_bytes

__all__ = ["Segment", "choose_strategy", "cut", "open_inputs"]

OnChoice = Callable[[SplitStrategy, str], None]

_REASONS = {SplitStrategy.NPY_ROWS: "it is a .npy file", SplitStrategy.ARROW_BATCHES: "it is an Arrow stream"}
_SAMPLE_BYTES = 64 * KIB
_WINDOW_BYTES = 16 * KIB
_BLANKS = frozenset("\t\n\r\f")
#: Characters of text that Python calls unprintable: spaces that aren't ASCII's, and marks of direction or joining.
_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cf"})
#: What text in such an encoding begins with, if it says so; the longer ones first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32LE"),
    (codecs.BOM_UTF32_BE, "UTF-32BE"),
    (codecs.BOM_UTF16_LE, "UTF-16LE"),
    (codecs.BOM_UTF16_BE, "UTF-16BE"),
)
#: How far the end of a record that is too long is looked for, and up to which offset records are counted, for the message.
_SEARCH_BYTES_MAX = CHUNK_BYTES_MAX
#: Control characters, without those that text files hold: tab, newline, form feed, return, escape.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"


def cut(inputs: Inputs, options: JobOptions, *, custom_max: int, on_choice: OnChoice | None = None) -> Iterator[Segment]:
    """Cut `inputs` into segments, each made when it is asked for.

    Args:
        inputs: from `open_inputs`; open while the segments are asked for. A segment stays good after that.
        options: the strategy, the sizes and the delimiter.
        custom_max: bytes of the largest input that `custom` can hand to one sandbox.
        on_choice: told what `adaptive` chose for an input, and why.

    Raises:
        InputError: at once when an input is too large for `custom`; when its turn comes, for a record that is too long, a
            file that has changed, a bad .npy file or a bad Arrow stream.
    """
    if options.split_strategy is SplitStrategy.CUSTOM:
        for item in inputs:
            _check_custom(item, custom_max)
    return _segments(inputs, options, on_choice or _ignore)


def choose_strategy(view: View, options: JobOptions) -> tuple[SplitStrategy, str]:
    """What `adaptive` does with an input.

    Args:
        view: the input; only its first 64 KiB are looked at.
        options: the chunk sizes.

    Returns:
        The strategy, and why, in words.
    """
    size = len(view)
    if size <= options.min_chunk_size:
        return SplitStrategy.CUSTOM, f"{human_bytes(size)} fit into one chunk"
    sample = bytes(view[:_SAMPLE_BYTES])
    if sample.startswith(NPY_MAGIC):
        return SplitStrategy.NPY_ROWS, _REASONS[SplitStrategy.NPY_ROWS]
    if is_arrow(view):
        return SplitStrategy.ARROW_BATCHES, _REASONS[SplitStrategy.ARROW_BATCHES]
    if b"\n" not in sample:
        return SplitStrategy.FIXED_SIZE, f"no newline in the first {human_bytes(len(sample))}"
    if b"\0" in sample or len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) // 100:
        return SplitStrategy.FIXED_SIZE, "it looks like binary data"
    longest = max(map(len, sample.split(b"\n"))) + 1
    if longest > options.max_chunk_size:
        return SplitStrategy.FIXED_SIZE, f"a line of at least {longest:,} bytes is longer than max_chunk_size"
    return SplitStrategy.ROW_BASED, f"it looks like text with lines of up to {longest:,} bytes"


def _ignore(_strategy: SplitStrategy, _reason: str) -> None:
    pass


def _check_custom(item: Input, custom_max: int) -> None:
    if item.size > custom_max:
        raise InputError(
            f"{item.name} has {human_bytes(item.size)}; under split_strategy 'custom' the job's split gets an input whole, and"
            f" under this memory limit that is {human_bytes(custom_max)} at most",
            hint="use another split_strategy, such as row_based, or raise limits.memory",
            name=item.name,
            size=item.size,
            size_max=custom_max,
        )


def _segments(inputs: Inputs, options: JobOptions, on_choice: OnChoice) -> Iterator[Segment]:
    if options.split_strategy is not SplitStrategy.CUSTOM and all(item.made is None and not item.size for item in inputs):
        yield b""
    for item in inputs:
        if item.made is not None and _is_cut_while_made(item.made, options, on_choice):
            yield from item.made.segments(options.max_chunk_size)
            continue
        with item.opened() as opened:
            yield from _segments_of(item, opened, options, on_choice)


def _is_cut_while_made(made: Made, options: JobOptions, on_choice: OnChoice) -> bool:
    """Whether what isn't bytes yet would be cut, once it is, as it can be cut now."""
    if options.split_strategy is SplitStrategy.ADAPTIVE and made.size > options.min_chunk_size:
        on_choice(made.strategy, _REASONS[made.strategy])
        return True
    return made.strategy is options.split_strategy


def _segments_of(item: Input, opened: Opened, options: JobOptions, on_choice: OnChoice) -> Iterator[Segment]:
    view, strategy = opened.view, options.split_strategy
    if not len(view) and strategy is not SplitStrategy.CUSTOM:
        return
    if strategy is SplitStrategy.ADAPTIVE:
        strategy, reason = choose_strategy(view, options)
        on_choice(strategy, reason)
    if strategy is SplitStrategy.CUSTOM:
        yield view[:]
        return
    if strategy is SplitStrategy.NPY_ROWS:
        yield from npy_segments(item.name, opened, options.max_chunk_size)
        return
    if strategy is SplitStrategy.ARROW_BATCHES:
        yield from arrow_segments(item.name, opened, options.max_chunk_size)
        return
    start, next_end = 0, _ends(item, view, strategy, options)
    while start < len(view):
        end = next_end(start)
        yield view[start:end]
        start = end
        opened.drop_before(start)


def _ends(item: Input, view: View, strategy: SplitStrategy, options: JobOptions) -> Callable[[int], int]:
    """A function from where a segment starts to where it ends."""
    largest, size = options.max_chunk_size, len(view)
    if strategy is SplitStrategy.FIXED_SIZE:
        return lambda start: min(start + largest, size)
    delimiter = options.delimiter if strategy is SplitStrategy.RECORD_BASED else b"\n"
    if delimiter == b"\n" and (encoding := _wide_encoding(view)):
        raise InputError(
            f"{item.name} is text in {encoding}, whose newlines aren't single bytes:"
            f" {strategy} would cut it inside of characters",
            hint=f"convert it: iconv -f {encoding} -t UTF-8",
            name=item.name,
            encoding=encoding,
        )
    last_end = _last_end_forward if _overlaps_itself(delimiter) else _last_end

    def end_of_records(start: int) -> int:
        if size - start <= largest:
            return size
        end = last_end(view, delimiter, start, start + largest)
        if end == start:
            raise _too_long(item, view, delimiter, start, largest)
        return end

    return end_of_records


def _wide_encoding(view: View) -> str:
    """The encoding of text whose characters have two bytes or four, by its mark or by how it reads; else ""."""
    head = bytes(view[:_SAMPLE_BYTES])
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head and b"\n" in head:
        for width, encoding in ((4, "UTF-32LE"), (4, "UTF-32BE"), (2, "UTF-16LE"), (2, "UTF-16BE")):
            if not len(view) % width and _reads_as(head, encoding):
                return encoding
    return ""


def _reads_as(head: bytes, encoding: str) -> bool:
    """Whether bytes, whose last character may be cut off, are lines of plain text in an encoding."""
    try:
        letters = set(codecs.getincrementaldecoder(encoding)().decode(head))
    except UnicodeDecodeError:
        return False
    return "\n" in letters and all(
        letter in _BLANKS or letter.isprintable() or unicodedata.category(letter) in _UNSEEN for letter in letters
    )


def _last_end(view: View, delimiter: bytes, start: int, stop: int) -> int:
    """Where the last delimiter within `view[start:stop]` ends; `start` when there is none. Looks back in small windows."""
    high = stop
    while high > start:
        low = max(start, high - _WINDOW_BYTES)
        found = bytes(view[low:high]).rfind(delimiter)
        if found >= 0:
            return low + found + len(delimiter)
        high = low + len(delimiter) - 1 if low > start else start
    return start


def _last_end_forward(view: View, delimiter: bytes, start: int, stop: int) -> int:
    r"""The same for a delimiter that can overlap itself.

    In ``x\n\n\ny`` the delimiter ``\n\n`` ends where reading from the left finds it, so that's the way to look for it:
    a cut after the third newline would change the records.
    """
    last = deque(re.finditer(re.escape(delimiter), view[start:stop]), maxlen=1)
    return start + last[0].end() if last else start


def _overlaps_itself(delimiter: bytes) -> bool:
    return any(delimiter.startswith(delimiter[length:]) for length in range(1, len(delimiter)))


def _too_long(item: Input, view: View, delimiter: bytes, start: int, largest: int) -> InputError:
    searched_to = min(len(view), start + _SEARCH_BYTES_MAX + len(delimiter))
    found = re.search(re.escape(delimiter), view[start:searched_to])
    length = found.end() if found else searched_to - start
    is_known = found is not None or searched_to == len(view)
    noun = "line" if delimiter == b"\n" else "record"
    number = f" {_count(view, delimiter, start) + 1:,}" if start <= _SEARCH_BYTES_MAX else ""
    if is_known and length <= CHUNK_BYTES_MAX:
        hint = f"raise max_chunk_size to {length:,} or more, or use split_strategy fixed_size"
    else:
        hint = f"a chunk has {human_bytes(CHUNK_BYTES_MAX)} at most: check the delimiter, or use split_strategy fixed_size"
    return InputError(
        f"{noun}{number} of {item.name}, at byte {start:,}, is {'' if is_known else 'at least '}{length:,} bytes long;"
        f" max_chunk_size is {largest:,}",
        hint=hint,
        name=item.name,
        offset=start,
        length=length,
        max_chunk_size=largest,
    )


def _count(view: View, delimiter: bytes, stop: int) -> int:
    return bytes(view[:stop]).count(delimiter)
