"""What `--plot [WHAT:]FILE` means."""

import pytest

from pangea.compute.cli.run_files import Plot
from pangea.compute.cli.usage import UsageError


@pytest.mark.parametrize(
    ("text", "what", "path"),
    [
        ("tree:x.png", "tree", "x.png"),
        ("tree.html", "tree", "tree.html"),
        ("out/fuel.svg", "fuel", "out/fuel.svg"),
        ("centroids.png", "result", "centroids.png"),
        ("./tre:x.png", "result", "tre:x.png"),
    ],
)
def test_a_name_before_a_colon_or_the_file_s_own_says_what_is_drawn(text: str, what: str, path: str) -> None:
    plot = Plot.of(text)

    assert (plot.what, str(plot.path)) == (what, path)


def test_a_slip_is_an_error_and_no_file() -> None:
    with pytest.raises(UsageError, match="no picture 'tre'") as caught:
        Plot.of("tre:x.png")
    assert "did you mean tree:x.png?" in caught.value.hint
