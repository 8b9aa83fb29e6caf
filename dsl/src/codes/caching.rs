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
}
