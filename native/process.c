/* The network namespace and the rights of a thread, and processes by their pidfd. */
#include "common.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* setns(fd): moves the calling thread into the network namespace of `fd` */
napi_value set_namespace(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  return setns(fd, CLONE_NEWNET) < 0 ? fail(env, "setns", errno) : NULL;
}

/* dropCapability(number): neither the calling thread nor what it starts or executes can have it again (PR_CAPBSET_DROP) */
napi_value drop_capability(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int number;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "number must be a number", &number)) return NULL;
  return prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0 ? fail(env, "prctl", errno) : NULL;
}

/* pidfdOpen(pid): fd */
napi_value pidfd_open_call(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int pid;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "pid must be a number", &pid)) return NULL;
  long fd = syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? fail(env, "pidfd_open", errno) : from_int(env, fd);
}

/* pidfdSignal(fd, signo) */
napi_value pidfd_signal(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd, signo;
  if (!arguments(env, info, 2, argv) || !to_int(env, argv[0], "fd must be a number", &fd) ||
      !to_int(env, argv[1], "signo must be a number", &signo))
    return NULL;
  return syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) < 0 ? fail(env, "pidfd_send_signal", errno) : NULL;
}

/* pidfdEnded(fd): whether the process has ended, waited for or not; one that is not our child too */
napi_value pidfd_ended(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result;
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  struct pollfd end = {.fd = fd, .events = POLLIN};
  int ready;
  /* A signal may come even where nothing is waited for. */
  do ready = poll(&end, 1, 0);
  while (ready < 0 && errno == EINTR);
  if (ready < 0) return fail(env, "poll", errno);
  if (end.revents & POLLNVAL) return fail(env, "poll", EBADF);
  napi_get_boolean(env, ready > 0, &result);
  return result;
}

/*
 * pidfdWait(fd): {exitCode, signal} of a child of ours that ended, of which nothing is left then; null while it runs. When
 * somebody else has waited for it, how it ended is not known: {-1, 0}.
 */
napi_value pidfd_wait(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result;
  int fd;
  siginfo_t end = {0};
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  bool ours = waitid(P_PIDFD, (id_t)fd, &end, WEXITED | WNOHANG) == 0;
  if (!ours && errno != ECHILD) return fail(env, "waitid", errno);
  if (ours && end.si_pid == 0) {
    napi_get_null(env, &result);
    return result;
  }
  bool exited = ours && end.si_code == CLD_EXITED;
  napi_create_object(env, &result);
  set_int(env, result, "exitCode", exited ? end.si_status : -1);
  set_int(env, result, "signal", exited ? 0 : end.si_status);
  return result;
}
