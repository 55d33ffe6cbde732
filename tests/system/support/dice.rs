//! Chance that is the same in every run (the generator of Knuth's MMIX).

/// A sequence of numbers that look like chance.
pub(crate) struct Dice(u64);

impl Dice {
    /// The sequence of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Self(seed);
        dice.roll(2);
        dice
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
