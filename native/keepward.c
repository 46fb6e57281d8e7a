/*
 * What Node.js cannot ask of the kernel: netlink sockets, network namespaces, pidfds, processes without a copy of our
 * page tables, peer credentials, flock, FIFOs and datagrams to a service manager. It moves bytes and decides nothing;
 * src/linux/native.ts gives it types.
 * Every failing system call throws an Error with `code` ('EPERM'), `errno` (1) and `syscall` ('setns').
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <node_api.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum { MAX_ARGS = 5, MAX_GROUPS = 32, MAX_PEER_GROUPS = 4096, CHUNK = 64 * 1024, SLOTS = 32, SLOT_SIZE = 8192, ROUNDS = 8,
       MAX_WORDS = 4096, CHILD_STACK = 64 * 1024, MAX_PROC_FILE = 256 * 1024 };

/* ---- arguments, results, errors ------------------------------------------------------------------------------- */

static napi_value fail(napi_env env, const char *syscall_name, int error) {
  napi_value message, code, number, name, thrown;
  char text[160];
  snprintf(text, sizeof text, "%s: %s, %s", syscall_name, uv_err_name(-error), uv_strerror(-error));
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env, uv_err_name(-error), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, syscall_name, NAPI_AUTO_LENGTH, &name);
  napi_create_int32(env, error, &number);
  napi_create_error(env, code, message, &thrown);
  napi_set_named_property(env, thrown, "errno", number);
  napi_set_named_property(env, thrown, "syscall", name);
  napi_throw(env, thrown);
  return NULL;
}

static napi_value refuse(napi_env env, const char *what) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", what);
  return NULL;
}

static bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv) {
  size_t argc = MAX_ARGS;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc >= wanted) return true;
  refuse(env, "too few arguments");
  return false;
}

static bool to_int(napi_env env, napi_value value, const char *what, int *out) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 && number <= 0x7fffffff &&
      number == (double)(int)number) {
    *out = (int)number;
    return true;
  }
  refuse(env, what);
  return false;
}

static bool to_text(napi_env env, napi_value value, const char *what, char *out, size_t size, size_t *length) {
  if (napi_get_value_string_utf8(env, value, NULL, 0, length) == napi_ok && *length > 0 && *length < size &&
      napi_get_value_string_utf8(env, value, out, size, length) == napi_ok && strlen(out) == *length)
    return true;
  refuse(env, what);
  return false;
}

static bool to_callback(napi_env env, napi_value value) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_function) return true;
  refuse(env, "callback must be a function");
  return false;
}

static napi_value from_int(napi_env env, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  return value;
}

static void set_int(napi_env env, napi_value object, const char *name, int64_t number) {
  napi_set_named_property(env, object, name, from_int(env, number));
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- netlink: open, exchange ---------------------------------------------------------------------------------- */

static int open_netlink(const int *groups, uint32_t count, bool all_nsid, int buffer_size, const char **failed) {
  int on = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  *failed = "socket";
  if (fd < 0) return -1;
  *failed = "setsockopt";
  /* Without CAP_NET_ADMIN the kernel caps the buffer at net.core.rmem_max; smaller is not wrong, only sooner full. */
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_size, sizeof buffer_size) < 0 &&
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_size, sizeof buffer_size) < 0)
    goto failed;
  if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) < 0)
    goto failed;
  *failed = "bind";
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) goto failed;
  *failed = "setsockopt";
  if (all_nsid && setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0) goto failed;
  for (uint32_t i = 0; i < count; i++)
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof groups[i]) < 0) goto failed;
  return fd;
