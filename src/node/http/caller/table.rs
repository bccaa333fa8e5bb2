//! The table of TCP sockets that Linux keeps: proc_net(5), `tcp`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Ends;

/// An IPv6 socket may speak IPv4.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The table changes while it is read, so that a row may be missed.
const TRIES: usize = 3;
/// What is read at once, in bytes.
const BUFFER_BYTES: usize = 64 << 10;
/// Established, both stages of a client that has sent its last byte, and a server that has. A socket that only begins
/// to connect is none of them.
const STATES: [&str; 4] = ["01", "04", "05", "08"];
/// Shown in the place of users whom this user namespace does not know.
const OVERFLOW_UID: &str = "/proc/sys/kernel/overflowuid";
/// The user ids that this user namespace knows.
const UID_MAP: &str = "/proc/self/uid_map";
/// The map of a namespace that knows them all.
const ALL_UIDS: [&str; 3] = ["0", "0", "4294967295"];

/// The user whose process holds the client's end.
pub(super) fn owner(ends: &Ends) -> Option<u32> {
    let tables = || {
        TABLES.iter().filter_map(|file| File::open(file).ok()).map(|file| BufReader::with_capacity(BUFFER_BYTES, file))
    };
    (0..TRIES).find_map(|_| owner_in(ends, || tables().collect()))
}

/// Whether this number stands for one user, and not for all whom this user namespace does not know.
pub(super) fn is_known(uid: u32) -> bool {
    let stands_for_others = fs::read_to_string(OVERFLOW_UID).ok().and_then(|text| text.trim().parse().ok());
    let has_all = || fs::read_to_string(UID_MAP).is_ok_and(|map| map.split_whitespace().eq(ALL_UIDS));
    stands_for_others.is_some_and(|other: u32| other != uid || has_all())
}

fn owner_in<R: BufRead>(ends: &Ends, tables: impl Fn() -> Vec<R>) -> Option<u32> {
    let find = |local, remote| tables().into_iter().find_map(|table| row(table, local, remote));
    // A socket that no process holds any more is shown as one of root, without a number.
    let client = find(ends.client, ends.server).filter(|row| row.is_open && row.inode != 0)?;
    // Our end is still there afterwards: until then nobody else could have got the client's port.
    let server = find(ends.server, ends.client)?;
    (server.inode == ends.server_inode).then_some(client.uid)
}

struct Row {
    is_open: bool,
    uid: u32,
    inode: u64,
}

/// The row of a connected socket with these ends.
fn row(mut table: impl BufRead, local: SocketAddr, remote: SocketAddr) -> Option<Row> {
    let wanted = [false, true].map(|mapped| [local, remote].map(|end| written(end, mapped)));
    let mut line = String::new();
    while table.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let ends = [fields.next()?, fields.next()?];
        if wanted.iter().any(|wanted| *wanted == ends) {
            let is_open = STATES.contains(&fields.next()?);
            let mut rest = fields.skip(3);
            let uid = rest.next()?.parse().ok()?;
            let inode = rest.nth(1)?.parse().ok()?;
            return Some(Row { is_open, uid, inode });
        }
        line.clear();
    }
    None
}

/// An end as the table has it: words of 32 bits in this machine's order, and the port. `mapped`: an IPv4 address as an
/// IPv6 socket has it.
fn written(end: SocketAddr, mapped: bool) -> String {
    let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let long = |ip: Ipv6Addr| ip.octets().as_chunks().0.iter().copied().map(word).collect::<String>();
    let ip = match end.ip().to_canonical() {
        IpAddr::V4(ip) if mapped => long(ip.to_ipv6_mapped()),
        IpAddr::V4(ip) => word(ip.octets()),
        IpAddr::V6(ip) => long(ip),
    };
    format!("{ip}:{:04X}", end.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn ends(client: &str, server: &str) -> Ends {
        Ends { client: client.parse().expect("an end"), server: server.parse().expect("an end"), server_inode: 77 }
    }

    fn line(local: &str, remote: &str, state: &str, uid: u32, inode: u64) -> String {
        format!(
            "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:>5}        0 {inode} 1 0000 20 4 30 10 -1\n"
        )
    }

    fn told(ends: &Ends, tables: [&str; 2]) -> Option<u32> {
        owner_in(ends, || tables.map(str::as_bytes).to_vec())
    }

    /// The client's end, and ours, in both tables and both forms of an IPv4 address.
    #[cfg(target_endian = "little")]
    #[test]
    fn the_other_end_is_found() {
        let (client, server) = ("0100007F:C350", "0100007F:1E6C");
        let (old, new) = ("0000000000000000FFFF00000100007F:C350", "0000000000000000FFFF00000100007F:1E6C");
        let own = line(server, client, "01", 0, 77);
        let here = ends("127.0.0.1:50000", "127.0.0.1:7788");
        let short = HEAD.to_owned() + &line("0100007F:1E6C", "00000000:0000", "0A", 1, 70) + &own;
        assert_eq!(told(&here, [&(short.clone() + &line(client, server, "01", 1000, 78)), HEAD]), Some(1000));
        assert_eq!(told(&here, [&short, &(HEAD.to_owned() + &line(old, new, "01", 1001, 78))]), Some(1001));
        let six = ends("[::1]:50000", "[::1]:7788");
        let (client, server) = ("00000000000000000000000001000000:C350", "00000000000000000000000001000000:1E6C");
        let long = HEAD.to_owned() + &line(client, server, "01", 1002, 78) + &line(server, client, "01", 0, 77);
        assert_eq!(told(&six, [HEAD, &long]), Some(1002));
        assert_eq!(told(&here, [HEAD, &long]), None);
        assert_eq!(told(&six, ["", ""]), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn only_a_socket_that_somebody_holds_tells_its_user() {
        let (client, server) = ("0100007F:C350", "0100007F:1E6C");
        let here = ends("127.0.0.1:50000", "127.0.0.1:7788");
        let with = |state, inode, ours| {
            let table = HEAD.to_owned() + &line(client, server, state, 0, inode) + &line(server, client, "08", 5, ours);
            told(&here, [&table, HEAD])
        };
        for (state, inode, ours, want) in [
            ("01", 78, 77, Some(0)),
            // It has sent all that it will send, and still reads.
            ("05", 78, 77, Some(0)),
            // Closed, or gone with its process: the table then says root.
            ("04", 0, 77, None),
            ("05", 0, 77, None),
            ("06", 0, 77, None),
            ("01", 0, 77, None),
            // Another process has begun to connect from the same port.
            ("02", 78, 77, None),
            // The connection with that port is another one than ours by now.
            ("01", 78, 79, None),
            ("01", 78, 0, None),
        ] {
            assert_eq!(with(state, inode, ours), want, "{state} {inode} {ours}");
        }
    }
}
