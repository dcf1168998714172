/* The modules in C that the guest has beside CPython's own: NumPy's. */
#include <Python.h>

#define MODULES(X)                                 \
    X(_multiarray_umath, "numpy._core.")           \
    X(_umath_linalg, "numpy.linalg.")              \
    X(lapack_lite, "numpy.linalg.")                \
    X(_pocketfft_umath, "numpy.fft.")              \
    X(_common, "numpy.random.")                    \
    X(bit_generator, "numpy.random.")              \
    X(_bounded_integers, "numpy.random.")          \
    X(_mt19937, "numpy.random.")                   \
    X(_philox, "numpy.random.")                    \
    X(_pcg64, "numpy.random.")                     \
    X(_sfc64, "numpy.random.")                     \
    X(mtrand, "numpy.random.")                     \
    X(_generator, "numpy.random.")

#define DECLARE(name, package) PyObject *PyInit_##name(void);
MODULES(DECLARE)

#define ENTRY(name, package) {package #name, PyInit_##name},

/* Before the interpreter starts. */
int guest_modules(void) {
    static struct _inittab modules[] = {MODULES(ENTRY){NULL, NULL}};
    return PyImport_ExtendInittab(modules);
}
