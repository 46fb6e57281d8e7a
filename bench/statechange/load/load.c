/*
 * Sends state changes to a Unix socket, many at once, byte for byte as the monitors of Neutron 21.0.0 do, and prints what
 * came of it as one JSON object. A request's time is that of its sender, from before the connect (kept alive: before the
 * write) to the last byte of the answer. docs/bench.md says what is measured with it.
 */
#include "load.h"
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_BYTES = 512, REPLY_BYTES = 8192, EVENTS = 256 };
static const int64_t MS = 1000000, RETRY_NS = 1000000, SCAN_NS = 100000000;

enum phase { IDLE, RETRYING, AWAITING };
struct sender {
  int fd;
  enum phase phase;
  int64_t began_ns;
  uint64_t served;
  size_t size, got;
  char request[REQUEST_BYTES];
  char reply[REPLY_BYTES + 1];
};

static struct options options;
static struct result result;
static struct sender *senders;
static bool *is_primary;
static long next_router, busy, retrying;
static int64_t now_ns;
static int epoll_fd, timer_fd;

static int64_t monotonic_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 * MS + time.tv_nsec;
}

/* The run of '#' in the template becomes the number, zeros in front as far as it is long. */
static void router_text(char *text, long number) {
  const char *run = strchr(options.router_id, '#');
  int before = (int)(run - options.router_id), width = (int)strspn(run, "#");
  snprintf(text, ROUTER_BYTES, "%.*s%0*ld%s", before, options.router_id, width, number, run + width);
}

/* Each router alternates between its two states, and all take turns. */
static void write_request(struct sender *sender) {
  char router[ROUTER_BYTES];
  long index = next_router++ % options.routers;
  router_text(router, index + 1);
  is_primary[index] = !is_primary[index];
  sender->size = (size_t)snprintf(sender->request, REQUEST_BYTES,
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nx-neutron-router-id: %s\r\nx-neutron-state: %s\r\n%s"
    "user-agent: Python-httplib2/0.20.4 (gzip)\r\naccept-encoding: gzip, deflate\r\n\r\n",
    router, is_primary[index] ? "primary" : "backup", options.mode == KEPT ? "" : "connection: close\r\n");
}

static void disconnect(struct sender *sender) {
  if (sender->fd >= 0) close(sender->fd);
  sender->fd = -1;
}

static void rest(struct sender *sender) {
  if (sender->phase == RETRYING) retrying--;
  if (sender->phase != IDLE) busy--;
  sender->phase = IDLE;
  if (options.mode != KEPT) disconnect(sender);
}

static void fail(struct sender *sender, enum failure failure) {
  result.failed[failure]++;
  result.last_ns = now_ns;
  rest(sender);
  disconnect(sender);
}

/* A full backlog says EAGAIN to who does not wait: the try is repeated on the same descriptor. */
static bool connect_sender(struct sender *sender) {
  if (sender->fd < 0) sender->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (sender->fd < 0) die("no descriptor: %s", strerror(errno));
  if (connect(sender->fd, (struct sockaddr *)&options.address, sizeof options.address) == 0) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = sender};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, sender->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
    return true;
  }
  if (errno == EAGAIN) {
    result.again++;
    if (sender->phase != RETRYING) retrying++;
    sender->phase = RETRYING;
    return false;
  }
  result.connect_error = errno;
  fail(sender, NO_CONNECT);
  return false;
}

/* The request fits into the socket's buffer: a short write is a failure. */
static void send_request(struct sender *sender) {
  if (sender->phase == RETRYING) retrying--;
  sender->phase = AWAITING;
  sender->got = 0;
  if (send(sender->fd, sender->request, sender->size, MSG_NOSIGNAL) != (ssize_t)sender->size) fail(sender, NO_SEND);
}

static void begin(struct sender *sender) {
  write_request(sender);
  bool connected = sender->fd >= 0;
  busy++;
  sender->phase = AWAITING;
  sender->began_ns = now_ns = monotonic_ns();
  if (connected || connect_sender(sender)) send_request(sender);
}

static void record(struct sender *sender, int status) {
  result.last_ns = now_ns;
  sender->served++;
  result.answered++;
  if (status != 200) {
    result.status[status]++;
    return;
  }
  if (options.mode == BURST || now_ns <= result.stop_ns) result.in_time++;
  if (result.sample_count == result.sample_room) {
    result.sample_room = result.sample_room == 0 ? 1 << 16 : result.sample_room * 2;
    result.samples = realloc(result.samples, result.sample_room * sizeof *result.samples);
    if (result.samples == NULL) die("out of memory");
  }
  result.samples[result.sample_count++] = now_ns - sender->began_ns;
}

/* The status once the answer is whole, 0 before, -1 when it is none. `ended`: nothing more will come. */
static int read_reply(struct sender *sender, bool ended, bool *closing) {
  sender->reply[sender->got] = '\0';
  const char *end = strstr(sender->reply, "\r\n\r\n");
  if (end == NULL) return sender->got == REPLY_BYTES ? -1 : 0;
  int status = 0;
  if (sscanf(sender->reply, "HTTP/1.%*1[01] %3d", &status) != 1 || status < 100 || status >= STATUSES) return -1;
  const char *length = strcasestr(sender->reply, "\r\ncontent-length:"), *closes = strcasestr(sender->reply, "\r\nconnection: close");
  *closing = closes != NULL && closes < end;
  if (length == NULL || length > end) return ended ? status : 0;
  size_t whole = (size_t)(end + 4 - sender->reply) + strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
  if (sender->got > whole) return -1;
  return sender->got == whole ? status : 0;
}

