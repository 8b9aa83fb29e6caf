//! A shell text that is one plain command, which does the same without the shell: `cargo test`, `cp a b`. To start a shell
//! costs as much as a short command does; make leaves it out as well. Where anything could be meant for the shell, or
//! something goes wrong, the shell has it.

use super::{BASH, SH, Spec, start};
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// What bash and other shells do themselves or understand as their own language, whatever else has the name.
const OF_SHELLS: &str = "
    . : [ [[ alias autoload bg bind break builtin caller case cd chdir command compgen complete compopt continue
    coproc declare dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi for function
    getopts hash help history if in jobs kill let local logout mapfile popd print printf pushd pwd read readarray
    readonly return select set shift shopt source suspend test then time times trap true type typeset ulimit umask
    unalias unset until wait whence while
";

/// Variables by which a shell does something else, or which it changes for what it starts.
const FOR_SHELLS: &str = "ENV EXECIGNORE OLDPWD POSIXLY_CORRECT PWD SHELLOPTS SHLVL _";

/// To this program it matters whether it leads its process group: it does under bash, which becomes the program, and does
/// not under a `sh` that stays beside it.
const ASKS_WHO_LEADS: &str = "setsid";

/// Where the program is, and how it is started so that nothing differs from its start by the shell; nothing where that is
/// not certain.
pub(super) fn without_shell(spec: &Spec) -> Option<(PathBuf, Spec)> {
    let is_bash = shell(spec)?;
    let words = words(spec.args.last()?.to_str()?)?;
    if spec.env.iter().any(|(name, _)| is_for_shells(name)) {
        return None;
    }
    let mut plain = Spec {
        program: OsString::from(words[0]),
        args: words[1..].iter().map(OsString::from).collect(),
        ..spec.clone()
    };
    let path = match words[0].contains('/') {
        true => PathBuf::from(words[0]),
        false => start::path(&plain)?,
    };
    let mut set = |name: &str, value: OsString| plain.env.push((name.into(), value));
    set("PWD", spec.cwd.canonicalize().ok()?.into());
    if is_bash {
        set("SHLVL", "0".into());
        set("_", path.clone().into());
    }
    Some((path, plain))
}

/// Whether the shell is bash; nothing if this is none that is known, or it is told more than to run a text.
fn shell(spec: &Spec) -> Option<bool> {
    let (_, options) = spec.args.split_last()?;
    if spec.program == "bash" && options == BASH {
        return Some(true);
    }
    (spec.program == "sh" && options == SH).then_some(false)
}

/// The words of a plain command: of characters that mean nothing to a shell, and none that it knows begins it.
fn words(text: &str) -> Option<Vec<&str>> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b" \t_-./:,+@%=".contains(&b);
    let words: Vec<&str> = text.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
    let first = words.first()?;
    let is_plain = text.bytes().all(is_plain) && !first.contains(['=', '%']);
    let asks = |word: &&str| word.rsplit('/').next() == Some(ASKS_WHO_LEADS);
    let is_for_shell = is_on(OF_SHELLS, first) || words.iter().any(asks);
    (is_plain && !is_for_shell).then_some(words)
}

fn is_for_shells(name: &OsStr) -> bool {
    // A name that is none of text is none that a shell knows.
    let name = name.to_str().unwrap_or_default();
    name.starts_with("BASH") || is_on(FOR_SHELLS, name)
}

fn is_on(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        fs,
        os::unix::{fs::PermissionsExt, process::CommandExt},
        path::Path,
        process::{Command, Output},
    };

    fn spec(shell: &str, text: &str, cwd: &Path) -> Spec {
        let options: &[&str] = if shell == "bash" { &BASH } else { &SH };
        let path = format!("/nowhere:{}:/usr/bin:/bin", cwd.join("bin").display());
        Spec {
            program: shell.into(),
            args: options.iter().chain([&text]).map(OsString::from).collect(),
            cwd: cwd.to_owned(),
            env: vec![("PATH".into(), path.into()), ("A".into(), "b c".into())],
            marker: "marker".into(),
        }
    }

    fn run(program: &OsStr, spec: &Spec) -> Output {
        let mut command = Command::new(program);
        command.arg0(&spec.program).args(&spec.args);
        command.env_clear().envs(spec.env.iter().cloned());
        command.current_dir(&spec.cwd).output().unwrap()
    }

    /// A folder, and in it programs that say what they were given, one of them by name.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let say = "#!/bin/sh\nprintf '<%s>' \"$0\" \"$@\" \"$PWD\"\n";
        for path in [bin.join("say"), dir.path().join("here"), bin.join("say-2")] {
            fs::write(&path, say).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // It is passed over on the way.
        fs::write(bin.join("env"), "no program").unwrap();
        dir
    }

    fn sorted(out: &Output) -> Vec<&[u8]> {
        let mut lines: Vec<&[u8]> = out.stdout.split(|b| *b == b'\n').collect();
        lines.sort_unstable();
        lines
    }

    #[track_caller]
    fn same(shell: &str, text: &str, cwd: &Path) -> bool {
        let asked = spec(shell, text, cwd);
        let Some((path, plain)) = without_shell(&asked) else {
            return false;
        };
        let (with, without) = (run(&asked.program, &asked), run(path.as_os_str(), &plain));
        assert_eq!(with.status, without.status, "{text}");
        assert_eq!(sorted(&with), sorted(&without), "{text}");
        assert_eq!(with.stderr, without.stderr, "{text}");
        true
    }

    #[test]
    fn a_plain_command_sees_the_same_with_and_without_a_shell() {
        let dir = folder();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        for cwd in [dir.path(), &link] {
            for text in ["env", "say a b", "./here 1", "  bin/say\tx ", "ls nowhere"] {
                assert!(same("bash", text, cwd), "{text}");
                // Which of its own variables it passes on is up to the `sh` of a system.
                assert!(text == "env" || same("sh", text, cwd), "{text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_plain_words_are_the_shells_words(text in "(say|bin/say|say-2)[ \\t]{1,2}[-a-z0-9 \t_./:,+@%=~*?$'\"#;&|<>(){}!^\\[\\]\\\\]{0,12}") {
            let dir = folder();
            same("bash", &text, dir.path());
            same("sh", &text, dir.path());
        }
    }

    #[test]
    fn what_may_mean_something_to_a_shell_is_left_to_it() {
        let dir = folder();
        let left = |text: &str| without_shell(&spec("bash", text, dir.path())).is_none();
        for text in [
            "",
            "  ",
            "say\nsay",
            "say $A",
            "say 'a'",
            "say \"a\"",
            "say a;",
            "say a&",
            "say a|say",
            "say >a",
            "say <a",
            "say a*",
            "say a?",
            "say [a]",
            "say {a,b}",
            "say ~",
            "say #a",
            "say a\\b",
            "say `a`",
            "say (a)",
            "say !a",
            "say a^b",
            "A=1 say",
            "%1",
            "say \u{a0}a",
            "echo a",
            "true",
            "if",
            "cd bin",
            "exec say",
            "time say",
            "no-such-program",
            "setsid say a",
            "nice /usr/bin/setsid say a",
        ] {
            assert!(left(text), "{text:?}");
        }
        assert!(!left("say a"));
        let with = |change: &dyn Fn(&mut Spec)| {
            let mut spec = spec("bash", "say a", dir.path());
            change(&mut spec);
            without_shell(&spec)
        };
        for name in FOR_SHELLS
            .split(' ')
            .chain(["BASH_ENV", "BASH_FUNC_say%%", "BASHOPTS"])
        {
            let set = with(&|spec| spec.env.push((name.into(), "x".into())));
            assert_eq!(set, None, "{name}");
        }
        for path in ["", "bin:/usr/bin", ":/usr/bin"] {
            let set = with(&|spec| spec.env[0].1 = path.into());
            assert_eq!(set, None, "{path}");
        }
        assert_eq!(with(&|spec| spec.args.insert(0, "-x".into())), None);
        assert_eq!(with(&|spec| spec.program = "fish".into()), None);
        assert_eq!(with(&|spec| spec.cwd = "/nowhere".into()), None);
    }

    #[test]
    fn all_that_bash_knows_itself_is_on_the_list() {
        let out = Command::new("bash")
            .args(["-c", "compgen -bk"])
            .output()
            .unwrap();
        let known = String::from_utf8(out.stdout).unwrap();
        let is_word = |w: &&str| words(w) == Some(vec![*w]);
        let missing: Vec<&str> = known.lines().filter(is_word).collect();
        assert_eq!(missing, Vec::<&str>::new());
        assert!(known.lines().count() > 60, "{known}");
    }
}