failed:;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* netlinkOpen(groups: number[], allNsid: boolean, receiveBufferBytes: number): fd */
static napi_value netlink_open(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], item;
  uint32_t count;
  int groups[MAX_GROUPS], buffer_size, fd;
  bool all_nsid;
  const char *failed;
  if (!arguments(env, info, 3, argv)) return NULL;
  if (napi_get_array_length(env, argv[0], &count) != napi_ok || count > MAX_GROUPS)
    return refuse(env, "groups must be an array of at most 32 numbers");
  for (uint32_t i = 0; i < count; i++) {
    napi_get_element(env, argv[0], i, &item);
    if (!to_int(env, item, "a group must be a number", &groups[i])) return NULL;
  }
  if (napi_get_value_bool(env, argv[1], &all_nsid) != napi_ok) return refuse(env, "allNsid must be a boolean");
  if (!to_int(env, argv[2], "receiveBufferBytes must be a number", &buffer_size)) return NULL;
  fd = open_netlink(groups, count, all_nsid, buffer_size, &failed);
  return fd < 0 ? fail(env, failed, errno) : from_int(env, fd);
}

/* The answer is complete with the acknowledgement, or the end of the dump, of the request's last message. */
static bool ends_exchange(const char *data, size_t length, uint32_t sequence) {
  for (size_t at = 0; at + sizeof(struct nlmsghdr) <= length;) {
    struct nlmsghdr header;
    memcpy(&header, data + at, sizeof header);
    if (header.nlmsg_len < sizeof header) return false;
    if (header.nlmsg_seq == sequence && (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR)) return true;
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  return false;
}

static bool last_sequence(const char *data, size_t length, uint32_t *sequence) {
  size_t at = 0;
  while (at + sizeof(struct nlmsghdr) <= length) {
    struct nlmsghdr header;
    memcpy(&header, data + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length - at) return false;
    *sequence = header.nlmsg_seq;
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  return at > 0 && at >= length;
}

static int collect(int fd, uint32_t sequence, int64_t deadline, char **answer, size_t *length, const char **failed) {
  size_t capacity = 0;
  for (;;) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int64_t left = deadline - now_ms();
    *failed = "poll";
    int ready = poll(&wait, 1, left < 0 ? 0 : (int)left);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errno;
    if (ready == 0) return ETIMEDOUT;
    if (capacity - *length < CHUNK) {
      char *larger = realloc(*answer, capacity = capacity * 2 + CHUNK);
      if (larger == NULL) return ENOMEM;
      *answer = larger;
    }
    struct sockaddr_nl from;
    struct iovec part = {.iov_base = *answer + *length, .iov_len = CHUNK};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    *failed = "recvmsg";
    ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return errno;
    if (message.msg_flags & MSG_TRUNC) return EMSGSIZE;
    if (from.nl_pid != 0) continue;
    *length += (size_t)got;
    if (ends_exchange((char *)part.iov_base, (size_t)got, sequence)) return 0;
  }
}

/* netlinkExchange(fd, request: Buffer, timeoutMs): Buffer of everything the kernel said until the last message is done */
static napi_value netlink_exchange(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result = NULL;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  int fd, timeout_ms;
  bool is_buffer;
  void *request;
  size_t size, length = 0;
  uint32_t sequence;
  char *answer = NULL;
  const char *failed;
  if (!arguments(env, info, 3, argv) || !to_int(env, argv[0], "fd must be a number", &fd) ||
      !to_int(env, argv[2], "timeoutMs must be a number", &timeout_ms))
    return NULL;
  if (napi_is_buffer(env, argv[1], &is_buffer) != napi_ok || !is_buffer ||
      napi_get_buffer_info(env, argv[1], &request, &size) != napi_ok || !last_sequence(request, size, &sequence))
    return refuse(env, "request must be a Buffer of whole netlink messages");
  if (sendto(fd, request, size, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return fail(env, "sendto", errno);
  int error = collect(fd, sequence, now_ms() + timeout_ms, &answer, &length, &failed);
  if (error != 0)
    fail(env, failed, error);
  else
    napi_create_buffer_copy(env, length, answer, NULL, &result);
  free(answer);
  return result;
}

/* ---- watching a descriptor: netlink notifications, the end of a process ---------------------------------------- */

struct watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  bool closing;
  int owners; /* the loop and the JavaScript handle; the last one frees */
  int fd;
  char *slots; /* SLOTS * SLOT_SIZE bytes for netlink, NULL for a pidfd */
};

static const napi_type_tag watch_tag = {0x6b65657077617264ULL, 0x7761746368000001ULL};

static void disown(struct watch *watch) {
  if (--watch->owners > 0) return;
  free(watch->slots);
  free(watch);
}

static void handle_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  disown(data);
}

static void watch_closed(uv_handle_t *handle) {
  struct watch *watch = handle->data;
  napi_remove_async_cleanup_hook(watch->cleanup);
  disown(watch);
}

static void watch_close(struct watch *watch) {
  if (watch->closing) return;
  watch->closing = true;
  napi_delete_reference(watch->env, watch->callback);
  napi_async_destroy(watch->env, watch->context);
  /* uv_close takes the descriptor out of epoll before it returns: the caller may close it at once. */
  uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

static void watch_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  watch_close(data);
}

static void call_back(struct watch *watch, size_t argc, const napi_value *argv) {
  napi_value function, global, thrown;
  napi_env env = watch->env;
  if (napi_get_reference_value(env, watch->callback, &function) != napi_ok) return;
  napi_get_global(env, &global);
  if (napi_make_callback(env, watch->context, global, function, argc, argv, NULL) != napi_pending_exception) return;
  napi_get_and_clear_last_exception(env, &thrown);
  napi_fatal_exception(env, thrown);
}

static void report_error(struct watch *watch, int error) {
  napi_value argv[3];
  argv[0] = from_int(watch->env, error);
  napi_get_null(watch->env, &argv[1]);
  napi_get_null(watch->env, &argv[2]);
  call_back(watch, 3, argv);
}

/* The namespace id that NETLINK_LISTEN_ALL_NSID attaches; -1 for our own namespace. */
static int nsid_of(struct msghdr *message) {
  int nsid = -1;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c))
    if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID) memcpy(&nsid, CMSG_DATA(c), sizeof nsid);
  return nsid;
}

