//! The exclusive right to change a release.

use std::any::Any;
use std::fmt;

/// As long as it lives, nobody else can hold the same release: not in this process, and in no other one that uses the catalog.
///
/// It is given back when it is dropped, and by the operating system or the database when its process ends in any way. No clock is
/// involved, so that it neither expires under a slow build nor outlives a killed one.
pub struct Hold {
    _guard: Box<dyn Any + Send + Sync>,
}

impl Hold {
    /// A hold that ends when `guard` is dropped.
    pub(crate) fn new(guard: impl Any + Send + Sync) -> Self {
        Self {
            _guard: Box::new(guard),
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}
