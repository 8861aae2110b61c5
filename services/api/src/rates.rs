//! How often a caller may ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use crate::caller::Caller;
use crate::request_error::{Code, RequestError};

/// Refused keys a minute from one address, before it has to wait.
const REFUSED_A_MINUTE: NonZeroU32 = NonZeroU32::new(30).expect("30 is not 0");
/// Limiters of keys kept.
const MOST_KEYS: usize = 10_000;

/// Counts requests of callers.
pub(crate) struct Rates {
    clock: DefaultClock,
    /// By key, for its own rate or the service's; a changed rate gets a new limiter.
    keys: Mutex<HashMap<Uuid, (u32, Arc<DefaultDirectRateLimiter>)>>,
    /// By address, for callers without a key.
    addresses: Mutex<Option<(u32, Arc<DefaultKeyedRateLimiter<IpAddr>>)>>,
    refused: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            clock: DefaultClock::default(),
            keys: Mutex::default(),
            addresses: Mutex::default(),
            refused: RateLimiter::keyed(Quota::per_minute(REFUSED_A_MINUTE)),
        }
    }
}

impl Rates {
    /// Counts `requests` of a caller, by its key or its address. `usual`: requests a minute where the key has no rate of its own;
    /// 0 for no limit.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the seconds to wait.
    pub(crate) fn count(
        &self,
        caller: &Caller,
        address: Option<IpAddr>,
        requests: u32,
        usual: u32,
    ) -> Result<(), RequestError> {
        let Some(requests) = NonZeroU32::new(requests) else {
            return Ok(());
        };
        let own = caller.key.as_ref().and_then(|key| key.requests_per_minute);
        let Some(per_minute) = NonZeroU32::new(own.unwrap_or(usual)) else {
            return Ok(());
        };
        let counted = match &caller.key {
            Some(key) => self.of_key(key.id, per_minute).check_n(requests),
            None => {
                let Some(address) = address else { return Ok(()) };
                self.of_addresses(per_minute).check_key_n(&address, requests)
            }
        };
        match counted {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(self.clock.now());
                Err(too_often(per_minute, wait.as_secs_f64().ceil() as u64))
            }
            Err(_) => Err(RequestError::new(
                Code::TooLarge,
                format!(
                    "{requests} photos at once are more than the {per_minute} requests that this caller has a minute; send fewer at a time"
                ),
            )),
        }
    }

    /// Whether an address has sent too many keys that do not work. Counts nothing for one that has not.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the seconds to wait.
    pub(crate) fn count_refusal(&self, address: Option<IpAddr>) -> Result<(), RequestError> {
        let Some(address) = address else { return Ok(()) };
        self.refused.check_key(&address).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            RequestError::new(
                Code::RateLimited,
                "too many requests with keys that do not work came from this address",
            )
            .after(wait.as_secs_f64().ceil() as u64)
        })
    }

    /// Forgets callers that have been quiet.
    pub(crate) fn tidy(&self) {
        self.refused.retain_recent();
        self.refused.shrink_to_fit();
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, limiter)) = &*addresses {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn of_key(&self, key: Uuid, per_minute: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((rate, limiter)) = keys.get(&key)
            && *rate == per_minute.get()
        {
            return limiter.clone();
        }
        if keys.len() >= MOST_KEYS {
            keys.clear();
        }
        let limiter = Arc::new(RateLimiter::direct(Quota::per_minute(per_minute)));
        keys.insert(key, (per_minute.get(), limiter.clone()));
        limiter
    }

    fn of_addresses(&self, per_minute: NonZeroU32) -> Arc<DefaultKeyedRateLimiter<IpAddr>> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        match &*addresses {
            Some((rate, limiter)) if *rate == per_minute.get() => limiter.clone(),
            _ => {
                let limiter = Arc::new(RateLimiter::keyed(Quota::per_minute(per_minute)));
                *addresses = Some((per_minute.get(), limiter.clone()));
                limiter
            }
        }
    }
}

fn too_often(per_minute: NonZeroU32, seconds: u64) -> RequestError {
    let seconds = seconds.max(1);
    RequestError::new(
        Code::RateLimited,
        format!("more than {per_minute} requests a minute; try again in {seconds} s"),
    )
    .after(seconds)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use storage::{ApiKey, Scope};

    use super::*;

    #[test]
    fn each_caller_has_its_own_rate() {
        let rates = Rates::default();
        let caller = |per_minute| {
            let mut key = ApiKey::new("someone", "a".repeat(64), Scope::Reader);
            key.requests_per_minute = per_minute;
            Caller::holder(Arc::new(key))
        };
        let (slow, usual) = (caller(Some(2)), caller(None));
        for _ in 0..2 {
            rates.count(&slow, None, 1, 5).unwrap();
        }
        let refused = rates.count(&slow, None, 1, 5).unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert!(
            refused
                .retry_after
                .is_some_and(|seconds| (1..=60).contains(&seconds))
        );
        rates.count(&usual, None, 5, 5).unwrap();
        assert!(rates.count(&usual, None, 1, 5).is_err());
        assert_eq!(rates.count(&usual, None, 6, 5).unwrap_err().code, Code::TooLarge);
        rates.count(&caller(None), None, 1000, 0).unwrap();

        let keyless = Caller::keyless(Scope::Admin);
        let [here, there] = [1, 2].map(|n| Some(IpAddr::from(Ipv4Addr::new(127, 0, 0, n))));
        rates.count(&keyless, here, 1, 1).unwrap();
        assert!(rates.count(&keyless, here, 1, 1).is_err());
        rates.count(&keyless, there, 1, 1).unwrap();
    }

    #[test]
    fn guessing_keys_is_slow() {
        let rates = Rates::default();
        let here = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        let refused = (0..100).filter(|_| rates.count_refusal(here).is_err()).count();
        assert!(refused >= 69, "{refused}");
    }
}
