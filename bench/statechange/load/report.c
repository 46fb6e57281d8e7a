#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const failure_names[FAILURES] = {"connect", "send", "reset", "closedEarly", "timedOut", "malformed"};

static int by_size(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

/* Nearest rank of so many in a thousand, in microseconds; null without an answer. */
static void print_rank(const struct result *result, const char *name, size_t per_mille) {
  size_t rank = (result->sample_count * per_mille + 999) / 1000;
  if (rank == 0) printf(",\"%s\":null", name);
  else printf(",\"%s\":%.1f", name, (double)result->samples[rank - 1] / 1000);
}

void print_result(struct result *result) {
  const char *comma = "";
  double window_s = (double)(result->stop_ns - result->start_ns) / 1e9;
  if (result->sample_count > 0) qsort(result->samples, result->sample_count, sizeof *result->samples, by_size);
  printf("{\"answered\":%lu,\"rate\":%.1f,\"lastMs\":%.3f", result->answered, (double)result->in_time / window_s,
         (double)(result->last_ns - result->start_ns) / 1e6);
  printf(",\"again\":%lu,\"skipped\":%lu,\"leastServed\":%lu,\"mostServed\":%lu", result->again, result->skipped, result->least_served,
         result->most_served);
  print_rank(result, "p50Us", 500);
  print_rank(result, "p99Us", 990);
  print_rank(result, "p999Us", 999);
  print_rank(result, "maxUs", 1000);
  printf(",\"not200\":{");
  for (int status = 0; status < STATUSES; status++) {
    if (result->status[status] == 0) continue;
    printf("%s\"%d\":%lu", comma, status, result->status[status]);
    comma = ",";
  }
  printf("},\"errors\":{");
  for (int i = 0; i < FAILURES; i++) printf("%s\"%s\":%lu", i == 0 ? "" : ",", failure_names[i], result->failed[i]);
  printf("},\"connectError\":\"%s\"}\n", result->connect_error == 0 ? "" : strerror(result->connect_error));
}
