"""The database of a Neutron server in SQLite, without its migrations, which SQLite does not take.

Usage: neutron-database.py make FILE HOST ROUTER... | show FILE. `make` has one L3 agent on HOST that has each router as standby; `show` says
the states by router as JSON.
"""
import json
import sys

from sqlalchemy import create_engine, text


def make(engine, host, routers):
    from neutron.db.migration.models import head

    head.get_metadata().create_all(engine)
    then = "2026-01-01 00:00:00"
    agent = dict(id="agent-1", agent_type="L3 agent", binary="neutron-l3-agent", topic="l3_agent", host=host, admin_state_up=1,
                 created_at=then, started_at=then, heartbeat_timestamp=then, configurations="{}", load=0, availability_zone="nova")
    with engine.begin() as connection:
        connection.execute(text('insert into agents ({}) values ({})'.format(
            ", ".join(f'"{name}"' for name in agent), ", ".join(f":{name}" for name in agent))), agent)
        for at, router in enumerate(routers):
            connection.execute(
                text("insert into ha_router_agent_port_bindings (port_id, router_id, l3_agent_id, state) values (:port, :router, 'agent-1', 'standby')"),
                dict(port=f"port-{at}", router=router))


def show(engine):
    with engine.begin() as connection:
        rows = connection.execute(text("select router_id, state from ha_router_agent_port_bindings")).fetchall()
    print(json.dumps(dict(tuple(row) for row in rows)))


what, file, *words = sys.argv[1:]
engine = create_engine(f"sqlite:///{file}")
make(engine, words[0], words[1:]) if what == "make" else show(engine)
