#!/usr/bin/env python3
"""Stands for a machine with a service manager: keeps one program running for each target.

host.py run          is the machine: starts what it is told, until it is ended
host.py set TARGET   tells it to run the build $PIPE_DIGEST_SHOP; none: nothing
host.py show TARGET  asks what runs there, and prints its digest
"""
import hashlib
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

PORTS = {"staging": 8301, "production": 8302}
HERE = pathlib.Path(__file__).resolve().parent
STATE = HERE / ".host"


def build_of(digest):
    return HERE / "builds" / (digest.removeprefix("sha256:") + ".py")


def run():
    """Starts and stops what the files say; checks the bytes against the digest."""
    running = {}
    while True:
        for target, port in PORTS.items():
            want = STATE / target
            digest = want.read_text().strip() if want.exists() else ""
            now, program = running.get(target, ("", None))
            if digest == now:
                continue
            if program:
                program.kill()
                program.wait()
            running[target] = (digest, None)
            build = build_of(digest)
            if not digest or not build.exists():
                continue
            if hashlib.sha256(build.read_bytes()).hexdigest() != build.stem:
                continue
            started = subprocess.Popen([sys.executable, build, str(port)])
            running[target] = (digest, started)
        time.sleep(0.05)


def set_to(target):
    digest = os.environ.get("PIPE_DIGEST_SHOP", "")
    if digest and not build_of(digest).exists():
        sys.exit(f"there is no build {digest}")
    STATE.mkdir(exist_ok=True)
    new = STATE / f"{target}.new"
    new.write_text(digest + "\n")
    new.replace(STATE / target)


def show(target):
    """What answers there. Nothing that answers is nothing that runs."""
    for _ in range(20):
        try:
            url = f"http://127.0.0.1:{PORTS[target]}/digest"
            print(urllib.request.urlopen(url, timeout=2).read().decode().strip())
            return
        except OSError:
            want = STATE / target
            if not want.exists() or not want.read_text().strip():
                return
            time.sleep(0.1)


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["help"]
    actions = {"run": run, "set": set_to, "show": show}
    if what not in actions:
        sys.exit(__doc__)
    actions[what](*rest)
