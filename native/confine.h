/* What a child of another user may. */
#ifndef KEEPWARD_CONFINE_H
#define KEEPWARD_CONFINE_H

#include "common.h"
#include <sys/resource.h>
#include <sys/types.h>

struct confinement {
  uid_t uid;
  gid_t gid;
  /* The same for the soft and the hard limit. */
  rlim_t data, file, processes, descriptors;
  /* A pidfd of ours. */
  int parent;
};

/* False when it has thrown. */
bool to_confinement(napi_env env, napi_value list, struct confinement *to);
/* In the child, by system calls alone. NULL, or what failed, with errno. */
const char *confine(const struct confinement *to);

#endif
