/* Unix sockets: who the peer is, and datagrams to a service manager. */
#include "common.h"
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/*
 * peerCredentials(fd, into: Uint32Array): pid, uid, gid of the process that connected (or listens), and as many of its
 * supplementary groups as there are, if there is room for any. Returns how many numbers that makes. On a TCP socket
 * SO_PEERCRED "succeeds" with uid -1, hence the check of the family.
 */
napi_value peer_credentials(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  napi_typedarray_type type;
  uint32_t *into;
  size_t room;
  int fd, domain = 0;
  struct ucred peer;
  socklen_t size = sizeof domain;
  if (!arguments(env, info, 2, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  if (napi_get_typedarray_info(env, argv[1], &type, &room, (void **)&into, NULL, NULL) != napi_ok ||
      type != napi_uint32_array || room < 3)
    return refuse(env, "into must be a Uint32Array of at least 3");
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) return fail(env, "getsockopt", errno);
  if (domain != AF_UNIX) return fail(env, "getsockopt", EAFNOSUPPORT);
  size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return fail(env, "getsockopt", errno);
  if (size != sizeof peer || peer.pid <= 0 || peer.uid == (uid_t)-1) return fail(env, "getsockopt", ENOTCONN);
  into[0] = (uint32_t)peer.pid;
  into[1] = peer.uid;
  into[2] = peer.gid;
  if (room == 3) return from_int(env, 3);
  size = (socklen_t)((room - 3) * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, into + 3, &size) < 0) return fail(env, "getsockopt", errno);
  return from_int(env, 3 + size / sizeof(gid_t));
}

/*
 * peerPidfd(fd): the process that connected (or listens), held since then; -1 where the kernel does not say (before 6.5). One that
 * ended is an error in some kernels, a pidfd of an ended process in others.
 */
napi_value peer_pidfd(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd, pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) return from_int(env, pidfd);
  return errno == ENOPROTOOPT ? from_int(env, -1) : fail(env, "getsockopt", errno);
}

/* unreadBytes(fd): how many bytes have come that nobody has read (unix(7), SIOCINQ) */
napi_value unread_bytes(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS];
  int fd, bytes = 0;
  if (!arguments(env, info, 1, argv) || !to_int(env, argv[0], "fd must be a number", &fd)) return NULL;
  return ioctl(fd, FIONREAD, &bytes) < 0 ? fail(env, "ioctl", errno) : from_int(env, bytes);
}

/* sdNotify(path, text): one datagram; a leading '@' means the abstract namespace (sd_notify(3)) */
napi_value sd_notify(napi_env env, napi_callback_info info) {
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