/* Hands `count` datagrams over as one Buffer and an Int32Array of (nsid, byte length) pairs. */
static void report_datagrams(struct watch *watch, struct mmsghdr *received, int count) {
  napi_value argv[3], memory;
  int32_t *frames;
  char *data;
  size_t total = 0, at = 0;
  for (int i = 0; i < count; i++) total += received[i].msg_len;
  napi_create_int32(watch->env, 0, &argv[0]);
  if (napi_create_buffer(watch->env, total, (void **)&data, &argv[1]) != napi_ok ||
      napi_create_arraybuffer(watch->env, (size_t)count * 8, (void **)&frames, &memory) != napi_ok)
    return report_error(watch, ENOMEM);
  for (int i = 0; i < count; i++) {
    memcpy(data + at, received[i].msg_hdr.msg_iov->iov_base, received[i].msg_len);
    at += received[i].msg_len;
    frames[2 * i] = nsid_of(&received[i].msg_hdr);
    frames[2 * i + 1] = (int32_t)received[i].msg_len;
  }
  napi_create_typedarray(watch->env, napi_int32_array, (size_t)count * 2, memory, 0, &argv[2]);
  call_back(watch, 3, argv);
}

/* One batch; returns how many datagrams arrived, or minus an errno. Only the kernel (nl_pid 0) is believed. */
static int receive_batch(struct watch *watch) {
  struct mmsghdr messages[SLOTS];
  struct sockaddr_nl from[SLOTS];
  struct iovec parts[SLOTS];
  char control[SLOTS][64];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < SLOTS; i++) {
    parts[i] = (struct iovec){.iov_base = watch->slots + (size_t)i * SLOT_SIZE, .iov_len = SLOT_SIZE};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i],
                                          .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = sizeof control[i]};
  }
  int got = recvmmsg(watch->fd, messages, SLOTS, MSG_DONTWAIT, NULL), kept = 0;
  if (got < 0) return -errno;
  bool truncated = false;
  for (int i = 0; i < got; i++) {
    if (from[i].nl_pid != 0) continue;
    if (messages[i].msg_hdr.msg_flags & MSG_TRUNC) truncated = true;
    else messages[kept++] = messages[i];
  }
  if (kept > 0) report_datagrams(watch, messages, kept);
  if (truncated && !watch->closing) report_error(watch, EMSGSIZE);
  return got;
}

