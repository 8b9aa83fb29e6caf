//! What every client of a web server here has in common: no redirect by itself, no proxy to this machine, nothing that
//! hangs for ever. Knows no protocol above HTTP.

use std::error::Error;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What makes requests to a server, which may be this machine.
///
/// # Errors
/// When the system's certificates cannot be used, in words.
pub(crate) fn client(here: bool, connect: Duration) -> Result<Client, String> {
    let builder = builder(here, connect);
    builder.build().map_err(|e| deepest(&e))
}

/// The same for a server that is spoken to without TLS: reading the system's certificates would take longer than asking.
///
/// # Errors
/// As above.
pub(crate) fn plain(here: bool, connect: Duration) -> Result<Client, String> {
    let builder = builder(here, connect).tls_certs_only([]);
    builder.build().map_err(|e| deepest(&e))
}

/// The same for one that listens at a socket of this machine.
///
/// # Errors
/// As above.
pub(crate) fn at_socket(socket: &Path, connect: Duration) -> Result<Client, String> {
    let builder = builder(true, connect).tls_certs_only([]);
    let builder = builder.unix_socket(socket);
    builder.build().map_err(|e| deepest(&e))
}

fn builder(here: bool, connect: Duration) -> ClientBuilder {
    static CRYPTOGRAPHY: Once = Once::new();
    CRYPTOGRAPHY.call_once(|| {
        // Somebody else in this process may have chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = Client::builder()
        .user_agent(concat!("pipe/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        // What proves who asks is for one server. Who follows a redirect decides what goes along.
        .redirect(Policy::none());
    if here { builder.no_proxy() } else { builder }
}

/// Ends when nothing has moved for so long.
pub(crate) async fn standstill(motion: &mut watch::Receiver<Instant>, limit: Duration) {
    loop {
        let until = *motion.borrow_and_update() + limit;
        tokio::select! {
            () = sleep_until(until) => {
                if *motion.borrow() + limit <= Instant::now() {
                    return;
                }
            }
            Ok(()) = motion.changed() => {}
        }
    }
}

/// The cause that has no other cause: the others say that there was one.
pub(crate) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    shown(&error.to_string())
}

/// What somebody else wrote, as far as it can do no harm on a terminal.
pub(crate) fn shown(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_moves_now_and_then_does_not_stand_still() {
        let limit = Duration::from_secs(10);
        let (moved, mut motion) = watch::channel(Instant::now());
        let began = Instant::now();
        let moving = async {
            for _ in 0..5 {
                tokio::time::sleep(limit - Duration::from_secs(1)).await;
                moved.send_replace(Instant::now());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = moving => {}
            () = standstill(&mut motion, limit) => {}
        }
        assert_eq!(
            began.elapsed(),
            (limit - Duration::from_secs(1)) * 5 + limit
        );
    }
}
