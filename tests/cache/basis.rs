//! A job with inputs that are named one by one: its key is not found out again while all that it rests on is the same.
//! One thing after the other becomes different, and is as before again.

use std::fs;
use std::os::unix::fs::symlink;

use super::App;
use crate::support::tree::{rewrite, set_mode};

const NAMED: &str = r##"pipeline app {
    shell sh
}
param flavour default="plain"
stage t {
    job a {
        inputs "src/one" "src/two" "src/none"
        key (file)"version" (env)"KEYED"
        pass-env "PASSED"
        env FLAVOUR="${param.flavour}" COMMIT="${git.sha}"
        outputs "out/all"
        run #"echo a >> ../ran; cat src/* > out/all; echo "$FLAVOUR $PASSED" >> out/all"#
    }
}
"##;

/// How the job ended, each time it was run.
struct Named(App);

impl Named {
    fn new() -> Self {
        let mut app = App::of(NAMED)
            .file("src/one", "1\n")
            .file("src/two", "2\n")
            .file("version", "1\n")
            .file("out/.keep", "");
        app.env("PASSED", "yes");
        app.env("KEYED", "k");
        app.project = app.project.git();
        Self(app)
    }

    #[track_caller]
    fn is(&mut self, word: &str) {
        let before = self.0.ran().len();
        let out = self.0.run().exits(0);
        assert!(out.stdout.contains(&format!(" {word} a ")), "{out:?}");
        assert_eq!(self.0.ran().len() - before, usize::from(word == "passed"));
    }

    /// Something is different now: the job runs, once.
    #[track_caller]
    fn differs(&mut self) {
        self.is("passed");
        self.is("cached");
        self.is("cached");
    }

    /// It is as it was before: there is a result.
    #[track_caller]
    fn is_as_before(&mut self) {
        self.is("cached");
        self.is("cached");
    }
}

#[test]
fn whatever_it_rests_on_is_noticed() {
    let mut a = Named::new();
    a.differs();

    a.0.project.write("src/one", "one\n");
    a.differs();
    rewrite(&a.0.path("src/one"), "two\n");
    a.differs();
    a.0.project.write("src/one", "1\n");
    a.is_as_before();

    set_mode(&a.0.path("src/two"), 0o755);
    a.differs();
    set_mode(&a.0.path("src/two"), 0o644);
    a.is_as_before();

    a.0.project.write("src/none", "0\n");
    a.differs();
    fs::remove_file(a.0.path("src/none")).unwrap();
    a.is_as_before();

    fs::rename(a.0.path("src/two"), a.0.path("two")).unwrap();
    symlink("../two", a.0.path("src/two")).unwrap();
    a.differs();
    fs::remove_file(a.0.path("src/two")).unwrap();
    fs::rename(a.0.path("two"), a.0.path("src/two")).unwrap();
    a.is_as_before();

    a.0.project.write("version", "2\n");
    a.differs();
    a.0.project.write("version", "1\n");
    a.is_as_before();

    for name in ["PASSED", "KEYED", "TZ"] {
        let before = a.0.env.clone();
        a.0.env(name, "other");
        a.differs();
        a.0.env = before;
        a.is_as_before();
    }

    a.0.args(&["--param", "flavour=sweet"]);
    a.differs();
    a.0.args(&[]);
    a.is_as_before();

    a.0.define("echo a >> ../ran;", "echo a >> ../ran; true;");
    a.differs();
    a.0.define("echo a >> ../ran; true;", "echo a >> ../ran;");
    a.is_as_before();

    let second = ["commit", "-q", "--allow-empty", "-m", "second"];
    a.0.project.run_git(&second);
    a.differs();
}

#[test]
fn what_became_of_its_outputs_is_noticed() {
    let mut a = Named::new();
    a.differs();
    let made = a.0.project.read("out/all");
    let spoil: [&dyn Fn(&App); 4] = [
        &|app| app.project.write("out/all", "by hand"),
        &|app| fs::remove_file(app.path("out/all")).unwrap(),
        &|app| set_mode(&app.path("out/all"), 0o755),
        &|app| {
            fs::remove_file(app.path("out/all")).unwrap();
            fs::create_dir(app.path("out/all")).unwrap();
        },
    ];
    for spoil in spoil {
        spoil(&a.0);
        a.is_as_before();
        assert_eq!(a.0.project.read("out/all"), made);
        assert_eq!(a.0.tree("out/all").len(), 1);
        assert!(a.0.tree("out/all")[0].contains(" 644 "));
    }
}

