//! How messages get from one actor to another without an unbounded queue.
//!
//! actix has two ways to send. `do_send` ignores the mailbox's capacity; `try_send` honours it,
//! but per sender object, so that a fresh clone is never full. Audio and everything else that
//! comes at a rate therefore goes through an [`Outbox`], which keeps one sender for its life.
//! Rare control messages, which must not be lost, go through [`control`].

use actix::{Message, Recipient, dev::SendError};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use voice_call::{Meters, meters::Queue};

/// A message that waits in a metered queue: the queue's gauge counts it until it is taken out
/// or dropped.
pub struct Queued<M> {
    message: Option<M>,
    depth: Gauge,
}

impl<M> Queued<M> {
    fn new(message: M, depth: Gauge) -> Self {
        depth.inc();
        Self { message: Some(message), depth }
    }

    /// Takes the message out of the queue.
    pub fn take(mut self) -> Option<M> {
        self.message.take()
    }
}

impl<M> Drop for Queued<M> {
    fn drop(&mut self) {
        self.depth.dec();
    }
}

impl<M: 'static> Message for Queued<M> {
    type Result = ();
}

/// A bounded way to one actor. The size is the mailbox capacity of the receiver; when it is
/// full the newest message is refused and counted.
pub struct Outbox<M: Send + 'static> {
    recipient: Recipient<Queued<M>>,
    depth: Gauge,
    drops: Counter,
}

/// What became of an offered message.
#[derive(Debug, PartialEq, Eq)]
pub enum Offered<M> {
    /// It is in the receiver's mailbox.
    Taken,
    /// The mailbox is full; here is the message back.
    Full(M),
    /// The receiver is gone; here is the message back.
    Closed(M),
}

impl<M: Send + 'static> Outbox<M> {
    /// An outbox to `recipient`, metered as `queue`.
    pub fn new(recipient: Recipient<Queued<M>>, queue: Queue, meters: &Meters) -> Self {
        Self { recipient, depth: meters.depth(queue), drops: meters.drops(queue) }
    }

    /// Offers a message and hands it back when there is no room. Nothing is counted as dropped.
    #[expect(clippy::disallowed_methods, reason = "this is the one stored sender")]
    pub fn try_offer(&self, message: M) -> Offered<M> {
        let queued = Queued::new(message, self.depth.clone());
        let (queued, full) = match self.recipient.try_send(queued) {
            Ok(()) => return Offered::Taken,
            Err(SendError::Full(queued)) => (queued, true),
            Err(SendError::Closed(queued)) => (queued, false),
        };
        match (queued.take(), full) {
            (Some(message), true) => Offered::Full(message),
            (Some(message), false) => Offered::Closed(message),
            // A message that was just put in is there; nothing was refused otherwise.
            (None, _) => Offered::Taken,
        }
    }

    /// Offers a message; when there is no room it is dropped and counted. What is meant for a
    /// receiver that is gone is no loss.
    pub fn offer(&self, message: M) -> bool {
        let offered = self.try_offer(message);
        if matches!(offered, Offered::Full(_)) {
            self.drops.inc();
        }
        matches!(offered, Offered::Taken)
    }

    /// Sends a rare message that must not be lost, past the size limit.
    pub fn control(&self, message: M) {
        control(&self.recipient, Queued::new(message, self.depth.clone()));
    }
}

/// Sends a rare control message. It is never refused for lack of room; when the receiver is
/// gone it is dropped, which is right: whoever is gone has been reported by its supervisor.
#[expect(clippy::disallowed_methods, reason = "the one place for control messages")]
pub fn control<M>(recipient: &Recipient<M>, message: M)
where
    M: Message + Send,
    M::Result: Send,
{
    recipient.do_send(message);
}

#[cfg(test)]
mod tests {
    use actix::{Actor, ActorContext, Context, Handler};

    use super::*;

    struct Sink(tokio::sync::mpsc::UnboundedSender<u32>);

    impl Actor for Sink {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.set_mailbox_capacity(4);
        }
    }

    impl Handler<Queued<u32>> for Sink {
        type Result = ();

        fn handle(&mut self, message: Queued<u32>, ctx: &mut Self::Context) {
            match message.take() {
                Some(0) | None => ctx.stop(),
                Some(n) => drop(self.0.send(n)),
            }
        }
    }

    #[actix::test]
    #[expect(clippy::disallowed_methods, reason = "a bare actor is enough here")]
    async fn a_full_mailbox_refuses_and_counts_and_empties() {
        let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
        let meters = Meters::default();
        let sink = Sink(seen).start();
        tokio::task::yield_now().await;
        let outbox = Outbox::new(sink.clone().recipient(), Queue::CallerAudio, &meters);
        let taken = (1..=100).filter(|n| outbox.offer(*n)).count();
        assert!((4..=6).contains(&taken), "{taken} taken by a mailbox of 4");
        assert_eq!(meters.drops(Queue::CallerAudio).get(), 100 - taken as u64);
        assert_eq!(meters.depth(Queue::CallerAudio).get(), taken as i64);
        for expected in 1..=taken as u32 {
            assert_eq!(arrivals.recv().await, Some(expected));
        }
        assert_eq!(meters.depth(Queue::CallerAudio).get(), 0);
        outbox.control(0);
        while sink.connected() {
            tokio::task::yield_now().await;
        }
        assert_eq!(outbox.try_offer(7), Offered::Closed(7));
    }
}
