//! Connections: serving them, over TLS or plain, and closing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::answer::{Answer, AnswerBody};
use crate::batch;
use crate::door::{Door, Limits};
use crate::entrance::{Dealer, Entrance};
use crate::exchange::exchange;
use crate::mailbox::{CallId, Event, Mailbox};
use crate::rpc;

/// One stream may send this much before it must wait for us; large inserts then run at line speed.
const STREAM_WINDOW_BYTES: u32 = 16 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
/// Clients may send pieces of this size; the default of 16 KiB costs a tenth more per megabyte.
const FRAME_BYTES_MAX: u32 = 1 << 20;
const STREAMS_MAX: u32 = 1_024;
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// An HTTP/1.1 connection may be idle, or slow with its headers, for so long.
const HEADERS_TIME_MAX: Duration = Duration::from_secs(60);
/// A connection that says nothing for so long after it was opened is closed.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
const PING_AFTER: Duration = Duration::from_secs(60);
const PING_ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

pub struct Options {
    /// Larger requests are refused with `RESOURCE_EXHAUSTED`, or 413.
    pub request_bytes_max: usize,
    pub response_bytes_max: usize,
    /// Bytes of large requests received or worked on at once; more wait unread.
    pub in_flight_bytes_max: usize,
    /// Who holds a part of those bytes and sends nothing for so long loses it.
    pub stall_max: Duration,
    pub tls: Option<Tls>,
    /// Threads that read and write sockets, at least 1.
    pub threads: usize,
}

/// PEM: the certificate with its chain, and its private key.
pub struct Tls {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the port is in use")]
    InUse,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the TLS certificate or key cannot be used: {0}")]
    Tls(String),
}

/// An open listener. Dropped, it cuts every connection.
pub struct Listener {
    door: Arc<Door>,
    dealer: Arc<Dealer>,
    /// At the dealer's table.
    seat: u64,
    /// Watched by every connection, and by who accepts them.
    pub(crate) phase: watch::Sender<Phase>,
    runtime: Option<Runtime>,
    /// Large bodies that were announced in a batch and not fetched yet.
    apart: Mutex<HashMap<CallId, Bytes>>,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    Open,
    /// Running calls may finish.
    Draining,
    Cut,
}

impl Listener {
    /// Serves connections of an entrance: all, or its share of them where others stand behind it too. `ring` is called
    /// from other threads whenever there is something to [`take`](Self::take).
    ///
    /// # Errors
    /// The machine has no more descriptors or threads, or the certificate cannot be used.
    pub fn open(
        entrance: &Entrance,
        options: Options,
        ring: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let tls = options.tls.as_ref().map(acceptor).transpose()?;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("elanus-door")
            .enable_all()
            .build()?;
        let limits = Limits {
            request_bytes_max: options.request_bytes_max,
            response_bytes_max: options.response_bytes_max,
            in_flight_bytes_max: options.in_flight_bytes_max,
            stall_max: options.stall_max,
        };
        let door = Door::new(limits, Mailbox::new(Box::new(ring)));
        let phase = watch::Sender::new(Phase::Open);
        let (dealer, seat) = entrance.join(runtime.handle(), Arc::new(Protocols::new(&door, tls)), &phase)?;
        Ok(Self { door, dealer, seat, phase, runtime: Some(runtime), apart: Mutex::default() })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.dealer.address.port()
    }

    /// Everything that came since the last call, in the form of `batch.rs`; empty when there is nothing.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        batch::encode(self.door.mailbox.take(), &mut self.apart.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A body that the batch did not hold, once.
    #[must_use]
    pub fn body(&self, id: CallId) -> Option<Vec<u8>> {
        let body = self.apart.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        // It is the only holder of its memory, so this copies nothing.
        body.map(Vec::from)
    }

    /// Answers a request at the next [`send`](Self::send); without effect when its caller has left by then.
    pub fn answer(&self, id: CallId, answer: Answer) {
        self.door.answer(id, answer);
    }

    /// Sends the answers since the last call, all with one waking of the listener's threads.
    pub fn send(&self) {
        self.door.send();
    }

    /// Takes no new calls, lets running ones finish for at most `grace`, then cuts the connections. A last event tells
    /// when that is done.
    pub fn close(&self, grace: Duration) {
        let Some(runtime) = &self.runtime else { return };
        self.dealer.leave(self.seat);
        let (door, phase) = (Arc::clone(&self.door), self.phase.clone());
        if phase.send_replace(Phase::Draining) != Phase::Open {
            return;
        }
        runtime.spawn(async move {
            // Only connections and the accepting task watch the phase.
            let _ = timeout(grace, phase.closed()).await;
            phase.send_replace(Phase::Cut);
            phase.closed().await;
            door.mailbox.put(Event::Closed);
        });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.dealer.leave(self.seat);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, OpenError> {
    let wrong = |cause: &dyn std::fmt::Display| OpenError::Tls(cause.to_string());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&tls.certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(&tls.key).map_err(|cause| wrong(&cause))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| wrong(&cause))?
        .with_no_client_auth()
        .with_single_cert(chain.map_err(|cause| wrong(&cause))?, key)
        .map_err(|cause: rustls::Error| wrong(&cause))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// How a connection is spoken to.
pub(crate) struct Protocols {
    door: Arc<Door>,
    tls: Option<TlsAcceptor>,
    builder: auto::Builder<TokioExecutor>,
}

impl Protocols {
    fn new(door: &Arc<Door>, tls: Option<TlsAcceptor>) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_BYTES_MAX)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_ANSWER_TIME_MAX)
            .auto_date_header(false);
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_TIME_MAX).half_close(false);
        Self { door: Arc::clone(door), tls, builder }
    }

    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, mut phase: watch::Receiver<Phase>) {
        // A connection that cannot be tuned is served all the same.
        let _ = stream.set_nodelay(true);
        if !matches!(timeout(SILENCE_MAX, first_bytes(&stream, &mut phase)).await, Ok(true)) {
            return;
        }
        let Some(tls) = &self.tls else { return self.speak(stream, phase).await };
        if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)).await {
            self.speak(stream, phase).await;
        }
    }

    /// HTTP/2 or HTTP/1.1, told apart by the first bytes, until either side closes.
    async fn speak<S>(&self, stream: S, mut phase: watch::Receiver<Phase>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(|request| answer(Arc::clone(&self.door), request));
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut known = Phase::Open;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                changed = phase.wait_for(|&phase| phase > known) => match changed.as_deref() {
                    Ok(Phase::Draining) => connection.as_mut().graceful_shutdown(),
                    _ => return,
                },
            }
            known = Phase::Draining;
        }
    }
}

/// Whether the peer says anything before the listener closes.
async fn first_bytes(stream: &TcpStream, phase: &mut watch::Receiver<Phase>) -> bool {
    tokio::select! {
        readable = stream.readable() => readable.is_ok(),
        _ = phase.wait_for(|&phase| phase > Phase::Open) => false,
    }
}

async fn answer(door: Arc<Door>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
    let (head, body) = request.into_parts();
    let is_grpc = head.version == Version::HTTP_2
        && head.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    Ok(if is_grpc { rpc::call(&door, head, body).await } else { exchange(&door, head, body).await })
}
