//! Work shared between a fixed number of workers, each with one thread of its own.
//!
//! A training step at demo size is hundreds of small operations; splitting each of them over threads costs more than it
//! gains. So a batch is cut into shards instead, and each shard is computed by one worker from end to end. The
//! results are combined in the order of the shards: the outcome depends on the number of workers and on nothing else.

use candle_core::Device;

use crate::{Error, Result};

/// Workers of one thread each.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<rayon::ThreadPool>,
}

impl Workers {
    /// `count` workers; on an accelerator one worker keeps the device busy and `count` is ignored.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(count: usize, device: &Device) -> Result<Self> {
        let count = if device.is_cpu() { count.max(1) } else { 1 };
        let pools = (0..count)
            .map(|k| {
                rayon::ThreadPoolBuilder::new()
                    .num_threads(1)
                    .thread_name(move |_| format!("worker-{k}"))
                    .build()
                    .map_err(|e| Error::Config(format!("cannot start {count} threads: {e}; lower threads")))
            })
            .collect::<Result<_>>()?;
        Ok(Self { pools })
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Runs `work(k)` on worker k, for every worker, and returns the results in that order.
    ///
    /// # Errors
    /// The first worker's that failed.
    pub fn map<T: Send>(&self, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let work = &work;
        let mut results: Vec<Option<Result<T>>> = self.pools.iter().map(|_| None).collect();
        std::thread::scope(|scope| {
            for (k, (pool, slot)) in self.pools.iter().zip(&mut results).enumerate() {
                scope.spawn(move || *slot = Some(pool.install(|| work(k))));
            }
        });
        results.into_iter().flatten().collect()
    }

    /// The part of `len` items that worker k takes: contiguous and equal to within one.
    pub fn share(&self, len: usize, k: usize) -> std::ops::Range<usize> {
        let n = self.count();
        len * k / n..len * (k + 1) / n
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        let workers = Workers::new(3, &Device::Cpu).unwrap();
        let all: Vec<usize> = (0..3).flat_map(|k| workers.share(10, k)).collect();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn results_come_in_order_and_errors_come_out() {
        let workers = Workers::new(2, &Device::Cpu).unwrap();
        assert_eq!(
            workers.map(|k| Ok((k, rayon::current_num_threads()))).unwrap(),
            [(0, 1), (1, 1)]
        );
        let failed = workers.map(|k| {
            if k == 1 {
                Err(Error::Config("no".into()))
            } else {
                Ok(())
            }
        });
        assert!(failed.is_err());
    }
}
