//! A group of threads that add up through the host's memory.
//!
//! It is what several devices do without NCCL, and what tests simulate a group of GPUs with. Sums are taken in the order of the ranks, so
//! that they do not depend on who comes first.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use candle_core::{Device, Tensor};

use super::Communicator;
use crate::{Error, Result};

/// One member of a group of threads.
#[derive(Debug)]
pub struct HostCommunicator {
    rank: usize,
    meeting: Arc<Meeting>,
}

#[derive(Debug)]
struct Meeting {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What each rank brought to the sum under way.
    brought: Vec<Option<Vec<Tensor>>>,
    /// The sums, once all have come; each takes them once.
    sums: Option<Vec<Tensor>>,
    left: usize,
    given_up: Option<String>,
}

impl HostCommunicator {
    /// A group of so many, in the order of their ranks.
    pub fn group(size: usize) -> Vec<Self> {
        let meeting = Arc::new(Meeting {
            size,
            state: Mutex::new(State {
                brought: vec![None; size],
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        (0..size)
            .map(|rank| Self {
                rank,
                meeting: Arc::clone(&meeting),
            })
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        match self.meeting.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// Waits while `busy` holds.
    ///
    /// # Errors
    /// Somebody gave up.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        busy: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'a, State>> {
        loop {
            if let Some(reason) = &state.given_up {
                return Err(Error::Device {
                    rank: self.rank,
                    reason: reason.clone(),
                });
            }
            if !busy(&state) {
                return Ok(state);
            }
            state = match self.meeting.changed.wait(state) {
                Ok(state) => state,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
    }
}

impl Communicator for HostCommunicator {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.meeting.size
    }

    fn all_reduce(&self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let devices: Vec<Device> = tensors.iter().map(|t| t.device().clone()).collect();
        let mine = tensors
            .iter()
            .map(|t| Ok(t.detach().to_device(&Device::Cpu)?))
            .collect::<Result<Vec<Tensor>>>()?;
        // The sum before this one has to be taken by all first.
        let mut state = self.wait(self.state(), |state| state.sums.is_some())?;
        state.brought[self.rank] = Some(mine);
        if state.brought.iter().all(Option::is_some) {
            let brought: Vec<Vec<Tensor>> = state.brought.iter_mut().filter_map(Option::take).collect();
            state.sums = Some(sums(&brought)?);
            state.left = self.meeting.size;
            self.meeting.changed.notify_all();
        }
        let mut state = self.wait(state, |state| state.sums.is_none())?;
        let sums = state.sums.clone().unwrap_or_default();
        state.left -= 1;
        if state.left == 0 {
            state.sums = None;
            self.meeting.changed.notify_all();
        }
        drop(state);
        sums.iter()
            .zip(&devices)
            .map(|(sum, device)| Ok(sum.to_device(device)?))
            .collect()
    }

    fn give_up(&self, reason: &str) {
        let mut state = self.state();
        state
            .given_up
            .get_or_insert_with(|| format!("device {} failed: {reason}", self.rank));
        self.meeting.changed.notify_all();
    }
}

/// The sums of what every rank brought, rank by rank.
fn sums(brought: &[Vec<Tensor>]) -> Result<Vec<Tensor>> {
    let (first, others) = brought
        .split_first()
        .ok_or_else(|| Error::Config("a group of no device".to_owned()))?;
    if others.iter().any(|other| other.len() != first.len()) {
        return Err(Error::Config(
            "devices add up different numbers of tensors".to_owned(),
        ));
    }
    (0..first.len())
        .map(|k| {
            others
                .iter()
                .try_fold(first[k].clone(), |sum, other| Ok((sum + &other[k])?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn one(value: f32) -> Tensor {
        Tensor::new(&[value, 2.0 * value], &Device::Cpu).unwrap()
    }

    #[test]
    fn everybody_gets_every_sum_in_turn() {
        let group = HostCommunicator::group(3);
        let sums: Vec<Vec<Vec<f32>>> = std::thread::scope(|scope| {
            let handles: Vec<_> = group
                .iter()
                .map(|member| {
                    scope.spawn(move || {
                        (0..50)
                            .map(|round| {
                                let value = (member.rank() + 10 * round) as f32;
                                let sum = member.all_reduce(vec![one(value)]).unwrap();
                                sum[0].to_vec1().unwrap()
                            })
                            .collect()
                    })
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        for member in &sums {
            for (round, sum) in member.iter().enumerate() {
                let value = (3 + 30 * round) as f32;
                assert_eq!(sum, &[value, 2.0 * value]);
            }
        }
    }

    #[test]
    fn nobody_waits_for_one_that_gave_up() {
        let group = HostCommunicator::group(2);
        let said = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| group[0].all_reduce(vec![one(1.0)]));
            group[1].give_up("no memory");
            waiting.join().unwrap().unwrap_err().to_string()
        });
        assert!(said.contains("device 1") && said.contains("no memory"), "{said}");
    }
}
