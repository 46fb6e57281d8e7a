/* Starting a process. */
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum { MAX_WORDS = 4096, CHILD_STACK = 64 * 1024 };

struct words {
  char **at;
  char *text;
};

static void free_words(struct words *words) {
  free(words->at);
  free(words->text);
  *words = (struct words){0};
}

/* An array of strings without NUL as a NULL-terminated vector in memory of its own. */
static bool to_words(napi_env env, napi_value list, const char *what, struct words *words) {
  uint32_t count;
  size_t size = 0, used = 0, length;
  napi_value item;
  if (napi_get_array_length(env, list, &count) != napi_ok || count > MAX_WORDS) goto refused;
  for (uint32_t i = 0; i < count; i++) {
    if (napi_get_element(env, list, i, &item) != napi_ok ||
        napi_get_value_string_utf8(env, item, NULL, 0, &length) != napi_ok)
      goto refused;
    size += length + 1;
  }
  words->at = calloc((size_t)count + 1, sizeof *words->at);
  words->text = malloc(size + 1);
  if (words->at == NULL || words->text == NULL) goto refused;
  for (uint32_t i = 0; i < count; i++) {
    words->at[i] = words->text + used;
    if (napi_get_element(env, list, i, &item) != napi_ok ||
        napi_get_value_string_utf8(env, item, words->at[i], size + 1 - used, &length) != napi_ok ||
        strlen(words->at[i]) != length)
      goto refused;
    /* A getter may have said something else the first time. */
    if ((used += length + 1) > size) goto refused;
  }
  return true;
refused:
  free_words(words);
  refuse(env, what);
  return false;
}

struct launch {
  char **paths, **argv, **envp;
  const char *directory;
  int stdio[3]; /* -1 for /dev/null */
  /* The child writes these; it shares our memory. */
  const char *failed;
  int error;
};

/*
 * Runs in the child, in our memory and on a stack of its own, while this thread waits; the other threads go on. So it
 * calls nothing but system calls, and no signal may run a handler of ours in it: the dispositions, of which it has a
 * copy, go back to the default before the mask is lifted.
 */
static int launch_child(void *data) {
  struct launch *launch = data;
  struct sigaction standard = {.sa_handler = SIG_DFL};
  uint64_t none = 0;
  for (int signo = 1; signo < NSIG; signo++)
    if (signo != SIGKILL && signo != SIGSTOP) sigaction(signo, &standard, NULL);
  launch->failed = "setsid";
  if (setsid() < 0) goto failed;
  for (int fd = 0; fd < 3; fd++) {
    launch->failed = "open";
    int from = launch->stdio[fd] >= 0 ? launch->stdio[fd] : open("/dev/null", O_RDWR | O_CLOEXEC);
    if (from < 0) goto failed;
    launch->failed = "dup2";
    if (dup2(from, fd) < 0) goto failed;
  }
  /* Ours are O_CLOEXEC; those of another library may not be. Before Linux 5.11 that is taken on trust. */
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  launch->failed = "chdir";
  if (chdir(launch->directory) < 0) goto failed;
  launch->failed = "rt_sigprocmask";
  if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none) < 0) goto failed;
  /* As execvp(3): the first that can be, and one that is there and may not be is worth more than one that is not. */
  launch->failed = "execve";
  int forbidden = 0;
  for (char **path = launch->paths; *path != NULL; path++) {
    execve(*path, launch->argv, launch->envp);
    if (errno == EACCES) forbidden = EACCES;
    else if (errno != ENOENT && errno != ENOTDIR) goto failed;
  }
  errno = forbidden != 0 ? forbidden : ENOENT;
failed:
  launch->error = errno;
  _exit(127);
}

/*
 * Like posix_spawn(3), which has no CLONE_PIDFD: fork(2) would copy our page tables (2 ms at 150 MB). Returns the pid, or
 * minus an errno; a child that failed has been waited for.
 */
static int launch_process(struct launch *launch, int *pidfd) {
  uint64_t all = ~(uint64_t)0, before;
  char *stack = malloc(CHILD_STACK);
  launch->failed = "clone";
  if (stack == NULL) return -ENOMEM;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  int pid = clone(launch_child, (char *)((uintptr_t)(stack + CHILD_STACK) & ~(uintptr_t)15),
                  CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, launch, pidfd);
  int error = pid < 0 ? errno : launch->error;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
  free(stack);
  if (error == 0) return pid;
  if (pid > 0) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    close(*pidfd);
  }
  return -error;
}

/* 0 to 2 would be overwritten by one another; Node.js keeps them open, so nothing of ours gets such a number. */
static bool to_stdio(napi_env env, napi_value list, int *stdio) {
  for (uint32_t i = 0; i < 3; i++) {
    napi_value item;
    double number;
    if (napi_get_element(env, list, i, &item) != napi_ok || napi_get_value_double(env, item, &number) != napi_ok ||
        (number != -1 && !(number >= 3 && number <= 0x7fffffff && number == (double)(int)number))) {
      refuse(env, "stdio must be three descriptors above 2, or -1 for /dev/null");
      return false;
    }
    stdio[i] = (int)number;
  }
  return true;
}

/*
 * spawn(paths, argv, env, directory, stdio): {pid, pidfd} of a child in a session of its own, in the network namespace of
 * the calling thread. It executes the first of `paths` that can be executed. It must be waited for, by pidfdWait.
 */
napi_value spawn_process(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result = NULL;
  struct words paths = {0}, words = {0}, environment = {0};
  struct launch launch = {0};
  char directory[4096];
  size_t length;
  int pidfd = -1;
  if (!arguments(env, info, 5, argv) ||
      !to_text(env, argv[3], "directory must be a string", directory, sizeof directory, &length) ||
      !to_stdio(env, argv[4], launch.stdio))
    return NULL;
  if (to_words(env, argv[0], "paths must be strings without NUL", &paths) &&
      to_words(env, argv[1], "argv must be strings without NUL", &words) &&
      to_words(env, argv[2], "env must be strings without NUL", &environment)) {
    launch.paths = paths.at;
    launch.argv = words.at;
    launch.envp = environment.at;
    launch.directory = directory;
    int pid = launch_process(&launch, &pidfd);
    if (pid < 0) {
      fail(env, launch.failed, -pid);
    } else {
      napi_create_object(env, &result);
      set_int(env, result, "pid", pid);
      set_int(env, result, "pidfd", pidfd);
    }
  }
  free_words(&paths);
  free_words(&words);
  free_words(&environment);
  return result;
}
