//! The emulator's voice: text in, PCM16 out, by SVOX Pico.
//!
//! Not a queue of audio: a slow reader blocks the voice, not the memory. The session owns one
//! [`Voice`]; system tests make their callers' speech with [`synthesize`].
//!
//! Pico works on a thread of its own, because it computes and because its engine cannot change
//! threads. The same text gives the same samples, whatever was said or cut off before.

mod speech;

use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use voice_audio::pcm;
pub use voice_pico::Accent;
use voice_pico::PicoError;

use self::speech::Speaker;

/// Texts that may wait for the voice. An answer is a handful of sentences.
const WAITING_TEXTS: usize = 64;

/// Chunks that may wait for the reader of one text: about a quarter of a second.
const WAITING_CHUNKS: usize = 4;

/// Why the voice cannot speak.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VoiceError {
    /// The output rate is none that Nova Sonic offers.
    #[error("the voice cannot speak at {0} Hz: expected 8000, 16000 or 24000")]
    Rate(u32),
    /// The synthesiser failed.
    #[error(transparent)]
    Pico(#[from] PicoError),
    /// The synthesiser neither speaks nor ends.
    #[error("Pico is stuck in a text of {bytes} bytes")]
    Stuck {
        /// The text's length with its mark-up.
        bytes: usize,
    },
}

/// The voice of one session.
#[derive(Debug)]
pub struct Voice {
    rate_hz: u32,
    accent: Accent,
    /// Counts cancellations. The thread gives up orders from before the latest one, and all when
    /// the voice is gone.
    cancelled: watch::Sender<u64>,
    /// The way to the thread, once it runs.
    orders: Mutex<Option<mpsc::Sender<Order>>>,
}

/// A text to speak.
#[derive(Debug)]
struct Order {
    text: String,
    /// The number of cancellations when it was given.
    given_at: u64,
    out: mpsc::Sender<Bytes>,
}

impl Voice {
    /// A voice that speaks at `rate_hz` (8000, 16000 or 24000), in American English. The engine
    /// and its thread start with the first [`Voice::say`] and end when the voice is dropped.
    pub fn start(rate_hz: u32) -> Result<Self, VoiceError> {
        Self::start_with(rate_hz, Accent::American)
    }

    /// The same with a choice of accent.
    pub fn start_with(rate_hz: u32, accent: Accent) -> Result<Self, VoiceError> {
        speech::check_rate(rate_hz)?;
        Ok(Self { rate_hz, accent, cancelled: watch::Sender::new(0), orders: Mutex::new(None) })
    }

    /// Speaks `text` after what was asked before. Chunks of about 64 ms of PCM16 little-endian
    /// mono come out of the receiver, which closes at the end of the text, on [`Voice::cancel`]
    /// and when the engine fails (the log says why). Dropping the receiver ends the text too.
    ///
    /// Text is plain: mark-up in it is spoken, not obeyed. Does not block. When 64 texts wait
    /// already, the receiver is closed at once.
    pub fn say(&self, text: &str) -> mpsc::Receiver<Bytes> {
        let (out, chunks) = mpsc::channel(WAITING_CHUNKS);
        let order = Order { text: text.to_owned(), given_at: *self.cancelled.borrow(), out };
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.is_none() {
            *orders = self.start_thread();
        }
        if let Some(orders) = &*orders
            && let Err(error) = orders.try_send(order)
        {
            tracing::warn!(%error, "a text was dropped: too many wait for the voice");
        }
        chunks
    }

    /// Stops all that was asked so far, at the latest after the chunk in the making.
    pub fn cancel(&self) {
        self.cancelled.send_modify(|count| *count += 1);
    }

    /// `None` if the system gives no thread; the next text tries again.
    fn start_thread(&self) -> Option<mpsc::Sender<Order>> {
        let (orders, waiting) = mpsc::channel(WAITING_TEXTS);
        let cancelled = self.cancelled.subscribe();
        let (rate_hz, accent) = (self.rate_hz, self.accent);
        let started = thread::Builder::new().name("voice".to_owned()).spawn(move || {
            // A runtime without drivers: it only waits on channels.
            match tokio::runtime::Builder::new_current_thread().build() {
                Ok(runtime) => runtime.block_on(work(rate_hz, accent, waiting, cancelled)),
                Err(error) => tracing::error!(%error, "the voice cannot start"),
            }
        });
        match started {
            Ok(_) => Some(orders),
            Err(error) => {
                tracing::error!(%error, "the voice has no thread");
                None
            }
        }
    }
}

/// The voice's thread: one order after the other until the [`Voice`] is gone.
async fn work(
    rate_hz: u32,
    accent: Accent,
    mut orders: mpsc::Receiver<Order>,
    mut cancelled: watch::Receiver<u64>,
) {
    let mut speaker = None;
    while let Some(order) = orders.recv().await {
        if let Err(error) = carry_out(&order, &mut speaker, rate_hz, accent, &mut cancelled).await {
            tracing::error!(%error, "the voice fell silent");
            // The next text gets a fresh engine.
            speaker = None;
        }
    }
}

