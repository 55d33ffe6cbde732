//! All words of a domain as phones between their neighbours: what the search walks through.
//!
//! ```text
//!                      first phone,             phones      last phone,
//!   end of a word --> one node for each   -->   inside  --> one node for each  --> end of the word
//!    (or silence)     kind of neighbour                     kind of neighbour      (what may follow
//!                     on the left                           on the right            is known by it)
//! ```
//!
//! Flat: words share nothing. Neighbours across words are exact, also for words of one phone. It
//! is built once for each set of phrases and shared; where a caller is in it, `search` knows.

use std::collections::BTreeMap;

use crate::language::{Language, WordId};
use crate::model::phones::{Phone, Phones, Place, Senones};
use crate::model::{Model, ModelError};

/// A node by its number.
pub(crate) type NodeId = u32;

/// A set of phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PhoneSet(u64);

impl PhoneSet {
    pub(crate) const ALL: Self = Self(u64::MAX);

    fn insert(&mut self, phone: Phone) {
        self.0 |= 1 << (phone & 63);
    }

    pub(crate) fn has(self, phone: Phone) -> bool {
        self.0 >> (phone & 63) & 1 == 1
    }
}

/// What comes after a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum After {
    /// These nodes, a range of [`Network::links`].
    Nodes(u32, u32),
    /// The end of a word in this pronunciation, before a phone of this set.
    Word(u32, PhoneSet),
    /// The end of a noise or of silence.
    Filler,
}

/// A phone somewhere in a word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) senones: Senones,
    pub(crate) phone: Phone,
    pub(crate) after: After,
}

/// One way to pronounce a word.
#[derive(Debug)]
pub(crate) struct Pronunciation {
    pub(crate) word: WordId,
    pub(crate) first: Phone,
    pub(crate) last: Phone,
    /// Where it begins after each phone: ranges of [`Network::links`].
    entries: Vec<(u32, u32)>,
}

/// The words of a domain.
pub(crate) struct Network {
    nodes: Vec<Node>,
    links: Vec<NodeId>,
    /// By the word.
    pronunciations: Vec<Pronunciation>,
    /// For each word, a range of `pronunciations`.
    of_word: Vec<(u32, u32)>,
    /// Silence and noises.
    fillers: Vec<NodeId>,
}

