//! The same work for many things on all processors, with the results in order. Small work stays on one thread.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// So few things are not worth a thread.
const FEW: usize = 32;
/// How many things a thread takes at once.
const BATCH: usize = 16;

/// How many processors there are for this process. The system is asked once: the answer takes several files.
#[must_use]
pub fn processors() -> u32 {
    static PROCESSORS: LazyLock<u32> = LazyLock::new(|| {
        thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
    });
    *PROCESSORS
}

/// Does `work` for every item. Stops at the first error it comes across.
pub(crate) fn side_by_side<I: Sync, T: Send, E: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    if items.len() < FEW || processors() == 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done: Vec<(usize, Vec<T>)> = Vec::new();
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(rest) = items.get(from..).filter(|r| !r.is_empty()) else {
                return Ok(done);
            };
            let batch = rest.iter().take(BATCH).map(&work).collect::<Result<_, E>>();
            match batch {
                Ok(batch) => done.push((from, batch)),
                Err(e) => {
                    next.store(items.len(), Ordering::Relaxed);
                    return Err(e);
                }
            }
        }
    };
    let results = thread::scope(|scope| {
        let spawned: Vec<_> = (1..processors().min(16))
            .map(|_| thread::Builder::new().spawn_scoped(scope, take))
            .collect();
        let mut results = vec![take()];
        for thread in spawned.into_iter().flatten() {
            match thread.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    let mut batches = Vec::new();
    for result in results {
        batches.extend(result?);
    }
    batches.sort_by_key(|(from, _)| *from);
    Ok(batches.into_iter().flat_map(|(_, batch)| batch).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_are_in_the_order_of_the_items() {
        for many in [0, 1, 31, 32, 33, 1000] {
            let items: Vec<usize> = (0..many).collect();
            let doubled = side_by_side(&items, |i| Ok::<_, ()>(i * 2)).unwrap();
            assert_eq!(doubled, items.iter().map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_is_told() {
        let items: Vec<usize> = (0..1000).collect();
        let result = side_by_side(&items, |i| if *i == 700 { Err(*i) } else { Ok(()) });
        assert_eq!(result, Err(700));
    }
}
