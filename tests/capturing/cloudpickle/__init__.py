"""What cloudpickle tests of itself, asked of a job: each case has the name of the test that asks the same there.

The code is ours. A case's look has to show in the sandbox what it shows here; those in `REFUSED` have to be refused, and those in
`NOT_APPLICABLE` ask for something that a job doesn't have, for the reason given.
"""

from __future__ import annotations

from tests.capturing import Cases
from tests.capturing.cloudpickle import modules, sessions, values

CASES = Cases({**values.CASES, **modules.CASES, **sessions.CASES})
REFUSED: dict[str, str] = {
    "multiprocessing_lock_raises": "multiprocessing",
    "unrelated_faulty_module": "is of type",
    "non_module_object_passing_whichmodule_test": "is a module of type",
    "recursion_during_pickling": "whose own way to be copied fails",
    "__reduce___returns_string": "isn't found in a job",
    "dynamic_module": "has no source text",
    "dynamic_module_no_package": "has no source text",
    "dynamic_module_with_unpicklable_builtin": "has no source text",
    "pickling_file_handles": "TextIOWrapper",
}
NOT_APPLICABLE: dict[str, str] = {
    "reducer_override_reference_cycle": "about cloudpickle's own Pickler",
    "loads_namespace": "about cloudpickle's own functions",
    "load_namespace": "about cloudpickle's own functions",
    "load_dynamic_module_in_grandchild_process": "a job starts no processes",
    "tornado_coroutine": "about a package, tornado, with parts in C",
    "multiprocess": "a job starts no processes",
    "importing_multiprocessing_does_not_impact_whichmodule": "about cloudpickle's search of sys.modules; nothing searches it here",
    "interactive_remote_function_calls_no_side_effect": "about a worker that lives on: a sandbox doesn't",
    "interactive_remote_function_calls_no_memory_leak": "about a worker that lives on: a sandbox doesn't",
    "interactive_dynamic_type_and_stored_remote_instances": "about a worker that lives on: a sandbox doesn't",
    "module_level_pickler": "about cloudpickle's own Pickler",
    "out_of_band_buffers": "about a protocol of pickle",
    "always_use_up_to_date_copyreg": "about cloudpickle's own Pickler",
    "pickle_reraise": "about cloudpickle's own Pickler",
    "pickle_constructs_from_module_registered_for_pickling_by_value": "own modules always travel by value; there is no register",
    "pickle_constructs_from_installed_packages_registered_for_pickling_by_value": "packages travel as their text; there is no register",
    "pickle_various_versions_of_the_same_function_with_different_pickling_method": "there is one way to travel",
    "extract_class_dict": "about a function of cloudpickle's own",
    "lookup_module_and_qualname_dynamic_typevar": "about a function of cloudpickle's own",
    "lookup_module_and_qualname_importable_typevar": "about a function of cloudpickle's own",
    "lookup_module_and_qualname_stdlib_typevar": "about a function of cloudpickle's own",
    "module_importability": "about a function of cloudpickle's own",
    "register_pickle_by_value": "about a function of cloudpickle's own",
}
