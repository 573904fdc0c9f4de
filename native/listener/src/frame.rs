//! Puts a unary request together from HTTP/2 data chunks, cut anywhere. Frame: compressed flag u8, length u32
//! big-endian, message.

use bytes::{Buf, Bytes};

pub(crate) const HEADER_BYTES: usize = 5;

#[derive(Debug, PartialEq)]
pub(crate) enum Problem {
    TooLarge { bytes: usize },
    Malformed(&'static str),
}

/// A whole message.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub compressed: bool,
    pub bytes: Bytes,
}

#[derive(Debug)]
enum State {
    /// Bytes of the header so far.
    Header(Vec<u8>),
    Filling {
        compressed: bool,
        wanted: usize,
        filled: Vec<u8>,
    },
    Whole(Message),
}

#[derive(Debug)]
pub(crate) struct Assembler {
    bytes_max: usize,
    state: State,
}

impl Assembler {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: State::Header(Vec::new()) }
    }

    /// Takes the next chunk. A message that came in one chunk is not copied; one that spans chunks is copied once.
    pub(crate) fn push(&mut self, mut chunk: Bytes) -> Result<(), Problem> {
        while !chunk.is_empty() {
            match &mut self.state {
                State::Header(pieces) => {
                    let taken = chunk.split_to(chunk.len().min(HEADER_BYTES - pieces.len()));
                    pieces.extend_from_slice(&taken);
                    if let Ok(header) = <[u8; HEADER_BYTES]>::try_from(pieces.as_slice()) {
                        self.state = self.begin(header, &mut chunk)?;
                    }
                }
                State::Filling { compressed, wanted, filled } => {
                    let taken = chunk.len().min(*wanted - filled.len());
                    filled.extend_from_slice(&chunk[..taken]);
                    chunk.advance(taken);
                    if filled.len() == *wanted {
                        let bytes = Bytes::from(std::mem::take(filled));
                        self.state = State::Whole(Message { compressed: *compressed, bytes });
                    }
                }
                State::Whole(_) => return Err(Problem::Malformed("a unary call holds more than one message")),
            }
        }
        Ok(())
    }

    /// Size of the message that is on its way, once its header is here and while it is not complete.
    pub(crate) fn awaited(&self) -> Option<usize> {
        if let State::Filling { wanted, .. } = self.state { Some(wanted) } else { None }
    }

    /// The caller has sent everything.
    pub(crate) fn finish(self) -> Result<Message, Problem> {
        match self.state {
            State::Whole(message) => Ok(message),
            State::Header(_) => Err(Problem::Malformed("the request holds no message")),
            State::Filling { .. } => Err(Problem::Malformed("the request ends within its message")),
        }
    }

    fn begin(&self, header: [u8; HEADER_BYTES], chunk: &mut Bytes) -> Result<State, Problem> {
        let [flag, length @ ..] = header;
        let wanted = u32::from_be_bytes(length) as usize;
        if flag > 1 {
            return Err(Problem::Malformed("the frame has an unknown flag"));
        }
        if wanted > self.bytes_max {
            return Err(Problem::TooLarge { bytes: wanted });
        }
        let compressed = flag == 1;
        Ok(if chunk.len() >= wanted {
            State::Whole(Message { compressed, bytes: chunk.split_to(wanted) })
        } else {
            // The announced length is a claim: what is small is allocated at once, the rest when there is room for it.
            State::Filling { compressed, wanted, filled: Vec::new() }
        })
    }

    /// Makes room for all of the message, once somebody has agreed to hold it.
    pub(crate) fn reserve(&mut self) {
        if let State::Filling { wanted, filled, .. } = &mut self.state {
            filled.reserve_exact(*wanted - filled.len());
        }
    }
}
