//! Silent connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

/// A cable between two nodes that can be cut without either of them being told.
struct Cable {
    listen: Multiaddr,
    is_cut: Arc<AtomicBool>,
}

impl Cable {
    /// A cable to a listening address, for one connection.
    fn to(address: &Multiaddr) -> Self {
        let port = address.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None });
        let port = port.expect("it listens on TCP");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        thread::spawn(move || {
            let (near, _) = listener.accept().expect("somebody dials");
            let far = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
            let ends = [(&near, &far), (&far, &near)].map(|(from, to)| [from, to].map(|end| end.try_clone()));
            for [from, to] in ends {
                let (from, to, cut) = (from.expect("a handle"), to.expect("a handle"), Arc::clone(&cut));
                thread::spawn(move || carry(from, to, &cut));
            }
        });
        Self { listen: format!("/ip4/127.0.0.1/tcp/{own}").parse().expect("a multiaddr"), is_cut }
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }
}

/// Until either end closes. Once the cable is cut, what comes is lost.
fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !is_cut.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if !is_cut.load(Ordering::SeqCst) {
        let _ = to.shutdown(Shutdown::Both);
    }
}

#[test]
fn a_connection_that_is_cut_ends_at_both_ends_and_one_that_is_merely_quiet_stays() {
    let runtime = runtime();
    let network = network("test");
    let [a, quiet, cut] = std::array::from_fn(|_| Node::start(&runtime, &network));
    let cable = Cable::to(&cut.address());
    a.connect_to(&quiet);
    let to_quiet = a.session();
    let row = a.connect(cable.listen.clone()).expect("the cable leads to a node");
    assert_eq!((a.session(), row.peer_id), (row.peer, cut.keypair.public().to_peer_id()));
    let (from_a, from_a_cut) = (quiet.session(), cut.session());
    let end = Instant::now() + PATIENCE;
    let is_measured = |node: &Node| node.handle.peers().iter().all(|row| row.ping_millis.is_some());
    while ![&a, &quiet, &cut].into_iter().all(is_measured) {
        assert!(Instant::now() < end, "both ends measure the round trip");
        thread::yield_now();
    }

    cable.cut();
    assert_eq!((a.parting(), cut.parting()), (row.peer, from_a_cut));
    // Nobody has said anything here either, but for pings. The other two may have found each other again.
    let has = |node: &Node, peer| node.handle.peers().iter().any(|row| row.peer == peer);
    assert!(has(&a, to_quiet) && has(&quiet, from_a));
}
