"""Who may reach the demo: checked before every route and websocket.

guard     the gate: Host and Origin, the login, the routes that exist
binding   decided at start: under which addresses the demo is called, whether a password is needed
logins    the password, and a random token for each browser that gave it
backoff   wrong passwords are answered later and later, each address on its own
"""
