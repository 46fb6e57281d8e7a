/* Giving away what a process can do. */
#include "common.h"
#include "confine.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* [uid, gid, data, file, processes, descriptors], whole numbers */
bool to_confinement(napi_env env, napi_value list, struct confinement *to) {
  double numbers[6];
  for (uint32_t i = 0; i < 6; i++) {
    napi_value item;
    if (napi_get_element(env, list, i, &item) != napi_ok || napi_get_value_double(env, item, &numbers[i]) != napi_ok ||
        !(numbers[i] >= 1 && numbers[i] < 0x1p53) || (i < 2 && numbers[i] >= 0xffffffff)) {
      refuse(env, "confinement must be six numbers above 0");
      return false;
    }
  }
  *to = (struct confinement){.uid = (uid_t)numbers[0], .gid = (gid_t)numbers[1], .data = (rlim_t)numbers[2],
                             .file = (rlim_t)numbers[3], .processes = (rlim_t)numbers[4], .descriptors = (rlim_t)numbers[5]};
  return true;
}

/*
 * Gives away for good all that a process can have beyond its user. Raw calls where the C library would tell the other threads. What may
 * be gained back is closed by no_new_privs, so that the bounding set does not matter. The death signal comes last: setresuid(2) clears it.
 */
const char *confine(const struct confinement *to) {
  /* Before its descriptors are bounded: it has a copy of all of ours until it executes. */
  int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score < 0 || write(score, "500", 3) != 3) return "oom_score_adj";
  const struct { int resource; rlim_t value; } limits[] = {
      {RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_DATA, to->data}, {RLIMIT_FSIZE, to->file},
      {RLIMIT_NPROC, to->processes}, {RLIMIT_NOFILE, to->descriptors}};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct rlimit both = {limits[i].value, limits[i].value};
    if (setrlimit(limits[i].resource, &both) < 0) return "setrlimit";
  }
  if (syscall(SYS_setgroups, 0, NULL) < 0) return "setgroups";
  if (syscall(SYS_setresgid, to->gid, to->gid, to->gid) < 0) return "setresgid";
  if (syscall(SYS_setresuid, to->uid, to->uid, to->uid) < 0) return "setresuid";
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
  if (syscall(SYS_capset, &header, none) < 0) return "capset";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return "no_new_privs";
  /* Until it executes something else, our memory is not for others of that user. */
  if (prctl(PR_SET_DUMPABLE, 0) < 0) return "dumpable";
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return "pdeathsig";
  /* One that ended before it could be told so. */
  struct pollfd parent = {.fd = to->parent, .events = POLLIN};
  int ended;
  do ended = poll(&parent, 1, 0);
  while (ended < 0 && errno == EINTR);
  if (ended != 0) return "poll";
  umask(077);
  return NULL;
}
