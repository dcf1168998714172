/* What a kernel stands on inside its module: memory, arrays read from .npy files and written to them, and why a call failed.
 *
 * No libc. Memory that one call took is free at the next `alloc`, and is zero when it is given out: so a call sees nothing of
 * the one before. The layouts are Numba's: its integers and its counts of references have 64 bits, also where pointers have 32. */
#include "runtime.h"

extern uint8_t __heap_base;
enum { PAGE_BYTES = 65536, BIN_COUNT = 31, LEAST_BIN = 6, ALIGNMENT = 16 };

typedef struct block {
    struct block *next;
    uint32_t bin, unused[2]; /* what follows is aligned */
} block;

typedef struct {
    int64_t references;
    void *destroy;
    void (*destroy_items)(void *);
    void *data;
    int64_t size;
    void *is_apart; /* whether the data is a block of its own, which can be made larger */
} memory_info;

static block *free_blocks[BIN_COUNT];
static uint32_t top;
static char failure[1024];
static uint32_t failure_size;

void *memset(void *, int, size_t);
void *memcpy(void *, const void *, size_t);

static void *block_of(uint32_t bin) {
    block *found = free_blocks[bin];
    if (found) {
        free_blocks[bin] = found->next;
    } else {
        uint64_t end = (uint64_t)top + sizeof(block) + (1u << bin);
        uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE_BYTES;
        if (end > have) {
            uint64_t pages = (end - have + PAGE_BYTES - 1) / PAGE_BYTES;
            if (pages > 65536 || __builtin_wasm_memory_grow(0, (uint32_t)pages) == (size_t)-1) return 0;
        }
        found = (block *)(uintptr_t)top;
        top = (uint32_t)end;
        found->bin = bin;
    }
    return found + 1;
}

static void *taken(int64_t size) {
    if (size < 0 || size > 1 << (BIN_COUNT - 1)) return 0;
    uint32_t bin = LEAST_BIN;
    while ((int64_t)1 << bin < size) bin++;
    void *data = block_of(bin);
    if (data) memset(data, 0, (uint32_t)size);
    return data;
}

static void given_back(void *data) {
    if (!data) return;
    block *freed = (block *)data - 1;
    freed->next = free_blocks[freed->bin];
    free_blocks[freed->bin] = freed;
}

/* Numba's runtime. Source: numba/core/runtime/nrt.cpp, of which compiled functions call these. */
void *NRT_Allocate(int64_t size) { return taken(size); }
void NRT_Free(void *data) { given_back(data); }

static memory_info *with_info(int64_t size, uint32_t alignment) {
    if (size < 0 || size > INT32_MAX - 4096) return 0;
    memory_info *made = taken((int64_t)sizeof(memory_info) + size + alignment);
    if (!made) return 0;
    uintptr_t data = (uintptr_t)(made + 1);
    made->references = 1;
    made->data = (void *)((data + alignment - 1) / alignment * alignment);
    made->size = size;
    return made;
}

void *NRT_MemInfo_alloc_aligned(int64_t size, uint32_t alignment) { return with_info(size, alignment ? alignment : ALIGNMENT); }
void *NRT_MemInfo_alloc_safe_aligned(int64_t size, uint32_t alignment) { return NRT_MemInfo_alloc_aligned(size, alignment); }
void *NRT_MemInfo_alloc(int64_t size) { return with_info(size, ALIGNMENT); }
void *NRT_MemInfo_alloc_safe(int64_t size) { return with_info(size, ALIGNMENT); }
void *NRT_MemInfo_data_fast(void *info) { return ((memory_info *)info)->data; }
void NRT_MemInfo_call_dtor(memory_info *info) {
    if (info->destroy_items) info->destroy_items(info->data);
    if (info->is_apart) given_back(info->data);
    given_back(info);
}

/* What grows: a list. */
void *NRT_MemInfo_new_varsize(int64_t size) {
    memory_info *made = taken(sizeof(memory_info));
    void *data = made ? taken(size) : 0;
    if (!data) return 0;
    made->references = 1;
    made->data = made->is_apart = data;
    made->size = size;
    return made;
}
void *NRT_MemInfo_new_varsize_dtor(int64_t size, void (*destroy_items)(void *)) {
    memory_info *made = NRT_MemInfo_new_varsize(size);
    if (made) made->destroy_items = destroy_items;
    return made;
}
void *NRT_MemInfo_varsize_alloc(memory_info *info, int64_t size) {
    void *data = taken(size);
    if (!data) return 0;
    info->size = size;
    return info->data = data;
}
void *NRT_MemInfo_varsize_realloc(memory_info *info, int64_t size) {
    void *data = taken(size);
    if (!data) return 0;
    memcpy(data, info->data, (uint32_t)(size < info->size ? size : info->size));
    given_back(info->data);
    info->size = size;
    return info->data = data;
}
void NRT_MemInfo_varsize_free(memory_info *info, void *data) {
    given_back(data);
    if (info->data == data) info->data = 0;
}

