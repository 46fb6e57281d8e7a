/* Senders of state changes: what they are told to do, and what came of it. */
#ifndef LOAD_H
#define LOAD_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

enum { ROUTER_BYTES = 65, STATUSES = 600 };

/* CLOSE: a connection for each request. KEPT: one for all of a sender. BURST: one request each. PACED: one every so often. */
enum mode { CLOSE, KEPT, BURST, PACED };

struct options {
  struct sockaddr_un address;
  enum mode mode;
  long clients, routers, uid;
  double seconds, every_ms, deadline_ms;
  const char *router_id;
};

enum failure { NO_CONNECT, NO_SEND, RESET, CLOSED_EARLY, TIMED_OUT, MALFORMED, FAILURES };

struct result {
  /* in_time: with 200, before the time was over. again: connects that a full backlog turned away. skipped: of a trickle,
     those for which no sender was free. */
  uint64_t answered, in_time, again, skipped, least_served, most_served, failed[FAILURES], status[STATUSES];
  int connect_error;
  int64_t start_ns, stop_ns, last_ns;
  /* Of answers with 200. */
  int64_t *samples;
  size_t sample_count, sample_room;
};

void read_options(int argc, char **argv, struct options *options);
void print_result(struct result *result);
void die(const char *format, ...);

#endif
