//! A bound socket, and how its connections are shared out. Several listeners may stand behind one: each accepts, and
//! hands what it has accepted to the one with the fewest connections. The kernel's own ways of sharing a port
//! (`SO_REUSEPORT`, several who accept) leave a few connections to chance, and one busy client to one listener.

use std::io;
use std::net::{self, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{self, Handle};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::server::{OpenError, Phase, Protocols};

/// Connections the kernel holds for us while we are busy.
const BACKLOG: u32 = 4_096;
/// Without descriptors for new connections, until some are free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address that is listened on. Connections wait until a [`Listener`](crate::Listener) is opened behind it.
pub struct Entrance {
    socket: net::TcpListener,
    dealer: Arc<Dealer>,
}

/// Who of the listeners behind an entrance gets which connection.
pub(crate) struct Dealer {
    pub(crate) address: SocketAddr,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    members: Vec<Member>,
    /// Where the search for the one with the fewest connections begins, so that equals take turns.
    turn: usize,
    /// Of the newest member.
    seat: u64,
}

/// A listener that takes connections.
struct Member {
    seat: u64,
    /// Every connection watches it, which also counts them.
    phase: watch::Sender<Phase>,
    protocols: Arc<Protocols>,
    runtime: Handle,
}

impl Entrance {
    /// Port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn open(host: &str, port: u16) -> Result<Self, OpenError> {
        let reactor = runtime::Builder::new_current_thread().enable_io().build()?;
        let _inside = reactor.enter();
        let socket = listen(host, port)?.into_std()?;
        let address = socket.local_addr()?;
        Ok(Self { socket, dealer: Arc::new(Dealer { address, table: Mutex::default() }) })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.dealer.address.port()
    }

    /// Lets a listener take part. Its place at the table is given back by [`Dealer::leave`].
    pub(crate) fn join(
        &self,
        runtime: &Handle,
        protocols: Arc<Protocols>,
        phase: &watch::Sender<Phase>,
    ) -> io::Result<(Arc<Dealer>, u64)> {
        let _inside = runtime.enter();
        let socket = TcpListener::from_std(self.socket.try_clone()?)?;
        let dealer = Arc::clone(&self.dealer);
        let watched = phase.subscribe();
        let seat = dealer.sit(Member { seat: 0, phase: phase.clone(), protocols, runtime: runtime.clone() });
        runtime.spawn(accept(watched, Arc::clone(&dealer), seat, socket));
        Ok((dealer, seat))
    }
}

impl Dealer {
    fn sit(&self, member: Member) -> u64 {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.seat += 1;
        let seat = table.seat;
        table.members.push(Member { seat, ..member });
        seat
    }

    /// This listener takes no more connections.
    pub(crate) fn leave(&self, seat: u64) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).members.retain(|member| member.seat != seat);
    }

    /// Gives a connection, accepted on the runtime of `accepted_by`, to whoever has the fewest; nobody: it is closed.
    fn deal(&self, stream: TcpStream, accepted_by: u64) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { members, turn, .. } = &mut *table;
        let order = (0..members.len()).map(|step| (*turn + step) % members.len());
        let Some(chosen) = order.min_by_key(|&at| members[at].phase.receiver_count()) else { return };
        *turn = chosen + 1;
        let member = &members[chosen];
        let (protocols, phase) = (Arc::clone(&member.protocols), member.phase.subscribe());
        if member.seat == accepted_by {
            member.runtime.spawn(protocols.serve(stream, phase));
        } else if let Ok(stream) = stream.into_std() {
            // A socket belongs to the reactor of one runtime.
            member.runtime.spawn(async move {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    protocols.serve(stream, phase).await;
                }
            });
        }
    }
}

fn listen(host: &str, port: u16) -> Result<TcpListener, OpenError> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other(format!("{host} has no address")))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    let bound = socket.bind(address).and_then(|()| socket.listen(BACKLOG));
    bound.map_err(|cause| if cause.kind() == io::ErrorKind::AddrInUse { OpenError::InUse } else { cause.into() })
}

/// The socket is closed before the phase is watched no more: then nobody listens.
async fn accept(mut phase: watch::Receiver<Phase>, dealer: Arc<Dealer>, seat: u64, socket: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = phase.wait_for(|&phase| phase > Phase::Open) => return,
        };
        match accepted {
            Ok((stream, _)) => dealer.deal(stream, seat),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}
