"""The engines that a job can run on, all behind `engine.engine.Engine`: `local`, `dask` and `ray`.

dask and ray enter nowhere else; whichever runs a task, its bytes, failures and fuel are the same.
"""
