//! How many connections may be open, in all and from one address.
//!
//! Only open connections are counted, so the table is never larger than the cap in all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Connections at a time.
    pub in_all: usize,
    /// Connections at a time from one address.
    pub per_address: usize,
}

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Admission {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    in_all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Leave to be connected; ends when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// What counts as one address. A host has a /64 of IPv6 to itself and may take any address of it, so all of
/// those are one; an IPv4 client of an IPv6 listener is its IPv4 address.
fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(network.into())
        }
        address => address,
    }
}

impl Admission {
    /// A permit, or `None` over a cap.
    pub fn enter(self: &Arc<Self>, peer: IpAddr, limits: Limits) -> Option<Permit> {
        let address = bucket(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from_here = open.by_address.get(&address).copied().unwrap_or(0);
        if open.in_all >= limits.in_all || from_here >= limits.per_address {
            return None;
        }
        open.in_all += 1;
        open.by_address.insert(address, from_here + 1);
        Some(Permit { admission: Arc::clone(self), address })
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).in_all
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.in_all -= 1;
        if let Some(from_here) = open.by_address.get_mut(&self.address) {
            *from_here -= 1;
            if *from_here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { in_all: 3, per_address: 2 };

    fn enter(admission: &Arc<Admission>, address: &str) -> Option<Permit> {
        admission.enter(address.parse().unwrap(), LIMITS)
    }

    #[test]
    fn both_caps_hold_and_permits_come_back() {
        let admission = Arc::new(Admission::default());
        let first = enter(&admission, "10.0.0.1").unwrap();
        let _second = enter(&admission, "10.0.0.1").unwrap();
        assert!(enter(&admission, "10.0.0.1").is_none(), "two from one address");
        let _third = enter(&admission, "10.0.0.2").unwrap();
        assert!(enter(&admission, "10.0.0.3").is_none(), "three in all");
        drop(first);
        let again = enter(&admission, "10.0.0.1");
        assert!(again.is_some());
        drop(again);
        assert_eq!(admission.open(), 2);
        assert_eq!(admission.open.lock().unwrap().by_address.len(), 2);
    }

    #[test]
    fn one_host_is_one_address() {
        let same = |a: &str, b: &str| bucket(a.parse().unwrap()) == bucket(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.7", "192.0.2.7"));
        assert!(!same("::ffff:192.0.2.7", "::ffff:192.0.2.8"));
    }
}
