"""The command line of AWS, loaded once. Most of its half second of a processor goes into loading itself, again for each of the
hundreds of calls of these tests; here each call is a fork of a process that has loaded it, with the caller's arguments,
variables, folder, input and outputs.
    python3 preloaded.py SOCKET    waits for callers, until its input ends
    aws ARGUMENTS                  the caller: this file by another name, beside the socket"""
import os
import posix
import sys

SEPARATOR = b"\0\0"


def call():
    """Only with what costs nothing to load."""
    import _socket
    import array
    ask = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    ask.connect(os.path.dirname(sys.argv[0]) + "/socket")
    variables = [name + b"=" + value for name, value in posix.environ.items()]
    words = [os.fsencode(word) for word in sys.argv[1:]]
    text = SEPARATOR.join(b"\0".join(part) for part in ([os.fsencode(os.getcwd())], words, variables))
    streams = array.array("i", [0, 1, 2]).tobytes()
    ask.sendmsg([len(text).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    ask.sendall(text)
    code = ask.recv(1)
    os._exit(code[0] if code else 1)


def serve(path):
    import gc
    import select
    import signal
    import socket

    import awscli.clidriver
    # Where its own files are, which it has found as it was loaded.
    own = os.environb[b"AWS_DATA_PATH"]
    # Whoever ends is nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What is only loaded when it is needed. Nobody listens there.
    known = ["ecs", "describe-services", "--services", "web", "--region", "eu-central-1", "--endpoint-url", "http://127.0.0.1:9"]
    awscli.clidriver.create_clidriver().main(known)
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        caller, _ = listener.accept()
        if os.fork():
            caller.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        size, streams, _, _ = socket.recv_fds(caller, 4, 3)
        left, text = int.from_bytes(size, "big"), b""
        while len(text) < left:
            text += caller.recv(left - len(text))
        folder, words, variables = (part.split(b"\0") for part in text.split(SEPARATOR))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder[0])
        os.environb.clear()
        os.environb[b"AWS_DATA_PATH"] = own
        for variable in variables:
            name, _, value = variable.partition(b"=")
            os.environb[name] = value
        sys.argv[1:] = [os.fsdecode(word) for word in words]
        try:
            code = awscli.clidriver.main()
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        caller.send(bytes([code & 255]))
        os._exit(0)


if sys.argv[0].endswith("aws"):
    call()
serve(sys.argv[1])
