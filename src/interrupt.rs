//! Ctrl-C: the first asks the work to save and stop, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// A flag that Ctrl-C (or SIGTERM) raises; long work looks at it between steps.
pub fn flag() -> Result<Arc<AtomicBool>> {
    let raised = Arc::new(AtomicBool::new(false));
    let seen = raised.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after saving; press Ctrl-C again to stop at once");
    })
    .context("the Ctrl-C handler could not be installed")?;
    Ok(raised)
}
