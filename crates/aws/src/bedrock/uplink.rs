//! The sending half: the shell around [`Unsent`]. One side is the engine's sender, which never
//! waits; the other is the stream that the SDK signs and sends.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use aws_sdk_bedrockruntime::types::{
    BidirectionalInputPayloadPart as Part, InvokeModelWithBidirectionalStreamInput as Input,
    error::InvokeModelWithBidirectionalStreamInputError as InputError,
};
use aws_smithy_types::Blob;
use bytes::Bytes;
use futures::Stream;
use voice_call::port::{SendRefused, SonicSender};

use super::unsent::{Next, Unsent};
use crate::link::Link;

struct Shared {
    unsent: Unsent,
    waker: Option<Waker>,
}

/// What both sides hold.
#[derive(Clone)]
pub(super) struct Uplink(Arc<Mutex<Shared>>);

/// The engine's side. Dropping it closes the input in order.
pub(super) struct UplinkSender {
    uplink: Uplink,
    /// Keeps the connection until both halves are gone.
    _link: Link,
}

/// The SDK's side. The transport drops it when the stream is over.
pub(super) struct UplinkBody(Uplink);

impl Uplink {
    pub(super) fn new(opening: Vec<Bytes>, max_age: Duration) -> Self {
        let unsent = Unsent::new(opening, max_age, Instant::now());
        Self(Arc::new(Mutex::new(Shared { unsent, waker: None })))
    }

    pub(super) fn body(&self) -> UplinkBody {
        UplinkBody(self.clone())
    }

    /// Turns the queue into the engine's half, once the response head has come.
    pub(super) fn into_sender(self, link: Link) -> UplinkSender {
        self.lock().unsent.opened(Instant::now());
        UplinkSender { uplink: self, _link: link }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing in here can panic half-way, so a poisoned lock still holds a sound queue.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl SonicSender for UplinkSender {
    fn send(&mut self, event: Bytes) -> Result<(), SendRefused> {
        self.uplink.lock().unsent.push(event, Instant::now())?;
        self.uplink.wake();
        Ok(())
    }
}

impl Drop for UplinkSender {
    fn drop(&mut self) {
        self.uplink.lock().unsent.finish();
        self.uplink.wake();
    }
}

impl Stream for UplinkBody {
    type Item = Result<Input, InputError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.lock();
        match shared.unsent.next() {
            Next::Event(event) => {
                let part = Part::builder().bytes(Blob::new(event)).build();
                Poll::Ready(Some(Ok(Input::Chunk(part))))
            }
            Next::End => Poll::Ready(None),
            Next::Wait => {
                shared.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for UplinkBody {
    fn drop(&mut self) {
        self.0.lock().unsent.abandon();
    }
}
