//! The receiving half: the SDK's event receiver as a stream of event JSON that ends after the
//! first fault.

use aws_sdk_bedrockruntime::{
    operation::invoke_model_with_bidirectional_stream::InvokeModelWithBidirectionalStreamOutput,
    types::InvokeModelWithBidirectionalStreamOutput as Event,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use voice_call::{SonicReceiver, StreamFault};

use super::fault;
use crate::link::Link;

/// Turns an answer into the engine's receiver, which keeps `link` alive.
pub(super) fn receive(
    answer: InvokeModelWithBidirectionalStreamOutput,
    link: Link,
) -> SonicReceiver {
    stream::unfold(Some((answer, link)), |half| async move {
        let (mut answer, link) = half?;
        loop {
            return match answer.body.recv().await {
                Ok(Some(Event::Chunk(part))) => {
                    let Some(bytes) = part.bytes else { continue };
                    let event: Result<Bytes, StreamFault> = Ok(bytes.into_inner().into());
                    Some((event, Some((answer, link))))
                }
                Ok(Some(other)) => {
                    // A kind of message that this SDK does not know must not end a call.
                    tracing::debug!(?other, "unknown kind of message on the stream");
                    continue;
                }
                Ok(None) => None,
                Err(error) => Some((Err(fault::of_stream(&error)), None)),
            };
        }
    })
    .fuse()
    .boxed()
}
