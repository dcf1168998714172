/* The part of LLVM's profile runtime that an instrumented guest needs. Counters stay in its memory, where the host reads them
 * (`profile.py`); values (who is called indirectly, how long copies are) are counted in one table. */
#include <stdint.h>

int __llvm_profile_runtime;

extern char __start___llvm_prf_data[], __stop___llvm_prf_data[];
extern char __start___llvm_prf_cnts[], __stop___llvm_prf_cnts[];
extern char __start___llvm_prf_names[], __stop___llvm_prf_names[];
extern uint64_t __llvm_profile_raw_version;

#define ENTRIES (1u << 18)
#define PROBES 16
#define LONGEST_COPY 64 /* longer ones are one class */

static struct entry {
    uint32_t function, site;
    uint64_t value, count;
} entries[ENTRIES];

static void count(uint64_t value, uint32_t function, uint32_t site) {
    uint32_t start = (uint32_t)(value * 0x9E3779B97F4A7C15u >> 32) ^ function * 2654435761u ^ site * 40503u;
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        struct entry *entry = &entries[(start + probe) % ENTRIES];
        if (entry->count == 0) {
            *entry = (struct entry){function, site, value, 0};
        }
        if (entry->function == function && entry->site == site && entry->value == value) {
            entry->count++;
            return;
        }
    }
}

void __llvm_profile_instrument_target(uint64_t value, void *function, uint32_t site) {
    count(value, (uint32_t)(uintptr_t)function, site);
}

void __llvm_profile_instrument_memop(uint64_t value, void *function, uint32_t site) {
    count(value > LONGEST_COPY ? LONGEST_COPY : value, (uint32_t)(uintptr_t)function, site);
}

/* Addresses in the order that `profile.py` reads them. */
__attribute__((export_name("profile_place"))) uint32_t profile_place(int which) {
    const void *places[] = {
        __start___llvm_prf_data,  __stop___llvm_prf_data,  __start___llvm_prf_cnts, __stop___llvm_prf_cnts,
        __start___llvm_prf_names, __stop___llvm_prf_names, entries,                 entries + ENTRIES,
        &__llvm_profile_raw_version,
    };
    return (uint32_t)(uintptr_t)places[which];
}
