//! Ways in that are easily forgotten: 32-bit calls, addresses that change while the call runs, Unix sockets, and hooks
//! that somebody takes away.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

use libbpf_rs::libbpf_sys;
use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo};
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, getpeername, getsockname, socket};
use sentinel_edge::event::Kind;
use sentinel_edge::event::network::AF_UNIX;
use sentinel_edge::kernel::Filter;

use crate::acts::begin;
use crate::network::{OPTIONS, one, own};
use crate::rig::{Options, Rig, either_way};

/// socketcall(2) by the old gate, as a 32-bit program does; its arguments lie where 32 bits reach.
#[cfg(target_arch = "x86_64")]
mod narrow {
    use nix::libc;

    /// A page below 4 GiB.
    pub fn page() -> *mut u32 {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
        // SAFETY: a new mapping, which nobody else knows.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        page.cast()
    }

    pub fn socketcall(page: *mut u32, call: u32, arguments: &[u32]) -> i32 {
        for (at, argument) in arguments.iter().enumerate() {
            // SAFETY: six arguments at most, in a page of our own.
            unsafe { page.add(at).write_volatile(*argument) };
        }
        let result: i32;
        // SAFETY: the kernel reads what lies in the page, and writes none of our memory with these calls.
        unsafe {
            std::arch::asm!(
                "push rbx", "mov ebx, {call:e}", "int 0x80", "pop rbx",
                call = in(reg) call,
                inout("eax") 102 => result,
                in("ecx") u32::try_from(page.addr()).expect("an address of 32 bits"),
            );
        }
        result
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "needs root and BPF"]
fn calls_of_32_bit_programs_are_told_alike() {
    use sentinel_edge::event::{Hook, NetworkOp};

    let mut rig = Rig::with(OPTIONS);
    let page = narrow::page();
    let at = |offset: u32| u32::try_from(page.addr()).expect("an address of 32 bits") + offset;
    let address = |port: u16| {
        // SAFETY: within the page.
        unsafe {
            page.add(64).write_volatile(u32::from(port.to_be()) << 16 | 2);
            page.add(65).write_volatile(u32::from_ne_bytes([127, 0, 0, 1]));
        }
    };
    let server = narrow::socketcall(page, 1, &[2, 1, 0]);
    if server == -libc::ENOSYS {
        println!("MATRIX class=net_connect hook=ia32 result=missing: this kernel has no 32-bit calls");
        return;
    }
    address(0);
    let [server_fd, client_fd] =
        [server, narrow::socketcall(page, 1, &[2, 1, 0])].map(|fd| u32::try_from(fd).expect("a socket"));
    assert_eq!(narrow::socketcall(page, 2, &[server_fd, at(256), 16]), 0);
    assert_eq!(narrow::socketcall(page, 4, &[server_fd, 5]), 0);
    let bound: SockaddrIn = getsockname(server).expect("its address");
    address(bound.port());
    assert_eq!(narrow::socketcall(page, 3, &[client_fd, at(256), 16]), 0);
    let accepted = narrow::socketcall(page, 5, &[server_fd, 0, 0]);
    assert!(accepted >= 0);
    address(1);
    let refused = narrow::socketcall(page, 1, &[2, 1, 0]);
    assert_eq!(narrow::socketcall(page, 3, &[u32::try_from(refused).expect("a socket"), at(256), 16]), -111);
    for fd in [server, i32::try_from(client_fd).expect("a socket"), accepted, refused] {
        // SAFETY: descriptors that were just made and that nobody else owns.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    rig.drain();
    let port = u32::from(bound.port());
    let connected = one(rig.network(own(), Kind::NetConnect), "connect", |e| e.remote.port == port);
    assert_eq!(
        (connected.op, connected.errno, connected.origin.hook),
        (NetworkOp::Connect, 0, Hook::SysExit)
    );
    assert!(connected.origin.grade_user && !connected.origin.argument_swap);
    assert_eq!(one(rig.network(own(), Kind::NetConnect), "refused", |e| e.remote.port == 1).errno, 111);
    assert_eq!(one(rig.network(own(), Kind::NetAccept), "accept", |e| e.local.port == port).errno, 0);
    assert_eq!(one(rig.network(own(), Kind::NetBind), "bind", |e| e.local.port == port).errno, 0);
    assert_eq!(one(rig.network(own(), Kind::NetListen), "listen", |e| e.local.port == port).backlog, 5);
    println!("MATRIX class=net_connect hook=ia32 result=passed");
}

/// A socket of IPv6 that is given an address of IPv4, as the C library does to put addresses in order, is deceived by
/// nobody.
#[test]
#[ignore = "needs root and BPF"]
fn an_old_address_for_a_new_socket_is_no_swap() {
    for options in either_way(OPTIONS) {
        let mut rig = Rig::with(options);
        let port = |at: u16| 40_123 + at;
        for (at, address) in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED].into_iter().enumerate() {
            let client = socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::empty(), None).unwrap();
            let to = SockaddrIn::from(std::net::SocketAddrV4::new(address, port(u16::try_from(at).unwrap())));
            nix::sys::socket::connect(client.as_raw_fd(), &to).unwrap();
        }
        rig.drain();
        for at in 0..2 {
            let connected = one(rig.network(own(), Kind::NetConnect), "connect", |e| {
                e.remote.port == u32::from(port(at))
            });
            assert_eq!((connected.given, connected.origin.argument_swap), (None, false));
            let ip = connected.remote.ip(connected.family).map(|ip| ip.to_canonical());
            assert_eq!(ip, Some(Ipv4Addr::LOCALHOST.into()));
        }
    }
}

