//! `E2xx`: a node does not have the form that it should have.

super::codes! {
    UNKNOWN_NODE "E201" "this word means nothing here"
    "The node is not known in this place. Either the word is mistyped, or another tool calls it so, or it belongs into another block."
    bad "pipeline app\nstage test {\n    job unit { script \"make test\"; run \"make more\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { run \"make test\"; run \"make more\" }\n}\n"

    UNKNOWN_PROPERTY "E202" "this property means nothing here"
    "A property (`name=value`) is one scalar. Blocks and lists are children: they stand between `{` and `}`."
    bad "pipeline app engin=docker\nstage test {\n    job unit { run \"make test\" }\n}\n"
    good "pipeline app engine=docker\nstage test {\n    job unit { run \"make test\" }\n}\n"

    MISSING_ARGUMENT "E203" "an argument is missing"
    "The first argument of most nodes is a name. It stands right behind the node's word, without `name=`."
    bad "pipeline app\nstage {\n    job unit { run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { run \"make test\" }\n}\n"

    EXTRA_ARGUMENT "E204" "an argument is one too many"
    "The node takes fewer arguments. Perhaps a property is meant (`name=value`), or the text wants quotes round all of it."
    bad "pipeline my app\nstage test {\n    job unit { run \"make test\" }\n}\n"
    good "pipeline my-app\nstage test {\n    job unit { run \"make test\" }\n}\n"

    MISSING_PROPERTY "E205" "a property is missing"
    "The node cannot be understood without this property."
    bad "pipeline app\nregistry ghcr \"ghcr.io/acme\"\nstage build {\n    build app\n    push app tag=edge\n    push app to=ghcr tag=main as=again\n}\n"
    good "pipeline app\nregistry ghcr \"ghcr.io/acme\"\nstage build {\n    build app\n    push app to=ghcr tag=main\n}\n"

    MISSING_CHILD "E206" "a node is missing in this block"
    "The block makes no sense without it: a `job` wants at least one `run`."
    bad "pipeline app\nstage test {\n    job unit { workdir \"api\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { workdir \"api\"; run \"make test\" }\n}\n"

    DUPLICATE "E207" "the same thing is written twice"
    "There is one place for each thing, so the second one would silently win or be lost. Keep one."
    bad "pipeline app\nstage test {\n    job unit {\n        timeout \"5m\"\n        timeout \"10m\"\n        run \"make test\"\n    }\n}\n"
    good "pipeline app\nstage test {\n    job unit {\n        timeout \"10m\"\n        run \"make test\"\n    }\n}\n"

    WRONG_VALUE "E208" "a value has the wrong type or form"
    "Durations, sizes and versions are text with quotes, booleans are `#true` and `#false`, paths are relative to the pipeline's folder."
    bad "pipeline app\nstage test {\n    job unit {\n        timeout 30\n        run \"make test\"\n    }\n}\n"
    good "pipeline app\nstage test {\n    job unit {\n        timeout \"30m\"\n        run \"make test\"\n    }\n}\n"
}
