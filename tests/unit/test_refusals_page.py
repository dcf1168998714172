"""docs/errors.md says what is said."""

import gc
import warnings

from docs.make_errors import PAGE, page


def test_the_page_is_what_the_examples_say() -> None:
    with warnings.catch_warnings(action="ignore"):
        said = page()
        gc.collect()  # one of the examples leaves a file open, which is what it shows
    assert PAGE.read_text(encoding="utf-8") == said, "run `make docs`"
