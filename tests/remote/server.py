"""An S3 server for the tests. Tells its port, and what else the words behind its name ask for; ends with its input.

`checked`: every request must be signed rightly; tells an access key that may do everything.
`deaf`: is none, but a port that takes no connection.
`tls FOLDER`: speaks TLS with a certificate for `localhost`; the authority that made it is in FOLDER/ca.pem.
With `checked` and `tls`, there is a bucket already.
"""
import datetime
import json
import logging
import os
import sys
import threading

words = sys.argv[1:]
told = []
if "deaf" in words:
    import socket

    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    own = []
    # Until nobody is let in any more.
    while True:
        own.append(socket.socket())
        own[-1].settimeout(0.3)
        try:
            own[-1].connect(listener.getsockname())
        except TimeoutError:
            break
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
    os._exit(0)
if "checked" in words:
    # What is asked below, and nothing else, needs no permission.
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "test-strict"


def certificate(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def made(subject, key, by, own):
        builder = x509.CertificateBuilder(
            issuer_name=name("an authority of the tests"),
            subject_name=name(subject),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - day,
            not_valid_after=now + day,
        )
        for extension in own:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(by, hashes.SHA256())

    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    pem = serialization.Encoding.PEM
    with open(f"{folder}/ca.pem", "wb") as file:
        file.write(made("an authority of the tests", authority, authority, [is_authority]).public_bytes(pem))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    with open(f"{folder}/server.pem", "wb") as file:
        file.write(made("localhost", server, authority, [names]).public_bytes(pem))
        file.write(
            server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
    return f"{folder}/server.pem"


logging.getLogger("werkzeug").disabled = True
context = None
if "tls" in words:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(words[1]))
application = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, application, threaded=True, ssl_context=context)
threading.Thread(target=server.serve_forever, daemon=True).start()
told.append(str(server.port))
if words:
    import boto3

    def client(kind):
        return boto3.client(
            kind,
            region_name="us-east-1",
            endpoint_url=f"{'https' if context else 'http'}://localhost:{server.port}",
            aws_access_key_id="owner",
            aws_secret_access_key="owner",
            verify=f"{words[1]}/ca.pem" if context else None,
        )

    client("s3").create_bucket(Bucket=BUCKET)
if "checked" in words:
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    users = client("iam")
    users.create_user(UserName="ci")
    key = users.create_access_key(UserName="ci")["AccessKey"]
    users.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=policy)
    told += [key["AccessKeyId"], key["SecretAccessKey"]]
print(*told, flush=True)
sys.stdin.read()
os._exit(0)
