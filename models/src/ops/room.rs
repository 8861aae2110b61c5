//! Room for what lies between two products, kept by each thread from one operation to the next: otherwise the kernel
//! clears fresh pages for every block of a network.

use std::cell::RefCell;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Operations within operations that find room; what more of them take is given back.
const KEPT: usize = 3;
/// The most values that are kept at once (128 MiB).
const LARGEST: usize = 1 << 25;

/// Runs `compute` with `length` values that mean nothing.
pub(crate) fn with<R>(length: usize, compute: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut room = FREE.with_borrow_mut(|free| take(free, length));
    if room.len() < length {
        room = vec![0.0; length];
    }
    // Nothing is borrowed here: while `compute` waits for other cores, this thread may run another operation.
    let result = compute(&mut room[..length]);
    FREE.with_borrow_mut(|free| {
        if free.len() < KEPT && room.len() <= LARGEST {
            free.push(room);
        }
    });
    result
}

/// The smallest that is long enough; otherwise any, to make place for a longer one.
fn take(free: &mut Vec<Vec<f32>>, length: usize) -> Vec<f32> {
    let fits = (0..free.len())
        .filter(|&index| free[index].len() >= length)
        .min_by_key(|&index| free[index].len());
    match fits {
        Some(index) => free.swap_remove(index),
        None => free.pop().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_within_room_is_another_one_and_both_are_found_again() {
        let places = || {
            with(100, |outer| {
                with(10, |inner| {
                    outer.fill(1.0);
                    inner.fill(2.0);
                    assert!(outer.iter().all(|&x| x == 1.0));
                    (outer.as_ptr(), inner.as_ptr())
                })
            })
        };
        assert_eq!(places(), places());
        assert_eq!(with(1000, |room| room.len()), 1000);
    }
}
