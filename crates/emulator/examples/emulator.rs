//! The emulator on its own, for trying a client against it: prints its addresses as one line of
//! JSON and runs until its standard input closes. The subcommand `voice-s2s emulator` is the real
//! thing.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use voice_emulator::{Emulator, EmulatorConfig};

#[expect(clippy::print_stdout, reason = "its output is how its addresses become known")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emulator = Emulator::start(EmulatorConfig {
        tls_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        echo: std::env::args().any(|argument| argument == "--echo"),
        ..EmulatorConfig::default()
    })?;
    let ca_file = std::env::temp_dir().join(format!("emulator-ca-{}.pem", std::process::id()));
    std::fs::write(&ca_file, emulator.ca_pem())?;
    println!(
        "{}",
        serde_json::json!({
            "endpoint": emulator.endpoint(),
            "tlsEndpoint": emulator.tls_endpoint(),
            "caFile": ca_file,
        })
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    emulator.shutdown();
    std::fs::remove_file(ca_file)?;
    Ok(())
}
