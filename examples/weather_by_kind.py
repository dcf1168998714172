"""Seattle's weather from 2012 to 2015, grouped: how warm, wet and windy each kind of day is; compared with pandas.

    python examples/weather_by_kind.py --plot weather.png

The table is in the package vega_datasets: one row a day, with `weather` one of drizzle, fog, rain, snow and sun.
"""

import argparse
import sys

import numpy as np
from vega_datasets import local_data

from pangea.compute import submit_job, templates

FIGURES = {"temp_max": ["mean", "min", "max"], "precipitation": ["sum", "mean"], "wind": ["mean", "var"]}


def main() -> int:
    """Group, draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="write a bar chart to this .png, .svg or .html")
    given = parser.parse_args()
    days = local_data.seattle_weather()
    result = submit_job(templates.group_by("weather", FIGURES, size="days"), days)
    groups = result.as_frame().set_index("weather")
    print(groups.round(2).to_string())
    if given.plot:
        from pangea.compute import visualize

        title = "How warm Seattle's days are, by kind (2012 to 2015)"
        picture = visualize(
            result, "bar", x="weather", y="temp_max_mean", title=title, x_label="kind of day", y_label="mean daily maximum",
            unit="°C",
        )  # fmt: skip
        picture.save(given.plot)
    grouped = days.groupby("weather")
    differing = [
        f"{column}_{what}"
        for column, whats in FIGURES.items()
        for what in whats
        if not np.allclose(groups[f"{column}_{what}"], grouped[column].agg(what), rtol=1e-12)
    ]
    if not (groups["days"] == grouped.size()).all():
        differing.append("days")
    figures = sum(map(len, FIGURES.values())) + 1
    print(
        f"{figures} figures of {len(groups)} groups: "
        + (f"DIFFERENT FROM pandas in {', '.join(differing)}" if differing else "equal to pandas")
    )
    print(result.report)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
