/* Netlink sockets: opening one, and one exchange of requests for answers. */
#include "common.h"
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_GROUPS = 32, CHUNK = 64 * 1024 };

static int open_netlink(int protocol, const int *groups, uint32_t count, bool all_nsid, int buffer_size,
                        const char **failed) {
  int on = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
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

/* netlinkOpen(protocol: number, groups: number[], allNsid: boolean, receiveBufferBytes: number): fd */
napi_value netlink_open(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], item;
  uint32_t count;
  int protocol, groups[MAX_GROUPS], buffer_size, fd;
  bool all_nsid;
  const char *failed;
  if (!arguments(env, info, 4, argv)) return NULL;
  if (!to_int(env, argv[0], "protocol must be a number", &protocol)) return NULL;
  if (napi_get_array_length(env, argv[1], &count) != napi_ok || count > MAX_GROUPS)
    return refuse(env, "groups must be an array of at most 32 numbers");
  for (uint32_t i = 0; i < count; i++) {
    if (napi_get_element(env, argv[1], i, &item) != napi_ok) return refuse(env, "a group must be a number");
    if (!to_int(env, item, "a group must be a number", &groups[i])) return NULL;
  }
  if (napi_get_value_bool(env, argv[2], &all_nsid) != napi_ok) return refuse(env, "allNsid must be a boolean");
  if (!to_int(env, argv[3], "receiveBufferBytes must be a number", &buffer_size)) return NULL;
  fd = open_netlink(protocol, groups, count, all_nsid, buffer_size, &failed);
  return fd < 0 ? fail(env, failed, errno) : from_int(env, fd);
}

/* The answer is complete with the acknowledgement, or the end of the dump, of the request's last message. */
static bool ends_exchange(const char *data, size_t length, uint32_t sequence) {
  for (size_t at = 0; at + sizeof(struct nlmsghdr) <= length;) {
    struct nlmsghdr header;
    memcpy(&header, data + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length - at) return false;
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

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
napi_value netlink_exchange(napi_env env, napi_callback_info info) {
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
