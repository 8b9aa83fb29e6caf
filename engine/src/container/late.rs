//! An engine that is looked for when somebody first needs it: a build that need not run asks for none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::{Engine, NotFound, Wanted, choose};

/// Which engine it will be.
#[derive(Debug)]
pub struct Late {
    wanted: Wanted,
    patience: Duration,
    found: OnceCell<Result<Arc<Engine>, NotFound>>,
}

impl Late {
    /// One that is to be looked for in this way.
    #[must_use]
    pub fn new(wanted: Wanted, patience: Duration) -> Self {
        Self {
            wanted,
            patience,
            found: OnceCell::new(),
        }
    }

    /// The engine. What killed runs left in it is removed the first time.
    ///
    /// # Errors
    /// When there is none.
    pub async fn engine(&self) -> Result<Arc<Engine>, NotFound> {
        let found = self.found.get_or_init(|| async {
            let env = |name: &str| std::env::var(name).ok();
            let engine = choose(&self.wanted, &env, self.patience).await?;
            // Whoever needs the engine for more is told.
            let _ = engine.sweep().await;
            Ok(Arc::new(engine))
        });
        found.await.clone()
    }
}
