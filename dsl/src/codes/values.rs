//! `E4xx`: values and the references in them.

super::codes! {
    BAD_REFERENCE "E401" "a `${…}` cannot be read"
    "A reference is names with dots between them, such as `${git.sha}` or `${build.outputs.version}`, and perhaps functions: `${git.branch.slug}`. A dollar sign is written `$$`."
    bad "pipeline app\nstage test {\n    job unit { env WHO=\"${git.author\"; run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { env WHO=\"${git.author}\"; run \"make test\" }\n}\n"

    UNKNOWN_CONTEXT "E402" "a `${…}` names nothing"
    "References begin with a context (`git`, `pr`, `run`, `param`, `env`, `matrix`, `version`, `image`, `registry`, `target`) or with the name of a step whose outputs are meant."
    bad "pipeline app\nstage test {\n    job unit { env SHA=\"${git.shaa}\"; run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { env SHA=\"${git.sha}\"; run \"make test\" }\n}\n"

    UNKNOWN_FUNCTION "E403" "a `${…}` calls something unknown"
    "The functions are `lower`, `slug`, `replace('a', 'b')` and `default('x')`, written behind a reference with a dot."
    bad "pipeline app\nstage test {\n    job unit { env TAG=\"${git.branch.slugg}\"; run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { env TAG=\"${git.branch.slug}\"; run \"make test\" }\n}\n"

    NOT_INTERPOLATED "E404" "a `${…}` stands where values must be known before the run"
    "Names, paths, patterns, durations and the like are read before anything runs. Only in a template can `${param.…}` stand there, because it is replaced by what `use` gives."
    bad "pipeline app\nstage test {\n    job unit { workdir \"${git.branch}\"; run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { workdir \"api\"; run \"make test\" }\n}\n"

    REFERENCE_IN_SCRIPT "E405" "a `${…}` stands in a command"
    "Values never become part of a script's text: a branch called `$(rm -rf ~)` would be run. A script gets values as environment variables, and `${VAR}` in it belongs to the shell."
    bad "pipeline app\nstage test {\n    job unit { run \"echo ${git.branch}\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { env BRANCH=\"${git.branch}\"; run \"echo \\\"$BRANCH\\\"\" }\n}\n"

    UNDECLARED "E406" "a `${…}` names something that is not declared here"
    "`${param.x}` wants a `param x`, `${env.X}` an `env X=…` around it, `${matrix.x}` an axis of the job's matrix, `${version.x}`, `${image.x}`, `${registry.x}` and `${target.x.…}` the declaration of that name."
    bad "pipeline app\nstage test {\n    job unit { env MODE=\"${param.mode}\"; run \"make test\" }\n}\n"
    good "pipeline app\nparam mode default=fast\nstage test {\n    job unit { env MODE=\"${param.mode}\"; run \"make test\" }\n}\n"

    EXEC_OF_SENTENCE "E407" "a program's name has spaces in it"
    "`run` with several arguments starts a program without a shell: the first argument is the program, the others are its arguments. For several commands write several `run` nodes."
    bad "pipeline app\nstage test {\n    job unit { run \"npm ci\" \"npm test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { run \"npm ci\"; run \"npm test\" }\n}\n"

    OUTPUT_OF_LEGS "E408" "an output of a job with several legs"
    "A job with a matrix has outputs for each leg, so that `${job.outputs.x}` does not say which one is meant. Write what is needed to an artifact, or read the output of a job without a matrix."
    bad "pipeline app\nstage test {\n    job unit {\n        matrix { os linux mac }\n        run \"echo a=b >> $PIPE_OUTPUT\"\n    }\n    job report { env A=\"${unit.outputs.a}\"; run \"echo $A\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit {\n        run \"echo a=b >> $PIPE_OUTPUT\"\n    }\n    job report { env A=\"${unit.outputs.a}\"; run \"echo $A\" }\n}\n"

    NO_VALUE "E409" "a reference has no value in this run"
    "What a reference names does not exist in every run: `${pr.number}` only for a pull request, `${git.tag}` only for a tag. Restrict the step with `when`, or give a value to take instead: `${git.tag.default('none')}`. It is found when a run is planned, since only then the event is known."
    bad ""
    good ""
}
