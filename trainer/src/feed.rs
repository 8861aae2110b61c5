//! Photos read ahead of the step that needs them, so that the device does not wait for a disk or a decoder.

use std::ops::Range;
use std::sync::mpsc::sync_channel;

use crate::inputs::Inputs;
use crate::{Error, Result};

/// Runs `learn` with a function that gives the inputs of each of `steps` in turn. With `ahead` above 0, a thread reads so many
/// steps ahead; the order is the same.
///
/// # Errors
/// Whatever `learn` returns; an error of `read` reaches it at the step that it belongs to.
pub(crate) fn with_feed<T>(
    ahead: usize,
    steps: Range<usize>,
    read: impl Fn(usize) -> Result<Inputs> + Sync,
    learn: impl FnOnce(&mut dyn FnMut() -> Result<Inputs>) -> Result<T>,
) -> Result<T> {
    if ahead == 0 {
        let mut steps = steps;
        return learn(&mut || steps.next().map_or_else(ended, &read));
    }
    std::thread::scope(|scope| {
        // One more waits in the hands of the reader.
        let (send, receive) = sync_channel(ahead - 1);
        let read = &read;
        scope.spawn(move || {
            for step in steps {
                // Nobody listens any more once learning has stopped.
                if send.send(read(step)).is_err() {
                    break;
                }
            }
        });
        let learnt = learn(&mut || receive.recv().unwrap_or_else(|_| ended()));
        drop(receive);
        learnt
    })
}

fn ended() -> Result<Inputs> {
    Err(Error::Config(
        "more steps were asked for than an epoch has".to_owned(),
    ))
}
