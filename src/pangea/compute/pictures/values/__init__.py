"""Pictures of values: `visualize(value)` picks a kind by type, or draws the kind it is told; see docs/visualizer.md.

| modules | have |
|---|---|
| `kinds`, `options` | `visualize`: the kinds by name, which one a value is, and its options |
| `reading`, `frames`, `models`, `shapes`, `turning` | from any value to the few shapes that are drawn |
| `bars` (`totals`), `lines`, `scatters`, `histograms`, `heatmaps` | charts, a kind each |
| `images`, `tables`, `networks` (`layouts`), `coefficients`, `clusters`, `confusions` | likewise images, graphs and models |
| `theme`, `wording`, `groups`, `charts`, `canvases` | the look of all pictures, with altair and with matplotlib |
| `picture`, `drawings`, `page`, `scripts` | `Picture` and what becomes of it: PNG, SVG, one HTML file |

Modules that draw are loaded with the first picture, and only they import numpy, Arrow, altair and the like at their top.
"""