static void receive_waiting(struct watch *watch, int rounds) {
  for (int got = SLOTS; rounds > 0 && got == SLOTS && !watch->closing; rounds--) {
    got = receive_batch(watch);
    if (got >= 0 || got == -EAGAIN || watch->closing) continue;
    if (got != -EINTR) report_error(watch, -got);
    got = SLOTS;
  }
}

/*
 * libuv turns the EPOLLERR of an overrun (ENOBUFS) into UV_EBADF and stops the handle: without the restart below the
 * watch stays deaf for ever.
 */
static void on_netlink(uv_poll_t *poll_handle, int status, int events) {
  struct watch *watch = poll_handle->data;
  napi_handle_scope scope;
  int error = 0;
  socklen_t size = sizeof error;
  (void)events;
  napi_open_handle_scope(watch->env, &scope);
  if (status < 0) {
    bool dead = getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0;
    if (dead) error = errno;
    report_error(watch, error == 0 ? ENOBUFS : error);
    if (!dead && !watch->closing) uv_poll_start(&watch->poll, UV_READABLE, on_netlink);
  } else {
    receive_waiting(watch, ROUNDS);
  }
  napi_close_handle_scope(watch->env, scope);
}

static void on_process_end(uv_poll_t *poll_handle, int status, int events) {
  struct watch *watch = poll_handle->data;
  napi_handle_scope scope;
  (void)status;
  (void)events;
  uv_poll_stop(poll_handle);
  napi_open_handle_scope(watch->env, &scope);
  call_back(watch, 0, NULL);
  watch_close(watch);
  napi_close_handle_scope(watch->env, scope);
}

static napi_value start_watch(napi_env env, napi_callback_info info, bool netlink) {
  napi_value argv[MAX_ARGS], name, handle;
  uv_loop_t *loop;
  int fd;
  bool background = false;
  if (!arguments(env, info, 2, argv) || !to_int(env, argv[0], "fd must be a number", &fd) || !to_callback(env, argv[1]))
    return NULL;
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch != NULL && netlink) watch->slots = malloc((size_t)SLOTS * SLOT_SIZE);
  napi_get_uv_event_loop(env, &loop);
  int error = watch == NULL || (netlink && watch->slots == NULL) ? UV_ENOMEM : uv_poll_init(loop, &watch->poll, fd);
  if (error != 0) {
    if (watch != NULL) free(watch->slots);
    free(watch);
    return fail(env, "uv_poll_init", -error);
  }
  watch->poll.data = watch;
  watch->env = env;
  watch->fd = fd;
  watch->owners = 2;
  napi_create_string_utf8(env, "keepward.watch", NAPI_AUTO_LENGTH, &name);
  napi_create_reference(env, argv[1], 1, &watch->callback);
  napi_async_init(env, NULL, name, &watch->context);
  napi_add_async_cleanup_hook(env, watch_cleanup, watch, &watch->cleanup);
  napi_create_external(env, watch, handle_collected, NULL, &handle);
  napi_type_tag_object(env, handle, &watch_tag);
  uv_poll_start(&watch->poll, UV_READABLE, netlink ? on_netlink : on_process_end);
  if (napi_get_value_bool(env, argv[2], &background) == napi_ok && background) uv_unref((uv_handle_t *)&watch->poll);
  return handle;
}

