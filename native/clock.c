/* Clocks that Node.js does not read. */
#include "common.h"
#include <errno.h>
#include <time.h>

/* bootTime(): CLOCK_BOOTTIME in nanoseconds, as a bigint; it goes on while the machine sleeps */
napi_value boot_time(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec now;
  napi_value result;
  if (clock_gettime(CLOCK_BOOTTIME, &now) < 0) return fail(env, "clock_gettime", errno);
  napi_create_bigint_int64(env, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &result);
  return result;
}
