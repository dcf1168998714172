/* What the glue of one kernel, which is generated, shares with the runtime of all. */
#ifndef PANGEA_KERNEL_RUNTIME_H
#define PANGEA_KERNEL_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* `descr` is what a .npy header says of the type, `name` what a signature does. */
typedef struct {
    const char *descr, *name;
    uint32_t size, dimensions;
} array_type;

typedef struct {
    const uint8_t *at;
    uint32_t left, argument;
} npy_reader;

/* Numba's excinfo_t (numba/core/callconv.py); the pickled text was replaced by plain text when the module was built. */
typedef struct {
    const char *text;
    int32_t size;
    const void *hash, *unwrap;
    int32_t is_dynamic;
} exception;

int pangea_read_array(npy_reader *reader, const array_type *type, void **data, int64_t *shape, int64_t *items);
int pangea_end(npy_reader *reader);
int pangea_no_memory(void);
int64_t pangea_raised(int32_t status, const exception *raised);
int64_t pangea_write_array(const array_type *type, const void *data, const int64_t *shape, const int64_t *strides);

#endif
