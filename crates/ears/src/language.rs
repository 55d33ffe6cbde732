//! What a caller may say, as a trigram model of the phrases of one domain.
//!
//! Made of phrases (`phrase`), not of text: each word and each pair of words is counted as often as
//! the phrases lead to it on average, so that "any four digits" needs no list of ten thousand
//! sentences. Smoothed after Witten and Bell. The result is an automaton: a state is what was said
//! last, an arc is a word, and from each state a way leads back to a state that remembers less.
//! Sounds are `lexicon`'s business.

mod arpa;
mod count;
mod phrase;

use std::collections::BTreeMap;

use self::count::Counts;
pub use self::phrase::{Phrase, PhraseError};

/// A word by its number in the model.
pub(crate) type WordId = u16;
/// The end of a sentence, where an arc has a word.
pub(crate) const END: WordId = WordId::MAX;
/// A state of the automaton by its number.
pub(crate) type StateId = u32;
/// The state that remembers nothing; its arcs are all words.
pub(crate) const ROOT: StateId = 0;

/// One word that may follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arc {
    pub(crate) word: WordId,
    /// The logarithm of its probability.
    pub(crate) log: f32,
    pub(crate) next: StateId,
}

#[derive(Debug, Clone)]
struct State {
    arcs: std::ops::Range<u32>,
    /// The logarithm of what it costs to remember less, and the state that does.
    back: (f32, StateId),
}

/// A language model.
#[derive(Debug, Clone)]
pub(crate) struct Language {
    words: Vec<String>,
    states: Vec<State>,
    /// By state, and by word within a state.
    arcs: Vec<Arc>,
    start: StateId,
}

impl Language {
    /// The model of these phrases. Each counts as much as it has ways to be said, within limits.
    pub(crate) fn of(phrases: &[Phrase]) -> Self {
        let mut counts = Counts::default();
        for phrase in phrases {
            counts.add(phrase);
        }
        build(counts)
    }

    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// The state at the beginning of a sentence.
    pub(crate) fn start(&self) -> StateId {
        self.start
    }

    /// The words that this state expects, and the way to the state that expects more.
    pub(crate) fn state(&self, state: StateId) -> (&[Arc], Option<(f32, StateId)>) {
        let Some(found) = self.states.get(state as usize) else { return (&[], None) };
        let arcs = self.arcs.get(found.arcs.start as usize..found.arcs.end as usize);
        (arcs.unwrap_or_default(), (state != ROOT).then_some(found.back))
    }

    /// What it costs to say this word now, and where it leads.
    pub(crate) fn say(&self, mut state: StateId, word: WordId) -> (f32, StateId) {
        let mut log = 0.0;
        loop {
            let (arcs, back) = self.state(state);
            if let Ok(index) = arcs.binary_search_by_key(&word, |arc| arc.word) {
                return (log + arcs[index].log, arcs[index].next);
            }
            match back {
                Some((cost, less)) => (log, state) = (log + cost, less),
                None => return (f32::NEG_INFINITY, ROOT),
            }
        }
    }
}

/// Words after a history, with their counts.
type Following = BTreeMap<WordId, f64>;

/// How many different words were seen after a history, if each came so often on average: of counts
/// far below one, as of digits after digits, few would have come at all.
fn kinds(following: &Following) -> f64 {
    following.values().map(|count| 1.0 - (-count).exp()).sum()
}

/// Witten and Bell: the more different words have followed, the more likely is yet another.
fn build(counts: Counts) -> Language {
    let different = kinds(&counts.single);
    let all: f64 = counts.single.values().sum();
    let even = 1.0 / counts.single.len().max(1) as f64;
    let single = |word: &WordId| {
        let count = counts.single.get(word).copied().unwrap_or_default();
        (count + different * even) / (all + different)
    };
    let rest = |following: &Following| {
        let kinds = kinds(following);
        kinds / (following.values().sum::<f64>() + kinds)
    };
    let share = |following: &Following, word: &WordId, less: f64| {
        let sum: f64 = following.values().sum();
        let kinds = kinds(following);
        (following.get(word).copied().unwrap_or_default() + kinds * less) / (sum + kinds)
    };
    let after_one = |last: &WordId, word: &WordId| match counts.pairs.get(last) {
        Some(following) => share(following, word, single(word)),
        None => single(word),
    };

    // The root, then a state for each word that was followed, then one for each pair.
    let mut of_one = BTreeMap::new();
    for last in counts.pairs.keys() {
        of_one.insert(*last, of_one.len() as StateId + 1);
    }
    let mut of_two = BTreeMap::new();
    for pair in counts.triples.keys() {
        of_two.insert(*pair, (of_one.len() + of_two.len()) as StateId + 1);
    }
    let leads_to = |before: Option<WordId>, word: WordId| {
        let pair = before.and_then(|before| of_two.get(&(before, word)));
        pair.or_else(|| of_one.get(&word)).copied().unwrap_or(ROOT)
    };
    let (mut states, mut arcs) = (Vec::new(), Vec::new());
    let mut add =
        |following: &Following, last: Option<WordId>, back, chance: &dyn Fn(&WordId) -> f64| {
            let first = arcs.len() as u32;
            arcs.extend(following.keys().map(|word| Arc {
                word: *word,
                log: chance(word).ln() as f32,
                next: if *word == END { ROOT } else { leads_to(last, *word) },
            }));
            states.push(State { arcs: first..arcs.len() as u32, back });
        };
    add(&counts.single, None, (0.0, ROOT), &single);
    for (last, following) in &counts.pairs {
        add(following, Some(*last), (rest(following).ln() as f32, ROOT), &|word| {
            after_one(last, word)
        });
    }
    for ((_, last), following) in &counts.triples {
        let less = of_one.get(last).copied().unwrap_or(ROOT);
        add(following, Some(*last), (rest(following).ln() as f32, less), &|word| {
            share(following, word, after_one(last, word))
        });
    }
    let start = of_one.get(&count::START).copied().unwrap_or(ROOT);
    Language { words: counts.words, states, arcs, start }
}

#[cfg(test)]
mod tests;
