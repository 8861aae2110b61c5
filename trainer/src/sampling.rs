//! Which photos a step sees: a function of seed and epoch alone, so that a resumed run sees what it would have seen.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// A generator for one purpose of one run: the same seed, purpose and counter give the same numbers everywhere.
pub fn generator(seed: u64, purpose: &str, counter: u64) -> ChaCha8Rng {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(counter.to_le_bytes());
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// The training photos in the order of `epoch` (from 0).
pub fn epoch_order(photos: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
    let mut order = photos.to_vec();
    order.shuffle(&mut generator(seed, "epoch order", epoch));
    order
}

/// The training photos in an order that stays in few shards at a time: the shards are shuffled, and the photos of every
/// `window` of them are shuffled together. `shards` has every photo's shard, by dataset index.
pub fn shard_order(photos: &[usize], shards: &[usize], window: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut by_shard: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for photo in photos {
        by_shard.entry(shards[*photo]).or_default().push(*photo);
    }
    let mut rng = generator(seed, "shard order", epoch);
    let mut pieces: Vec<Vec<usize>> = by_shard.into_values().collect();
    pieces.shuffle(&mut rng);
    let mut order = Vec::with_capacity(photos.len());
    for window in pieces.chunks(window.max(1)) {
        let mut together = window.concat();
        together.shuffle(&mut rng);
        order.extend(together);
    }
    order
}

/// The photos of step `step` (from 0) within an epoch's order. The last, incomplete batch of an epoch is left out,
/// unless it is the only one.
pub fn batch(order: &[usize], batch_size: usize, step: usize) -> &[usize] {
    let start = step * batch_size;
    &order[start.min(order.len())..(start + batch_size).min(order.len())]
}

/// Steps in an epoch of `photos` photos.
pub fn steps_per_epoch(photos: usize, batch_size: usize) -> usize {
    (photos / batch_size).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_only_seed_and_epoch_decide() {
        let photos: Vec<usize> = (10..110).collect();
        let a = epoch_order(&photos, 1, 0);
        assert_eq!(a, epoch_order(&photos, 1, 0));
        assert_ne!(a, epoch_order(&photos, 1, 1));
        assert_ne!(a, epoch_order(&photos, 2, 0));
        let mut sorted = a;
        sorted.sort_unstable();
        assert_eq!(sorted, photos);
    }

    #[test]
    fn an_order_by_shards_stays_in_its_windows() {
        let photos: Vec<usize> = (0..60).collect();
        let shards: Vec<usize> = (0..60).map(|i| i / 10).collect();
        let order = shard_order(&photos, &shards, 2, 1, 0);
        assert_eq!(order, shard_order(&photos, &shards, 2, 1, 0));
        assert_ne!(order, shard_order(&photos, &shards, 2, 1, 1));
        assert_ne!(order, shard_order(&photos, &shards, 2, 2, 0));
        for window in order.chunks(20) {
            let mut of: Vec<usize> = window.iter().map(|photo| shards[*photo]).collect();
            assert!(of.windows(2).any(|two| two[0] != two[1]), "two shards are mixed");
            of.sort_unstable();
            of.dedup();
            assert_eq!(of.len(), 2, "a window of two shards");
        }
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, photos);
    }

    #[test]
    fn batches_cover_an_epoch_without_its_rest() {
        let order: Vec<usize> = (0..10).collect();
        assert_eq!(steps_per_epoch(10, 4), 2);
        assert_eq!(batch(&order, 4, 0), [0, 1, 2, 3]);
        assert_eq!(batch(&order, 4, 1), [4, 5, 6, 7]);
        assert_eq!(steps_per_epoch(3, 4), 1);
        assert_eq!(batch(&order[..3], 4, 0), [0, 1, 2]);
        assert!(batch(&order, 4, 9).is_empty());
    }
}
