//! `voice-s2s healthcheck`: asks the local server for its health, so that an image without a
//! shell or curl can check itself. Plain blocking sockets: it must start in milliseconds.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Exit code 0 when `GET /health` answers 200 within three seconds; an error otherwise.
pub fn ask(host: &str, port: u16) -> anyhow::Result<ExitCode> {
    // Listening everywhere is no address to connect to.
    let host = match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() && ip.is_ipv4() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        _ => host.to_owned(),
    };
    let address = (host.as_str(), port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("HOST: {host} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("nothing answers at {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // In one write: a server that answers the first piece and closes would reset the rest.
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).with_context(|| format!("no answer from {address}"))?;
    if &head[9..12] != b"200" {
        bail!("{address}/health answered {}", String::from_utf8_lossy(&head));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        net::TcpListener,
    };

    use super::*;

    fn answering(response: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("a connection");
            // A socket that is closed with unread bytes takes its answer back with a reset.
            let head = BufReader::new(&peer).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let _ = peer.write_all(response);
        });
        port
    }

    #[test]
    fn a_healthy_server_is_exit_0_even_when_it_listens_everywhere() {
        let port = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK");
        assert!(ask("0.0.0.0", port).is_ok());
    }

    #[test]
    fn anything_else_is_an_error() {
        let port = answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert!(ask("127.0.0.1", port).is_err());
    }
}
