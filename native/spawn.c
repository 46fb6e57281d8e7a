/* Starting a process. */
#include "common.h"
#include "confine.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

/* The program of a confined child is this descriptor there, for the interpreter of a script too. */
enum { PROGRAM_FD = 3 };

struct launch {
  char **paths, **argv, **envp;
  const char *directory;
  int stdio[3]; /* -1 for /dev/null */
  int program;  /* in the place of `paths` where confined */
  const struct confinement *confined;
  /* The child writes these: into our memory, or a confined one into its copy, and says them on stderr. */
  const char *failed;
  int error;
};

/* Nobody waits to hear it: `keepward: execve 002` on stderr. */
static void tell(const struct launch *launch) {
  char digits[4] = {(char)('0' + launch->error / 100 % 10), (char)('0' + launch->error / 10 % 10), (char)('0' + launch->error % 10), '\n'};
  const struct iovec parts[] = {{(void *)(uintptr_t) "keepward: ", 10}, {(void *)(uintptr_t)launch->failed, strlen(launch->failed)}, {(void *)(uintptr_t) " ", 1}, {digits, 4}};
  if (writev(STDERR_FILENO, parts, 4) < 0) return;
}

/*
 * Runs in the child: in our memory and on a stack of its own, while this thread waits and the others go on; a confined one in a
 * copy, in which another thread may have left a lock. So it calls nothing but system calls, and no signal may run a handler of
 * ours in it: the dispositions, of which it has a copy, go back to the default before the mask is lifted.
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
  unsigned kept = PROGRAM_FD;
  if (launch->confined != NULL) {
    launch->failed = "dup2";
    if (dup2(launch->program, PROGRAM_FD) < 0 || fcntl(PROGRAM_FD, F_SETFD, 0) < 0) goto failed;
    kept = PROGRAM_FD + 1;
  }
  /* Ours are O_CLOEXEC; those of another library may not be. Before Linux 5.11 that is taken on trust. */
  syscall(SYS_close_range, kept, ~0U, CLOSE_RANGE_CLOEXEC);
  launch->failed = "chdir";
  if (chdir(launch->directory) < 0) goto failed;
  launch->failed = "rt_sigprocmask";
  if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none) < 0) goto failed;
  if (launch->confined != NULL) {
    if ((launch->failed = confine(launch->confined)) != NULL) goto failed;
    launch->failed = "execve";
    syscall(SYS_execveat, PROGRAM_FD, "", launch->argv, launch->envp, AT_EMPTY_PATH);
    goto failed;
  }
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
  if (launch->confined != NULL) tell(launch);
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

static napi_value started(napi_env env, int pid, int pidfd) {
  napi_value result;
  napi_create_object(env, &result);
  set_int(env, result, "pid", pid);
  set_int(env, result, "pidfd", pidfd);
  return result;
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
    result = pid < 0 ? fail(env, launch.failed, -pid) : started(env, pid, pidfd);
  }
  free_words(&paths);
  free_words(&words);
  free_words(&environment);
  return result;
}

/*
 * Unlike launch_process nobody waits until it executes: whoever is that user, and may stop it, would stop us. So it has a copy of our
 * memory. The first process of a pid namespace takes all others of it along when it ends. Returns the pid, or minus an errno.
 */
static int launch_confined(struct launch *launch, int *pidfd) {
  uint64_t all = ~(uint64_t)0, before;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  int pid = (int)syscall(SYS_clone, CLONE_NEWPID | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);
  if (pid == 0) launch_child(launch);
  int error = errno;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
  return pid < 0 ? -error : pid;
}

/*
 * spawnConfined(program, argv, env, stdio, [uid, gid, data, file, processes, descriptors]): {pid, pidfd} as spawn, of the file that the
 * descriptor `program` holds. The child is that user and has no groups, capabilities or ways to gain any, a pid namespace of
 * its own and no descriptor but stdio and the program; it dies with the thread that called. What hindered it is said on its stderr, with exit
 * code 127.
 */
napi_value spawn_confined(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result = NULL;
  struct words words = {0}, environment = {0};
  struct confinement confinement;
  struct launch launch = {.directory = "/", .confined = &confinement};
  if (!arguments(env, info, 5, argv) || !to_int(env, argv[0], "program must be a descriptor", &launch.program) ||
      !to_stdio(env, argv[3], launch.stdio) || !to_confinement(env, argv[4], &confinement))
    return NULL;
  confinement.parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (confinement.parent < 0) return fail(env, "pidfd_open", errno);
  if (to_words(env, argv[1], "argv must be strings without NUL", &words) &&
      to_words(env, argv[2], "env must be strings without NUL", &environment)) {
    launch.argv = words.at;
    launch.envp = environment.at;
    int pidfd = -1, pid = launch_confined(&launch, &pidfd);
    result = pid < 0 ? fail(env, "clone", -pid) : started(env, pid, pidfd);
  }
  close(confinement.parent);
  free_words(&words);
  free_words(&environment);
  return result;
}