impl Network {
    /// Builds the network of a language's words. Gives the words that have no pronunciation too;
    /// nobody can say them.
    pub(crate) fn build(
        model: &Model,
        language: &Language,
        sounds: &BTreeMap<String, String>,
    ) -> Result<(Self, Vec<String>), ModelError> {
        let phones = &model.phones;
        let mut missing = Vec::new();
        let mut spoken = Vec::new();
        for word in language.words() {
            let ways = match sounds.get(word) {
                Some(like) => sounds_like(model, like)?,
                None => model.dictionary.pronunciations(word, phones)?,
            };
            if ways.is_empty() {
                missing.push(word.clone());
            }
            spoken.push(ways);
        }
        let ends = |pick: fn(&[Phone]) -> Option<&Phone>| {
            let mut set = vec![phones.silence()];
            set.extend(spoken.iter().flatten().filter_map(|way| pick(way)));
            set.sort_unstable();
            set.dedup();
            set
        };
        let (lefts, rights) = (ends(|way| way.last()), ends(|way| way.first()));
        let mut network = Self {
            nodes: Vec::new(),
            links: Vec::new(),
            pronunciations: Vec::new(),
            of_word: Vec::new(),
            fillers: Vec::new(),
        };
        for phone in phones.fillers() {
            let senones = phones.alone(*phone);
            let node = Node { senones, phone: *phone, after: After::Filler };
            let id = network.add(node);
            network.fillers.push(id);
        }
        for (word, ways) in spoken.iter().enumerate() {
            let first = network.pronunciations.len() as u32;
            for way in ways {
                network.add_word(phones, word as WordId, way, &lefts, &rights);
            }
            network.of_word.push((first, network.pronunciations.len() as u32));
        }
        Ok((network, missing))
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn fillers(&self) -> &[NodeId] {
        &self.fillers
    }

    /// The nodes of a range that came from this network.
    pub(crate) fn links(&self, (from, to): (u32, u32)) -> &[NodeId] {
        self.links.get(from as usize..to as usize).unwrap_or_default()
    }

    /// All pronunciations, word by word.
    pub(crate) fn pronunciations(&self) -> &[Pronunciation] {
        &self.pronunciations
    }

    /// The pronunciations of a word; none of the end of a sentence.
    pub(crate) fn of_word(&self, word: WordId) -> &[Pronunciation] {
        let Some(&(from, to)) = self.of_word.get(usize::from(word)) else { return &[] };
        self.pronunciations.get(from as usize..to as usize).unwrap_or_default()
    }

    /// The nodes with which a pronunciation begins after this phone.
    pub(crate) fn entry(&self, pronunciation: &Pronunciation, left: Phone) -> &[NodeId] {
        pronunciation.entries.get(usize::from(left)).map_or(&[], |range| self.links(*range))
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        (self.nodes.len() - 1) as NodeId
    }

    fn link(&mut self, nodes: impl IntoIterator<Item = NodeId>) -> (u32, u32) {
        let from = self.links.len() as u32;
        self.links.extend(nodes);
        (from, self.links.len() as u32)
    }

    fn add_word(
        &mut self,
        phones: &Phones,
        word: WordId,
        way: &[Phone],
        lefts: &[Phone],
        rights: &[Phone],
    ) {
        let (Some(&first), Some(&last)) = (way.first(), way.last()) else { return };
        let number = self.pronunciations.len() as u32;
        let mut entries = vec![(0, 0); phones.count()];
        if way.len() == 1 {
            for left in lefts {
                let nodes = self.ends(phones, number, Place::Alone, *left, first, rights);
                entries[usize::from(*left)] = self.link(nodes);
            }
        } else {
            let before_last = way[way.len() - 2];
            let nodes = self.ends(phones, number, Place::Last, before_last, last, rights);
            let mut next = self.link(nodes);
            for around in way.windows(3).rev() {
                let senones = phones.between(Place::Inside, around[0], around[1], around[2]);
                let after = After::Nodes(next.0, next.1);
                let node = self.add(Node { senones, phone: around[1], after });
                next = self.link([node]);
            }
            let after = After::Nodes(next.0, next.1);
            let mut known: Vec<(Senones, (u32, u32))> = Vec::new();
            for left in lefts {
                let senones = phones.between(Place::First, *left, first, way[1]);
                let range = match known.iter().find(|(own, _)| *own == senones) {
                    Some((_, range)) => *range,
                    None => {
                        let node = self.add(Node { senones, phone: first, after });
                        let range = self.link([node]);
                        known.push((senones, range));
                        range
                    }
                };
                entries[usize::from(*left)] = range;
            }
        }
        self.pronunciations.push(Pronunciation { word, first, last, entries });
    }

    /// The last phone of a word: one node for all neighbours on the right that sound the same.
    fn ends(
        &mut self,
        phones: &Phones,
        pronunciation: u32,
        place: Place,
        left: Phone,
        phone: Phone,
        rights: &[Phone],
    ) -> Vec<NodeId> {
        let mut kinds: Vec<(Senones, PhoneSet)> = Vec::new();
        for right in rights {
            let senones = phones.between(place, left, phone, *right);
            match kinds.iter_mut().find(|(own, _)| *own == senones) {
                Some((_, set)) => set.insert(*right),
                None => {
                    let mut set = PhoneSet::default();
                    set.insert(*right);
                    kinds.push((senones, set));
                }
            }
        }
        let add = |(senones, set)| {
            self.add(Node { senones, phone, after: After::Word(pronunciation, set) })
        };
        kinds.into_iter().map(add).collect()
    }
}

/// The pronunciations of a word that sounds like these together; none if one of them is unknown.
fn sounds_like(model: &Model, words: &str) -> Result<Vec<Vec<Phone>>, ModelError> {
    let mut whole = Vec::new();
    for word in words.split_whitespace() {
        match model.dictionary.pronunciations(word, &model.phones)?.into_iter().next() {
            Some(phones) => whole.extend(phones),
            None => return Ok(Vec::new()),
        }
    }
    Ok(if whole.is_empty() { Vec::new() } else { vec![whole] })
}
