/* A disk that fails when it is told to, for one process: preloaded, over the C library's own calls.
 *
 * It stands before what SQLite does to its database file and its write-ahead log: pwrite64, fdatasync,
 * fsync, ftruncate64 and unlink. Everything else goes by untouched. A page of memory shared with the test says
 * which fault; a journal keeps, in order, every write and every sync, so that the test can build the files
 * as they would be if the power had gone at any moment: what was not synced may be there, or not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum fault {
    NONE, WRITE_FULL, WRITE_READ_ONLY, WRITE_FAILS, WRITE_STORED_THEN_FAILS, WRITE_HANGS,
    SYNC_FAILS, SYNC_DONE_THEN_FAILS, SYNC_HANGS, KILL_BEFORE_WRITE, KILL_TORN_WRITE, KILL_BEFORE_SYNC,
    KILL_AFTER_SYNC
};

/* As `faulty_disk.py` packs it. */
struct control {
    volatile int32_t fault;
    volatile int32_t countdown; /* operations of the fault's sort that still go well */
    volatile int32_t fired;     /* how many went wrong */
};

struct record { int32_t operation, file; int64_t offset, length; };
enum operation { WRITE = 1, SYNC, TRUNCATE };

static struct control *control;
static const char *database;
static int journal = -1;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    const char *path = getenv("FAULTY_DISK_CONTROL");
    database = getenv("FAULTY_DISK_DATABASE");
    if (path == NULL || database == NULL) return;
    int shared = open(path, O_RDWR | O_CLOEXEC);
    if (shared < 0) abort();
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    close(shared);
    if (control == MAP_FAILED) abort();
    path = getenv("FAULTY_DISK_JOURNAL");
    if (path != NULL) journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* 0 the database, 1 its write-ahead log, -1 anything else. */
static int file_at(const char *path) {
    size_t known = strlen(database);
    if (strncmp(path, database, known) != 0) return -1;
    return strcmp(path + known, "") == 0 ? 0 : strcmp(path + known, "-wal") == 0 ? 1 : -1;
}

static int file_of(int descriptor) {
    char link[64], path[4096];
    if (control == NULL) return -1;
    char *end = link + sizeof link - 1;
    *end = 0;
    do *--end = '0' + descriptor % 10; while (descriptor /= 10);
    static const char begin_of[] = "/proc/self/fd/";
    end -= sizeof begin_of - 1;
    memcpy(end, begin_of, sizeof begin_of - 1);
    ssize_t length = readlink(end, path, sizeof path - 1);
    if (length < 0) return -1;
    path[length] = 0;
    return file_at(path);
}

static void note(int operation, int file, off64_t offset, const void *data, size_t length) {
    if (journal < 0) return;
    struct record head = {operation, file, offset, (int64_t)length};
    pthread_mutex_lock(&turn);
    ssize_t written = write(journal, &head, sizeof head);
    if (written == sizeof head && data != NULL) written = write(journal, data, length);
    pthread_mutex_unlock(&turn);
    if (written < 0) abort();
}

static int strikes(int first, int last) {
    int fault = control->fault;
    if (fault < first || fault > last) return NONE;
    if (__sync_fetch_and_sub(&control->countdown, 1) > 0) return NONE;
    __sync_fetch_and_add(&control->fired, 1);
    return fault;
}

static void hang(int fault) {
    while (control->fault == fault) usleep(2000);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    int file = file_of(descriptor);
    if (file < 0) return real_pwrite(descriptor, data, length, offset);
    int fault = strikes(WRITE_FULL, WRITE_HANGS);
    if (fault == NONE) fault = strikes(KILL_BEFORE_WRITE, KILL_TORN_WRITE);
    switch (fault) {
    case WRITE_FULL: errno = ENOSPC; return -1;
    case WRITE_READ_ONLY: errno = EROFS; return -1;
    case WRITE_FAILS: errno = EIO; return -1;
    case WRITE_HANGS: hang(fault); break;
    case KILL_BEFORE_WRITE: kill(getpid(), SIGKILL); break;
    case KILL_TORN_WRITE: real_pwrite(descriptor, data, length / 2, offset); kill(getpid(), SIGKILL); break;
    }
    note(WRITE, file, offset, data, length);
    ssize_t written = real_pwrite(descriptor, data, length, offset);
    if (fault == WRITE_STORED_THEN_FAILS) { errno = EIO; return -1; }
    return written;
}

static int sync_by(int (*real)(int), int descriptor) {
    int file = file_of(descriptor);
    if (file < 0) return real(descriptor);
    int fault = strikes(SYNC_FAILS, SYNC_HANGS);
    if (fault == NONE) fault = strikes(KILL_BEFORE_SYNC, KILL_AFTER_SYNC);
    if (fault == SYNC_FAILS) { errno = EIO; return -1; }
    if (fault == SYNC_HANGS) hang(fault);
    if (fault == KILL_BEFORE_SYNC) kill(getpid(), SIGKILL);
    int done = real(descriptor);
    note(SYNC, file, 0, NULL, 0);
    if (fault == KILL_AFTER_SYNC) kill(getpid(), SIGKILL);
    if (fault == SYNC_DONE_THEN_FAILS) { errno = EIO; return -1; }
    return done;
}

int fdatasync(int descriptor) { return sync_by(real_fdatasync, descriptor); }

int fsync(int descriptor) { return sync_by(real_fsync, descriptor); }

int ftruncate64(int descriptor, off64_t length) {
    int file = file_of(descriptor);
    if (file >= 0) note(TRUNCATE, file, length, NULL, 0);
    return real_ftruncate(descriptor, length);
}

int unlink(const char *path) {
    int file = control == NULL ? -1 : file_at(path);
    if (file >= 0) note(TRUNCATE, file, 0, NULL, 0);
    return real_unlink(path);
}
