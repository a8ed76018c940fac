"""The demo: starts API, dashboard and a generator, shows what they do, and leaves nothing running.

__main__.py    `python -m clickstream.demo`, in which run_demo.sh ends: settings
arguments.py   what it may be asked for, and --help
steps.py       what is done in which order, and what is said about it
service.py     one server: is its port free, is it healthy
supervisor.py  child processes that never outlive this one
watchdog.py    the process that sees to that when this one is killed
terminal.py    lines that a closed terminal cannot turn into a crash

Standard library only, so that it can say what is wrong when packages are.
"""
