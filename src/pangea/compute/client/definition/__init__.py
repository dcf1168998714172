"""Jobs as the user declares them: decorators, options of a job file, modules of other languages.

Nothing runs here: what is declared is checked, and handed on.
"""
