//! A build that has no remote cache.

use crate::support::Project;

#[test]
fn a_build_without_a_remote_cache_says_so_once_and_keeps_results_here() {
    let project = Project::with(
        "pipeline app\nsecret ID\nsecret KEY\nremote-cache \"s3://acme-ci\" access-key=ID secret-key=KEY\nstage t {\n    job a { inputs \"pipeline.kdl\"; run \"echo one\" }\n    job b { inputs \"pipeline.kdl\"; run \"echo two\" }\n    job c { run \"echo three\" }\n}\n",
    );
    let told = "warning: this build of pipe has no remote cache; results are kept on this machine only\nhint: build it with `--features remote`\n";
    assert_eq!(project.pipe(&["run"]).exits(0).stderr, told);
    let again = project.pipe(&["run"]).exits(0);
    assert_eq!(again.stderr, told);
    assert!(again.stdout.contains("2 cached"), "{}", again.stdout);
    for not in [
        &["run", "--no-remote"][..],
        &["run", "--no-cache"],
        &["run", "c"],
    ] {
        assert_eq!(project.pipe(not).exits(0).stderr, "", "{not:?}");
    }
}
