/* Guest ABI 1 for C and C++ (docs/modules.md): write `execute`, and `split` and `merge` if you need them, and export them:
 *
 *     static int execute(pangea_bytes chunk, pangea_buffer *result) {
 *         return pangea_printf(result, "%u", chunk.size);
 *     }
 *     PANGEA_EXECUTE(execute)
 *
 * Each returns 0, or what `pangea_fail("why")` returns. What they are given is theirs until they return. */
#ifndef PANGEA_GUEST_H
#define PANGEA_GUEST_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *data;
    uint32_t size;
} pangea_bytes;

/* Grows as it is written to. */
typedef struct {
    uint8_t *data;
    uint32_t size, room;
} pangea_buffer;

static pangea_buffer pangea_result, pangea_error;

static inline void pangea_put(pangea_buffer *buffer, const void *data, uint32_t size) {
    if (buffer->room - buffer->size < size) {
        uint64_t room = (uint64_t)buffer->size + size;
        room = room > 2 * (uint64_t)buffer->room ? room : 2 * (uint64_t)buffer->room;
        void *grown = room <= UINT32_MAX ? realloc(buffer->data, (uint32_t)room) : NULL;
        if (grown == NULL) __builtin_trap(); /* the memory limit */
        buffer->data = (uint8_t *)grown;
        buffer->room = (uint32_t)room;
    }
    if (size) memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static inline void pangea_put_u32(pangea_buffer *buffer, uint32_t value) { pangea_put(buffer, &value, sizeof value); }

/* Formatted text, as of printf; at most 1,023 bytes. */
static inline int pangea_printf(pangea_buffer *buffer, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pangea_put(buffer, text, size < (int)sizeof text ? (uint32_t)size : (uint32_t)sizeof text - 1);
    return 0;
}

/* Say why the call fails; return what this returns. */
static inline int pangea_fail(const char *why) {
    pangea_error.size = 0;
    pangea_put(&pangea_error, why, (uint32_t)strlen(why));
    return -1;
}

/* One more chunk of a split, or one more result. */
static inline void pangea_list_put(pangea_buffer *list, const void *data, uint32_t size) {
    if (list->size == 0) pangea_put_u32(list, 0);
    uint32_t count;
    memcpy(&count, list->data, sizeof count);
    count++;
    memcpy(list->data, &count, sizeof count);
    pangea_put_u32(list, size);
    pangea_put(list, data, size);
}

/* Walks a framed list: `uint32_t count = pangea_list_begin(&frame);`, then `pangea_list_next(&frame)` so many times. */
static inline uint32_t pangea_list_begin(pangea_bytes *frame) {
    uint32_t count;
    memcpy(&count, frame->data, sizeof count);
    frame->data += sizeof count;
    frame->size -= sizeof count;
    return count;
}

static inline pangea_bytes pangea_list_next(pangea_bytes *frame) {
    pangea_bytes item;
    memcpy(&item.size, frame->data, sizeof item.size);
    item.data = frame->data + sizeof item.size;
    frame->data = item.data + item.size;
    frame->size -= (uint32_t)sizeof item.size + item.size;
    return item;
}

static inline int64_t pangea_packed(const pangea_buffer *buffer) {
    return (int64_t)((uint64_t)(uintptr_t)buffer->data << 32 | buffer->size);
}

static inline int64_t pangea_call(int (*function)(pangea_bytes, pangea_buffer *), uint8_t *data, uint32_t size) {
    pangea_bytes given = {data, size};
    pangea_result.size = 0;
    pangea_error.size = 0;
    int failed = function(given, &pangea_result);
    free(data);
    return failed ? -1 : pangea_packed(&pangea_result);
}

#ifdef __cplusplus
#define PANGEA_C extern "C"
#else
#define PANGEA_C
#endif
#define PANGEA_EXPORT(name) PANGEA_C __attribute__((export_name(name)))

PANGEA_EXPORT("alloc") uint8_t *pangea_alloc(uint32_t size) { return (uint8_t *)malloc(size ? size : 1); }
PANGEA_EXPORT("last_error") int64_t pangea_last_error(void) { return pangea_packed(&pangea_error); }

#define PANGEA_EXECUTE(function) \
    PANGEA_EXPORT("execute") int64_t pangea_execute(uint8_t *data, uint32_t size) { return pangea_call(function, data, size); }

/* int split(pangea_bytes input, pangea_buffer *chunks): give each chunk to pangea_list_put. */
#define PANGEA_SPLIT(function) \
    static int pangea_split_list(pangea_bytes input, pangea_buffer *chunks) { \
        int failed = function(input, chunks); \
        if (!failed && chunks->size == 0) pangea_put_u32(chunks, 0); \
        return failed; \
    } \
    PANGEA_EXPORT("split") int64_t pangea_split(uint8_t *data, uint32_t size) { return pangea_call(pangea_split_list, data, size); }

/* int merge(pangea_bytes results, pangea_buffer *result): walk the results with pangea_list_begin and pangea_list_next. */
#define PANGEA_MERGE(function) \
    PANGEA_EXPORT("merge") int64_t pangea_merge(uint8_t *data, uint32_t size) { return pangea_call(function, data, size); }

#endif
