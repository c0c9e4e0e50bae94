//! Random entries and look-ups, close together so that they meet, against models that try every entry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Directory, load};
use crate::detect::indicator::{Limits, Set};

fn v4() -> impl Strategy<Value = u32> {
    // Few distinct bits at both ends, so that networks nest and touch, the first and last addresses included.
    (prop_oneof![Just(0_u32), Just(u32::MAX), Just(0x0a00_0000)], 0_u32..64, any::<bool>())
        .prop_map(|(base, low, high)| if high { base ^ low } else { base ^ low << 26 })
}

fn v6() -> impl Strategy<Value = u128> {
    (prop_oneof![Just(0_u128), Just(u128::MAX), Just(0x2001_0db8_u128 << 96)], 0_u128..64, 0..3_u32)
        .prop_map(|(base, low, place)| base ^ low << (place * 61))
}

fn inside(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address.to_canonical(), network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            bits == 0 || a.to_bits() >> (32 - bits) == n.to_bits() >> (32 - bits)
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            bits == 0 || a.to_bits() >> (128 - bits) == n.to_bits() >> (128 - bits)
        }
        _ => false,
    }
}

fn check_ips(networks: &[(IpAddr, u8)], addresses: &[IpAddr]) -> Result<(), TestCaseError> {
    let mut list = String::new();
    for (n, (address, bits)) in networks.iter().enumerate() {
        list += &format!("{address}/{bits};{n}\n");
    }
    let (set, problems) = load(list);
    prop_assert_eq!(problems, Vec::<String>::new());
    for &address in addresses {
        let mut best: Option<(u8, usize)> = None;
        for (n, &(network, bits)) in networks.iter().enumerate() {
            if inside(address, network, bits) && best.is_none_or(|(most, _)| bits > most) {
                best = Some((bits, n));
            }
        }
        let found = set.ip(address);
        let note = found.as_ref().and_then(|found| found.note).map(str::to_owned);
        prop_assert_eq!(note, best.map(|(_, n)| n.to_string()), "{}", address);
    }
    Ok(())
}

fn name() -> impl Strategy<Value = String> {
    vec(prop_oneof![Just("a"), Just("b"), Just("ab"), Just("long-label-of-some-bytes")], 1..5)
        .prop_map(|labels| labels.join("."))
}

fn path() -> impl Strategy<Value = String> {
    "/[ab]{0,12}(/[ab]{1,9})?"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn v4_networks(networks in vec((v4(), 0_u8..=32), 0..60), addresses in vec(v4(), 1..60)) {
        let networks: Vec<_> = networks.into_iter().map(|(a, bits)| (Ipv4Addr::from_bits(a).into(), bits)).collect();
        let addresses: Vec<_> = addresses.into_iter().map(|a| Ipv4Addr::from_bits(a).into()).collect();
        check_ips(&networks, &addresses)?;
    }

    #[test]
    fn many_v4_networks(networks in vec((any::<u32>(), 8_u8..=32), 0..400), addresses in vec(any::<u32>(), 100)) {
        let networks: Vec<_> = networks.into_iter().map(|(a, bits)| (Ipv4Addr::from_bits(a).into(), bits)).collect();
        let near = networks.iter().map(|(address, _)| *address);
        let addresses: Vec<IpAddr> =
            addresses.into_iter().map(|a| IpAddr::from(Ipv4Addr::from_bits(a))).chain(near).collect();
        check_ips(&networks, &addresses)?;
    }

    #[test]
    fn v6_networks(networks in vec((v6(), 0_u8..=128), 0..60), addresses in vec(v6(), 1..60)) {
        let plain = |address: &u128| Ipv6Addr::from_bits(*address).to_ipv4_mapped().is_none();
        let networks: Vec<_> = networks.into_iter().filter(|(a, _)| plain(a))
            .map(|(a, bits)| (Ipv6Addr::from_bits(a).into(), bits)).collect();
        let addresses: Vec<_> = addresses.into_iter().map(|a| Ipv6Addr::from_bits(a).into()).collect();
        check_ips(&networks, &addresses)?;
    }

    #[test]
    fn domains(entries in vec((name(), any::<bool>()), 0..30), names in vec(name(), 1..30)) {
        let lines = entries.iter().map(|(name, below)| if *below { format!("*.{name}\n") } else { format!("{name}\n") });
        let (set, problems) = load("# kind: domain\n".to_owned() + &lines.collect::<String>());
        prop_assert_eq!(problems, Vec::<String>::new());
        for name in names {
            let matching = entries.iter().filter(|(entry, below)| {
                name.ends_with(&format!(".{entry}")) || *entry == name && !below
            });
            // The nearest; a plain entry goes before one for subdomains only.
            let best = matching.max_by_key(|(entry, below)| (entry.len(), !below));
            let best = best.map(|(entry, below)| if *below { format!("*.{entry}") } else { entry.clone() });
            prop_assert_eq!(set.domain(name.to_uppercase().as_bytes()).map(|found| found.entry), best, "{}", name);
        }
    }

    #[test]
    fn paths(entries in vec((path(), any::<bool>()), 0..40), paths in vec(path(), 1..40)) {
        let lines = entries.iter().map(|(path, beginning)| if *beginning { format!("{path}*\n") } else { format!("{path}\n") });
        let (set, problems) = load(lines.collect::<String>());
        prop_assert_eq!(problems, Vec::<String>::new());
        for path in paths {
            let whole = entries.iter().find(|(entry, beginning)| !beginning && *entry == path);
            let beginnings = entries.iter().filter(|(entry, beginning)| *beginning && path.starts_with(entry.as_str()));
            let best = whole.or_else(|| beginnings.max_by_key(|(entry, _)| entry.len()));
            let best = best.map(|(entry, beginning)| if *beginning { format!("{entry}*") } else { entry.clone() });
            prop_assert_eq!(set.path(path.as_bytes()).map(|found| found.entry), best, "{}", path);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(content in vec(any::<u8>(), 0..600), kind in 0..5_usize) {
        let header = ["", "# kind: ip\n", "# kind: domain\n", "# kind: sha256\n", "# kind: path\n"][kind];
        let directory = Directory::new();
        let file = directory.file("list.txt", [header.as_bytes(), &content].concat());
        let (set, _) = Set::load(&[file], &Limits::default());
        set.domain(&content);
        set.path(&content);
    }
}
