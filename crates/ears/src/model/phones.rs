//! `mdef`: the phones of the model, and which three states a phone has in which neighbourhood.
//!
//! A triphone is a phone between two others, at a place in its word. The model has trained 137,000
//! of them, which share 29,324 sequences of states, and those 5,126 states ("senones"). The search
//! network asks here once per phone when it is built. The file's own layout stands in its head.

use std::path::Path;

use super::ModelError;
use super::bytes::Bytes;

/// A phone without its neighbours, such as `AA`, by its number in the model.
pub(crate) type Phone = u8;

/// States of a phone.
pub(crate) const STATES: usize = 3;

/// The three states of a phone in a neighbourhood.
pub(crate) type Senones = [u16; STATES];

/// More phones than this would not fit the set of phones the search uses.
const MAX_PHONES: usize = 64;
const MAX_TRIPHONES: usize = 4 << 20;
const MAX_SENONES: usize = u16::MAX as usize;

/// Where in its word a phone stands; the numbers are the file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Inside = 0,
    First = 1,
    Last = 2,
    /// The word has no other phone.
    Alone = 3,
}

/// The phones of a model.
pub(crate) struct Phones {
    names: Vec<String>,
    /// Phones that are no speech: silence and noises.
    fillers: Vec<Phone>,
    silence: Phone,
    /// Numbers of senones; the first ones belong to phones without neighbours.
    senones: usize,
    /// Sorted keys of the triphones, and the sequence of states of each.
    keys: Vec<u32>,
    sequences: Vec<u16>,
    /// The states of each sequence.
    states: Vec<Senones>,
}

impl Phones {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        Self::parse(Bytes::read(path)?)
    }

    pub(super) fn parse(mut bytes: Bytes) -> Result<Self, ModelError> {
        if bytes.take(4, "`BMDF`")? != b"BMDF" {
            return Err(bytes.wrong("a binary model definition in little-endian order: `BMDF`"));
        }
        bytes.exactly("the format's version", 1)?;
        let head = bytes.count("the length of the head", 1 << 16)?;
        bytes.take(head, "the head")?;

        let phones = bytes.count("the number of phones", MAX_PHONES)?;
        let triphones = bytes.count("the number of triphones", MAX_TRIPHONES)?;
        bytes.exactly("the number of states of a phone", STATES)?;
        bytes.count("the number of states without neighbours", MAX_SENONES)?;
        let senones = bytes.count("the number of states", MAX_SENONES)?;
        bytes.exactly("the number of transition matrices, one for each phone", phones)?;
        let sequences = bytes.count("the number of sequences of states", MAX_SENONES)?;
        bytes.exactly("the number of phones in a neighbourhood", 3)?;
        let tree = bytes.count("the number of nodes of the tree", MAX_TRIPHONES)?;
        let most = phones.saturating_sub(1);
        let silence = bytes.count("the number of the silent phone", most)?;
        let names = (0..phones).map(|_| bytes.text("a phone's name")).collect::<Result<_, _>>()?;
        bytes.align();
        // The tree is another way to find a triphone; the sorted keys below are enough.
        bytes.take(tree.saturating_mul(8), "the tree")?;

        let mut fillers = Vec::new();
        let mut found = Vec::with_capacity(triphones);
        for number in 0..triphones {
            let sequence = bytes.count("a sequence of states", sequences.saturating_sub(1))?;
            bytes.count("a transition matrix", phones.saturating_sub(1))?;
            let attributes = bytes.take(4, "a phone's attributes")?;
            let [place, phone, left, right] = [0, 1, 2, 3].map(|index| attributes[index]);
            // The first ones are the phones themselves.
            if number < phones {
                if sequence != number {
                    return Err(bytes.wrong("phones whose sequences have their own numbers"));
                }
                if place == 1 {
                    fillers.push(number as Phone);
                }
                continue;
            }
            let known = [phone, left, right].iter().all(|phone| usize::from(*phone) < phones);
            if place > 3 || !known {
                return Err(bytes.wrong("a triphone of phones that the file names"));
            }
            found.push((key(place, phone, left, right), sequence as u16));
        }
        found.sort_unstable();
        let (keys, of_key) = found.into_iter().unzip();

        bytes.exactly("the number of states in all sequences", sequences * STATES)?;
        let flat = bytes.u16s(sequences * STATES, "the sequences of states")?;
        bytes.align();
        bytes.end()?;
        if let Some(state) = flat.iter().find(|state| usize::from(**state) >= senones) {
            return Err(bytes.wrong(format!("states below {senones}, and one is {state}")));
        }
        let states = flat.as_chunks::<STATES>().0.to_vec();
        let silence = silence as Phone;
        if states.len() < phones || !fillers.contains(&silence) {
            return Err(bytes.wrong("a sequence for each phone, and a silent phone"));
        }
        Ok(Self { names, fillers, silence, senones, keys, sequences: of_key, states })
    }

    /// How many phones there are.
    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    /// How many states there are.
    pub(crate) fn senones(&self) -> usize {
        self.senones
    }

    /// The phone that is silence.
    pub(crate) fn silence(&self) -> Phone {
        self.silence
    }

    /// Silence and noises.
    pub(crate) fn fillers(&self) -> &[Phone] {
        &self.fillers
    }

    /// A phone by its name.
    pub(crate) fn named(&self, name: &str) -> Option<Phone> {
        self.names.iter().position(|own| own == name).map(|number| number as Phone)
    }

    /// The states of a phone whatever stands beside it.
    pub(crate) fn alone(&self, phone: Phone) -> Senones {
        self.states.get(usize::from(phone)).copied().unwrap_or_default()
    }

    /// The states of a phone between two others. What was never trained at this place in a word is
    /// taken from another place, and what was trained nowhere from the phone alone.
    pub(crate) fn between(&self, place: Place, left: Phone, phone: Phone, right: Phone) -> Senones {
        let heard = |neighbour: Phone| match self.fillers.contains(&neighbour) {
            true => self.silence,
            false => neighbour,
        };
        let (left, right) = (heard(left), heard(right));
        let others = [Place::Inside, Place::First, Place::Last, Place::Alone];
        std::iter::once(place)
            .chain(others)
            .find_map(|place| {
                let key = key(place as u8, phone, left, right);
                let index = self.keys.binary_search(&key).ok()?;
                self.states.get(usize::from(*self.sequences.get(index)?))
            })
            .copied()
            .unwrap_or_else(|| self.alone(phone))
    }
}

fn key(place: u8, phone: Phone, left: Phone, right: Phone) -> u32 {
    [place, phone, left, right].into_iter().fold(0, |key, part| key << 6 | u32::from(part))
}
