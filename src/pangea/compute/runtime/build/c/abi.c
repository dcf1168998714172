/* The exports of guest ABI 1, over CPython: `setup` starts the interpreter while the guest is built, the rest is what a job calls.
 *
 * `alloc` makes a `bytes` object and returns where its bytes lie; a call passes that very object to the Python function, and its
 * result is read where it lies. So a chunk is copied once on its way in and once on its way out. The functions behind the exports
 * are `sys.abi1`, a tuple of callables from bytes to bytes (or to a one-element tuple: the text of an error), in the order below. */
#include <Python.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define FAILED (-1)

int guest_modules(void);

enum { INIT, SPLIT, EXECUTE, EXECUTE_MANY, MERGE, TAKE_PRINTS, FUNCTIONS };

static PyObject *functions[FUNCTIONS];
static PyObject *input;  /* what alloc made last, until a call takes it */
static PyObject *result; /* the bytes of the last result or error */

EXPORT("alloc") char *guest_alloc(uint32_t size) {
    Py_CLEAR(input);
    input = size > PY_SSIZE_T_MAX ? NULL : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (input == NULL) {
        PyErr_Clear();
        return NULL;
    }
    return PyBytes_AS_STRING(input);
}

/* The object at `bytes`, if alloc made it, else a copy of what lies there. */
static PyObject *take_input(const char *bytes, uint32_t size) {
    PyObject *made = input;
    if (made != NULL && PyBytes_AS_STRING(made) == bytes && (uint32_t)PyBytes_GET_SIZE(made) == size) {
        input = NULL;
        return made;
    }
    return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size);
}

static int64_t packed(PyObject *bytes) {
    return (int64_t)((uint64_t)(uintptr_t)PyBytes_AS_STRING(bytes) << 32 | (uint64_t)PyBytes_GET_SIZE(bytes));
}

static int64_t call(int which, const char *bytes, uint32_t size) {
    Py_CLEAR(result);
    PyObject *argument = take_input(bytes, size);
    PyObject *answer = argument == NULL ? NULL : PyObject_CallOneArg(functions[which], argument);
    if (answer == NULL) {
        __builtin_trap(); /* memory ran out in the one place where Python code can't say so */
    }
    Py_DECREF(argument);
    if (PyBytes_Check(answer)) {
        result = answer;
        return packed(result);
    }
    result = Py_NewRef(PyTuple_GetItem(answer, 0));
    Py_DECREF(answer);
    return FAILED;
}

#define CALL(name, which) \
    EXPORT(name) int64_t guest_call_##which(const char *bytes, uint32_t size) { return call(which, bytes, size); }

CALL("init", INIT)
CALL("split", SPLIT)
CALL("execute", EXECUTE)
CALL("execute_many", EXECUTE_MANY)
CALL("merge", MERGE)
CALL("take_prints", TAKE_PRINTS)

EXPORT("last_error") int64_t guest_last_error(void) { return result == NULL ? 0 : packed(result); }

/* Nothing of the machine that builds the guest gets in: no environment, no arguments, a fixed hash seed. */
static PyStatus start(void) {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.use_environment = 0;
    config.user_site_directory = 0;
    config.use_hash_seed = 1;
    config.hash_seed = 0;
    config.write_bytecode = 0;
    config.install_signal_handlers = 0;
    config.module_search_paths_set = 1;
    PyConfig_SetString(&config, &config.program_name, L"python");
    PyConfig_SetString(&config, &config.executable, L"");
    PyConfig_SetString(&config, &config.home, L"/python");
    PyWideStringList_Append(&config.module_search_paths, L"/python/lib");
    PyWideStringList_Append(&config.module_search_paths, L"/python/app");
    PyStatus status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

/* Returns 0, or 1 after the reason has gone to standard error. */
EXPORT("setup") int guest_setup(void) {
    if (guest_modules() < 0) {
        return 1;
    }
    PyStatus status = start();
    if (PyStatus_Exception(status)) {
        fprintf(stderr, "%s: %s\n", status.func ? status.func : "", status.err_msg ? status.err_msg : "");
        return 1;
    }
    PyObject *entry = PyImport_ImportModule("pangea.compute.runtime.guest.entry");
    PyObject *made = entry == NULL ? NULL : PySys_GetObject("abi1");
    if (made == NULL || !PyTuple_Check(made) || PyTuple_GET_SIZE(made) != FUNCTIONS) {
        PyErr_Print();
        return 1;
    }
    for (int which = 0; which < FUNCTIONS; which++) {
        functions[which] = Py_NewRef(PyTuple_GET_ITEM(made, which));
    }
    Py_DECREF(entry);
    return 0;
}
