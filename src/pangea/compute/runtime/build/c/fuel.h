/* The meter's counter: a WebAssembly global, out of reach of every pointer. Below zero the guest stops (`meter.py`). */
extern __attribute__((address_space(1))) long long fuel;

/* Charge for `units` of work that loops charged by the meter don't see: the bytecode loop's. */
#define CHARGE(units) do { if ((fuel -= (units)) < 0) __builtin_trap(); } while (0)
