//! Notices that a child has ended and leaves it unreaped. Does not know what it runs.
//!
//! A descriptor of the process says it where there is one: what a child costs does not depend on how many there are.
//! Where the system has none, or none is left, each SIGCHLD is a reason to look.

use rustix::{
    io::Errno,
    process::{Pid, WaitId, WaitIdOptions, waitid},
};
use std::time::Duration;
use tokio::{
    net::unix::pipe::Receiver,
    signal::unix::{self, SignalKind},
    time::{Interval, MissedTickBehavior, interval},
};

/// A child that ends is noticed by SIGCHLD; this is for a parent that had blocked the signal.
const LOOK_AT_LEAST: Duration = Duration::from_millis(250);

/// The watch over one child that nobody else reaps.
pub(super) struct Watch {
    pid: Pid,
    means: Means,
}

enum Means {
    /// A descriptor of the process. It is no pipe, and nothing is read from it: this is the type by which tokio waits
    /// for any descriptor to become readable.
    Handle(Receiver),
    Looking(Option<unix::Signal>, Interval),
}

impl Watch {
    pub(super) fn over(pid: Pid) -> Self {
        let means = handle(pid).map_or_else(Means::looking, Means::Handle);
        Self { pid, means }
    }

    /// Waits until the child is a zombie. May be dropped and called again.
    pub(super) async fn ended(&mut self) {
        let pid = self.pid;
        loop {
            match &mut self.means {
                Means::Handle(handle) => match handle.readable().await {
                    Ok(()) if has_ended(pid) => return,
                    // It said so once and will not say it again.
                    Ok(()) | Err(_) => self.means = Means::looking(),
                },
                // What ended before the signal was listened for is seen by the first look.
                Means::Looking(..) if has_ended(pid) => return,
                Means::Looking(Some(children), tick) => tokio::select! {
                    _ = children.recv() => {}
                    _ = tick.tick() => {}
                },
                Means::Looking(None, tick) => drop(tick.tick().await),
            }
        }
    }
}

fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(status) => status.is_some(),
        Err(error) => error == Errno::CHILD,
    }
}

impl Means {
    fn looking() -> Self {
        let children = unix::signal(SignalKind::child()).ok();
        let mut tick = interval(LOOK_AT_LEAST);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Looking(children, tick)
    }
}

#[cfg(target_os = "linux")]
fn handle(pid: Pid) -> Option<Receiver> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    Receiver::from_owned_fd_unchecked(handle).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle(_: Pid) -> Option<Receiver> {
    None
}
