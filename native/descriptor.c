/* Descriptors that travel between processes (unix(7), SCM_RIGHTS). */
#include "common.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* connectUnix(path): fd of a stream socket that does not block */
napi_value connect_unix(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length;
  if (!arguments(env, info, 1, argv) ||
      !to_text(env, argv[0], "path must be a string of at most 107 bytes", address.sun_path, sizeof address.sun_path, &length))
    return NULL;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(env, "socket", errno);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    return fail(env, "connect", error);
  }
  return from_int(env, fd);
}

/* socketPair(): the two ends of a connection that does not block */
napi_value socket_pair(napi_env env, napi_callback_info info) {
  napi_value pair;
  int ends[2];
  (void)info;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) return fail(env, "socketpair", errno);
  napi_create_array_with_length(env, 2, &pair);
  for (uint32_t i = 0; i < 2; i++) napi_set_element(env, pair, i, from_int(env, ends[i]));
  return pair;
}

/* sendDescriptor(socket, fd): one byte, a line feed, with a copy of the descriptor */
napi_value send_descriptor(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS], undefined;
  int socket_fd, fd;
  char byte = '\n';
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  if (!arguments(env, info, 2, argv) || !to_int(env, argv[0], "socket must be a number", &socket_fd) ||
      !to_int(env, argv[1], "fd must be a number", &fd))
    return NULL;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) return fail(env, "sendmsg", errno);
  napi_get_undefined(env, &undefined);
  return undefined;
}

/* receiveDescriptor(socket): the descriptor that came with the next byte; -1 while nothing has come */
napi_value receive_descriptor(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int socket_fd, fd = -1;
  char byte;
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "socket must be a number", &socket_fd)) return NULL;
  ssize_t got = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return from_int(env, -1);
  if (got < 0) return fail(env, "recvmsg", errno);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof fd))
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
  /* The other side has left, or has sent something else. */
  return fd < 0 ? fail(env, "recvmsg", got == 0 ? ECONNRESET : EPROTO) : from_int(env, fd);
}
