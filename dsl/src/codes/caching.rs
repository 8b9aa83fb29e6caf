//! `E7xx`: jobs whose results are kept, and what stands against it.

super::codes! {
    RUN_VARIABLE "E701" "a kept result that would depend on the run"
    "A job with `inputs` or `key` does not run again while these stay the same. Variables such as `PIPE_SHA` differ from run to run, so such a job does not get them. What it needs it declares; then it is part of the key."
    bad "pipeline app\nstage build {\n    job stamp {\n        inputs \"src/**\"\n        run \"echo $PIPE_SHA > stamp\"\n    }\n}\n"
    good "pipeline app\nstage build {\n    job stamp {\n        inputs \"src/**\"\n        env SHA=\"${git.sha}\"\n        run \"echo $SHA > stamp\"\n    }\n}\n"

    NEVER_KEPT "W701" "a result that is never kept"
    "A job with a `rollback` has an effect that can be taken back, so that an earlier success does not say that the effect is still there. It always runs; `inputs` and `key` decide nothing."
    bad "pipeline app\nstage deliver {\n    job migrate {\n        inputs \"migrations/**\"\n        run \"./migrate up\"\n        rollback { run \"./migrate down\" }\n    }\n}\n"
    good "pipeline app\nstage deliver {\n    job migrate {\n        run \"./migrate up\"\n        rollback { run \"./migrate down\" }\n    }\n}\n"

    RESTORE_WITHOUT_KEY "E702" "`restore` without `key`"
    "`restore` names a shorter key to fall back to when nothing is kept under the full one. Without a `key` nothing is kept."
    bad "pipeline app\nstage build {\n    job unit {\n        cache modules \"node_modules\" { restore os }\n        run \"npm test\"\n    }\n}\n"
    good "pipeline app\nstage build {\n    job unit {\n        cache modules \"node_modules\" {\n            key os (file)\"package-lock.json\"\n            restore os\n        }\n        run \"npm test\"\n    }\n}\n"

    REMOTE_ADDRESS "E703" "a remote cache with an address that is none"
    "The bucket is written `s3://BUCKET` or `s3://BUCKET/PREFIX`, the server `https://HOST` or `https://HOST:PORT`, without a path, a user or a password. Keys are secrets: `access-key=` and `secret-key=` name them."
    bad "pipeline app\nremote-cache \"https://s3.example.com/ci\"\nstage test {\n    job unit { inputs \"src/**\"; run \"make test\" }\n}\n"
    good "pipeline app\nremote-cache \"s3://acme-ci\" endpoint=\"https://s3.example.com\"\nstage test {\n    job unit { inputs \"src/**\"; run \"make test\" }\n}\n"

    REMOTE_PLAIN_HTTP "E704" "a remote cache over plain HTTP"
    "Who is on the way could read every result, and change those that are not signed. `http://` is for a server on this machine; where the network itself can be trusted, `plain-http=#true` says so."
    bad "pipeline app\nremote-cache \"s3://acme-ci\" endpoint=\"http://minio.lan:9000\"\nstage test {\n    job unit { inputs \"src/**\"; run \"make test\" }\n}\n"
    good "pipeline app\nremote-cache \"s3://acme-ci\" endpoint=\"http://minio.lan:9000\" plain-http=#true\nstage test {\n    job unit { inputs \"src/**\"; run \"make test\" }\n}\n"

    REMOTE_CREDENTIALS "E705" "half of the credentials of a remote cache"
    "An access key has an id and a key: `access-key=` names the secret with the one, `secret-key=` that with the other. Without both, those of the usual `AWS_…` variables are used."
    bad "pipeline app\nsecret CACHE_ID\nremote-cache \"s3://acme-ci\" access-key=CACHE_ID\nstage test {\n    job unit { inputs \"src/**\"; run \"make test\" }\n}\n"
    good "pipeline app\nsecret CACHE_ID\nsecret CACHE_KEY\nremote-cache \"s3://acme-ci\" access-key=CACHE_ID secret-key=CACHE_KEY\nstage test {\n    job unit { inputs \"src/**\"; run \"make test\" }\n}\n"
}