/// Speaks one text to its end, its cancellation or the end of its reader.
async fn carry_out(
    order: &Order,
    speaker: &mut Option<Speaker>,
    rate_hz: u32,
    accent: Accent,
    cancelled: &mut watch::Receiver<u64>,
) -> Result<(), VoiceError> {
    let is_off = |count: &u64| *count != order.given_at;
    let speaker = match speaker {
        Some(speaker) => speaker,
        None => speaker.insert(Speaker::new(rate_hz, accent)?),
    };
    speaker.begin(&order.text);
    loop {
        // An error means that the voice is gone.
        if cancelled.has_changed().is_err() || is_off(&cancelled.borrow()) {
            return Ok(());
        }
        let Some(samples) = speaker.next_chunk()? else { return Ok(()) };
        tokio::select! {
            biased;
            _ = cancelled.wait_for(is_off) => return Ok(()),
            sent = order.out.send(pcm::bytes(&samples)) => if sent.is_err() {
                return Ok(());
            },
        }
    }
}

/// Speaks `text` in one go: mono samples at `rate_hz`. The same text gives the same samples, here
/// and from [`Voice::say`].
pub fn synthesize(text: &str, rate_hz: u32, accent: Accent) -> Result<Vec<i16>, VoiceError> {
    let mut speaker = Speaker::new(rate_hz, accent)?;
    speaker.begin(text);
    let mut samples = Vec::new();
    while let Some(chunk) = speaker.next_chunk()? {
        samples.extend(chunk);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LONG: &str = "This sentence is rather long, so that nobody who cuts it off in its first \
                        second can be told that it had come to its end by itself anyway.";

    async fn collect(mut chunks: mpsc::Receiver<Bytes>) -> Vec<Bytes> {
        let mut collected = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            collected.push(chunk);
        }
        collected
    }

    #[test]
    fn only_the_rates_of_nova_sonic_are_spoken() {
        assert!(matches!(Voice::start(44_100), Err(VoiceError::Rate(44_100))));
        assert!(matches!(synthesize("no", 0, Accent::British), Err(VoiceError::Rate(0))));
    }

    #[tokio::test]
    async fn texts_come_in_order_in_chunks_of_64_ms() {
        for rate in [8_000, 16_000, 24_000] {
            let voice = Voice::start(rate).unwrap();
            let [first, second] = ["Good morning.", "How can I help you?"].map(|t| voice.say(t));
            for (chunks, text) in [
                (collect(first).await, "Good morning."),
                (collect(second).await, "How can I help you?"),
            ] {
                let whole = synthesize(text, rate, Accent::American).unwrap();
                assert_eq!(chunks.concat(), pcm::bytes(&whole), "{rate} Hz: {text}");
                let about_64_ms = rate as usize * 64 / 1000 * 2;
                for chunk in &chunks[1..chunks.len() - 1] {
                    assert!(
                        chunk.len().abs_diff(about_64_ms) <= about_64_ms / 3,
                        "{}",
                        chunk.len()
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn a_cancelled_voice_stops_and_speaks_again_as_if_nothing_had_been() {
        let voice = Voice::start(24_000).unwrap();
        let (mut cut, waiting) = (voice.say(LONG), voice.say("This one was never begun."));
        cut.recv().await.unwrap();
        voice.cancel();
        let after = voice.say("Yes?");
        // What the channel held, and at most one chunk in the making.
        assert!(collect(cut).await.len() <= WAITING_CHUNKS + 1);
        assert_eq!(collect(waiting).await.len(), 0);
        let yes = synthesize("Yes?", 24_000, Accent::American).unwrap();
        assert_eq!(collect(after).await.concat(), pcm::bytes(&yes));
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_neither_cancel_nor_drop_up() {
        let voice = Voice::start(16_000).unwrap();
        let unread = voice.say(LONG);
        let next = voice.say("Next.");
        // Wait until the unread channel is full: from then on the thread blocks in it.
        while unread.len() < WAITING_CHUNKS {
            tokio::task::yield_now().await;
        }
        voice.cancel();
        assert_eq!(collect(next).await.len(), 0);
        let unread_too = voice.say(LONG);
        while unread_too.len() < WAITING_CHUNKS {
            tokio::task::yield_now().await;
        }
        drop(voice);
        let rest = tokio::time::timeout(Duration::from_secs(10), collect(unread_too)).await;
        assert!(rest.unwrap().len() <= WAITING_CHUNKS);
        assert!(collect(unread).await.len() <= WAITING_CHUNKS);
    }

    #[tokio::test]
    async fn a_dropped_reader_ends_its_text_only() {
        let voice = Voice::start(16_000).unwrap();
        drop(voice.say(LONG));
        assert!(!collect(voice.say("Still here.")).await.is_empty());
    }
}
