"""Calls of a function, as `map`, `submit` and an `Executor` make them: Python values go in and come out.

Everything here ends in `submission.run_job`; how a call's values are written is `data.tagged`'s business.
"""
