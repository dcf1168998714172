"""Build of the Python guest: `python -m pangea.compute.runtime.build` (what `make runtime` calls)."""
