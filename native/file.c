/* Files: those of procfs, in memory, locks and FIFOs. */
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

enum { MAX_PROC_FILE = 256 * 1024 };

/* readProc(path): the text of a file of procfs, at most 256 KiB; null when it, or its process, is not there */
napi_value read_proc(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result;
  char path[256], small[4096], *text = small, *larger = NULL;
  size_t path_length, length = 0, capacity = sizeof small;
  if (!arguments(env, info, 1, argv) ||
      !to_text(env, argv[0], "path must be a string of at most 255 bytes", path, sizeof path, &path_length))
    return NULL;
  int error = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) error = errno;
  while (error == 0) {
    ssize_t got = read(fd, text + length, capacity - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got <= 0) break;
    length += (size_t)got;
    if (length < capacity) continue;
    if (capacity >= MAX_PROC_FILE) error = EFBIG;
    else if ((larger = realloc(text == small ? NULL : text, capacity * 4)) == NULL) error = ENOMEM;
    if (error != 0) break;
    if (text == small) memcpy(larger, small, length);
    text = larger;
    capacity *= 4;
  }
  if (fd >= 0) close(fd);
  if (error == ENOENT || error == ESRCH) napi_get_null(env, &result);
  else if (error == 0) napi_create_string_utf8(env, text, length, &result);
  else result = fail(env, fd < 0 ? "open" : "read", error);
  if (text != small) free(text);
  return result;
}

/*
 * memoryFile(limitBytes): descriptor of an anonymous file that cannot grow past the limit (EPERM, memfd_create(2)); its
 * memory is what has been written.
 */
napi_value memory_file(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int limit;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "limitBytes must be a number", &limit)) return NULL;
  int fd = (int)syscall(SYS_memfd_create, "keepward", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  /* Linux before 6.3 does not know the last. */
  if (fd < 0 && errno == EINVAL) fd = (int)syscall(SYS_memfd_create, "keepward", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return fail(env, "memfd_create", errno);
  if (ftruncate(fd, limit) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
    return from_int(env, fd);
  int error = errno;
  close(fd);
  return fail(env, "fcntl", error);
}

/* offset(fd): where the next write of those who share the descriptor goes (lseek(2), SEEK_CUR) */
napi_value offset_of(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  off_t offset = lseek(fd, 0, SEEK_CUR);
  return offset < 0 ? fail(env, "lseek", errno) : from_int(env, offset);
}

/* flock(fd): true when the exclusive lock is ours, false when somebody else holds it */
napi_value lock_file(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result;
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return fail(env, "flock", errno);
  napi_get_boolean(env, locked, &result);
  return result;
}

/* mkfifo(path, mode) */
napi_value make_fifo(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  char path[4096];
  size_t length;
  int mode;
  if (!arguments(env, info, 2, argv) || !to_text(env, argv[0], "path must be a string", path, sizeof path, &length) ||
      !to_int(env, argv[1], "mode must be a number", &mode))
    return NULL;
  return mkfifo(path, (mode_t)mode & 0777) < 0 ? fail(env, "mkfifo", errno) : NULL;
}