/* watch(fd, (errno, messages | null, frames | null) => void): handle */
static napi_value watch_netlink(napi_env env, napi_callback_info info) { return start_watch(env, info, true); }

/* pidfdWatch(fd, () => void, background?: boolean): handle; fires once; in the background it keeps no event loop alive */
static napi_value pidfd_watch(napi_env env, napi_callback_info info) { return start_watch(env, info, false); }

static struct watch *watch_argument(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  bool is_watch = false;
  void *watch;
  napi_valuetype type;
  if (!arguments(env, info, 1, argv)) return NULL;
  if (napi_typeof(env, argv[0], &type) != napi_ok || type != napi_external ||
      napi_check_object_type_tag(env, argv[0], &watch_tag, &is_watch) != napi_ok || !is_watch ||
      napi_get_value_external(env, argv[0], &watch) != napi_ok) {
    refuse(env, "handle must come from watch or pidfdWatch");
    return NULL;
  }
  return watch;
}

/* unwatch(handle): no callback comes after it; the descriptor stays open and may be closed at once. Idempotent. */
static napi_value unwatch(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_argument(env, info);
  if (watch != NULL) watch_close(watch);
  return NULL;
}

/* drain(handle): reads what waits on a netlink watch now, with callbacks, before it returns; at most 1 000 000 datagrams */
static napi_value drain(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_argument(env, info);
  if (watch == NULL) return NULL;
  if (watch->slots == NULL) return refuse(env, "handle must come from watch");
  receive_waiting(watch, 1000000 / SLOTS);
  return NULL;
}

/* ---- namespaces and processes ---------------------------------------------------------------------------------- */

/* setns(fd): moves the calling thread into the network namespace of `fd` */
static napi_value set_namespace(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  return setns(fd, CLONE_NEWNET) < 0 ? fail(env, "setns", errno) : NULL;
}

/* pidfdOpen(pid): fd */
static napi_value pidfd_open_call(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int pid;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "pid must be a number", &pid)) return NULL;
  long fd = syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? fail(env, "pidfd_open", errno) : from_int(env, fd);
}

/* pidfdSignal(fd, signo) */
static napi_value pidfd_signal(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd, signo;
  if (!arguments(env, info, 2, argv) || !to_int(env, argv[0], "fd must be a number", &fd) ||
      !to_int(env, argv[1], "signo must be a number", &signo))
    return NULL;
  return syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) < 0 ? fail(env, "pidfd_send_signal", errno) : NULL;
}

/* pidfdEnded(fd): whether the process has ended, waited for or not; one that is not our child too */
static napi_value pidfd_ended(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result;
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  struct pollfd end = {.fd = fd, .events = POLLIN};
  int ready = poll(&end, 1, 0);
  if (ready < 0) return fail(env, "poll", errno);
  if (end.revents & POLLNVAL) return fail(env, "poll", EBADF);
  napi_get_boolean(env, ready > 0, &result);
  return result;
}

/*
 * pidfdWait(fd): {exitCode, signal} of a child of ours that ended, of which nothing is left then; null while it runs. When
 * somebody else has waited for it, how it ended is not known: {-1, 0}.
 */
