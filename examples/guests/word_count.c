/* Count words, as examples/word_count.py does: they are what white space leaves between it, and the answer is their number.
 *
 *     pangea build examples/guests/word_count.c -o wc.wasm
 *     pangea run wc.wasm --input FILE --split-strategy row_based */
#include "pangea_guest.h"

static int is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

static int execute(pangea_bytes chunk, pangea_buffer *result) {
    uint32_t words = 0;
    int was_space = 1;
    for (uint32_t at = 0; at < chunk.size; at++) {
        int now = is_space(chunk.data[at]);
        words += was_space & !now;
        was_space = now;
    }
    return pangea_printf(result, "%u", words);
}

static int merge(pangea_bytes results, pangea_buffer *result) {
    uint64_t sum = 0;
    for (uint32_t left = pangea_list_begin(&results); left; left--) {
        pangea_bytes each = pangea_list_next(&results);
        uint64_t value = 0;
        for (uint32_t at = 0; at < each.size; at++) {
            if (each.data[at] < '0' || each.data[at] > '9') return pangea_fail("a result is no number");
            value = 10 * value + (each.data[at] - '0');
        }
        sum += value;
    }
    return pangea_printf(result, "%llu", (unsigned long long)sum);
}

PANGEA_EXECUTE(execute)
PANGEA_MERGE(merge)
