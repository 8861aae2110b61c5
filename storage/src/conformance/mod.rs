//! What every backend has to do, as tests that any backend can run.
//!
//! A backend's test file names a place to open and gets one test for each behaviour:
//!
//! ```ignore
//! geosurge_storage::vector_store_conformance!(MyPlace::new().await);
//! geosurge_storage::catalog_conformance!(MyPlace::new().await);
//! ```
//!
//! The expression is evaluated once a test, and has to give a place of its own each time. A backend that needs a server writes
//! `catalog_conformance!(if PLACE)`, where the expression gives `None` without one: then the tests do nothing. Behaviours panic where a backend fails.

#![allow(clippy::unwrap_used, reason = "a test suite")]

pub mod catalog;
pub mod vector_store;

/// Numbers that look random and are the same everywhere (SplitMix64).
#[derive(Clone, Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A vector with components between -1 and 1.
    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        let mut component = || (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (0..dimension).map(|_| component()).collect()
    }
}

/// Unit vectors that, like embeddings and unlike noise, differ most in few directions; the same ones every time.
#[must_use]
pub fn like_embeddings(count: usize, dimension: usize) -> Vec<Vec<f32>> {
    /// How many directions there are, and how far a vector lies along them and beside them.
    const DIRECTIONS: usize = 12;
    const ALONG: f32 = 4.0;
    const BESIDE: f32 = 0.1;
    let unit = |row: Vec<f32>| -> Vec<f32> {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.into_iter().map(|x| x / norm).collect()
    };
    let mut numbers = Numbers(5);
    let directions: Vec<Vec<f32>> = (0..DIRECTIONS).map(|_| unit(numbers.vector(dimension))).collect();
    (0..count)
        .map(|_| {
            let mut row = unit(numbers.vector(dimension));
            row.iter_mut().for_each(|x| *x *= BESIDE);
            for (direction, share) in directions.iter().zip(unit(numbers.vector(DIRECTIONS))) {
                for (x, y) in row.iter_mut().zip(direction) {
                    *x += ALONG * share * y;
                }
            }
            unit(row)
        })
        .collect()
}

/// Makes one `#[tokio::test]` of each named behaviour.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($suite:ident, [if $place:expr], $($behaviour:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                if let Some(place) = $place {
                    $crate::conformance::$suite::$behaviour(&place).await;
                }
            }
        )+
    };
    ($suite:ident, [$place:expr], $($behaviour:ident),+ $(,)?) => {
        $crate::conformance_tests!($suite, $place, $($behaviour),+);
    };
    ($suite:ident, $place:expr, $($behaviour:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::conformance::$suite::$behaviour(&$place).await;
            }
        )+
    };
}
