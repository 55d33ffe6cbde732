//! How often words follow each other in a phrase, on average over all the ways to say it.
//!
//! A phrase becomes an automaton without empty moves: each word of it is a place, and between two
//! places stands the chance that the one follows the other. Chances multiply along a way and add
//! up over the ways, so nothing has to be listed.

use std::collections::{BTreeMap, HashMap};

use super::phrase::Phrase;
use super::{END, Following, WordId};

/// The beginning of a sentence, where a history has a word.
pub(super) const START: WordId = WordId::MAX - 1;
/// A phrase counts as much as it has ways, but not more than this: or long ones drown the others.
const MOST: f64 = 32.0;
/// What is less likely than this is not counted.
const LEAST: f64 = 1e-7;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) words: Vec<String>,
    numbers: HashMap<String, WordId>,
    pub(super) single: Following,
    pub(super) pairs: BTreeMap<WordId, Following>,
    pub(super) triples: BTreeMap<(WordId, WordId), Following>,
}

impl Counts {
    /// Counts a phrase.
    pub(super) fn add(&mut self, phrase: &Phrase) {
        let mut graph = Graph::default();
        let whole = graph.build(phrase, &mut |word| self.number(word));
        let weight = phrase.ways().clamp(1.0, MOST);
        let mut reached = vec![0.0; graph.words.len()];
        for (place, chance) in &whole.first {
            reached[*place] += weight * chance;
        }
        // Ways lead from lower to higher places only.
        for place in 0..graph.words.len() {
            for (next, chance) in &graph.ways[place] {
                reached[*next] += reached[place] * chance;
            }
        }
        let word = |place: usize| graph.words[place];
        for (place, chance) in &whole.first {
            self.count(None, START, word(*place), weight * chance);
            for (next, then) in &graph.ways[*place] {
                self.count(Some(START), word(*place), word(*next), weight * chance * then);
            }
        }
        for (place, chance) in &whole.last {
            self.count(None, word(*place), END, reached[*place] * chance);
        }
        for (place, chance) in &whole.first {
            let ends = whole.last.iter().filter(|(last, _)| last == place);
            for (_, end) in ends {
                self.count(Some(START), word(*place), END, weight * chance * end);
            }
        }
        let mut ends = vec![0.0; graph.words.len()];
        for (place, chance) in &whole.last {
            ends[*place] += chance;
        }
        for (place, reached) in reached.iter().enumerate() {
            for (next, chance) in &graph.ways[place] {
                let pair = reached * chance;
                self.count(None, word(place), word(*next), pair);
                self.count(Some(word(place)), word(*next), END, pair * ends[*next]);
                for (third, then) in &graph.ways[*next] {
                    self.count(Some(word(place)), word(*next), word(*third), pair * then);
                }
            }
        }
    }

    /// Counts a pair, and each word as what follows in a pair; or a triple.
    fn count(&mut self, first: Option<WordId>, second: WordId, third: WordId, count: f64) {
        if count < LEAST {
            return;
        }
        let following = match first {
            Some(first) => self.triples.entry((first, second)).or_default(),
            None => {
                *self.single.entry(third).or_default() += count;
                self.pairs.entry(second).or_default()
            }
        };
        *following.entry(third).or_default() += count;
    }

    fn number(&mut self, word: &str) -> WordId {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        // The last two numbers are the ends of a sentence; nobody has 65,000 words here.
        let number = WordId::try_from(self.words.len()).unwrap_or(WordId::MAX).min(START - 1);
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }
}

/// A part of a phrase: where it can begin and end.
#[derive(Default)]
struct Part {
    /// Places with the chance that it begins there.
    first: Vec<(usize, f64)>,
    /// Places with the chance that it is over after them.
    last: Vec<(usize, f64)>,
    /// The chance that nothing of it is said.
    empty: f64,
}

/// The places of a phrase, and the ways between them.
#[derive(Default)]
struct Graph {
    words: Vec<WordId>,
    ways: Vec<Vec<(usize, f64)>>,
}

impl Graph {
    fn build(&mut self, phrase: &Phrase, number: &mut impl FnMut(&str) -> WordId) -> Part {
        match phrase {
            Phrase::Word(word) => {
                let place = self.words.len();
                self.words.push(number(word));
                self.ways.push(Vec::new());
                Part { first: vec![(place, 1.0)], last: vec![(place, 1.0)], empty: 0.0 }
            }
            Phrase::Sequence(parts) => {
                let mut whole = Part { empty: 1.0, ..Part::default() };
                for part in parts {
                    let next = self.build(part, number);
                    whole = self.join(whole, next);
                }
                whole
            }
            Phrase::Choice(parts) => {
                let sum: f64 = parts.iter().map(|(weight, _)| weight).sum();
                let mut whole = Part::default();
                for (weight, part) in parts {
                    let part = self.build(part, number);
                    whole.add(part, weight / sum.max(f64::MIN_POSITIVE));
                }
                whole
            }
            Phrase::Optional(chance, part) => {
                let part = self.build(part, number);
                let mut whole = Part { empty: 1.0 - chance, ..Part::default() };
                whole.add(part, *chance);
                whole
            }
        }
    }

    /// One part after the other.
    fn join(&mut self, before: Part, after: Part) -> Part {
        for (place, over) in &before.last {
            let ways = after.first.iter().map(|(next, begins)| (*next, over * begins));
            self.ways[*place].extend(ways.filter(|(_, chance)| *chance > LEAST));
        }
        let scaled = |places: Vec<(usize, f64)>, factor: f64| {
            places.into_iter().map(move |(place, chance)| (place, chance * factor))
        };
        let first = before.first.into_iter().chain(scaled(after.first, before.empty));
        let last = after.last.into_iter().chain(scaled(before.last, after.empty));
        let likely = |(_, chance): &(usize, f64)| *chance > LEAST;
        Part {
            first: first.filter(likely).collect(),
            last: last.filter(likely).collect(),
            empty: before.empty * after.empty,
        }
    }
}

impl Part {
    /// Another way, taken with this chance.
    fn add(&mut self, other: Self, chance: f64) {
        self.first.extend(other.first.into_iter().map(|(place, begins)| (place, begins * chance)));
        self.last.extend(other.last);
        self.empty += other.empty * chance;
    }
}