static void receive(struct sender *sender) {
  if (sender->phase != AWAITING) {
    /* A kept connection that was closed between two requests. */
    disconnect(sender);
    return;
  }
  bool closing = false;
  ssize_t got = recv(sender->fd, sender->reply + sender->got, REPLY_BYTES - sender->got, 0);
  if (got < 0 && errno == EAGAIN) return;
  now_ns = monotonic_ns();
  if (got < 0) return fail(sender, RESET);
  sender->got += (size_t)got;
  int status = read_reply(sender, got == 0, &closing);
  if (status < 0) return fail(sender, MALFORMED);
  if (status == 0 && got == 0) return fail(sender, CLOSED_EARLY);
  if (status == 0) return;
  record(sender, status);
  rest(sender);
  if (closing || got == 0) disconnect(sender);
}

static void begin_paced(void) {
  uint64_t due;
  if (read(timer_fd, &due, sizeof due) != sizeof due) return;
  for (long i = 0; i < options.clients && due > 0; i++) {
    if (senders[i].phase != IDLE) continue;
    begin(&senders[i]);
    due--;
  }
  result.skipped += due;
}

static void retry_connects(void) {
  for (long i = 0; i < options.clients && retrying > 0; i++)
    if (senders[i].phase == RETRYING && connect_sender(&senders[i])) send_request(&senders[i]);
}

static void end_overdue(void) {
  for (long i = 0; i < options.clients; i++)
    if (senders[i].phase != IDLE && now_ns - senders[i].began_ns > (int64_t)(options.deadline_ms * (double)MS)) fail(&senders[i], TIMED_OUT);
}

/* Who was refused the connection comes again a little later, as all who rest do. */
static void begin_resting(void) {
  for (long i = 0; i < options.clients; i++)
    if (senders[i].phase == IDLE) begin(&senders[i]);
}

static void run(void) {
  struct epoll_event events[EVENTS];
  int64_t retried_ns = 0, scanned_ns = 0;
  result.start_ns = now_ns = monotonic_ns();
  result.stop_ns = result.start_ns + (int64_t)(options.seconds * 1e9);
  if (options.mode != PACED) begin_resting();
  for (;;) {
    now_ns = monotonic_ns();
    bool over = options.mode == BURST || now_ns >= result.stop_ns;
    if (over && busy == 0) return;
    int count = epoll_wait(epoll_fd, events, EVENTS, 1);
    for (int i = 0; i < count; i++) {
      struct sender *sender = events[i].data.ptr;
      if (sender == NULL) {
        if (!over) begin_paced();
        continue;
      }
      receive(sender);
      if (!over && options.mode != PACED && sender->phase == IDLE) begin(sender);
    }
    now_ns = monotonic_ns();
    if (now_ns - retried_ns >= RETRY_NS) {
      retried_ns = now_ns;
      retry_connects();
      if (!over && options.mode != PACED) begin_resting();
    }
    if (now_ns - scanned_ns >= SCAN_NS) {
      scanned_ns = now_ns;
      end_overdue();
    }
  }
}

/* Room for all descriptors first: only root may raise the limit. */
static void become_sender(void) {
  rlim_t wanted = (rlim_t)options.clients + 64;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) limit.rlim_cur = wanted;
  if (limit.rlim_max < wanted) limit.rlim_max = wanted;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) die("cannot have %ld descriptors: %s", options.clients, strerror(errno));
  if (options.uid < 0) return;
  uid_t uid = (uid_t)options.uid;
  if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
    die("cannot become uid %ld: %s", options.uid, strerror(errno));
}

static void prepare(void) {
  senders = calloc((size_t)options.clients, sizeof *senders);
  is_primary = calloc((size_t)options.routers, sizeof *is_primary);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (senders == NULL || is_primary == NULL || epoll_fd < 0 || timer_fd < 0) die("cannot begin: %s", strerror(errno));
  for (long i = 0; i < options.clients; i++) senders[i].fd = -1;
  if (options.mode != PACED) return;
  int64_t every_ns = (int64_t)(options.every_ms * (double)MS);
  struct timespec every = {.tv_sec = every_ns / (1000 * MS), .tv_nsec = every_ns % (1000 * MS)};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  timerfd_settime(timer_fd, 0, &(struct itimerspec){.it_interval = every, .it_value = every}, NULL);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
}

static void count_served(void) {
  result.least_served = UINT64_MAX;
  for (long i = 0; i < options.clients; i++) {
    if (senders[i].served < result.least_served) result.least_served = senders[i].served;
    if (senders[i].served > result.most_served) result.most_served = senders[i].served;
  }
  /* A burst takes as long as it takes. */
  if (options.mode == BURST) result.stop_ns = result.last_ns;
}

int main(int argc, char **argv) {
  read_options(argc, argv, &options);
  become_sender();
  prepare();
  run();
  count_served();
  print_result(&result);
  return 0;
}
