"""Jobs on clusters that somebody has already: a real Dask and a real Ray, each started once for all tests."""
