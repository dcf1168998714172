"""Pictures of values: `visualize(value)` picks a kind by type, or draws the kind it is told; see docs/visualizer.md.

| module | has |
|---|---|
| `kinds` | `visualize`: the kinds by name, and which one a value is |
| `picture`, `drawings`, `page` | `Picture` and what becomes of it: PNG, SVG, one HTML file |
| `theme`, `charts` | the look of all pictures |
"""

from __future__ import annotations

from pangea.compute.client.visualizer.kinds import KINDS, visualize
from pangea.compute.client.visualizer.picture import Picture

__all__ = ["KINDS", "Picture", "visualize"]
