/* What the guest hears of the outside: WASI's clock, random bytes, environment and arguments as constants. The names are those under
 * which wasi-libc imports these functions; defined here, they are no imports any more.
 *
 * Files are left to the host while the guest is built (`wasi.py`), and closed in the finished module (`snapshot.py`). */
#include <stdint.h>
#include <string.h>

#define WASI(name) __imported_wasi_snapshot_preview1_##name
#define AT(address) ((void *)(uintptr_t)(uint32_t)(address))

static void store32(int32_t at, uint32_t value) { memcpy(AT(at), &value, sizeof value); }
static void store64(int32_t at, uint64_t value) { memcpy(AT(at), &value, sizeof value); }

int32_t WASI(clock_time_get)(int32_t clock, int64_t precision, int32_t now) {
    store64(now, 0);
    return 0;
}

int32_t WASI(clock_res_get)(int32_t clock, int32_t resolution) {
    store64(resolution, 1);
    return 0;
}

/* A fixed xorshift64 stream (Marsaglia, 2003, "Xorshift RNGs", shifts 13, 7, 17): the same bytes at every start. */
int32_t WASI(random_get)(int32_t bytes, int32_t size) {
    static uint64_t state = 0x9E3779B97F4A7C15;
    for (uint32_t at = 0; at < (uint32_t)size; at++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((uint8_t *)AT(bytes))[at] = (uint8_t)(state >> 32);
    }
    return 0;
}

static int32_t none(int32_t count, int32_t size) {
    store32(count, 0);
    store32(size, 0);
    return 0;
}

int32_t WASI(environ_sizes_get)(int32_t count, int32_t size) { return none(count, size); }

int32_t WASI(environ_get)(int32_t places, int32_t bytes) { return 0; }

int32_t WASI(args_sizes_get)(int32_t count, int32_t size) { return none(count, size); }

int32_t WASI(args_get)(int32_t places, int32_t bytes) { return 0; }

int32_t WASI(sched_yield)(void) { return 0; }