/// A thread rewrites the port while another one connects: the event has the port that the kernel took, every time.
#[test]
#[ignore = "needs root and BPF"]
fn an_address_that_is_rewritten_meanwhile_deceives_nobody() {
    const TRIES: usize = 10_000;
    let mut rig = Rig::with(Options { ring_bytes: 64 << 20, ..OPTIONS });
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    // sockaddr_in with the port as an atomic, since two threads write it.
    #[repr(C)]
    struct Address {
        family: u16,
        port: AtomicU16,
        ip: [u8; 4],
        zero: [u8; 8],
    }
    let address = Arc::new(Address {
        family: 2,
        port: AtomicU16::new(ports[0].to_be()),
        ip: [127, 0, 0, 1],
        zero: [0; 8],
    });
    let stop = Arc::new(AtomicBool::new(false));
    let racing = {
        let (address, stop) = (Arc::clone(&address), Arc::clone(&stop));
        begin(move || {
            for round in 0_usize.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                address.port.store(ports[round % 2].to_be(), Ordering::Relaxed);
            }
        })
    };
    let serving: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let stop = Arc::clone(&stop);
            listener.set_nonblocking(true).unwrap();
            begin(move || {
                while !stop.load(Ordering::Relaxed) {
                    if listener.accept().is_err() {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut reached = BTreeMap::new();
    for _ in 0..TRIES {
        let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
        // SAFETY: an open socket and an address of the length that is given, which outlives the call.
        let code = unsafe { libc::connect(client.as_raw_fd(), Arc::as_ptr(&address).cast(), 16) };
        assert_eq!(code, 0);
        // The other side may be gone already; then there is nothing to compare with.
        if let Ok(peer) = getpeername::<SockaddrIn>(client.as_raw_fd()) {
            let here: SockaddrIn = getsockname(client.as_raw_fd()).unwrap();
            reached.entry(here.port()).or_insert_with(Vec::new).push(peer.port());
        }
        rig.drain();
    }
    stop.store(true, Ordering::Relaxed);
    racing.join().unwrap();
    serving.into_iter().for_each(|thread| thread.join().unwrap());
    rig.drain();
    let mut told: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    let (mut swaps, mut count) = (0, 0);
    for event in rig.network(own(), Kind::NetConnect) {
        let port = u16::try_from(event.remote.port).unwrap();
        assert!(ports.contains(&port), "{event:#?}");
        told.entry(u16::try_from(event.local.port).unwrap()).or_default().push(port);
        count += 1;
        assert_eq!(event.origin.argument_swap, event.given.is_some());
        if let Some(given) = event.given {
            swaps += 1;
            assert_ne!(given.port, event.remote.port);
        }
    }
    assert_eq!(count, TRIES);
    for (port, peers) in &reached {
        for peer in peers {
            assert!(told[port].contains(peer), "{port} reached {peer}, told {:?}", told[port]);
        }
    }
    println!("{swaps} swaps in {TRIES} tries");
    assert!(swaps > 0, "the race was never won, so nothing was shown");
}

#[test]
#[ignore = "needs root and BPF"]
fn unix_sockets_are_told_if_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    for asked in [true, false] {
        let filter =
            if asked { || Filter { unix_sockets: true, ..Filter::default() } } else { Filter::default };
        let mut rig = Rig::with(Options { filter, ..OPTIONS });
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        drop((client, listener));
        rig.drain();
        let all = rig.network(own(), Kind::NetConnect);
        let told: Vec<_> = all.iter().filter(|e| e.family == AF_UNIX).collect();
        assert_eq!(told.len(), usize::from(asked), "{told:#?}");
        for event in told {
            assert_eq!((event.path, event.socket_type), (crate::rig::bytes(&path), 1));
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_hook_that_is_taken_away_is_missed_and_put_back() {
    let mut rig = Rig::with(OPTIONS);
    let ours = |id: u32| {
        let programs = libbpf_rs::query::ProgInfoIter::default();
        programs.into_iter().any(|program| program.id == id && program.name == "se_connect4")
    };
    let link = LinkInfoIter::default()
        .find(|link| matches!(link.info, LinkTypeInfo::Cgroup(_)) && ours(link.prog_id))
        .expect("the link of the hook");
    // SAFETY: plain numbers; a descriptor that is ours alone comes back.
    let descriptor = unsafe {
        let descriptor = libbpf_sys::bpf_link_get_fd_by_id(link.id);
        assert!(descriptor >= 0);
        OwnedFd::from_raw_fd(descriptor)
    };
    // SAFETY: an open descriptor of a link.
    assert_eq!(unsafe { libbpf_sys::bpf_link_detach(descriptor.as_fd().as_raw_fd()) }, 0);
    assert_eq!(rig.kernel.lost(), ["se_connect4"]);
    rig.kernel.reattach("se_connect4").expect("attaching again");
    assert_eq!(rig.kernel.lost(), [""; 0]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(TcpStream::connect(address).unwrap());
    rig.drain();
    let port = u32::from(address.port());
    assert_ne!(one(rig.network(own(), Kind::NetConnect), "connect", |e| e.remote.port == port).cookie, 0);
}
