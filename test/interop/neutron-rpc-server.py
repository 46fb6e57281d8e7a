"""A Neutron server as the bus sees it: oslo.messaging's own RPC server with the endpoint that takes the states of HA routers.

Takes one JSON object as its argument (see test/support/rpc-server.ts), says {"ready": true} once it listens, and then one JSON object a line
for each call that it has handled, and {"begins": true} for each that it is going to take its time for. What it reads on stdin, one JSON object a line, changes how it behaves.
"""
import json
import os
import random
import sys
import tempfile
import threading
import time

import oslo_messaging
from oslo_config import cfg

options = json.loads(sys.argv[1])
behaviour = {"sleepMs": [0, 0], "fail": None}
said = threading.Lock()


def say(value):
    with said:
        print(json.dumps(value), flush=True)


class L3RpcCallback:
    target = oslo_messaging.Target(version=options.get("version", "1.12"))

    def update_ha_routers_states(self, context, **kwargs):
        low, high = behaviour["sleepMs"]
        if high > 0:
            say({"begins": True})
        time.sleep(random.uniform(low, high) / 1000)
        fail = behaviour["fail"]
        if fail is not None:
            raise ValueError(fail)
        say({"context": context, "atMs": time.time() * 1000, **kwargs})


def listen():
    for line in sys.stdin:
        behaviour.update(json.loads(line))
        say({"behaves": True})
    # Who started it is gone.
    os._exit(0)


# The driver reads its options while it is made: they are there before.
with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
    file.write("[DEFAULT]\ncontrol_exchange = neutron\n[oslo_messaging_rabbit]\n")
    for name, value in options.get("rabbit", {}).items():
        file.write(f"{name} = {value}\n")
    file.flush()
    conf = cfg.ConfigOpts()
    conf(["--config-file", file.name], project="neutron")
transport = oslo_messaging.get_rpc_transport(conf, url=options["url"])
server = oslo_messaging.get_rpc_server(
    transport,
    oslo_messaging.Target(topic="q-l3-plugin", server="controller1"),
    [L3RpcCallback()],
    executor="threading",
)
server.start()
say({"ready": True})
listen()
