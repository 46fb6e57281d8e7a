/*
 * What Node.js cannot ask of the kernel: netlink sockets, network namespaces, pidfds, processes held from their start, with a copy of our
 * page tables only where they are confined, peer credentials, descriptors sent from one process to another, flock, FIFOs, datagrams to a
 * service manager and CLOCK_BOOTTIME. It moves bytes and decides nothing; src/linux/native.ts gives it types.
 * Every failing system call throws an Error with `code` ('EPERM'), `errno` (1) and `syscall` ('setns').
 */
#ifndef KEEPWARD_COMMON_H
#define KEEPWARD_COMMON_H

/* Every file includes this one first: the C library reads the next line with its first header. */
#define _GNU_SOURCE
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_ARGS = 5 };

/* Both leave an exception pending and return NULL; `error` is an errno. */
napi_value fail(napi_env env, const char *syscall_name, int error);
napi_value refuse(napi_env env, const char *what);

/* False when they have thrown. `argv` has room for MAX_ARGS; those that were not given are undefined. */
bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv);
bool to_int(napi_env env, napi_value value, const char *what, int *out);
bool to_text(napi_env env, napi_value value, const char *what, char *out, size_t size, size_t *length);
bool to_callback(napi_env env, napi_value value);

napi_value from_int(napi_env env, int64_t number);
void set_int(napi_env env, napi_value object, const char *name, int64_t number);

/* netlink.c */
napi_value netlink_open(napi_env env, napi_callback_info info);
napi_value netlink_exchange(napi_env env, napi_callback_info info);

/* watch.c */
napi_value watch_netlink(napi_env env, napi_callback_info info);
napi_value pidfd_watch(napi_env env, napi_callback_info info);
napi_value unwatch(napi_env env, napi_callback_info info);
napi_value drain(napi_env env, napi_callback_info info);

/* process.c */
napi_value set_namespace(napi_env env, napi_callback_info info);
napi_value drop_capability(napi_env env, napi_callback_info info);
napi_value pidfd_open_call(napi_env env, napi_callback_info info);
napi_value pidfd_signal(napi_env env, napi_callback_info info);
napi_value pidfd_ended(napi_env env, napi_callback_info info);
napi_value pidfd_wait(napi_env env, napi_callback_info info);

/* spawn.c */
napi_value spawn_process(napi_env env, napi_callback_info info);
napi_value spawn_confined(napi_env env, napi_callback_info info);

/* file.c */
napi_value read_proc(napi_env env, napi_callback_info info);
napi_value memory_file(napi_env env, napi_callback_info info);
napi_value offset_of(napi_env env, napi_callback_info info);
napi_value lock_file(napi_env env, napi_callback_info info);
napi_value make_fifo(napi_env env, napi_callback_info info);

/* clock.c */
napi_value boot_time(napi_env env, napi_callback_info info);

/* socket.c */
napi_value peer_credentials(napi_env env, napi_callback_info info);
napi_value peer_pidfd(napi_env env, napi_callback_info info);
napi_value unread_bytes(napi_env env, napi_callback_info info);
napi_value sd_notify(napi_env env, napi_callback_info info);

/* descriptor.c */
napi_value connect_unix(napi_env env, napi_callback_info info);
napi_value socket_pair(napi_env env, napi_callback_info info);
napi_value send_descriptor(napi_env env, napi_callback_info info);
napi_value receive_descriptor(napi_env env, napi_callback_info info);

#endif
