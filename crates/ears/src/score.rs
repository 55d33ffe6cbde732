//! How well a frame of sound fits the states of the model.
//!
//! For each phone the four nearest Gaussians of each stream are found once; a state is then a
//! weighted sum of four numbers per stream, worked out when the search first asks for it. All
//! scores are relative to the best phone without neighbours: zero means "as good as any phone
//! could be", and what a path lacks on average is the confidence. Called once per frame by
//! `search`.

use crate::features::Frame;
use crate::model::Model;
use crate::model::codebooks::{GAUSSIANS, STREAMS};
use crate::model::mixtures::NATS_PER_STEP;
use crate::model::phones::Phone;

/// Gaussians of a codebook that count.
const NEAREST: usize = 4;
/// Gaussians are not taken for further away from the frame's best one than this, in nats: the
/// model was trained with so many steps of its weights.
const FLOOR: f32 = -96.0 * NATS_PER_STEP;

/// The nearest Gaussians in one stream of one phone: their numbers, and how much they have of the
/// frame's best density.
type Nearest = [(u8, f32); NEAREST];

/// The scores of one frame.
pub(crate) struct Scores {
    phones: Vec<[Nearest; STREAMS]>,
    /// What each state scored, and in which frame.
    states: Vec<(u32, f32)>,
    frame: u32,
    /// What the best phone without neighbours scored.
    best: f32,
}

impl Scores {
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            phones: vec![[[(0, 0.0); NEAREST]; STREAMS]; model.phones.count()],
            states: vec![(0, 0.0); model.phones.senones()],
            frame: 0,
            best: 0.0,
        }
    }

    /// Looks at the next frame.
    pub(crate) fn hear(&mut self, model: &Model, frame: &Frame) {
        self.frame = self.frame.wrapping_add(1);
        let mut best = [f32::NEG_INFINITY; STREAMS];
        for (books, phone) in model.codebooks.iter().zip(&mut self.phones) {
            for stream in 0..STREAMS {
                phone[stream] = nearest(&books[stream].densities(&frame[stream]));
                best[stream] = best[stream].max(phone[stream][0].1);
            }
        }
        for phone in &mut self.phones {
            for (nearest, best) in phone.iter_mut().zip(best) {
                for (_, density) in nearest {
                    *density = (*density - best).max(FLOOR).exp();
                }
            }
        }
        self.best = 0.0;
        let alone = (0..model.phones.count() as Phone)
            .flat_map(|phone| model.phones.alone(phone).map(|state| (phone, state)))
            .map(|(phone, state)| self.of(model, phone, state))
            .fold(f32::NEG_INFINITY, f32::max);
        self.best = alone;
        for (_, score) in self.states.iter_mut().filter(|(frame, _)| *frame == self.frame) {
            *score -= alone;
        }
    }

    /// The score of a state of this phone.
    pub(crate) fn of(&mut self, model: &Model, phone: Phone, state: u16) -> f32 {
        match self.states.get(usize::from(state)) {
            Some((frame, score)) if *frame == self.frame => return *score,
            Some(_) => {}
            None => return f32::NEG_INFINITY,
        }
        let score = self.evaluate(model, phone, state) - self.best;
        self.states[usize::from(state)] = (self.frame, score);
        score
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.phones.capacity() * size_of::<[Nearest; STREAMS]>()
            + self.states.capacity() * size_of::<(u32, f32)>()
    }

    fn evaluate(&self, model: &Model, phone: Phone, state: u16) -> f32 {
        let (Some(weights), Some(streams)) =
            (model.mixtures.of(state), self.phones.get(usize::from(phone)))
        else {
            return f32::NEG_INFINITY;
        };
        let mut score = 0.0;
        for (weights, nearest) in weights.iter().zip(streams) {
            let part = |(gaussian, density): &(u8, f32)| {
                model.mixtures.linear(weights[usize::from(*gaussian)]) * density
            };
            score += nearest.iter().map(part).sum::<f32>().ln();
        }
        score
    }
}

fn nearest(densities: &[f32; GAUSSIANS]) -> Nearest {
    let mut found = [(0, f32::NEG_INFINITY); NEAREST];
    for (gaussian, density) in densities.iter().enumerate() {
        if *density <= found[NEAREST - 1].1 {
            continue;
        }
        let mut place = NEAREST - 1;
        while place > 0 && found[place - 1].1 < *density {
            found[place] = found[place - 1];
            place -= 1;
        }
        found[place] = (gaussian as u8, *density);
    }
    found
}
