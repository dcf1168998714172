#include "fuel.h"

__attribute__((address_space(1))) long long fuel;

/* LLVM 22 can't emit such a global in a file without a function. */
__attribute__((export_name("fuel_left"))) long long fuel_left(void) { return fuel; }
