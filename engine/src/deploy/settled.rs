//! What becomes of a deployment that was interrupted: the target is asked what runs, and what is neither the new nor the old
//! is undone. Records nothing.

use super::deployment::{Made, is_ready};
use super::driver::{Failure, Release};
use super::hands::Hands;
use super::verdict;
use crate::ledger::{Interrupted, Outcome, Unmanaged};

/// What became of an interrupted deployment: what runs decides.
pub(super) async fn settled(
    left: &Interrupted,
    new: &Made,
    back: Option<&(Release, Made)>,
    hands: &mut Hands,
) -> Result<Outcome, Failure> {
    let why = "interrupted".to_owned();
    let rolled_back = |why: String| Outcome::RolledBack {
        to: back.map(|(r, _)| r.bundle.id()),
        why,
        blamed: false,
    };
    if new.driver.can_observe() {
        let observed = new.driver.observe(hands).await?;
        if verdict::runs(&observed, &left.bundle, new.driver.as_ref()).is_ok() {
            let ready = match &new.ready {
                Some(ready) => ready.wait(hands).await,
                None => Ok(()),
            };
            if ready.is_ok() {
                return Ok(Outcome::Healthy);
            }
        }
        let is_back = match back {
            // What runs is still the old one, and will not stay it: only what it is told now says what will run.
            _ if new.driver.goes_on() => false,
            Some((release, made)) => {
                // Names and services are those of that release.
                let observed = made.driver.observe(hands).await?;
                verdict::runs(&observed, &release.bundle, made.driver.as_ref()).is_ok()
                    && is_ready(made.ready.as_ref(), hands).await
            }
            None => observed.is_empty(),
        };
        if is_back {
            return Ok(rolled_back(why));
        }
    }
    if hands.cancel.is_cancelled() {
        return Err(Failure::new("cancelled"));
    }
    let from = Release {
        bundle: left.bundle.clone(),
        migrated: Vec::new(),
        is_back: false,
    };
    let driver = back.map_or(&new.driver, |(_, made)| &made.driver);
    let to = back.map(|(release, _)| release);
    let undone = match (to, &left.unmanaged) {
        (None, Some(unmanaged)) => driver.restore(&from, &unmanaged.places, hands).await,
        _ => driver.undo(&from, to, hands).await,
    };
    let undone = match undone {
        Ok(()) => is_back_again(new, back, left.unmanaged.as_ref(), hands).await,
        Err(failure) => Err(failure),
    };
    Ok(match undone {
        Ok(()) => rolled_back(why),
        Err(failure) if failure.unreachable => Outcome::Unknown {
            why: format!("interrupted; {}", failure.what),
        },
        Err(failure) => Outcome::PartlyRolledBack {
            why,
            undo: failure.what,
        },
    })
}

async fn is_back_again(
    new: &Made,
    back: Option<&(Release, Made)>,
    unmanaged: Option<&Unmanaged>,
    hands: &mut Hands,
) -> Result<(), Failure> {
    let Some((release, made)) = back else {
        if let Some(unmanaged) = unmanaged {
            if let Some(ready) = new.ready.as_ref().filter(|_| unmanaged.ready) {
                ready.wait(hands).await?;
            }
            return verdict::runs_as(&new.driver.observe(hands).await?, &unmanaged.digests);
        }
        if !new.driver.can_observe() {
            return Ok(());
        }
        return verdict::runs_nothing(&new.driver.observe(hands).await?);
    };
    made.driver.ready(release, hands).await?;
    if let Some(ready) = &made.ready {
        ready.wait(hands).await?;
    }
    if !made.driver.can_observe() {
        return Ok(());
    }
    let observed = made.driver.observe(hands).await?;
    verdict::runs(&observed, &release.bundle, made.driver.as_ref())
}
