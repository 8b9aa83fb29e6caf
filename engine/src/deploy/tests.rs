//! The machine with every answer to every question; the verdict; what `observe` may print.

use super::driver::{Failure, Observed};
use super::machine::{Answer, Back, Do, Ending, Machine};
use super::own::{Own, observed};
use super::verdict::{runs, runs_as, runs_nothing};
use crate::ledger::{Bundle, ImageAt, Outcome};

/// What was done, and what came of it.
type Path = Vec<(Do, Answer)>;

/// Every way through a deployment, as what was done and how it ended.
fn ways(back: &Back) -> Vec<(Path, Ending)> {
    ways_of(Machine::new(), back)
}

fn ways_of(mut machine: Machine, back: &Back) -> Vec<(Path, Ending)> {
    let away = Failure::new("away").unreachable();
    let answers = [
        Answer::Done,
        Answer::Already,
        Answer::Failed(Failure::new("no")),
        Answer::Failed(away),
        Answer::Cancelled,
    ];
    machine.goes_back(back.clone());
    let mut open = vec![(machine, Vec::new())];
    let mut ended = Vec::new();
    while let Some((machine, path)) = open.pop() {
        if let Do::End(ending) = machine.doing() {
            ended.push((path, ending.clone()));
            continue;
        }
        assert!(path.len() < 20, "{path:?}");
        for answer in &answers {
            let mut next = machine.clone();
            let mut path: Path = path.clone();
            path.push((machine.doing().clone(), answer.clone()));
            next.answer(answer.clone());
            open.push((next, path));
        }
    }
    ended
}

fn all_ways() -> Vec<(Back, Path, Ending)> {
    let backs = [
        Back::To("b".into()),
        Back::ToNothing,
        Back::ToUnmanaged,
        Back::None("none".into()),
        Back::Stays,
    ];
    let mut all = Vec::new();
    for back in backs {
        for (path, ending) in ways(&back) {
            all.push((back.clone(), path, ending));
        }
    }
    all
}

fn is_done(path: &[(Do, Answer)], what: &Do) -> bool {
    path.iter()
        .any(|(d, a)| d == what && matches!(a, Answer::Done | Answer::Already))
}

fn began(path: &[(Do, Answer)], what: &Do) -> usize {
    path.iter().filter(|(d, _)| d == what).count()
}

#[test]
fn nothing_is_touched_before_the_intent_is_written_and_the_way_back_known() {
    for (_, path, _) in all_ways() {
        let touched = path
            .iter()
            .position(|(d, _)| matches!(d, Do::Apply | Do::Undo));
        let Some(at) = touched else { continue };
        let before = &path[..at];
        assert!(is_done(before, &Do::Lock), "{path:?}");
        assert!(is_done(before, &Do::LookBefore), "{path:?}");
        assert!(is_done(before, &Do::Intend), "{path:?}");
    }
}

#[test]
fn what_has_begun_is_recorded_once_and_what_has_not_is_not() {
    for (_, path, ending) in all_ways() {
        let recorded = path
            .iter()
            .filter(|(d, _)| matches!(d, Do::Record(_)))
            .count();
        let begun = usize::from(is_done(&path, &Do::Intend));
        assert_eq!(recorded, begun, "{path:?} {ending:?}");
    }
}

#[test]
fn a_lease_that_was_taken_is_given_back_whatever_happens() {
    for (_, path, ending) in all_ways() {
        let taken = usize::from(is_done(&path, &Do::Lock));
        assert_eq!(began(&path, &Do::Unlock), taken, "{path:?} {ending:?}");
    }
}

#[test]
fn an_undo_is_tried_once_and_only_where_there_is_a_way_back() {
    for (back, path, ending) in all_ways() {
        let undos = began(&path, &Do::Undo);
        assert!(undos <= 1, "{path:?}");
        let failed = path.iter().any(|(d, a)| {
            matches!(d, Do::Apply | Do::AwaitReady | Do::Compare)
                && matches!(a, Answer::Failed(_) | Answer::Cancelled)
        });
        let possible = matches!(back, Back::To(_) | Back::ToNothing | Back::ToUnmanaged);
        assert_eq!(undos == 1, failed && possible, "{path:?} {ending:?}");
    }
}

