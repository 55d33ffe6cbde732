//! Deliberate mishaps, for the crash tests: any actor of a call panics, hangs, or stops.

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use voice_call::Role;

use super::{CallActor, to};
use crate::{
    client::ClientActor,
    mailbox::control,
    registry::chaos::{Mishap, MishapIn},
    sonic::SonicActor,
    tools::ToolRunner,
    transcript::Transcriber,
    transfer::TransferDetector,
};

#[derive(Message)]
#[rtype(result = "()")]
struct Suffer(Mishap);

fn suffer<A: Actor<Context = Context<A>>>(mishap: Mishap, ctx: &mut Context<A>) {
    match mishap {
        Mishap::Panic => panic!("chaos"),
        Mishap::Hang => ctx.wait(actix::fut::wrap_future(std::future::pending())),
        Mishap::Stop => actix::ActorContext::stop(ctx),
    }
}

impl Handler<MishapIn> for CallActor {
    type Result = ();

    fn handle(&mut self, MishapIn(role, mishap): MishapIn, ctx: &mut Context<Self>) {
        fn hit<A>(child: Option<&Addr<A>>, mishap: Mishap)
        where
            A: Actor<Context = Context<A>> + Handler<Suffer>,
        {
            if let Some(child) = child {
                control(&to(child), Suffer(mishap));
            }
        }
        match role {
            None => suffer(mishap, ctx),
            Some(Role::Client) => hit(Some(&self.client), mishap),
            Some(Role::Sonic) => hit(self.streams.serving(), mishap),
            Some(Role::Transcriber) => hit(self.transcriber.as_ref(), mishap),
            Some(Role::Tools) => hit(self.tools.as_ref(), mishap),
            Some(Role::Transfer) => hit(self.transfer.as_ref(), mishap),
        }
    }
}

macro_rules! suffers {
    ($($actor:ty),*) => {$(
        impl Handler<Suffer> for $actor {
            type Result = ();

            fn handle(&mut self, Suffer(mishap): Suffer, ctx: &mut Context<Self>) {
                suffer(mishap, ctx);
            }
        }
    )*};
}
suffers!(ClientActor, SonicActor, Transcriber, ToolRunner, TransferDetector);