/* The strides of a view of another shape, if the array is contiguous; one that isn't has no such view, and Numba says so. */
int numba_attempt_nocopy_reshape(int64_t axes, const int64_t *shape, const int64_t *strides, int64_t new_axes,
                                 const int64_t *new_shape, int64_t *new_strides, int64_t item_bytes, int is_fortran) {
    int64_t expected = item_bytes;
    for (int64_t axis = axes - 1; axis >= 0; axis--) {
        if (is_fortran || (shape[axis] != 1 && strides[axis] != expected)) return 0;
        expected *= shape[axis];
    }
    expected = item_bytes;
    for (int64_t axis = new_axes - 1; axis >= 0; axis--) {
        new_strides[axis] = expected;
        expected *= new_shape[axis];
    }
    return 1;
}

void NRT_incref(void *info) {
    if (info) ((memory_info *)info)->references++;
}
void NRT_decref(void *info) {
    if (info && --((memory_info *)info)->references == 0) NRT_MemInfo_call_dtor(info);
}

__attribute__((export_name("alloc"))) uint8_t *pangea_alloc(uint32_t size) {
    memset(free_blocks, 0, sizeof free_blocks);
    top = ((uint32_t)(uintptr_t)&__heap_base + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    failure_size = 0;
    return size > 1u << (BIN_COUNT - 1) ? 0 : taken(size ? size : 1);
}

__attribute__((export_name("last_error"))) int64_t pangea_last_error(void) {
    return (int64_t)((uint64_t)(uintptr_t)failure << 32 | failure_size);
}

static void said(const char *text, uint32_t size) {
    if (size > sizeof failure - failure_size) size = sizeof failure - failure_size;
    memcpy(failure + failure_size, text, size);
    failure_size += size;
}

static uint32_t length(const char *text) {
    uint32_t size = 0;
    while (text[size]) size++;
    return size;
}

static void said_number(uint64_t number) {
    char digits[20];
    uint32_t at = sizeof digits;
    do digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    said(digits + at, sizeof digits - at);
}

static int wrong(const npy_reader *reader, const char *what, const char *wanted) {
    said("TypeError: argument ", 20);
    said_number(reader->argument);
    said(what, length(what));
    said(wanted, length(wanted));
    return -1;
}

/* The text after `key` in a header, or NULL. */
static const uint8_t *after(const uint8_t *header, uint32_t size, const char *key) {
    uint32_t wanted = length(key);
    for (uint32_t at = 0; at + wanted <= size; at++) {
        uint32_t same = 0;
        while (same < wanted && header[at + same] == (uint8_t)key[same]) same++;
        if (same == wanted) return header + at + wanted;
    }
    return 0;
}

/* Source: NEP 1, the .npy format. */
int pangea_read_array(npy_reader *reader, const array_type *type, void **data, int64_t *shape, int64_t *items) {
    reader->argument++;
    const uint8_t *at = reader->at;
    uint32_t left = reader->left, size, start;
    if (left < 12 || at[0] != 0x93 || at[1] != 'N' || at[2] != 'U') return wrong(reader, " is missing: no .npy file is left", "");
    if (at[6] == 1) {
        size = at[8] | (uint32_t)at[9] << 8;
        start = 10;
    } else {
        size = at[8] | (uint32_t)at[9] << 8 | (uint32_t)at[10] << 16 | (uint32_t)at[11] << 24;
        start = 12;
    }
    if (size > left - start) return wrong(reader, " is cut off", "");
    const uint8_t *header = at + start, *end = header + size, *descr = after(header, size, "'descr': '");
    const uint8_t *order = after(header, size, "'fortran_order': "), *sides = after(header, size, "'shape': (");
    if (!descr || !order || !sides) return wrong(reader, " has no readable header", "");
    for (uint32_t each = 0; type->descr[each]; each++)
        if (descr[each] != (uint8_t)type->descr[each]) return wrong(reader, " is of another type; the kernel takes ", type->name);
    if (*order == 'T' && type->dimensions > 1) return wrong(reader, " lies in Fortran's order; the kernel takes C's", "");
    uint32_t found = 0;
    uint64_t count = 1;
    while (sides < end && *sides != ')') {
        if (*sides < '0' || *sides > '9') {
            sides++;
            continue;
        }
        uint64_t side = 0;
        for (; sides < end && *sides >= '0' && *sides <= '9'; sides++) side = side < 1ull << 40 ? 10 * side + (*sides - '0') : side;
        if (found == type->dimensions) return wrong(reader, " has too many dimensions; the kernel takes ", type->name);
        shape[found++] = (int64_t)side;
        count = side && count > (1ull << 40) / side ? 1ull << 40 : count * side;
    }
    if (found != type->dimensions) return wrong(reader, " has too few dimensions; the kernel takes ", type->name);
    if (count * type->size > left - start - size) return wrong(reader, " is cut off", "");
    uint32_t bytes = (uint32_t)count * type->size;
    *items = (int64_t)count;
    *data = (void *)end;
    if ((uintptr_t)end % ALIGNMENT) {
        *data = taken(bytes);
        if (!*data) return pangea_no_memory();
        memcpy(*data, end, bytes);
    }
    reader->at = end + bytes;
    reader->left = left - start - size - bytes;
    return 0;
}

int pangea_end(npy_reader *reader) {
    if (!reader->left) return 0;
    said("TypeError: the chunk has more than the kernel's ", 48);
    said_number(reader->argument);
    said(" arguments", 10);
    return -1;
}

int pangea_no_memory(void) {
    said("MemoryError: the kernel ran out of memory", 41);
    return -1;
}

int64_t pangea_raised(int32_t status, const exception *raised) {
    if (status == 1 && raised && raised->text) {
        uint32_t size = (uint32_t)raised->size, used = 0;
        while (used < size && raised->text[used]) used++;
        said(raised->text, used);
    } else {
        said("RuntimeError: the kernel failed", 31);
    }
    return -1;
}

static uint8_t *copied(uint8_t *to, const uint8_t *from, const array_type *type, uint32_t axis, const int64_t *shape, const int64_t *strides) {
    if (axis == type->dimensions) {
        memcpy(to, from, type->size);
        return to + type->size;
    }
    if (axis + 1 == type->dimensions && strides[axis] == type->size) {
        uint32_t bytes = (uint32_t)(shape[axis] * type->size);
        memcpy(to, from, bytes);
        return to + bytes;
    }
    for (int64_t each = 0; each < shape[axis]; each++) to = copied(to, from + each * strides[axis], type, axis + 1, shape, strides);
    return to;
}

static uint32_t put(uint8_t *to, uint32_t at, const char *text) {
    memcpy(to + at, text, length(text));
    return at + length(text);
}

static uint32_t put_number(uint8_t *to, uint32_t at, uint64_t number) {
    char digits[20];
    uint32_t from = sizeof digits;
    do digits[--from] = (char)('0' + number % 10);
    while (number /= 10);
    memcpy(to + at, digits + from, sizeof digits - from);
    return at + (uint32_t)(sizeof digits - from);
}

/* As numpy.save writes it, with the room that it leaves for the first side to grow. */
int64_t pangea_write_array(const array_type *type, const void *data, const int64_t *shape, const int64_t *strides) {
    uint64_t bytes = type->size;
    for (uint32_t axis = 0; axis < type->dimensions; axis++) bytes *= (uint64_t)shape[axis];
    uint8_t *made = bytes > INT32_MAX - 4096 ? 0 : taken((int64_t)bytes + 1024);
    if (!made) return pangea_no_memory();
    uint32_t at = put(made, 0, "\x93NUMPY\x01");
    at += 3; /* the second byte of the version, and the header's length */
    at = put(made, at, "{'descr': '");
    at = put(made, at, type->descr);
    at = put(made, at, "', 'fortran_order': False, 'shape': (");
    uint32_t first = at, after_first = at;
    for (uint32_t axis = 0; axis < type->dimensions; axis++) {
        if (axis) at = put(made, at, ", ");
        at = put_number(made, at, (uint64_t)shape[axis]);
        if (!axis) after_first = at;
    }
    at = put(made, at, type->dimensions == 1 ? ",), }" : "), }");
    for (uint32_t room = after_first - first; room < 21; room++) made[at++] = ' ';
    while ((at + 1) % 64) made[at++] = ' ';
    made[at++] = '\n';
    made[8] = (uint8_t)(at - 10);
    made[9] = (uint8_t)((at - 10) >> 8);
    uint8_t *end = bytes ? copied(made + at, data, type, 0, shape, strides) : made + at;
    return (int64_t)((uint64_t)(uintptr_t)made << 32 | (uint32_t)(end - made));
}
