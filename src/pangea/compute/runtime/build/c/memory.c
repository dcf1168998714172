/* The guest's malloc: Doug Lea's. The one of zig's libc rounds sizes up to powers of two, so half of the memory would be lost.
 *
 * Its functions have names of their own here, and strong definitions call them: zig's are weak, and give way to no others. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 65536

static void *more_memory(ptrdiff_t size) {
    if (size < 0) {
        return (void *)-1;
    }
    size_t pages = __builtin_wasm_memory_grow(0, ((size_t)size + PAGE - 1) / PAGE);
    return pages == SIZE_MAX ? (void *)-1 : (void *)(pages * PAGE);
}

#define USE_DL_PREFIX 1
#define DLMALLOC_EXPORT static
#define USE_LOCKS 0
#define HAVE_MMAP 0
#define MORECORE more_memory
#define MORECORE_CANNOT_TRIM 1
#define MALLOC_ALIGNMENT 16
#define DEFAULT_GRANULARITY PAGE
#define malloc_getpagesize PAGE
#define NO_MALLINFO 1
#define NO_MALLOC_STATS 1
#define LACKS_TIME_H 1
#define ABORT __builtin_trap()
#include "dlmalloc.c"

void *malloc(size_t size) { return dlmalloc(size); }

void free(void *block) { dlfree(block); }

void *calloc(size_t count, size_t size) { return dlcalloc(count, size); }

void *realloc(void *block, size_t size) { return dlrealloc(block, size); }

void *memalign(size_t alignment, size_t size) { return dlmemalign(alignment, size); }

void *aligned_alloc(size_t alignment, size_t size) { return dlmemalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) { return dlposix_memalign(block, alignment, size); }

void *valloc(size_t size) { return dlvalloc(size); }

size_t malloc_usable_size(void *block) { return dlmalloc_usable_size(block); }

void *reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return dlrealloc(block, bytes);
}
