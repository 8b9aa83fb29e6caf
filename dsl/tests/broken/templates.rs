//! Files that cannot be included, templates that do not fit.

use super::{COMMON, Case, SHARED, broken};

#[test]
fn files_and_templates_do_not_fit() {
    broken(FILES_AND_TEMPLATES_DO_NOT_FIT);
}

const FILES_AND_TEMPLATES_DO_NOT_FIT: &[Case] = &[
    (
        "missing_include",
        "E305",
        SHARED,
        "\"ci/common.kdl\"",
        "\"ci/comon.kdl\"",
    ),
    (
        "include_of_an_absolute_path",
        "E305",
        SHARED,
        "\"ci/common.kdl\"",
        "\"/etc/common.kdl\"",
    ),
    (
        "include_of_a_repository",
        "E305",
        SHARED,
        "\"ci/common.kdl\"",
        "\"git+https://example.com/ci.git#main\"",
    ),
    (
        "missing_parameter",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check",
    ),
    (
        "unknown_parameter",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check crate=dsl levle=3",
    ),
    (
        "parameter_of_the_wrong_type",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check crate=dsl level=high",
    ),
    (
        "parameter_list_as_a_value",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check crate=dsl features=serde",
    ),
    (
        "enum_of_the_wrong_word",
        "E208",
        SHARED,
        "default=debug",
        "default=debg",
    ),
    (
        "parameter_of_the_run",
        "E406",
        SHARED,
        "${param.profile}",
        "${param.profil}",
    ),
    (
        "parameter_of_the_template",
        "E406",
        SHARED,
        "LEVEL=\"${param.level}\"",
        "LEVEL=\"${param.lvl}\"",
    ),
    (
        "template_uses_itself",
        "E308",
        SHARED,
        "        run \"./check.sh\"\n    }\n",
        "        run \"./check.sh\"\n    }\n    use check crate=x\n",
    ),
    (
        "output_of_a_typo",
        "E301",
        SHARED,
        "${build.outputs.version}",
        "${biuld.outputs.version}",
    ),
    (
        "output_of_a_matrix",
        "E408",
        SHARED,
        "${build.outputs.version}",
        "${cross.outputs.version}",
    ),
    (
        "reference_in_a_path",
        "E404",
        SHARED,
        "        artifact bin from=build\n",
        "        artifact bin from=build\n        workdir \"${git.branch}\"\n",
    ),
    (
        "body_of_a_template",
        "E202",
        COMMON,
        "workdir \"${param.dir}\"",
        "workdir path=\"${param.dir}\"",
    ),
    (
        "body_of_a_template_with_a_typo",
        "E201",
        COMMON,
        "run \"cargo test\"",
        "rnu \"cargo test\"",
    ),
    (
        "value_that_does_not_fit_the_body",
        "E208",
        COMMON,
        "workdir \"${param.dir}\"",
        "workdir \"../${param.dir}\"",
    ),
];
