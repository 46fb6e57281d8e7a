"""The peer of `npm run bench -- statechange`: the state-change server of an installed Neutron (21.0.0, Debian 12), its own
classes as its L3 agent runs them, with 64 threads and a log at INFO in a file. What its agent would do with a change is left out.

Usage: neutron-server.py DIRECTORY. Prints `ready` once the socket DIRECTORY/keepalived-state-change listens.
"""
import sys

from neutron.common import eventlet_utils

eventlet_utils.monkey_patch()

import os

import eventlet
from neutron.agent.l3 import ha
from neutron.common import config
from neutron.conf.agent.l3 import ha as ha_options
from oslo_config import cfg


class Agent:
    """Takes what is handed to it, at no cost."""

    def enqueue_state_change(self, router_id, state):
        pass


def main(directory):
    ha_options.register_l3_agent_ha_opts()
    config.register_common_config_options()
    # No file of this machine's own Neutron is read.
    config.init(["--config-dir", directory, "--log-file", os.path.join(directory, "log")], default_config_files=[])
    config.setup_logging()
    cfg.CONF.set_override("state_path", directory)
    cfg.CONF.set_override("ha_keepalived_state_change_server_threads", 64)
    server = ha.L3AgentKeepalivedStateChangeServer(Agent(), cfg.CONF)
    serving = eventlet.spawn(server.run)
    path = server.get_keepalived_state_change_socket_path(cfg.CONF)
    while not os.path.exists(path):
        eventlet.sleep(0.01)
    print("ready", flush=True)
    serving.wait()


main(sys.argv[1])
