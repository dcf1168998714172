// The longest line of a text; of lines as long, the first.
//
//     pangea build examples/guests/longest_line.cpp -o longest.wasm
//     pangea run longest.wasm --input FILE --split-strategy row_based
#include <algorithm>
#include <string_view>

#include "pangea_guest.h"

static std::string_view text_of(pangea_bytes bytes) { return {reinterpret_cast<const char *>(bytes.data), bytes.size}; }

static int execute(pangea_bytes chunk, pangea_buffer *result) {
    std::string_view rest = text_of(chunk), longest;
    while (!rest.empty()) {
        auto line = rest.substr(0, std::min(rest.find('\n'), rest.size()));
        if (line.size() > longest.size()) longest = line;
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    pangea_put(result, longest.data(), longest.size());
    return 0;
}

static int merge(pangea_bytes results, pangea_buffer *result) {
    std::string_view longest;
    for (auto left = pangea_list_begin(&results); left; left--) {
        auto line = text_of(pangea_list_next(&results));
        if (line.size() > longest.size()) longest = line;
    }
    pangea_put(result, longest.data(), longest.size());
    return 0;
}

PANGEA_EXECUTE(execute)
PANGEA_MERGE(merge)
