"""Long runs, from outside: a manager that starts the program again, settings that change meanwhile.

service_manager   what systemd and the like are told
reload            settings and credentials read anew, after SIGHUP or where a file has changed
"""
