/* SQLite's view of an operating system that has none: databases live in memory, any file "can't be opened", the clock stands. */
#include <string.h>

#include "sqlite3.h"

/* Julian day of 1970-01-01 in milliseconds: 2440587.5 days. */
#define EPOCH_MS 210866760000000LL

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    file->pMethods = NULL;
    return SQLITE_CANTOPEN;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int sync) { return SQLITE_IOERR_DELETE_NOENT; }

static int find_file(sqlite3_vfs *vfs, const char *name, int flags, int *found) {
    *found = 0;
    return SQLITE_OK;
}

static int full_name(sqlite3_vfs *vfs, const char *name, int size, char *out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
}

static int random_bytes(sqlite3_vfs *vfs, int size, char *out) {
    memset(out, 0, (size_t)size);
    return size;
}

static int sleep_for(sqlite3_vfs *vfs, int microseconds) { return microseconds; }

static int now_ms(sqlite3_vfs *vfs, sqlite3_int64 *out) {
    *out = EPOCH_MS;
    return SQLITE_OK;
}

static int now_days(sqlite3_vfs *vfs, double *out) {
    *out = EPOCH_MS / 86400000.0;
    return SQLITE_OK;
}

static int last_error(sqlite3_vfs *vfs, int size, char *out) { return 0; }

static sqlite3_vfs nowhere = {
    .iVersion = 2,
    .szOsFile = sizeof(sqlite3_file),
    .mxPathname = 512,
    .zName = "nowhere",
    .xOpen = open_file,
    .xDelete = delete_file,
    .xAccess = find_file,
    .xFullPathname = full_name,
    .xRandomness = random_bytes,
    .xSleep = sleep_for,
    .xCurrentTime = now_days,
    .xGetLastError = last_error,
    .xCurrentTimeInt64 = now_ms,
};

int sqlite3_os_init(void) { return sqlite3_vfs_register(&nowhere, 1); }

int sqlite3_os_end(void) { return SQLITE_OK; }
