//! A language model as text in the ARPA format: for other recognisers, and for people to read.
//!
//! Logarithms to the base 10; `tests/oracle.py` gives it to PocketSphinx, so that two decoders can
//! be compared with the same model.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::count::START;
use super::{END, Language, ROOT, StateId, WordId};

impl Language {
    pub(crate) fn to_arpa(&self) -> String {
        // The words before each state, found by walking from the root and from the start.
        let mut histories: HashMap<StateId, Vec<WordId>> = HashMap::from([(ROOT, Vec::new())]);
        histories.insert(self.start, vec![START]);
        let mut open = vec![ROOT, self.start];
        while let Some(state) = open.pop() {
            let history = histories.get(&state).cloned().unwrap_or_default();
            for arc in self.state(state).0.iter().filter(|arc| arc.word != END) {
                // An arc may lead to a state of one word or of two.
                let wants = self.memory(arc.next);
                let mut words = history.clone();
                words.push(arc.word);
                let words = words.split_off(words.len().saturating_sub(wants));
                if wants > 0 && words.len() == wants && !histories.contains_key(&arc.next) {
                    histories.insert(arc.next, words);
                    open.push(arc.next);
                }
            }
        }
        let states: HashMap<&[WordId], StateId> =
            histories.iter().map(|(state, words)| (words.as_slice(), *state)).collect();

        let mut orders = [Vec::new(), Vec::new(), Vec::new()];
        orders[0].push(self.line(&[START], -99.0, &states));
        let mut known: Vec<_> = histories.iter().collect();
        known.sort();
        for (state, history) in known {
            for arc in self.state(*state).0 {
                let mut words = history.clone();
                words.push(arc.word);
                let line = self.line(&words, arc.log / std::f32::consts::LN_10, &states);
                orders[history.len()].push(line);
            }
        }
        let mut text = "\\data\\\n".to_owned();
        for (order, lines) in (1..).zip(&orders) {
            let _ = writeln!(text, "ngram {order}={}", lines.len());
        }
        for (order, lines) in (1..).zip(&orders) {
            let _ = writeln!(text, "\n\\{order}-grams:");
            lines.iter().for_each(|line| text.push_str(line));
        }
        text + "\n\\end\\\n"
    }

    /// How many words a state remembers: as many as there are ways back from it.
    fn memory(&self, mut state: StateId) -> usize {
        let mut words = 0;
        while let Some((_, less)) = self.state(state).1 {
            (words, state) = (words + 1, less);
        }
        words
    }

    fn line(&self, words: &[WordId], log: f32, states: &HashMap<&[WordId], StateId>) -> String {
        let mut line = format!("{log:.4}");
        for word in words {
            let name = match *word {
                START => "<s>",
                END => "</s>",
                word => self.words.get(usize::from(word)).map_or("<unk>", String::as_str),
            };
            let _ = write!(line, " {name}");
        }
        if let Some((back, _)) = states.get(words).and_then(|state| self.state(*state).1) {
            let _ = write!(line, " {:.4}", back / std::f32::consts::LN_10);
        }
        line + "\n"
    }
}
