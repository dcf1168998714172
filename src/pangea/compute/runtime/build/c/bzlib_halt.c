#include <stdlib.h>

/* bzip2 without stdio calls this where it finds itself broken. */
void bz_internal_error(int code) { abort(); }
