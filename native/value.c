/* Arguments, results and errors: what crosses the border between JavaScript and C. */
#include "common.h"
#include <stdio.h>
#include <string.h>
#include <uv.h>

napi_value fail(napi_env env, const char *syscall_name, int error) {
  napi_value message, code, number, name, thrown;
  char text[160];
  snprintf(text, sizeof text, "%s: %s, %s", syscall_name, uv_err_name(-error), uv_strerror(-error));
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env, uv_err_name(-error), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, syscall_name, NAPI_AUTO_LENGTH, &name);
  napi_create_int32(env, error, &number);
  napi_create_error(env, code, message, &thrown);
  napi_set_named_property(env, thrown, "errno", number);
  napi_set_named_property(env, thrown, "syscall", name);
  napi_throw(env, thrown);
  return NULL;
}

napi_value refuse(napi_env env, const char *what) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", what);
  return NULL;
}

bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv) {
  size_t argc = MAX_ARGS;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc >= wanted) return true;
  refuse(env, "too few arguments");
  return false;
}

bool to_int(napi_env env, napi_value value, const char *what, int *out) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 && number <= 0x7fffffff &&
      number == (double)(int)number) {
    *out = (int)number;
    return true;
  }
  refuse(env, what);
  return false;
}

bool to_text(napi_env env, napi_value value, const char *what, char *out, size_t size, size_t *length) {
  if (napi_get_value_string_utf8(env, value, NULL, 0, length) == napi_ok && *length > 0 && *length < size &&
      napi_get_value_string_utf8(env, value, out, size, length) == napi_ok && strlen(out) == *length)
    return true;
  refuse(env, what);
  return false;
}

bool to_callback(napi_env env, napi_value value) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_function) return true;
  refuse(env, "callback must be a function");
  return false;
}

napi_value from_int(napi_env env, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  return value;
}

void set_int(napi_env env, napi_value object, const char *name, int64_t number) {
  napi_set_named_property(env, object, name, from_int(env, number));
}
