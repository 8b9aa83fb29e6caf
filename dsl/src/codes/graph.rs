//! `E5xx`: steps that cannot be ordered, or would never run.

super::codes! {
    CYCLE "E501" "steps wait for each other"
    "Each of the marked steps waits for the next, and the last one for the first, so that none can begin. Remove one of the edges. A stage waits for those before it, unless it has its own `needs`."
    bad "pipeline app\nstage test {\n    job a { needs b; run \"true\" }\n    job b { needs a; run \"true\" }\n}\n"
    good "pipeline app\nstage test {\n    job a { run \"true\" }\n    job b { needs a; run \"true\" }\n}\n"

    MATRIX "E502" "a matrix that cannot be expanded"
    "A matrix has at least one axis with at least one value, and at most 256 combinations; `exclude` and `include` name its axes."
    bad "pipeline app\nstage test {\n    job unit {\n        matrix { a; b \"1\" }\n        run \"true\"\n    }\n}\n"
    good "pipeline app\nstage test {\n    job unit {\n        matrix { a x y; b \"1\" }\n        run \"true\"\n    }\n}\n"

    NO_SUCH_LEG "E503" "no leg of the matrix is meant"
    "`needs test os=linux` means the legs of `test` whose axis `os` has that value. There is none."
    bad "pipeline app\nstage test {\n    job unit { matrix { os linux mac }; run \"true\" }\n    job ship { needs unit os=windows; run \"true\" }\n}\n"
    good "pipeline app\nstage test {\n    job unit { matrix { os linux mac }; run \"true\" }\n    job ship { needs unit os=linux; run \"true\" }\n}\n"

    NO_ARTIFACT "E504" "a step takes an artifact that nobody makes"
    "`artifact NAME from=STEP` wants that step to have `artifact NAME \"path\"…`."
    bad "pipeline app\nstage test {\n    job build { artifact site \"public/**\"; run \"make\" }\n    job ship { artifact sight from=build; run \"true\" }\n}\n"
    good "pipeline app\nstage test {\n    job build { artifact site \"public/**\"; run \"make\" }\n    job ship { artifact site from=build; run \"true\" }\n}\n"

    NOTHING_NEEDED "E505" "`nothing=#true` together with names"
    "`needs nothing=#true` says that a stage waits for nothing; names beside it contradict that. In a step it has no meaning: a step without `needs` waits for its stage only."
    bad "pipeline app\nstage build {\n    job a { run \"true\" }\n}\nstage test {\n    needs build nothing=#true\n    job b { run \"true\" }\n}\n"
    good "pipeline app\nstage build {\n    job a { run \"true\" }\n}\nstage test {\n    needs nothing=#true\n    job b { run \"true\" }\n}\n"

    NEVER "W501" "conditions that never hold"
    "No run can fulfil this `when`: for example `into=` only holds for pull requests, and `tag=` never for them."
    bad "pipeline app\nstage test {\n    when event=push into=main\n    job unit { run \"true\" }\n}\n"
    good "pipeline app\nstage test {\n    when event=pull-request into=main\n    job unit { run \"true\" }\n}\n"

    NOTHING_TO_UNDO "W502" "`rollback=reverse` without anything to undo"
    "The stage says that its steps are undone when one fails, but none of them has a `rollback`."
    bad "pipeline app\nstage setup rollback=reverse {\n    job a { run \"true\" }\n}\n"
    good "pipeline app\nstage setup rollback=reverse {\n    job a {\n        run \"make up\"\n        rollback { run \"make down\" }\n    }\n}\n"

    NEVER_TOGETHER "W503" "a step waits for one that is never in the same run"
    "The two steps' conditions exclude each other, so that the dependant would always be left out. `optional=#true` waits only where the other is part of the run."
    bad "pipeline app\nstage a {\n    when event=pull-request\n    job x { run \"true\" }\n}\nstage b {\n    when event=push\n    job y { needs x; run \"true\" }\n}\n"
    good "pipeline app\nstage a {\n    when event=pull-request\n    job x { run \"true\" }\n}\nstage b {\n    when event=push\n    job y { needs x optional=#true; run \"true\" }\n}\n"
}
