//! `E3xx`: names that are unknown, taken or ambiguous, and files that cannot be included.

super::codes! {
    UNKNOWN_NAME "E301" "nothing has this name"
    "References name steps, stages, secrets, registries, images, targets, versions, promotions and templates. A step is looked up in its own stage, then in the stages before it; otherwise write `stage.step`."
    bad "pipeline app\nstage test {\n    job build { run \"make\" }\n    job test { needs biuld; run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job build { run \"make\" }\n    job test { needs build; run \"make test\" }\n}\n"

    AMBIGUOUS_NAME "E302" "several steps have this name"
    "More than one of the stages before has a step of this name. Write `stage.step`."
    bad "pipeline app\nstage one {\n    job lint { run \"make lint\" }\n}\nstage two {\n    job lint { run \"make lint2\" }\n}\nstage three {\n    job report { after lint; run \"make report\" }\n}\n"
    good "pipeline app\nstage one {\n    job lint { run \"make lint\" }\n}\nstage two {\n    job lint { run \"make lint2\" }\n}\nstage three {\n    job report { after two.lint; run \"make report\" }\n}\n"

    DUPLICATE_NAME "E303" "a name is taken"
    "Names are unique: of steps in their stage, of everything else in the pipeline. A step of a template can be renamed with `use … as=`; a `push` or `deploy` with `as=`."
    bad "pipeline app\nstage test {\n    job unit { run \"make test\" }\n    job unit { run \"make test2\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { run \"make test\" }\n    job unit2 { run \"make test2\" }\n}\n"

    RESERVED_NAME "E304" "this name begins references"
    "Words such as `git`, `env` or `image` begin references (`${git.sha}`), so that no step or stage can have them as a name."
    bad "pipeline app\nstage test {\n    job env { run \"env\" }\n}\n"
    good "pipeline app\nstage test {\n    job show-env { run \"env\" }\n}\n"

    INCLUDE "E305" "a file cannot be included"
    "Included files belong to the repository, or to the standard library (`std/…`). They are regular text files of at most 1 MiB beneath the pipeline's folder."
    bad "pipeline app\ninclude \"std/no-such-file.kdl\"\nstage test {\n    job unit { run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { run \"make test\" }\n}\n"

    INCLUDE_CYCLE "E306" "a file includes itself"
    "File A includes file B, and B, perhaps through others, includes A. Move what both need into a third file."
    bad "pipeline app\ninclude \"pipeline.kdl\"\nstage test {\n    job unit { run \"make test\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { run \"make test\" }\n}\n"

    TEMPLATE_ARGUMENT "E307" "a template is used with the wrong parameters"
    "`use` gives each parameter of the template a value of its type; those with a default may be left out. A list is written as a child."
    bad "pipeline app\ntemplate check {\n    param tool type=enum { values clippy fmt }\n    job check { env TOOL=\"${param.tool}\"; run \"cargo $TOOL\" }\n}\nstage test {\n    use check tool=clipy\n}\n"
    good "pipeline app\ntemplate check {\n    param tool type=enum { values clippy fmt }\n    job check { env TOOL=\"${param.tool}\"; run \"cargo $TOOL\" }\n}\nstage test {\n    use check tool=clippy\n}\n"

    TEMPLATE_CYCLE "E308" "a template uses itself"
    "A template can use others, but not itself, directly or through them."
    bad "pipeline app\ntemplate a {\n    job one { run \"true\" }\n    use a\n}\nstage test {\n    use a\n}\n"
    good "pipeline app\ntemplate a {\n    job one { run \"true\" }\n}\nstage test {\n    use a\n}\n"

    NO_STAGE "E309" "the pipeline has no stage"
    "Work stands in stages: `stage test { job unit { run \"cargo test\" } }`. `pipe init` writes a pipeline to begin with."
    bad "pipeline app\n"
    good "pipeline app\nstage test {\n    job unit { run \"cargo test\" }\n}\n"

    MISPLACED "E310" "this cannot stand in an included file"
    "An included file declares things to use. `pipeline` and `remote-cache` stand in the root file only, and a file included `as` a namespace has no stages."
    bad ""
    good ""

    TEMPLATE_SIZE "E311" "templates make too much of a file"
    "A template is text that is put in place at every `use`. All uses of a pipeline together may make 8 MiB of it, so that every file can be checked in about a second."
    bad ""
    good ""

    UNUSED "W301" "something is declared and never used"
    "A secret, registry, version, target, image, template or parameter that nothing names is either left over or mistyped where it should be named. A stage without steps does nothing. A promotion needs no step: `pipe promote` makes it."
    bad "pipeline app\nsecret NPM_TOKEN\nstage test {\n    job unit { run \"npm test\" }\n}\n"
    good "pipeline app\nsecret NPM_TOKEN\nstage test {\n    job unit { secrets NPM_TOKEN; run \"npm test\" }\n}\n"
}
