"""What `--plot [WHAT:]FILE` means."""

import pytest

from pangea.compute.cli.run_files import Plot, scaled
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


def test_a_scale_is_the_result_s_alone() -> None:
    plots = [Plot.of("tree.png"), Plot.of("product.png")]

    assert [plot.scale for plot in scaled(plots, "log", "--plot-scale")] == [None, "log"]
    assert scaled(plots[:1], None, "--plot-scale") == plots[:1]
    with pytest.raises(UsageError, match="--plot-scale log: it is for the result's picture, and no such is drawn") as caught:
        scaled(plots[:1], "log", "--plot-scale")
    assert "result:tree.png" in caught.value.hint
