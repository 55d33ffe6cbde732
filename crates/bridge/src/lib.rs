//! The audio bridge: callers of Amazon Connect talk to the voice server.
//!
//! Connect gives a caller's voice away through Kinesis Video Streams, and plays what it finds on
//! S3; between the two stands this bridge, a client of `/sonic` like any browser. It is no part of
//! the server and shares no state with it. [`Bridge::start`] is what `voice-s2s bridge` runs.
//!
//! | machines | shells |
//! |---|---|
//! | [`fragments`]: whose voice, nothing doubled, nothing lost | `line`: one connection to Kinesis Video |
//! | `turns`: the flow's questions and their answers | `call`: one call |
//! | `cutter`, `sentences`: where a reply is cut | `voice`: WAV files on S3 |
//! | `floor`, `hush`: what is said during a prompt, and what is not handed on | `sonic`: the connection to the server |
//! | `resume`: where another task goes on | |
//! | `voice_access::signature`: who may ask | `http`, `calls`: all calls of a task |

mod call;
mod calls;
mod credential;
mod cutter;
mod floor;
pub mod fragments;
mod http;
mod hush;
mod line;
mod meters;
pub mod mkv;
mod resume;
mod sentences;
mod settings;
mod sonic;
mod turns;
mod voice;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    net::{TcpListener, UdpSocket},
    sync::oneshot,
    task::JoinHandle,
};
use voice_aws::{KinesisPort, PollyPort, S3Store};

use crate::{calls::Calls, http::State, voice::Voice};
pub use crate::{
    credential::ServerKey,
    cutter::CutConfig,
    floor::DuringPrompt,
    line::LineLimits,
    meters::Meters,
    settings::{APOLOGY, BridgeConfig, LONGEST_WAIT},
};
use voice_access::signature::Gatekeeper;

/// A running bridge.
pub struct Bridge {
    address: SocketAddr,
    meters: Meters,
    calls: Calls,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Bridge {
    /// Listens and serves.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(config: BridgeConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let owner = match &config.advertise {
            Some(owner) => owner.clone(),
            None => format!("http://{}", at(address, &config.server).await),
        };
        let meters = Meters::default();
        let kinesis = KinesisPort::new(config.kinesis.clone()).await;
        let polly = match &config.polly {
            Some(polly) => Some(PollyPort::new(polly.clone()).await),
            None => None,
        };
        let store = S3Store::new(config.prompts.clone()).await;
        let voice = Voice { store, polly, meters: meters.clone() };
        let key = config.key.clone();
        let gate = key.clone().map(|key| Mutex::new(Gatekeeper::new(key)));
        let longest_wait = config.longest_wait;
        let calls = Calls::new(config, kinesis, voice, meters.clone());
        let state = Arc::new(State {
            calls: calls.clone(),
            registry: meters.registry(),
            meters: meters.clone(),
            gate,
            key,
            owner,
            longest_wait,
        });
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(http::serve(listener, state, stopped));
        Ok(Self { address, meters, calls, stop: Some(stop), serving })
    }

    /// The address that is listened on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What the bridge counts.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Refuses new calls, lets those that are end for as long as `grace`, and stops. Returns how
    /// many calls had to be ended.
    pub async fn stop(mut self, grace: Duration) -> usize {
        let left = self.calls.drain(grace).await;
        self.stop = None;
        let _ = (&mut self.serving).await;
        left
    }
}

/// Where others reach an address that may be every place: from where this machine reaches the server,
/// which is in the same network.
async fn at(mut address: SocketAddr, server: &str) -> SocketAddr {
    if address.ip().is_unspecified() {
        let own = own_address(server).await.unwrap_or(Ipv4Addr::LOCALHOST.into());
        address.set_ip(own);
    }
    address
}

/// Our side of a way there. Nothing is sent: a datagram socket that is connected only looks it up.
async fn own_address(url: &str) -> Option<IpAddr> {
    let uri: ::http::Uri = url.parse().ok()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
    socket.connect((uri.host()?, uri.port_u16().unwrap_or(80))).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bridge_that_listens_everywhere_is_where_it_reaches_the_server_from() {
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 8081));
        let here = SocketAddr::from(([127, 0, 0, 1], 8081));
        assert_eq!(at(everywhere, "ws://127.0.0.1:8080/sonic").await, here);
        assert_eq!(at(everywhere, "nowhere").await, here);
        let told = SocketAddr::from(([10, 0, 0, 7], 8081));
        assert_eq!(at(told, "ws://127.0.0.1:8080/sonic").await, told);
    }
}
