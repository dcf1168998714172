"""Pictures of a run, and the report that holds them; see docs/reports.md.

| module | has |
|---|---|
| `facts` | what is known of a run: of a result here, or of a job on a node |
| `pictures` | `run_picture`: tree, timeline, throughput, fuel |
| `tree`, `timeline`, `throughput`, `fuel` | one picture each |
| `sheet`, `scales` | drawing: SVG that is small, without scripts, light or dark as its reader likes |
| `results` | the picture of what the run gave |
| `report`, `words` | `report_html`: one file about one job, that opens with no network |
"""
