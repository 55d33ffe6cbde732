//! First and second differences: how the cepstra move, over a window of seven frames.

use std::collections::VecDeque;

use super::Frame;
use crate::model::codebooks::WIDTH;

/// Frames on each side of the one in the middle.
const SIDE: usize = 3;

type Cepstrum = [f32; WIDTH];

/// The window. Beyond the ends of a turn its first and last cepstrum are repeated.
#[derive(Default)]
pub(super) struct Changes {
    window: VecDeque<Cepstrum>,
}

impl Changes {
    /// Takes the next cepstrum; gives the frame three before it once there are enough.
    pub(super) fn push(&mut self, cepstrum: Cepstrum) -> Option<Frame> {
        if self.window.is_empty() {
            self.window.extend([cepstrum; SIDE]);
        }
        self.window.push_back(cepstrum);
        let frame = self.middle()?;
        self.window.pop_front();
        Some(frame)
    }

    /// The frames that are left at the end of a turn.
    pub(super) fn finish(&mut self, frames: &mut Vec<Frame>) {
        if let Some(last) = self.window.back().copied() {
            for _ in 0..SIDE {
                frames.extend(self.push(last));
            }
        }
        self.window.clear();
    }

    fn middle(&self) -> Option<Frame> {
        let at = |offset: isize| self.window.get((SIDE as isize + offset) as usize);
        let [far, before, middle, after, next] = [at(-2)?, at(-1)?, at(0)?, at(1)?, at(2)?];
        let (first, last) = (at(-3)?, at(3)?);
        let change = std::array::from_fn(|n| next[n] - far[n]);
        let bend = std::array::from_fn(|n| (last[n] - before[n]) - (after[n] - first[n]));
        Some([*middle, change, bend])
    }
}