/// A variable has the one value, the other, and the first again; `out` follows it, and the job runs for each value once.
#[track_caller]
fn follows(app: &mut App, name: &str, [one, other]: [&str; 2], made: &dyn Fn(&str) -> String) {
    for (value, first) in [(one, "passed"), (other, "passed"), (one, "cached")] {
        app.env(name, value);
        for word in [first, "cached", "cached"] {
            let out = app.run().exits(0);
            assert!(out.stdout.contains(&format!(" {word} a ")), "{out:?}");
            assert_eq!(app.project.read("out"), format!("{}\n", made(value)));
        }
    }
}

#[test]
fn what_only_the_run_finds_out_is_noticed() {
    let mut app = App::new(
        r##"
    job make { pass-env "VALUE"; run "echo value=$VALUE >> $PIPE_OUTPUT" }
    job a {
        needs make
        inputs "in"
        outputs "out"
        env VALUE="${make.outputs.value}"
        run "echo a >> ../ran; echo $VALUE > out"
    }"##,
    )
    .file("in", "");
    follows(&mut app, "VALUE", ["1", "2"], &|value| value.to_owned());
}

#[test]
fn a_secret_that_changes_is_noticed() {
    let mut app = App::of(
        r##"pipeline app {
    shell sh
}
secret TOKEN
stage t {
    job a {
        inputs "in"
        outputs "out"
        secrets TOKEN
        run "echo a >> ../ran; echo ${#TOKEN} > out"
    }
}
"##,
    )
    .file("in", "");
    let values = ["a long secret", "a longer secret"];
    follows(&mut app, "TOKEN", values, &|value| value.len().to_string());
}

#[test]
fn of_many_steps_those_run_that_have_to() {
    let mut jobs = String::new();
    for i in 0..100 {
        jobs += &format!(
            "    job a{i} {{ inputs \"in/{i}\"; outputs \"out/a{i}\"; run \"echo a{i} >> ../ran; cp in/{i} out/a{i}\" }}\n"
        );
    }
    for i in 0..50 {
        let other = i + 50;
        jobs += &format!(
            "    job b{i} {{ needs a{i} a{other}; inputs \"out/a{i}\" \"out/a{other}\"; outputs \"out/b{i}\"; run \"echo b{i} >> ../ran; cat out/a{i} out/a{other} > out/b{i}\" }}\n"
        );
    }
    let mut app = App::new(&jobs).file("out/.keep", "");
    for i in 0..100 {
        app.project.write(&format!("in/{i}"), &format!("{i}\n"));
    }
    let ran = |app: &mut App| {
        let before = app.ran().len();
        let out = app.run().exits(0);
        let mut now = app.ran().split_off(before);
        now.sort();
        let told = out.stdout.matches("     passed ").count();
        let cached = out.stdout.matches("     cached ").count();
        assert_eq!((told, told + cached), (now.len(), 150), "{out:?}");
        now
    };
    assert_eq!(ran(&mut app).len(), 150);
    assert_eq!(ran(&mut app), [""; 0]);
    // In the middle of those that are looked at ahead: what comes after it is looked at again.
    app.project.write("in/70", "seventy\n");
    assert_eq!(ran(&mut app), ["a70", "b20"]);
    assert_eq!(app.project.read("out/b20"), "20\nseventy\n");
    assert_eq!(ran(&mut app), [""; 0]);
    // The same outputs as before: what needs them need not run.
    app.define("echo a30 >> ../ran;", "echo a30 >> ../ran; true;");
    assert_eq!(ran(&mut app), ["a30"]);
    fs::remove_file(app.path("out/a10")).unwrap();
    fs::remove_file(app.path("out/b49")).unwrap();
    app.project.write("in/70", "70\n");
    assert_eq!(ran(&mut app), [""; 0]);
    assert_eq!(app.project.read("out/a10"), "10\n");
    assert_eq!(app.project.read("out/b20"), "20\n70\n");
    assert_eq!(app.project.read("out/b49"), "49\n99\n");
}
