//! The parts that see bytes nobody vouches for. The listener as a whole is tested through JavaScript, against the
//! transport's contract (`packages/platform/src/testing/transport-contract.ts`).

use std::time::Duration;

use bytes::Bytes;

use crate::frame::{Assembler, Message, Problem};
use crate::text::{encode_status_message, parse_timeout};

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
