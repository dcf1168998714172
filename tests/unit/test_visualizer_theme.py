"""The colours: that eyes of every kind can tell them apart, and see them on paper."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from pangea.compute.pictures.values import theme
from pangea.compute.pictures.values.heatmaps import Colours

#: What becomes of linear red, green and blue in eyes that lack one kind of cones, wholly.
#: Source: G. Machado, M. Oliveira, L. Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency,
#: IEEE Trans. Vis. Comput. Graphics 15 (2009), table for severity 1.0.
EYES = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
#: Differences of CIE 1976 lightness and hue; about 2.3 can just be seen side by side.
FAR_APART = 15.0


def linear(colour: str) -> Any:
    """Source: IEC 61966-2-1 (sRGB)."""
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: Any) -> Any:
    """CIE L*a*b* of linear sRGB, under D65. Source: CIE 15."""
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    x, y, z = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    fx, fy, fz = (np.cbrt(t) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def contrast(first: str, second: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    light = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour)) for colour in (first, second))
    return (light[1] + 0.05) / (light[0] + 0.05)


def nearest(colours: Any, eyes: str) -> float:
    seen = [lab(np.array(EYES[eyes]) @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(first - second)) for first, second in combinations(seen, 2))


@pytest.mark.parametrize("eyes", EYES)
def test_no_two_colours_look_alike(eyes: str) -> None:
    assert nearest(theme.PALETTE, eyes) > FAR_APART


def test_the_measure_knows_colours_that_look_alike() -> None:
    red_green = ("#D62728", "#7F8C1A")

    assert nearest(red_green, "all cones") > 3 * FAR_APART
    assert nearest(red_green, "deuteranopia") < FAR_APART


def test_colours_and_letters_are_seen_on_paper() -> None:
    assert min(contrast(colour, theme.PAPER) for colour in theme.PALETTE) > 2.2
    assert contrast(theme.MAIN, theme.PAPER) > 4.5
    assert contrast(theme.ACCENT, theme.PAPER) > 3
    assert contrast(theme.INK, theme.PAPER) > 7
    assert contrast(theme.INK_QUIET, theme.PAPER) > 4.5


def test_each_colour_has_a_dash_and_a_shape_of_its_own() -> None:
    assert len(theme.PALETTE) == len(set(theme.PALETTE))
    assert len({tuple(dash) for dash in theme.DASHES}) == len(theme.DASHES) == len(theme.PALETTE)
    assert len(set(theme.SHAPES)) == len(theme.SHAPES) == len(theme.PALETTE)


def hexadecimal(scheme: str, share: float) -> str:
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    return to_hex(mpl.colormaps[scheme](share))


@pytest.mark.parametrize("eyes", EYES)
def test_amounts_grow_lighter_for_every_eye(eyes: str) -> None:
    colours = [hexadecimal(theme.AMOUNTS, share) for share in np.linspace(0, 1, 17)]
    lightness = [lab(np.array(EYES[eyes]) @ linear(colour))[0] for colour in colours]

    assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize(("signed", "scheme"), [(False, theme.AMOUNTS), (True, theme.SIGNED_MATPLOTLIB)])
def test_figures_in_cells_are_read_on_every_colour(signed: bool, scheme: str) -> None:
    colours = Colours(0.0, 1.0, signed)

    for share in np.linspace(0, 1, 41):
        assert contrast(hexadecimal(scheme, share), colours.ink(float(share))) > 3.4
