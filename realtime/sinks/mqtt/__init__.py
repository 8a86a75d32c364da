"""Events to an MQTT broker: `--out mqtts://HOST:PORT/PREFIX`.

sink            what becomes of each record; final events wait in the spool
broker          the connection, which comes back by itself
home_assistant  topics, and how Home Assistant finds them
"""