#[test]
fn healthy_is_only_what_was_ready_and_whose_digests_were_compared() {
    let mut seen = 0;
    for (_, path, ending) in all_ways() {
        let recorded = path.iter().any(|(d, _)| *d == Do::Record(Outcome::Healthy));
        let all = [Do::Apply, Do::AwaitReady, Do::Compare];
        assert_eq!(recorded, all.iter().all(|d| is_done(&path, d)), "{path:?}");
        if ending == Ending::Healthy {
            seen += 1;
            assert!(recorded, "{path:?}");
        }
    }
    assert!(seen > 0);
}

#[test]
fn rolled_back_is_only_what_was_ready_again_and_whose_digests_were_compared() {
    let mut seen = 0;
    for (_, path, ending) in all_ways() {
        let all = [Do::Undo, Do::AwaitBack, Do::CompareBack];
        let is_back = all.iter().all(|d| is_done(&path, d));
        let recorded = path
            .iter()
            .any(|(d, _)| matches!(d, Do::Record(Outcome::RolledBack { .. })));
        assert_eq!(recorded, is_back, "{path:?}");
        if let Ending::RolledBack(_) = ending {
            seen += 1;
            assert!(is_back, "{path:?}");
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_failure_ends_in_one_of_the_named_states() {
    for (back, path, ending) in all_ways() {
        let Some((_, answer)) = path.iter().find(|(d, a)| {
            matches!(d, Do::Apply | Do::AwaitReady | Do::Compare)
                && matches!(a, Answer::Failed(_) | Answer::Cancelled)
        }) else {
            continue;
        };
        let named = matches!(
            ending,
            Ending::RolledBack(_)
                | Ending::PartlyRolledBack { .. }
                | Ending::Unknown(_)
                | Ending::NotRecorded { .. }
        ) || back == Back::Stays && matches!(ending, Ending::Stays(_));
        assert!(named, "{path:?} {ending:?}");
        // Whoever was stopped by a person is not to blame.
        for (what, _) in &path {
            if let Do::Record(Outcome::RolledBack { blamed, .. }) = what {
                assert_eq!(*blamed, *answer != Answer::Cancelled, "{path:?}");
            }
        }
    }
}

#[test]
fn what_is_taken_away_is_not_deployed_first_and_not_blamed() {
    let mut back = 0;
    for to in [Back::ToNothing, Back::ToUnmanaged] {
        for (path, ending) in ways_of(Machine::taking_away(), &to) {
            let intended = is_done(&path, &Do::Intend);
            assert_eq!(began(&path, &Do::Apply), 0, "{path:?}");
            assert_eq!(began(&path, &Do::Undo), usize::from(intended), "{path:?}");
            let all = [Do::Undo, Do::AwaitBack, Do::CompareBack];
            let is_back = all.iter().all(|d| is_done(&path, d));
            let recorded = path.iter().find_map(|(d, _)| match d {
                Do::Record(outcome) => Some(outcome),
                _ => None,
            });
            assert_eq!(recorded.is_some(), intended, "{path:?}");
            let expected = Outcome::RolledBack {
                to: None,
                why: "a later step of its run failed".into(),
                blamed: false,
            };
            assert_eq!(recorded == Some(&expected), is_back, "{path:?}");
            back += usize::from(matches!(ending, Ending::RolledBack(_)));
        }
    }
    assert!(back > 0);
}

fn digest(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

fn bundle(images: &[(&str, u8)]) -> Bundle {
    let image = |(name, n): &(&str, u8)| {
        let at = ImageAt {
            repository: String::new(),
            digest: digest(*n),
        };
        ((*name).to_owned(), at)
    };
    Bundle {
        images: images.iter().map(image).collect(),
        commit: String::new(),
        config: String::new(),
        version: None,
    }
}

fn seen(running: &[(&str, u8)]) -> Observed {
    let mut seen = Observed::default();
    for (name, n) in running {
        seen.add(name, &digest(*n));
    }
    seen
}

#[test]
fn only_exactly_what_was_asked_for_is_what_was_asked_for() {
    let driver = Own::default();
    let asked = bundle(&[("app", 1), ("web", 2)]);
    let verdict = |running: &[(&str, u8)]| {
        runs(&seen(running), &asked, &driver).map_err(|f| {
            let what = f.what.strip_prefix("what runs is not what was asked for: ");
            what.unwrap_or(&f.what).to_owned()
        })
    };
    assert_eq!(verdict(&[("app", 1), ("web", 2)]), Ok(()));
    assert_eq!(verdict(&[("", 2), ("", 1)]), Ok(()));
    let wrong = [
        verdict(&[]),
        verdict(&[("app", 1)]),
        verdict(&[("app", 1), ("web", 3)]),
        verdict(&[("app", 1), ("app", 3), ("web", 2)]),
        verdict(&[("app", 2), ("web", 1)]),
        verdict(&[("", 1)]),
        verdict(&[("", 1), ("", 2), ("", 3)]),
    ];
    let wrong: Vec<String> = wrong.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!(wrong.join("\n"), @r"
    app sha256:010101010101… does not run, web sha256:020202020202… does not run
    web does not run
    web runs sha256:030303030303…
    app runs sha256:030303030303…
    app runs sha256:020202020202…, web runs sha256:010101010101…
    web sha256:020202020202… does not run
    sha256:030303030303… runs
    ");
    assert_eq!(runs_nothing(&seen(&[])), Ok(()));
    assert!(runs_nothing(&seen(&[("", 1)])).is_err());
}

#[test]
fn back_at_what_ran_before_is_exactly_what_ran_before() {
    let before = seen(&[("app", 1), ("app", 2), ("web", 3)]).digests;
    let again = |running: &[(&str, u8)]| runs_as(&seen(running), &before).map_err(|f| f.what);
    // The order in which a platform tells them means nothing.
    assert_eq!(again(&[("web", 3), ("app", 2), ("app", 1)]), Ok(()));
    for other in [
        &[][..],
        &[("app", 1), ("web", 3)],
        &[("app", 1), ("app", 2), ("web", 3), ("web", 4)],
        &[("", 1), ("", 2), ("", 3)],
    ] {
        assert!(again(other).is_err(), "{other:?}");
    }
    assert_eq!(
        runs_as(&seen(&[]), &seen(&[("app", 1)]).digests)
            .unwrap_err()
            .what,
        "what runs is not what ran before: nothing, and not app sha256:010101010101…"
    );
}

#[test]
fn what_observe_prints_is_digests_and_nothing_else() {
    let (one, two) = (digest(1), digest(2));
    assert_eq!(observed(""), Ok(Observed::default()));
    assert_eq!(observed(&format!("{one}\n\n")), Ok(seen(&[("", 1)])));
    let named = format!("app r.test/app@{one}\nweb={two}\n");
    assert_eq!(observed(&named), Ok(seen(&[("app", 1), ("web", 2)])));
    for wrong in ["running", "app:latest", "app sha256:1"] {
        assert!(observed(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn whoever_has_lost_the_lease_touches_nothing_more_and_records_nothing() {
    for back in [
        Back::To("b".into()),
        Back::ToNothing,
        Back::ToUnmanaged,
        Back::Stays,
    ] {
        let mut seen = 0;
        for doing in [
            Do::LookBefore,
            Do::Apply,
            Do::AwaitReady,
            Do::Compare,
            Do::Undo,
            Do::AwaitBack,
            Do::CompareBack,
        ] {
            let mut machine = Machine::new();
            machine.goes_back(back.clone());
            let mut failed = false;
            while *machine.doing() != doing && !matches!(machine.doing(), Do::End(_)) {
                // An undo is reached by a failure.
                let fails = *machine.doing() == Do::Compare && !failed;
                failed |= fails;
                let why = Failure::new("no");
                machine.answer(if fails {
                    Answer::Failed(why)
                } else {
                    Answer::Done
                });
            }
            if *machine.doing() != doing {
                continue;
            }
            seen += 1;
            let lost = Failure::new("lost");
            assert_eq!(*machine.answer(Answer::Lost(lost.clone())), Do::Unlock);
            let expected = match doing {
                Do::LookBefore => Ending::NotBegun(lost),
                _ => Ending::Lost(lost),
            };
            assert_eq!(*machine.answer(Answer::Done), Do::End(expected));
        }
        assert!(seen >= 4, "{back:?}");
    }
}
