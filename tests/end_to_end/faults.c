// Preloaded into a process (LD_PRELOAD): chosen calls that write below a folder fail, as on a full or a broken disk.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];  // empty: nothing is counted
static long first, last, calls;
static int code;

// Of the calls that write below `path`, which are counted from 1, those from `from` to `to` fail with `error`.
void faults_arm(const char *path, long from, long to, int error) {
  first = from, last = to, code = error;
  __atomic_store_n(&calls, 0, __ATOMIC_SEQ_CST);
  strncpy(folder, path, sizeof folder - 1);
}

void faults_disarm(void) { *folder = 0; }

long faults_calls(void) { return __atomic_load_n(&calls, __ATOMIC_SEQ_CST); }

static int below(const char *path) { return *folder && path && strncmp(path, folder, strlen(folder)) == 0; }

static int counted(void) {
  long call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  if (call < first || call > last) return 0;
  errno = code;
  return 1;
}

static int fails(const char *path) { return below(path) && counted(); }

static int fails_fd(int fd) {
  char link[64], path[PATH_MAX];
  if (!*folder) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(path);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

// Half of the data arrives: what is written is torn.
ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  if (!fails_fd(fd)) return real(fd, data, size);
  int error = errno;
  real(fd, data, size / 2);
  errno = error;
  return -1;
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
  REAL(fwrite);
  return fails_fd(fileno(file)) ? 0 : real(data, size, count, file);
}

#define OPEN(name)                                                                   \
  int name(const char *path, int flags, ...) {                                       \
    va_list rest;                                                                    \
    va_start(rest, flags);                                                           \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;          \
    va_end(rest);                                                                    \
    REAL(name);                                                                      \
    return (flags & O_ACCMODE) != O_RDONLY && fails(path) ? -1 : real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                 \
  int name(int at, const char *path, int flags, ...) {                               \
    va_list rest;                                                                    \
    va_start(rest, flags);                                                           \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;          \
    va_end(rest);                                                                    \
    REAL(name);                                                                      \
    return (flags & O_ACCMODE) != O_RDONLY && fails(path) ? -1 : real(at, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

#define ON_FD(type, name, parameters, ...) \
  type name parameters { REAL(name); return fails_fd(fd) ? -1 : real(__VA_ARGS__); }
ON_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
ON_FD(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)
ON_FD(ssize_t, writev, (int fd, const struct iovec *parts, int count), fd, parts, count)
ON_FD(int, fsync, (int fd), fd)
ON_FD(int, fdatasync, (int fd), fd)
ON_FD(int, ftruncate, (int fd, off_t size), fd, size)
ON_FD(int, ftruncate64, (int fd, off64_t size), fd, size)

#define ON_PATH(name, parameters, ...) \
  int name parameters { REAL(name); return fails(path) ? -1 : real(__VA_ARGS__); }
ON_PATH(mkdir, (const char *path, mode_t mode), path, mode)
ON_PATH(mkdirat, (int at, const char *path, mode_t mode), at, path, mode)
ON_PATH(rename, (const char *path, const char *to), path, to)
ON_PATH(renameat, (int at, const char *path, int to_at, const char *to), at, path, to_at, to)
