/* The addon: every function under the name that src/linux/native.ts knows. */
#include "common.h"

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
      {"spawn", spawn_process},      {"spawnConfined", spawn_confined}, {"memoryFile", memory_file},           {"offset", offset_of},
      {"bootTime", boot_time},       {"unreadBytes", unread_bytes},        {"connectUnix", connect_unix},
      {"peerPidfd", peer_pidfd},     {"socketPair", socket_pair},
      {"sendDescriptor", send_descriptor}, {"receiveDescriptor", receive_descriptor},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
