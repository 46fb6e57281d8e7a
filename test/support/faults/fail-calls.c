/*
 * LD_PRELOAD: makes chosen system calls of node fail while they run. The file that KEEPWARD_FAULTS names holds one rule a
 * line, `CALL ERRNO PART`: calls on a path (or kind) that holds PART fail with that errno. The file is mapped, so that a
 * test changes the rules of a process that runs. Paths by /proc/self/fd/N are looked up first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { RULES_SIZE = 4096 };

static const char *rules;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }
#define REAL(result, name, ...) static result (*next)(__VA_ARGS__); if (next == NULL) next = real(name)

__attribute__((constructor)) static void arm(void) {
  char exe[4096];
  ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
  const char *path = getenv("KEEPWARD_FAULTS");
  if (length <= 0 || path == NULL) return;
  exe[length] = 0;
  if (strstr(exe, "node") == NULL) return;
  int (*open_file)(const char *, int, ...) = real("open");
  int fd = open_file(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) abort();
  void *at = mmap(NULL, RULES_SIZE, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) abort();
  rules = at;
}

/* Whether this call on this thing is to fail; errno is set then. */
static int fails(const char *call, const char *on) {
  if (rules == NULL || rules[0] == 0) return 0;
  char copy[RULES_SIZE], *rest = copy;
  memcpy(copy, rules, sizeof copy - 1);
  copy[sizeof copy - 1] = 0;
  for (char *line = strtok_r(rest, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    char wanted[32], part[512];
    int error;
    if (sscanf(line, "%31s %d %511s", wanted, &error, part) != 3) continue;
    if (strcmp(wanted, call) != 0 || strstr(on, part) == NULL) continue;
    errno = error;
    return 1;
  }
  return 0;
}

/* Seconds of the rule `clock SECONDS set`: somebody has set the wall clock by so much. */
static int clock_set_by(void) {
  int seconds = 0;
  const char *line = rules == NULL ? NULL : strstr(rules, "clock ");
  if (line != NULL) sscanf(line, "clock %d", &seconds);
  return seconds;
}

static const char *of_descriptor(int fd, char *out, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, out, size - 1);
  out[length > 0 ? length : 0] = 0;
  return out;
}

/* What /proc/self/fd/N/NAME leads to; any other path as it is. */
static const char *of_path(const char *path, char *out, size_t size) {
  int fd, end = 0;
  if (path == NULL) return "";
  if (sscanf(path, "/proc/self/fd/%d%n", &fd, &end) != 1 || end == 0) return path;
  size_t length = strlen(of_descriptor(fd, out, size));
  snprintf(out + length, size - length, "%s", path + end);
  return out;
}

static int path_fails(const char *call, const char *path) {
  char at[4096];
  return rules != NULL && rules[0] != 0 && fails(call, of_path(path, at, sizeof at));
}

static int descriptor_fails(const char *call, int fd) {
  char at[4096];
  return rules != NULL && rules[0] != 0 && fails(call, of_descriptor(fd, at, sizeof at));
}

static int socket_fails(const char *call, int fd) {
  struct sockaddr_un own = {0};
  socklen_t size = sizeof own;
  char at[4096];
  if (rules == NULL || rules[0] == 0 || getsockname(fd, (struct sockaddr *)&own, &size) < 0) return 0;
  if (own.sun_family != AF_UNIX) return fails(call, "inet");
  return fails(call, of_path(own.sun_path, at, sizeof at));
}

#define OPEN(symbol)                                                     \
  int symbol(const char *path, int flags, ...) {                         \
    REAL(int, #symbol, const char *, int, ...);                          \
    va_list more;                                                        \
    va_start(more, flags);                                               \
    mode_t mode = va_arg(more, mode_t);                                  \
    va_end(more);                                                        \
    return path_fails("open", path) ? -1 : next(path, flags, mode);      \
  }
OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  return path_fails("mkdir", path) ? -1 : next(path, mode);
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  return path_fails("rename", to) ? -1 : next(from, to);
}

int execve(const char *path, char *const argv[], char *const envp[]) {
  REAL(int, "execve", const char *, char *const *, char *const *);
  return path_fails("execve", path) ? -1 : next(path, argv, envp);
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  return descriptor_fails("sync", fd) ? -1 : next(fd);
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  return descriptor_fails("sync", fd) ? -1 : next(fd);
}

ssize_t write(int fd, const void *from, size_t size) {
  REAL(ssize_t, "write", int, const void *, size_t);
  return descriptor_fails("write", fd) ? -1 : next(fd, from, size);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  return descriptor_fails("write", fd) ? -1 : next(fd, from, size, at);
}

ssize_t read(int fd, void *into, size_t size) {
  REAL(ssize_t, "read", int, void *, size_t);
  return descriptor_fails("read", fd) ? -1 : next(fd, into, size);
}

ssize_t pread64(int fd, void *into, size_t size, off64_t at) {
  REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
  return descriptor_fails("read", fd) ? -1 : next(fd, into, size, at);
}

int ftruncate64(int fd, off64_t size) {
  REAL(int, "ftruncate64", int, off64_t);
  return descriptor_fails("write", fd) ? -1 : next(fd, size);
}

int socket(int domain, int type, int protocol) {
  REAL(int, "socket", int, int, int);
  return fails("socket", domain == AF_NETLINK ? "netlink" : domain == AF_UNIX ? "unix" : "inet") ? -1
                                                                                                  : next(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *to, socklen_t size) {
  REAL(int, "bind", int, const struct sockaddr *, socklen_t);
  const char *path = to->sa_family == AF_UNIX ? ((const struct sockaddr_un *)to)->sun_path : "";
  return path_fails("bind", path) ? -1 : next(fd, to, size);
}

int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags) {
  REAL(int, "accept4", int, struct sockaddr *, socklen_t *, int);
  return socket_fails("accept", fd) ? -1 : next(fd, from, size, flags);
}

int setns(int fd, int kind) {
  REAL(int, "setns", int, int);
  return fails("setns", "namespace") ? -1 : next(fd, kind);
}

int gettimeofday(struct timeval *restrict into, void *restrict zone) {
  REAL(int, "gettimeofday", struct timeval *, void *);
  int result = next(into, zone);
  into->tv_sec += clock_set_by();
  return result;
}

int clock_gettime(clockid_t clock, struct timespec *into) {
  REAL(int, "clock_gettime", clockid_t, struct timespec *);
  int result = next(clock, into);
  if (result == 0 && clock == CLOCK_REALTIME) into->tv_sec += clock_set_by();
  return result;
}

int clone(int (*body)(void *), void *stack, int flags, void *data, ...) {
  REAL(int, "clone", int (*)(void *), void *, int, void *, ...);
  va_list more;
  va_start(more, data);
  void *pidfd = va_arg(more, void *), *tls = va_arg(more, void *), *tid = va_arg(more, void *);
  va_end(more);
  return fails("clone", "process") ? -1 : next(body, stack, flags, data, pidfd, tls, tid);
}
