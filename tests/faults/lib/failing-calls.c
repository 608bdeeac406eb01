/*
 * Preloaded into a process: while the file named by MILLRACE_FAIL_TRIGGER is there, the calls named in it ("sync" or
 * "write") fail with EIO for files whose path contains MILLRACE_FAIL_PATH. A write to a file that was opened with O_DSYNC is
 * both: when syncs fail its bytes arrive, and it fails all the same.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int told(const char *call) {
  const char *trigger = getenv("MILLRACE_FAIL_TRIGGER");
  char word[16] = {0};
  if (!trigger) return 0;
  int file = syscall(SYS_openat, AT_FDCWD, trigger, O_RDONLY);
  if (file < 0) return 0;
  long length = syscall(SYS_read, file, word, sizeof word - 1);
  syscall(SYS_close, file);
  return length > 0 && strncmp(word, call, strlen(call)) == 0;
}

static int concerns(int file) {
  const char *part = getenv("MILLRACE_FAIL_PATH");
  char link[64], path[4096] = {0};
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (!part || readlink(link, path, sizeof path - 1) < 0) return 0;
  return strstr(path, part) != NULL;
}

#define FAIL_WHEN_TOLD(call, file) \
  if (concerns(file) && told(call)) { errno = EIO; return -1; }

#define SYNC_FAILS(file) (concerns(file) && (fcntl(file, F_GETFL) & O_DSYNC) && told("sync"))

#define FAIL_AS_SYNC(file, written) \
  if (written >= 0 && SYNC_FAILS(file)) { errno = EIO; return -1; } \
  return written;

#define NEXT(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

int fdatasync(int file) {
  FAIL_WHEN_TOLD("sync", file)
  return NEXT(int, "fdatasync", int)(file);
}

int fsync(int file) {
  FAIL_WHEN_TOLD("sync", file)
  return NEXT(int, "fsync", int)(file);
}

ssize_t write(int file, const void *bytes, size_t count) {
  FAIL_WHEN_TOLD("write", file)
  ssize_t written = NEXT(ssize_t, "write", int, const void *, size_t)(file, bytes, count);
  FAIL_AS_SYNC(file, written)
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  FAIL_WHEN_TOLD("write", file)
  ssize_t written = NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(file, bytes, count, at);
  FAIL_AS_SYNC(file, written)
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  FAIL_WHEN_TOLD("write", file)
  ssize_t written = NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t)(file, bytes, count, at);
  FAIL_AS_SYNC(file, written)
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  FAIL_WHEN_TOLD("write", file)
  ssize_t written = NEXT(ssize_t, "writev", int, const struct iovec *, int)(file, parts, count);
  FAIL_AS_SYNC(file, written)
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
  FAIL_WHEN_TOLD("write", file)
  ssize_t written = NEXT(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t)(file, parts, count, at);
  FAIL_AS_SYNC(file, written)
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
  FAIL_WHEN_TOLD("write", file)
  ssize_t written = NEXT(ssize_t, "pwritev", int, const struct iovec *, int, off_t)(file, parts, count, at);
  FAIL_AS_SYNC(file, written)
}
