//! How far batches of photos are, for those who watch.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::request_error::{Code, RequestError};

/// Batches remembered, finished ones too.
const KEPT: usize = 1024;

/// How far a batch is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BatchState {
    /// Photos of the batch; 0 before it was sent.
    pub(crate) total: usize,
    /// Photos answered.
    pub(crate) answered: usize,
    /// Photos refused.
    pub(crate) refused: usize,
    /// Position of the photo that was done last.
    pub(crate) latest: Option<usize>,
    /// Whether the batch ended: all photos are done, or its client left.
    pub(crate) finished: bool,
}

/// The batches that were sent or watched last. A batch is its caller's own: `owner` is part of its name.
#[derive(Default)]
pub(crate) struct Batches {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_name: HashMap<(String, String), watch::Sender<BatchState>>,
    order: VecDeque<(String, String)>,
}

impl Batches {
    /// Starts a batch.
    ///
    /// # Errors
    /// `CONFLICT` where the caller has one of this name already under way.
    pub(crate) fn start(
        self: &Arc<Self>,
        owner: &str,
        name: &str,
        total: usize,
    ) -> Result<RunningBatch, RequestError> {
        let sender = self.sender(owner, name);
        let mut busy = false;
        sender.send_modify(|state| {
            busy = state.total > 0 && !state.finished;
            if !busy {
                *state = BatchState {
                    total,
                    ..BatchState::default()
                };
            }
        });
        if busy {
            return Err(RequestError::new(
                Code::Conflict,
                format!("a batch named {name:?} is under way; choose another name"),
            ));
        }
        Ok(RunningBatch { sender })
    }

    /// Watches a batch, which need not have been sent yet.
    pub(crate) fn watch(&self, owner: &str, name: &str) -> watch::Receiver<BatchState> {
        self.sender(owner, name).subscribe()
    }

    fn sender(&self, owner: &str, name: &str) -> watch::Sender<BatchState> {
        let key = (owner.to_owned(), name.to_owned());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = kept.by_name.get(&key) {
            return sender.clone();
        }
        if kept.order.len() >= KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_name.remove(&oldest);
        }
        let sender = watch::Sender::default();
        kept.by_name.insert(key.clone(), sender.clone());
        kept.order.push_back(key);
        sender
    }
}

/// A batch that is being answered; it is finished when this is dropped.
pub(crate) struct RunningBatch {
    sender: watch::Sender<BatchState>,
}

impl RunningBatch {
    /// One more photo is done.
    pub(crate) fn done(&self, index: usize, answered: bool) {
        self.sender.send_modify(|state| {
            match answered {
                true => state.answered += 1,
                false => state.refused += 1,
            }
            state.latest = Some(index);
        });
    }
}

impl Drop for RunningBatch {
    fn drop(&mut self) {
        self.sender.send_modify(|state| state.finished = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_watched_from_before_its_start_to_its_end() {
        let batches = Arc::new(Batches::default());
        let watched = batches.watch("me", "holiday");
        assert_eq!(*watched.borrow(), BatchState::default());
        let batch = batches.start("me", "holiday", 2).unwrap();
        assert!(batches.start("me", "holiday", 2).is_err());
        // Others have batches of their own.
        let other = batches.start("you", "holiday", 9).unwrap();
        batch.done(1, true);
        batch.done(0, false);
        assert!(!watched.borrow().finished);
        drop(batch);
        let state = watched.borrow().clone();
        assert_eq!(
            (state.total, state.answered, state.refused, state.latest),
            (2, 1, 1, Some(0))
        );
        assert!(state.finished);
        drop(other);
        batches.start("me", "holiday", 1).unwrap();
    }

    #[test]
    fn old_batches_are_forgotten() {
        let batches = Arc::new(Batches::default());
        for index in 0..KEPT + 10 {
            drop(batches.watch("me", &index.to_string()));
        }
        assert_eq!(batches.kept.lock().unwrap().by_name.len(), KEPT);
    }
}