static napi_value pidfd_wait(napi_env env, napi_callback_info info) {
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

/* readProc(path): the text of a file of procfs, at most 256 KiB; null when it, or its process, is not there */
static napi_value read_proc(napi_env env, napi_callback_info info) {
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

/* ---- starting a process ----------------------------------------------------------------------------------------- */

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
    used += length + 1;
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
        (number != -1 && (number < 3 || number > 0x7fffffff))) {
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
static napi_value spawn_process(napi_env env, napi_callback_info info) {
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

/*
 * memoryFile(limitBytes): descriptor of an anonymous file that cannot grow past the limit (EPERM, memfd_create(2)); its
 * memory is what has been written.
 */
static napi_value memory_file(napi_env env, napi_callback_info info) {
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
static napi_value offset_of(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  off_t offset = lseek(fd, 0, SEEK_CUR);
  return offset < 0 ? fail(env, "lseek", errno) : from_int(env, offset);
}

/* ---- sockets, files, the service manager ----------------------------------------------------------------------- */

static bool peer_groups(napi_env env, int fd, napi_value result) {
  gid_t groups[MAX_PEER_GROUPS];
  socklen_t size = sizeof groups;
  napi_value list;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) return false;
  napi_create_array(env, &list);
  for (uint32_t i = 0; i < size / sizeof groups[0]; i++) napi_set_element(env, list, i, from_int(env, groups[i]));
  napi_set_named_property(env, result, "groups", list);
  return true;
}

/*
 * peerCredentials(fd): {pid, uid, gid, groups} of the process that connected (or listens). On a TCP socket SO_PEERCRED
 * "succeeds" with uid -1, hence the check of the family.
 */
static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result;
  int fd, domain = 0;
  struct ucred peer;
  socklen_t size = sizeof domain;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) return fail(env, "getsockopt", errno);
  if (domain != AF_UNIX) return fail(env, "getsockopt", EAFNOSUPPORT);
  size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return fail(env, "getsockopt", errno);
  if (size != sizeof peer || peer.pid <= 0 || peer.uid == (uid_t)-1) return fail(env, "getsockopt", ENOTCONN);
  napi_create_object(env, &result);
  set_int(env, result, "pid", peer.pid);
  set_int(env, result, "uid", peer.uid);
  set_int(env, result, "gid", peer.gid);
  return peer_groups(env, fd, result) ? result : fail(env, "getsockopt", errno);
}

/* flock(fd): true when the exclusive lock is ours, false when somebody else holds it */
static napi_value lock_file(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], result;
  int fd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return fail(env, "flock", errno);
  napi_get_boolean(env, locked, &result);
  return result;
}

/* mkfifo(path, mode) */
static napi_value make_fifo(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  char path[4096];
  size_t length;
  int mode;
  if (!arguments(env, info, 2, argv) || !to_text(env, argv[0], "path must be a string", path, sizeof path, &length) ||
      !to_int(env, argv[1], "mode must be a number", &mode))
    return NULL;
  return mkfifo(path, (mode_t)mode & 0777) < 0 ? fail(env, "mkfifo", errno) : NULL;
}

/* sdNotify(path, text): one datagram; a leading '@' means the abstract namespace (sd_notify(3)) */
static napi_value sd_notify(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char text[4096];
  size_t path_length, text_length;
  if (!arguments(env, info, 2, argv) ||
      !to_text(env, argv[0], "path must be a string of at most 107 bytes", address.sun_path, sizeof address.sun_path, &path_length) ||
      !to_text(env, argv[1], "text must be a string of at most 4095 bytes", text, sizeof text, &text_length))
    return NULL;
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_length);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(env, "socket", errno);
  ssize_t sent = sendto(fd, text, text_length, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
  int error = errno;
  close(fd);
  return sent < 0 ? fail(env, "sendto", error) : NULL;
}

static napi_value init(napi_env env, napi_value exports) {
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"netlinkOpen", netlink_open}, {"netlinkExchange", netlink_exchange}, {"watch", watch_netlink},
      {"unwatch", unwatch}, {"drain", drain},          {"setns", set_namespace},              {"pidfdOpen", pidfd_open_call},
      {"pidfdSignal", pidfd_signal}, {"pidfdWatch", pidfd_watch},           {"peerCredentials", peer_credentials},
      {"flock", lock_file},          {"mkfifo", make_fifo},                 {"sdNotify", sd_notify},
      {"pidfdEnded", pidfd_ended},   {"pidfdWait", pidfd_wait},             {"readProc", read_proc},
      {"spawn", spawn_process},      {"memoryFile", memory_file},           {"offset", offset_of},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
