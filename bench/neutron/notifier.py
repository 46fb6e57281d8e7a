"""The peer of `npm run bench -- neutron`: what an L3 agent of an installed Neutron (21.0.0, Debian 12) does from a change of role to its
cast, in its own classes: coalescing, BatchNotifier, L3PluginApi. Services that follow the role are left out.

Usage: notifier.py JSON, with url, host and routers. Says `ready`; each line on stdin is the role that all routers take, and is answered by
the Unix time in milliseconds just before the first.
"""
import json
import sys
import tempfile
import threading
from types import SimpleNamespace

from neutron.common import eventlet_utils

eventlet_utils.monkey_patch()

import time

import eventlet
from eventlet import tpool
from neutron.agent.l3 import agent as l3_agent
from neutron.agent.l3 import ha
from neutron.common import config
from neutron.notifiers import batch_notifier
from neutron_lib import context
from neutron_lib import rpc
from oslo_config import cfg


class Nothing:
    """Takes what is handed to it, at no cost."""

    def process_ha_state(self, router_id, primary):
        pass

    def ha_state_change(self, context, data):
        pass

    def enable_radvd(self):
        pass

    def disable_radvd(self):
        pass


class Router(Nothing):
    def __init__(self, agent):
        self.agent = agent
        self.router = {}
        self.ha_state = "backup"


class Agent(ha.AgentMixin):
    def __init__(self, host, routers):
        self.host = host
        self.conf = SimpleNamespace(ha_vrrp_advert_int=2, enable_metadata_proxy=False)
        self.use_ipv6 = False
        self.pd = self.l3_ext_manager = Nothing()
        self.context = context.get_admin_context_without_session()
        self.plugin_rpc = l3_agent.L3PluginApi("q-l3-plugin", host)
        self.router_info = {router: Router(self) for router in routers}
        self._transition_states = {}
        self._transition_state_mutex = threading.Lock()
        self._initial_state_change_per_router = set()
        self.state_change_notifier = batch_notifier.BatchNotifier(self._calculate_batch_duration(), self.notify_server)


def main(words):
    config.register_common_config_options()
    # No file of this machine's own Neutron is read.
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"[DEFAULT]\ntransport_url = {words['url']}\n")
        file.flush()
        cfg.CONF(["--config-file", file.name], project="neutron")
        rpc.init(cfg.CONF)
    agent = Agent(words["host"], words["routers"])
    print("ready", flush=True)
    while True:
        line = tpool.execute(sys.stdin.readline)
        if line == "":
            return
        began = time.time() * 1000
        for router in words["routers"]:
            agent.enqueue_state_change(router, line.strip())
        print(json.dumps(began), flush=True)


main(json.loads(sys.argv[1]))
