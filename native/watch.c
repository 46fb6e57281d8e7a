/* Watching a descriptor on the event loop: netlink notifications, the end of a process. */
#include "common.h"
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum { SLOTS = 32, SLOT_SIZE = 8192, ROUNDS = 8 };

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
  napi_handle_scope scope;
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
  /* A scope for each batch: what was handed over can be freed while drain still reads. */
  napi_open_handle_scope(watch->env, &scope);
  if (kept > 0) report_datagrams(watch, messages, kept);
  if (truncated && !watch->closing) report_error(watch, EMSGSIZE);
  napi_close_handle_scope(watch->env, scope);
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
napi_value watch_netlink(napi_env env, napi_callback_info info) { return start_watch(env, info, true); }

/* pidfdWatch(fd, () => void, background?: boolean): handle; fires once; in the background it keeps no event loop alive */
napi_value pidfd_watch(napi_env env, napi_callback_info info) { return start_watch(env, info, false); }

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
napi_value unwatch(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_argument(env, info);
  if (watch != NULL) watch_close(watch);
  return NULL;
}

/* drain(handle): reads what waits on a netlink watch now, with callbacks, before it returns; at most 1 000 000 datagrams */
napi_value drain(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_argument(env, info);
  if (watch == NULL) return NULL;
  if (watch->slots == NULL) return refuse(env, "handle must come from watch");
  receive_waiting(watch, 1000000 / SLOTS);
  return NULL;
}
