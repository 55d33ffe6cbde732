//! One connection to a server that speaks the contract: opened, configured, taken apart.
//!
//! It decides nothing; when something is sent is `worker`'s business.

use anyhow::{Context, Result, bail};
use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue},
        protocol::WebSocketConfig,
    },
};

use crate::plan::Plan;

pub(crate) type Sink = SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>;
pub(crate) type Source = SplitStream<WebSocketStream<MaybeTlsStream<TcpStream>>>;

/// The configuration of every caller: nobody is asked whether he is still there.
const CONFIG: &str = r#"{"type":"sessionConfig","config":{"inactivityEnabled":false}}"#;

/// Connects and waits for `session_start`.
pub(crate) async fn dial(plan: &Plan) -> Result<(Sink, Source)> {
    let mut request = plan.url.as_str().into_client_request().context("the URL")?;
    for (name, value) in &plan.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).context("the name of a header")?;
        let value = HeaderValue::from_str(value).context("the value of a header")?;
        request.headers_mut().insert(name, value);
    }
    // Frames are small; the default of 128 KiB for each caller is not needed.
    let config = WebSocketConfig::default().read_buffer_size(8 * 1024).write_buffer_size(0);
    let (socket, _) = connect_async_with_config(request, Some(config), true).await?;
    let (mut sink, mut source) = socket.split();
    sink.send(Message::text(CONFIG)).await?;
    while let Some(message) = source.next().await {
        if let Message::Text(text) = message? {
            match kind(&text) {
                "session_start" => return Ok((sink, source)),
                "error" if text.contains(r#""fatal":true"#) => bail!("the server: {text}"),
                _ => {}
            }
        }
    }
    bail!("the connection ended before session_start")
}

/// The `type` of a message.
pub(crate) fn kind(json: &str) -> &str {
    let after = json.split_once(r#""type":"#).map_or("", |(_, after)| after.trim_start());
    after.split('"').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_message_is_found_without_reading_all_of_it() {
        assert_eq!(kind(r#"{"seq":3,"type":"session_start","sessionId":"x"}"#), "session_start");
        assert_eq!(kind(r#"{"type": "error"}"#), "error");
        assert_eq!(kind("{}"), "");
    }
}
