//! The parts that see bytes nobody vouches for. The listener as a whole is tested through JavaScript, against the
//! transport's contract (`packages/platform/src/testing/transport-contract.ts`).

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::frame::{Assembler, Message, Problem};
use crate::text::{encode_status_message, parse_timeout};
use crate::{Entrance, Listener, Options};

const LIMIT: usize = 1_000;

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [[flag].as_slice(), &(message.len() as u32).to_be_bytes(), message].concat()
}

fn assemble(pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<Message, Problem> {
    let mut assembler = Assembler::new(LIMIT);
    for piece in pieces {
        assembler.push(Bytes::from(piece))?;
    }
    assembler.finish()
}

#[test]
fn a_message_is_whole_wherever_it_is_cut() {
    let bytes: Vec<u8> = (0..40).collect();
    let frame = framed(1, &bytes);
    for first in 0..=frame.len() {
        for second in first..=frame.len() {
            let pieces = [&frame[..first], &frame[first..second], &frame[second..]].map(<[u8]>::to_vec);
            let whole = Message { compressed: true, bytes: Bytes::from(bytes.clone()) };
            assert_eq!(assemble(pieces), Ok(whole), "cut at {first} and {second}");
        }
    }
}

#[test]
fn an_empty_message_is_one() {
    assert_eq!(assemble([framed(0, &[])]), Ok(Message { compressed: false, bytes: Bytes::new() }));
}

#[test]
fn what_is_no_message_is_refused() {
    let malformed = |pieces: Vec<Vec<u8>>| matches!(assemble(pieces), Err(Problem::Malformed(_)));
    assert!(malformed(vec![]));
    assert!(malformed(vec![vec![0, 0]]));
    assert!(malformed(vec![framed(2, b"x")]));
    assert!(malformed(vec![framed(0, b"xy")[..6].to_vec()]));
    assert!(malformed(vec![[framed(0, b"x"), framed(0, b"y")].concat()]));
    assert_eq!(assemble([framed(0, &[7; LIMIT + 1])]), Err(Problem::TooLarge { bytes: LIMIT + 1 }));
}

#[test]
fn an_announced_length_alone_takes_no_memory() {
    let mut assembler = Assembler::new(usize::MAX);
    assembler.push(Bytes::from(vec![0, 0x7f, 0xff, 0xff, 0xff, 1])).unwrap();
    assert_eq!(assembler.awaited(), Some(0x7fff_ffff));
    assert!(matches!(assembler.finish(), Err(Problem::Malformed(_))));
}

#[test]
fn timeouts_are_read_as_grpc_writes_them() {
    assert_eq!(parse_timeout("10S"), Some(Duration::from_secs(10)));
    assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
    assert_eq!(parse_timeout("5u"), Some(Duration::from_micros(5)));
    for wrong in ["", "S", "10", "10s", "-1S", "+1S", "123456789S", "1 S", "１S", "1é"] {
        assert_eq!(parse_timeout(wrong), None, "{wrong}");
    }
}

#[test]
fn status_messages_are_printable_ascii() {
    assert_eq!(encode_status_message("100% «ok»\n"), "100%25 %C2%ABok%C2%BB%0A");
}

/// A listener behind `entrance`, and what hears its bell.
fn listener(entrance: &Entrance) -> (Listener, Receiver<()>) {
    let options = Options {
        request_bytes_max: LIMIT,
        response_bytes_max: LIMIT,
        in_flight_bytes_max: LIMIT,
        stall_max: Duration::from_secs(60),
        tls: None,
        threads: 1,
    };
    let (bell, rung) = channel();
    (Listener::open(entrance, options, move || bell.send(()).unwrap_or(())).unwrap(), rung)
}

/// Whether a call of a new connection has come to `at` before the others heard of anything.
fn calls(port: u16, listeners: &[(Listener, Receiver<()>)], at: usize) -> TcpStream {
    let mut caller = TcpStream::connect(("127.0.0.1", port)).unwrap();
    caller.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    listeners[at].1.recv_timeout(Duration::from_secs(10)).expect("the call comes to the listener whose turn it is");
    assert!(!listeners[at].0.take().is_empty());
    assert!(listeners.iter().all(|(_, rung)| rung.try_recv().is_err()), "one call, one bell");
    caller
}

#[test]
fn connections_go_to_the_listener_that_has_the_fewest() {
    let entrance = Entrance::open("127.0.0.1", 0).unwrap();
    let listeners = [listener(&entrance), listener(&entrance), listener(&entrance)];
    let port = entrance.port();
    let mut open: Vec<_> = [0, 1, 2, 0, 1, 2].map(|at| calls(port, &listeners, at)).into();
    drop((open.remove(4), open.remove(1)));
    while listeners[1].0.phase.receiver_count() > 1 {
        thread::yield_now();
    }
    // What it was told of those who left.
    assert!(!listeners[1].0.take().is_empty());
    while listeners[1].1.try_recv().is_ok() {}
    open.extend([1, 1, 2].map(|at| calls(port, &listeners, at)));
}

#[test]
fn who_closes_takes_no_further_connections_and_the_others_go_on() {
    let entrance = Entrance::open("127.0.0.1", 0).unwrap();
    let listeners = [listener(&entrance), listener(&entrance)];
    let port = entrance.port();
    listeners[0].0.close(Duration::ZERO);
    listeners[0].1.recv_timeout(Duration::from_secs(10)).expect("the last event");
    let kept = [(); 3].map(|()| calls(port, &listeners[..], 1));
    drop(entrance);
    drop(calls(port, &listeners[..], 1));
    drop(kept);
    listeners[1].0.close(Duration::ZERO);
    while listeners[1].0.take().is_empty() {
        listeners[1].1.recv_timeout(Duration::from_secs(10)).expect("the last event");
    }
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
}
