//! Real git, over a real bare remote; and the folder. Two and twenty writers at once.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Barrier;

use jiff::{SignedDuration, Timestamp};

use super::*;

/// A remote, and clones of it.
struct Forge {
    home: tempfile::TempDir,
}

impl Forge {
    fn new() -> Self {
        let forge = Self {
            home: tempfile::tempdir().unwrap(),
        };
        forge.git(
            &["init", "--quiet", "--bare", "-b", "main", "remote.git"],
            "",
        );
        forge
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn git(&self, args: &[&str], at: &str) -> String {
        let out = Command::new("git")
            .args(["-c", "user.email=me@localhost", "-c", "user.name=me"])
            .args(args)
            .current_dir(self.path(at))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn clone(&self, name: &str) -> Ledger {
        self.git(&["clone", "--quiet", "remote.git", name], "");
        self.git(&["config", "user.name", name], name);
        self.ledger(name, false)
    }

    fn ledger(&self, name: &str, files: bool) -> Ledger {
        let home = self.home.path().to_str().unwrap().to_owned();
        let env = |name: &str| match name {
            "PATH" => std::env::var("PATH").ok(),
            "HOME" => Some(home.clone()),
            _ => None,
        };
        let root = self.path(name);
        std::fs::create_dir_all(&root).unwrap();
        Ledger::open(&root, &env, files, &format!("run 1 on {name}")).unwrap()
    }

    /// A ledger of each kind, with what tells which one it is.
    fn each(&self) -> Vec<(&'static str, Ledger)> {
        self.git(&["init", "--quiet", "alone"], "");
        vec![
            ("a remote", self.clone("cloned")),
            ("a repository without a remote", self.ledger("alone", false)),
            ("a folder", self.ledger("folder", false)),
            ("a folder of a repository", self.ledger("alone", true)),
        ]
    }
}

pub(super) fn bundle(n: u8) -> Bundle {
    let digest = format!("sha256:{}", format!("{n:02x}").repeat(32));
    let image = ImageAt {
        repository: "registry.test/app".into(),
        digest,
    };
    Bundle {
        images: [("app".to_owned(), image)].into(),
        commit: format!("{n:02x}").repeat(20),
        config: "c".into(),
        version: None,
    }
}

fn intent(n: u8, back: Option<&Bundle>) -> Record {
    Record::Intent {
        deployment: format!("d{n}"),
        bundle: bundle(n),
        way: Way::Deploy,
        back: back.map(Bundle::id),
        unmanaged: None,
        from_nothing: false,
        values: std::collections::BTreeMap::new(),
    }
}

fn outcome(n: u8, outcome: Outcome) -> Record {
    Record::Outcome {
        deployment: format!("d{n}"),
        outcome,
    }
}

#[test]
fn records_are_read_back_in_order_by_whoever_looks() {
    let forge = Forge::new();
    for (what, ledger) in forge.each() {
        assert_eq!(ledger.targets().unwrap(), Vec::<String>::new(), "{what}");
        let empty = ledger.history("staging").unwrap();
        assert_eq!(empty.current(), Current::Nothing, "{what}");
        let history = ledger.append(&empty, intent(1, None)).unwrap();
        let history = ledger
            .append(&history, outcome(1, Outcome::Healthy))
            .unwrap();
        assert_eq!(ledger.history("staging").unwrap(), history, "{what}");
        assert_eq!(ledger.targets().unwrap(), ["staging"], "{what}");
        let records: Vec<&Record> = history.entries.iter().map(|(_, e)| &e.record).collect();
        let expected = [intent(1, None), outcome(1, Outcome::Healthy)];
        assert_eq!(records, expected.iter().collect::<Vec<_>>(), "{what}");
        // What was read before is old now.
        let late = ledger.append(&empty, intent(2, None));
        assert_eq!(late, Err(LedgerError::Moved("staging".into())), "{what}");
        assert_eq!(ledger.history("staging").unwrap(), history, "{what}");
    }
}

#[test]
fn another_machine_sees_what_one_wrote_and_so_does_plain_git() {
    let forge = Forge::new();
    let (one, two) = (forge.clone("one"), forge.clone("two"));
    let history = one.note("staging", &intent(1, None)).unwrap();
    assert_eq!(two.history("staging").unwrap(), history);
    let log = forge.git(
        &["log", "--format=%an: %s", "refs/pipe/targets/staging"],
        "two",
    );
    let id = bundle(1).id();
    assert_eq!(log, format!("one: staging: deploying 0101010 ({id})"));
    let record = forge.git(
        &["show", "refs/pipe/targets/staging:record.json"],
        "remote.git",
    );
    let entry: Entry = serde_json::from_str(&record).unwrap();
    assert_eq!(&entry, &history.entries[0].1);
}

#[test]
fn a_shallow_clone_of_one_branch_sees_everything() {
    let forge = Forge::new();
    let one = forge.clone("one");
    forge.git(&["commit", "--quiet", "--allow-empty", "-m", "a"], "one");
    forge.git(&["commit", "--quiet", "--allow-empty", "-m", "b"], "one");
    forge.git(&["push", "--quiet", "origin", "HEAD:main"], "one");
    one.note("staging", &intent(1, None)).unwrap();
    let history = one.note("staging", &outcome(1, Outcome::Healthy)).unwrap();
    let url = format!("file://{}", forge.path("remote.git").display());
    forge.git(
        &[
            "clone",
            "--quiet",
            "--depth=1",
            "--single-branch",
            "--filter=blob:none",
            &url,
            "ci",
        ],
        "",
    );
    let ci = forge.ledger("ci", false);
    assert_eq!(ci.history("staging").unwrap(), history);
    let longer = ci.note("staging", &intent(2, Some(&bundle(1)))).unwrap();
    assert_eq!(one.history("staging").unwrap(), longer);
}

/// Runs all of them at once, and gives what each says.
fn at_once<T: Send>(ledgers: Vec<Ledger>, act: impl Fn(&Ledger) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(ledgers.len());
    std::thread::scope(|scope| {
        let (barrier, act) = (&barrier, &act);
        let threads: Vec<_> = ledgers
            .into_iter()
            .map(|ledger| {
                scope.spawn(move || {
                    barrier.wait();
                    act(&ledger)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn writers(forge: &Forge, count: usize, kind: &str) -> Vec<Ledger> {
    match kind {
        "remote" => (0..count)
            .map(|n| forge.clone(&format!("writer{n}")))
            .collect(),
        "local" => {
            forge.git(&["init", "--quiet", "alone"], "");
            (0..count)
                .map(|n| {
                    forge
                        .ledger("alone", false)
                        .of_run(&format!("run {n} on alone"))
                })
                .collect()
        }
        _ => (0..count)
            .map(|n| {
                forge
                    .ledger("folder", false)
                    .of_run(&format!("run {n} on folder"))
            })
            .collect(),
    }
}

#[test]
fn of_writers_at_one_moment_one_wins_and_the_others_are_told() {
    for kind in ["remote", "local", "folder"] {
        for count in [2, 20] {
            let forge = Forge::new();
            let ledgers = writers(&forge, count, kind);
            let before = ledgers[0].history("staging").unwrap();
            let reader = ledgers[0].clone();
            let said = at_once(ledgers, |l| l.append(&before, intent(1, None)));
            let won: Vec<&History> = said.iter().flatten().collect();
            assert_eq!(won.len(), 1, "{kind} {count}: {said:?}");
            let moved = LedgerError::Moved("staging".into());
            let told = said.iter().filter(|s| s.as_ref().err() == Some(&moved));
            assert_eq!(told.count(), count - 1, "{kind} {count}: {said:?}");
            assert_eq!(&reader.history("staging").unwrap(), won[0], "{kind}");
        }
    }
}

#[test]
fn what_many_write_stands_there_exactly_once_each() {
    for kind in ["remote", "local", "folder"] {
        let forge = Forge::new();
        let ledgers = writers(&forge, 20, kind);
        let reader = ledgers[0].clone();
        let said = at_once(ledgers, |l| {
            let why = l.run.clone();
            l.note("staging", &Record::Unlocked { why }).map(|_| ())
        });
        assert_eq!(said, vec![Ok(()); 20], "{kind}");
        let history = reader.history("staging").unwrap();
        let mut found: Vec<String> = history
            .entries
            .iter()
            .map(|(_, e)| match &e.record {
                Record::Unlocked { why } => why.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        found.sort();
        found.dedup();
        assert_eq!((history.entries.len(), found.len()), (20, 20), "{kind}");
    }
}

#[test]
fn of_many_who_want_a_target_one_has_it_and_the_others_are_told_who() {
    for kind in ["remote", "local", "folder"] {
        for count in [2, 20] {
            let forge = Forge::new();
            let ledgers = writers(&forge, count, kind);
            let reader = ledgers[0].clone();
            let said = at_once(ledgers, |l| l.lock("staging"));
            let held: Vec<&Held> = said.iter().flatten().collect();
            assert_eq!(held.len(), 1, "{kind} {count}: {said:?}");
            let holder = held[0].lease.holder();
            let expected = LedgerError::Held {
                target: "staging".into(),
                holder,
            };
            for told in said.iter().filter_map(|s| s.as_ref().err()) {
                assert_eq!(told, &expected, "{kind} {count}");
            }
            reader.unlock(held[0]).unwrap();
            assert!(reader.lock("staging").is_ok(), "{kind} {count}");
        }
    }
}

#[test]
fn a_lease_is_renewed_and_one_that_is_over_is_taken() {
    let forge = Forge::new();
    for (what, ledger) in forge.each() {
        let mut held = ledger.lock("staging").unwrap();
        ledger.renew(&mut held).unwrap();
        assert!(ledger.lock("staging").is_err(), "{what}");
        let (tip, lease) = ledger.lease("staging").unwrap().unwrap();
        assert_eq!((&tip, &lease), (&held.tip, &held.lease), "{what}");
        // Its holder died some time ago, on another machine.
        let gone = Lease {
            expires: (Timestamp::now() - SignedDuration::from_secs(1)).to_string(),
            machine: "another".into(),
            ..lease.clone()
        };
        ledger
            .put("refs/pipe/locks/staging", Some(&tip), &gone, "left by")
            .unwrap();
        let taken = ledger.lock("staging").unwrap();
        assert_eq!(taken.instead_of, Some(gone), "{what}");
        // Whoever comes back late cannot go on.
        let late = ledger.renew(&mut held);
        assert_eq!(late, Err(LedgerError::Moved("staging".into())), "{what}");
        let late = ledger.unlock(&held);
        assert_eq!(late, Err(LedgerError::Moved("staging".into())), "{what}");
        let broken = ledger.break_lock("staging").unwrap();
        assert_eq!(broken, Some(taken.lease), "{what}");
        assert_eq!(ledger.break_lock("staging").unwrap(), None, "{what}");
    }
}

#[test]
fn the_lease_of_a_process_of_this_machine_that_is_gone_is_over_at_once() {
    let now = Timestamp::now();
    let lease = Lease::new("x".into(), "me", "run 1", now);
    assert!(!lease.is_over(now));
    assert!(lease.is_over(now + HOLDS));
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let gone = Lease {
        process: format!("{pid} 1"),
        ..lease.clone()
    };
    assert!(gone.is_over(now));
    let elsewhere = Lease {
        machine: "another".into(),
        ..gone
    };
    assert!(!elsewhere.is_over(now));
}

#[test]
fn a_remote_that_forbids_such_refs_is_named_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let forge = Forge::new();
    let ledger = forge.clone("one");
    let hook = forge.path("remote.git/hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho 'only branches here' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = ledger.note("staging", &intent(1, None)).unwrap_err();
    let LedgerError::Refused { remote, name, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (remote.as_str(), name.as_str()),
        ("origin", "refs/pipe/targets/staging")
    );
    let remedy = error.remedy();
    insta::assert_snapshot!(remedy, @"let refs/pipe/* be written there (a rule or a hook of the server forbids it, or the token may only read); for one machine alone, `pipeline NAME ledger=files` keeps the ledger in .pipe");
    assert_eq!(ledger.targets().unwrap(), Vec::<String>::new());
}

#[test]
fn a_remote_that_is_not_there_is_an_error_and_nothing_is_kept_beside_it() {
    let forge = Forge::new();
    let ledger = forge.clone("one");
    std::fs::rename(forge.path("remote.git"), forge.path("gone.git")).unwrap();
    assert!(matches!(
        ledger.history("staging"),
        Err(LedgerError::Unreachable { .. })
    ));
    assert!(matches!(
        ledger.note("staging", &intent(1, None)),
        Err(LedgerError::Unreachable { .. })
    ));
    let refs = forge.git(&["for-each-ref", "refs/pipe"], "one");
    assert_eq!(refs, "");
}

#[test]
fn a_record_of_a_newer_version_is_not_guessed_at() {
    let forge = Forge::new();
    for (what, ledger) in forge.each() {
        let document = Document {
            text: r#"{"format": 3, "news": true}"#,
            message: "x",
            by: "x",
            chained: true,
        };
        ledger
            .swap("refs/pipe/targets/staging", None, Some(&document))
            .unwrap();
        let error = ledger.history("staging").unwrap_err();
        assert_eq!(error, LedgerError::Newer("staging".into(), 3), "{what}");
    }
}

/// An intent that goes back to what `pipe` had not deployed.
fn over_unmanaged(n: u8) -> Record {
    let mut record = intent(n, None);
    if let Record::Intent { unmanaged, .. } = &mut record {
        let place = Place {
            revision: "arn:aws:ecs:eu-central-1:1:task-definition/web:7".into(),
            replicas: None,
        };
        *unmanaged = Some(Unmanaged {
            places: [("service/web".to_owned(), place)].into(),
            digests: [("app".to_owned(), vec!["sha256:0".to_owned()])].into(),
            ready: true,
        });
    }
    record
}

#[test]
fn only_what_an_older_version_would_misread_has_the_newer_format() {
    let forge = Forge::new();
    for (what, ledger) in forge.each() {
        let empty = ledger.history("staging").unwrap();
        let history = ledger.append(&empty, over_unmanaged(1)).unwrap();
        let back = Outcome::RolledBack {
            to: None,
            why: "no".into(),
            blamed: true,
        };
        let _ = ledger.append(&history, outcome(1, back)).unwrap();
        let history = ledger.history("staging").unwrap();
        let formats: Vec<u32> = history.entries.iter().map(|(_, e)| e.format).collect();
        assert_eq!(formats, [2, 1], "{what}");
        let records = [&history.entries[0].1.record, &over_unmanaged(1)];
        assert_eq!(records[0], records[1], "{what}");
    }
}

#[test]
fn what_pipe_had_not_deployed_is_gone_back_to_and_is_no_release() {
    let open = history(vec![over_unmanaged(1)]);
    let Current::Interrupted(left) = open.current() else {
        panic!("{:?}", open.current());
    };
    assert_eq!(left.back, None);
    assert_eq!(left.unmanaged.unwrap().title(), "service/web (web:7)");
    let back = Outcome::RolledBack {
        to: None,
        why: "no".into(),
        blamed: true,
    };
    let ended = history(vec![over_unmanaged(1), outcome(1, back.clone())]);
    assert_eq!(ended.current(), Current::Nothing);
    assert!(ended.ways_back("x").is_empty());
    let told = ended.told(&ended.entries[1].1);
    let id = bundle(1).id();
    let expected = format!(
        "staging: 0101010 ({id}) failed, rolled back to service/web (web:7), which pipe had not deployed: no"
    );
    assert_eq!(told, expected);
    let nothing = history(vec![intent(1, None), outcome(1, back)]);
    let told = nothing.told(&nothing.entries[1].1);
    assert!(told.contains("rolled back to nothing: no"), "{told}");
}

/// A history of these records, a minute after each other.
fn history(records: Vec<Record>) -> History {
    let entries = records.into_iter().enumerate().map(|(n, record)| {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(i64::try_from(n).unwrap());
        let entry = Entry {
            format: FORMAT,
            id: n.to_string(),
            at: at.to_string(),
            by: "me".into(),
            run: format!("run {n}"),
            record,
        };
        (n.to_string(), entry)
    });
    History::new("staging", None, entries.collect())
}

fn rolled_back(to: &Bundle, blamed: bool) -> Outcome {
    Outcome::RolledBack {
        to: Some(to.id()),
        why: "not ready".into(),
        blamed,
    }
}

fn runs(history: &History) -> String {
    match history.current() {
        Current::Nothing => "nothing".into(),
        Current::Healthy(r) => format!("{} healthy", r.bundle.title()),
        Current::Failed { release, .. } => format!("{} failed", release.bundle.title()),
        Current::Interrupted(i) => format!("{} interrupted", i.bundle.title()),
        Current::Locked { release, outcome } => {
            format!("{} {}", release.bundle.title(), outcome.word())
        }
    }
}

#[test]
fn what_a_target_runs_follows_from_its_records() {
    let (one, two) = (bundle(1), bundle(2));
    let mut records = Vec::new();
    let mut after = |record| {
        records.push(record);
        runs(&history(records.clone()))
    };
    let undone = Outcome::PartlyRolledBack {
        why: "x".into(),
        undo: "y".into(),
    };
    let told = [
        after(intent(1, None)),
        after(outcome(1, Outcome::Healthy)),
        after(intent(2, Some(&one))),
        after(outcome(2, rolled_back(&one, true))),
        // An outcome of a deployment that is over already, by somebody who was cut off.
        after(outcome(1, undone.clone())),
        after(intent(3, Some(&one))),
        after(outcome(3, undone)),
        after(Record::Unlocked { why: String::new() }),
        after(intent(4, Some(&one))),
        after(Record::Unlocked { why: String::new() }),
    ];
    assert_eq!(
        told,
        [
            "0101010 interrupted",
            "0101010 healthy",
            "0202020 interrupted",
            "0101010 healthy",
            "0101010 healthy",
            "0303030 interrupted",
            "0303030 partly rolled back",
            "0101010 healthy",
            "0404040 interrupted",
            "0101010 healthy",
        ]
    );
    let all = history(records);
    let bad: Vec<String> = all.bad().into_keys().collect();
    let mut expected = vec![two.id(), bundle(3).id()];
    expected.sort();
    assert_eq!(bad, expected);
}

#[test]
fn the_way_back_is_the_newest_release_that_was_healthy_and_is_still_good() {
    let records = vec![
        intent(1, None),
        outcome(1, Outcome::Healthy),
        intent(2, Some(&bundle(1))),
        outcome(2, Outcome::Healthy),
        intent(3, Some(&bundle(2))),
        outcome(3, rolled_back(&bundle(2), true)),
    ];
    let all = history(records);
    let ways = |wanted: u8| {
        let ways = all.ways_back(&bundle(wanted).id());
        ways.iter().map(|r| r.bundle.title()).collect::<Vec<_>>()
    };
    assert_eq!(ways(4), ["0202020", "0101010"]);
    assert_eq!(ways(2), ["0101010"]);
    assert_eq!(all.hold().as_deref(), Some("run 5: not ready"));
}

#[test]
fn only_the_time_counts_in_which_a_bundle_ran_and_was_healthy() {
    let records = vec![
        intent(1, None),
        outcome(1, Outcome::Healthy),              // from minute 1
        intent(2, Some(&bundle(1))),               // to minute 2
        outcome(2, rolled_back(&bundle(1), true)), // from minute 3
        Record::Unlocked { why: String::new() },
        intent(3, Some(&bundle(1))),  // to minute 5
        outcome(3, Outcome::Healthy), // minute 6
    ];
    let all = history(records);
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(10);
    let minutes = |n: u8| all.healthy_for(&bundle(n).id(), now).as_mins();
    assert_eq!([minutes(1), minutes(2), minutes(3)], [3, 0, 4]);
}

#[test]
fn an_approval_is_for_exactly_one_thing_and_for_a_time() {
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    let approval = Approval {
        subject: "promotion up".into(),
        bundle: bundle(1).id(),
        config: "c".into(),
        expires: (now + SignedDuration::from_hours(1)).to_string(),
        group: "ops".into(),
    };
    let all = history(vec![Record::Approved {
        approval: approval.clone(),
        signature: None,
    }]);
    let given = |subject: &str, n: u8, config: &str, now| {
        all.approvals(subject, &bundle(n).id(), config, now).len()
    };
    assert_eq!(given("promotion up", 1, "c", now), 1);
    assert_eq!(given("promotion down", 1, "c", now), 0);
    assert_eq!(given("promotion up", 2, "c", now), 0);
    assert_eq!(given("promotion up", 1, "d", now), 0);
    let late = now + SignedDuration::from_hours(1);
    assert_eq!(given("promotion up", 1, "c", late), 0);
}

#[test]
fn the_name_of_a_bundle_is_what_is_in_it_and_not_where_that_is_kept() {
    let one = bundle(1);
    let mut copied = one.clone();
    copied.images.get_mut("app").unwrap().repository = "elsewhere.test/app".into();
    assert_eq!(copied.id(), one.id());
    let mut other = one.clone();
    other.config = "d".into();
    assert_ne!(other.id(), one.id());
    let mut other = one.clone();
    other.commit.clear();
    other.version = Some(one.commit.clone());
    assert_ne!(other.id(), one.id());
}

#[test]
fn a_digest_is_read_with_or_without_a_repository_and_nothing_else_is_one() {
    let hex = "0".repeat(64);
    let read = |text: &str| ImageAt::parse(text).map(|i| i.reference());
    for good in [
        format!("sha256:{hex}"),
        format!("r.test:5000/app@sha256:{hex}"),
    ] {
        assert_eq!(read(&good), Ok(good));
    }
    for bad in [
        "app:1".to_owned(),
        String::new(),
        format!("sha256:{}", &hex[1..]),
        format!("sha512:{hex}"),
        format!("-x@sha256:{hex}"),
        format!("a b@sha256:{hex}"),
        format!("app@sha256:{}", hex.replace('0', "A")),
    ] {
        assert!(read(&bad).is_err(), "{bad}");
    }
}

#[test]
fn what_somebody_rolled_back_by_hand_is_bad_and_nothing_goes_back_to_it() {
    let by_hand = Record::Intent {
        deployment: "d9".into(),
        bundle: bundle(1),
        way: Way::Rollback,
        back: None,
        unmanaged: None,
        from_nothing: false,
        values: std::collections::BTreeMap::new(),
    };
    let mut records = vec![
        intent(1, None),
        outcome(1, Outcome::Healthy),
        intent(2, Some(&bundle(1))),
        outcome(2, Outcome::Healthy),
        by_hand,
        outcome(9, Outcome::Healthy),
    ];
    let all = history(records.clone());
    let ways = |all: &History, wanted: u8| {
        let ways = all.ways_back(&bundle(wanted).id());
        ways.iter().map(|r| r.bundle.title()).collect::<Vec<_>>()
    };
    assert_eq!(ways(&all, 4), ["0101010"]);
    assert_eq!(all.bad().into_keys().collect::<Vec<_>>(), [bundle(2).id()]);
    assert_eq!(all.hold().as_deref(), Some("run 5: rolled back by me"));
    // Whoever has looked lifts the hold, and not the mark.
    records.push(Record::Unlocked { why: String::new() });
    let all = history(records);
    assert_eq!(all.hold(), None);
    assert_eq!(ways(&all, 4), ["0101010"]);
}
