//! The WebSocket layer of `/sonic` as an echo, for the Autobahn test suite (`README.md` beside this
//! file). Frames are read by the very file that the server reads them with.

#![expect(clippy::print_stdout, reason = "a program for the test suite")]

#[path = "../../src/http/frames.rs"]
#[expect(dead_code, reason = "nothing is held back here")]
mod frames;

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    error::PayloadError,
    web::{self, Payload},
};
use actix_web_actors::ws::{self, CloseCode, ProtocolError, WebsocketContext};
use bytes::Bytes;

use frames::{Gate, Inbound, Messages, answer_to_close};

struct Echo(Option<Payload>);

impl Actor for Echo {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(payload) = self.0.take() {
            ctx.add_stream(Messages::new(payload, Gate::default()));
        }
    }
}

impl StreamHandler<Inbound> for Echo {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        let mut end = |code: CloseCode| ctx.close(Some(code.into()));
        match inbound {
            Inbound::Text(bytes) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => ctx.text(text),
                Err(_) => end(CloseCode::Invalid),
            },
            Inbound::Binary(bytes) => ctx.binary(bytes),
            Inbound::Ping(bytes) => ctx.pong(&bytes),
            Inbound::Pong => {}
            Inbound::Close(code) => {
                ctx.close(code.map(answer_to_close));
                ctx.stop();
            }
            Inbound::TooLarge => end(CloseCode::Size),
            Inbound::Garbled(_) => end(CloseCode::Protocol),
        }
    }
}

/// Demanded by the context, for the decoding that is not used.
impl StreamHandler<Result<ws::Message, ProtocolError>> for Echo {
    fn handle(&mut self, _: Result<ws::Message, ProtocolError>, _: &mut Self::Context) {}
}

async fn upgrade(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Error> {
    let mut response = ws::handshake(&request)?;
    let unused = futures::stream::pending::<Result<Bytes, PayloadError>>();
    Ok(response.streaming(WebsocketContext::create(Echo(Some(payload)), unused)))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let server = HttpServer::new(|| App::new().route("/sonic", web::get().to(upgrade)))
        .workers(1)
        .bind(("127.0.0.1", 0))?;
    if let Some(address) = server.addrs().first() {
        println!("ws://{address}/sonic");
    }
    server.run().await
}
