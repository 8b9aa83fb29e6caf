//! One container with the numbers of its user (`keep-id`) is made at a time, by all of `pipe` on a machine. Podman looks these
//! numbers up through libsubid, which is not made for threads: of creations side by side some are refused, and some end
//! the service for everybody.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::Found;

/// How long one waits before one looks again whether it is one's turn.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for the turn at an engine; it lasts as long as the result. `None` where it does not come in this time, or nobody
/// can be waited for: the lock is on the folder of the engine's socket, which all who use the engine see.
pub(super) async fn turn(engine: &Found, patience: Duration) -> Option<File> {
    let socket = Path::new(engine.address.strip_prefix("unix://")?);
    let folder = File::open(socket.parent()?).ok()?;
    let taken = async {
        while let Err(TryLockError::WouldBlock) = folder.try_lock() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(patience, taken).await.ok()?;
    Some(folder)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::turn;
    use crate::container::{Found, Kind};

    #[tokio::test]
    async fn one_at_a_time_unless_it_takes_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Found {
            kind: Kind::Podman,
            version: String::new(),
            api: String::new(),
            rootless: true,
            is_own: true,
            address: format!("unix://{}/podman.sock", folder.path().display()),
            why: String::new(),
            cpus: 1,
            selinux: false,
            other_store: false,
        };
        let (soon, long) = (Duration::from_millis(30), Duration::from_secs(60));
        let first = turn(&engine, long).await;
        assert!(first.is_some());
        assert!(turn(&engine, soon).await.is_none());
        let second = async { turn(&engine, long).await.is_some() };
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second);
    }
}
