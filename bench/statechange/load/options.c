#include "load.h"
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *const mode_names[] = {"close", "kept", "burst", "paced"};

static const char usage[] =
  "words are --socket PATH [--mode close|kept|burst|paced] [--clients N] [--seconds S] [--every-ms X] [--routers N] "
  "[--router-id TEMPLATE] [--uid U] [--deadline-ms X]";

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(2);
}

static enum mode mode_named(const char *name) {
  for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++)
    if (strcmp(mode_names[i], name) == 0) return (enum mode)i;
  die("--mode is %s, must be close, kept, burst or paced", name);
  return CLOSE;
}

static double positive(const char *name, const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (*end != '\0' || !(value > 0 && value < 1e9)) die("--%s is %s, must be a number above 0", name, text);
  return value;
}

void read_options(int argc, char **argv, struct options *options) {
  static const struct option known[] = {
    {"socket", 1, 0, 's'},   {"mode", 1, 0, 'm'},      {"clients", 1, 0, 'c'}, {"seconds", 1, 0, 't'},     {"every-ms", 1, 0, 'e'},
    {"routers", 1, 0, 'r'},  {"router-id", 1, 0, 'i'}, {"uid", 1, 0, 'u'},     {"deadline-ms", 1, 0, 'd'}, {0, 0, 0, 0},
  };
  int index = 0;
  *options = (struct options){.address.sun_family = AF_UNIX, .mode = CLOSE, .clients = 1, .routers = 2000, .uid = -1, .seconds = 1,
                              .every_ms = 10, .deadline_ms = 10000, .router_id = "6f1d3c2a-0b5e-4f7a-9c1d-############"};
  for (int word; (word = getopt_long(argc, argv, "", known, &index)) != -1;) {
    const char *name = known[index].name;
    switch (word) {
      case 's':
        if (strlen(optarg) >= sizeof options->address.sun_path) die("--socket is longer than a Unix socket's path may be");
        strcpy(options->address.sun_path, optarg);
        break;
      case 'm': options->mode = mode_named(optarg); break;
      case 'c': options->clients = (long)positive(name, optarg); break;
      case 't': options->seconds = positive(name, optarg); break;
      case 'e': options->every_ms = positive(name, optarg); break;
      case 'r': options->routers = (long)positive(name, optarg); break;
      case 'i': options->router_id = optarg; break;
      case 'u': options->uid = (long)positive(name, optarg); break;
      case 'd': options->deadline_ms = positive(name, optarg); break;
      default: die(usage);
    }
  }
  if (options->address.sun_path[0] == '\0') die(usage);
  if (strchr(options->router_id, '#') == NULL || strlen(options->router_id) > 50) die("--router-id has no #, or is longer than 50");
}
