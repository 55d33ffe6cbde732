//! The search: which words explain the sound best, frame by frame.
//!
//! Token passing after Viterbi. Each state of each node keeps the best way to it, as a score and a
//! link into the `trace` of ended words; what falls behind the best by more than a beam is dropped.
//! Scores are relative to the best phone of each frame (see `score`), so they stay small and what
//! a word lacks is its confidence. One search is one turn of a caller; it has no clock and no end
//! of its own.

mod trace;

use std::sync::Arc;

use self::trace::{NONE, Trace, TraceId};
use crate::domain::Domain;
use crate::features::Frame;
use crate::language::{END, ROOT, StateId};
use crate::model::Model;
use crate::model::phones::{Phone, STATES};
use crate::network::{After, NodeId, PhoneSet};
use crate::score::Scores;

/// How much weight the language has against the sound.
const LANGUAGE_WEIGHT: f32 = 8.0;
/// What each word costs: the logarithm of 0.65.
const WORD_COST: f32 = -0.430_782_9;
/// What silence and noises cost, in nats.
const SILENCE_COST: f32 = -5.3;
const NOISE_COST: f32 = -18.4;
/// Ways that lack more than this are dropped, in nats.
const BEAM: f32 = 120.0;
/// Words that end with more than this behind the best way have not ended.
const WORD_BEAM: f32 = 80.0;
/// Words that can end in one frame.
const EXITS: usize = 100;
/// Nodes that are looked at in one frame before the beam closes.
const CROWD: usize = 4_000;

const NOWHERE: f32 = f32::NEG_INFINITY;

/// The ways to the three states of a node.
#[derive(Debug, Clone, Copy)]
struct Token {
    node: NodeId,
    score: [f32; STATES],
    trace: [TraceId; STATES],
    /// The best way that enters in the next frame.
    enter: (f32, TraceId),
}

impl Token {
    const fn new(node: NodeId) -> Self {
        Self { node, score: [NOWHERE; STATES], trace: [NONE; STATES], enter: (NOWHERE, NONE) }
    }
}

/// Where a node without a token has it.
const ABSENT: u32 = u32::MAX;

/// A word that ends here.
#[derive(Debug, Clone, Copy)]
struct Exit {
    score: f32,
    node: NodeId,
    trace: TraceId,
}

/// A recognised word.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) word: u16,
    /// Frames from the start of the turn: the first one, and the one after the last.
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// What the sound lacks against the best phones, over all frames of the word, in nats.
    pub(crate) gap: f32,
    /// What the language makes of it: the logarithm of its probability after the words before.
    pub(crate) log: f32,
}

/// One turn of a caller.
pub(crate) struct Search {
    domain: Arc<Domain>,
    /// The nodes with a way to them, and those of the next frame.
    active: Vec<Token>,
    next: Vec<Token>,
    /// For each node, where in `next` it is.
    places: Vec<u32>,
    exits: Vec<Exit>,
    /// For each phone on the left and each on the right the best way to the language's root.
    roots: Vec<(f32, TraceId)>,
    /// Which of them are there.
    rooted: Vec<usize>,
    trace: Trace,
    phones: usize,
    silence: Phone,
    frame: u32,
    beam: f32,
    /// The score and the trace of the best way so far.
    best: (f32, TraceId),
}

impl Search {
    pub(crate) fn new(model: &Model, domain: Arc<Domain>) -> Self {
        let nodes = domain.network.nodes().len();
        let phones = model.phones.count();
        let mut search = Self {
            active: Vec::new(),
            next: Vec::new(),
            places: vec![ABSENT; nodes],
            exits: Vec::new(),
            roots: vec![(NOWHERE, NONE); phones * phones],
            rooted: Vec::new(),
            trace: Trace::default(),
            phones,
            silence: model.phones.silence(),
            frame: 0,
            beam: BEAM,
            best: (0.0, NONE),
            domain,
        };
        search.begin();
        search
    }

    /// The sentence starts after silence, or with silence.
    fn begin(&mut self) {
        let domain = Arc::clone(&self.domain);
        let start = domain.language.start();
        let from = (0.0, NONE);
        for filler in domain.network.fillers() {
            self.enter(*filler, from.0 + self.filler_cost(*filler), from.1);
        }
        self.follow(from, start, self.silence, PhoneSet::ALL, NOWHERE);
        self.follow_roots(NOWHERE);
        self.turn();
    }

    /// The next frame becomes the present one.
    fn turn(&mut self) {
        std::mem::swap(&mut self.active, &mut self.next);
        self.next.clear();
        for token in &self.active {
            self.places[token.node as usize] = ABSENT;
        }
    }

    /// Hears one frame.
    pub(crate) fn hear(&mut self, model: &Model, scores: &mut Scores, frame: &Frame) {
        scores.hear(model, frame);
        let domain = Arc::clone(&self.domain);
        let best = self.advance(model, scores, &domain);
        self.frame += 1;
        let least = best - self.beam;
        self.beam = match self.active.len() > CROWD {
            true => (self.beam * 0.9).max(BEAM / 4.0),
            false => (self.beam * 1.05).min(BEAM),
        };
        self.pass(model, &domain, least, best - WORD_BEAM.min(self.beam));
        self.end_words(&domain, least);
        self.turn();
        if self.trace.is_crowded() {
            self.forget();
        }
    }

    /// Moves every way one frame on; gives the best score.
    fn advance(&mut self, model: &Model, scores: &mut Scores, domain: &Domain) -> f32 {
        let mut best = (NOWHERE, NONE);
        for token in &mut self.active {
            let node = &domain.network.nodes()[token.node as usize];
            let ways = &model.transitions[usize::from(node.phone)];
            let [s0, s1, s2] = token.score;
            let [t0, t1, t2] = token.trace;
            let emit = |scores: &mut Scores, state| scores.of(model, node.phone, state);
            let mut third = (s2 + ways.stay[2], t2);
            third = better(third, (s1 + ways.step[1], t1));
            third = better(third, (s0 + ways.skip[0], t0));
            let second = better((s1 + ways.stay[1], t1), (s0 + ways.step[0], t0));
            let first = better((s0 + ways.stay[0], t0), token.enter);
            for (state, (score, trace)) in [first, second, third].into_iter().enumerate() {
                let score = match score > NOWHERE {
                    true => score + emit(scores, node.senones[state]),
                    false => NOWHERE,
                };
                token.score[state] = score;
                token.trace[state] = trace;
                best = better(best, (score, trace));
            }
        }
        self.best = best;
        best.0
    }

    /// Drops what is too far behind, and lets the rest enter the nodes after its own.
    fn pass(&mut self, model: &Model, domain: &Domain, least: f32, least_word: f32) {
        self.exits.clear();
        for index in 0..self.active.len() {
            let token = self.active[index];
            if token.score.iter().all(|score| *score < least) {
                continue;
            }
            let node = &domain.network.nodes()[token.node as usize];
            let ways = &model.transitions[usize::from(node.phone)];
            let out = better(
                (token.score[2] + ways.step[2], token.trace[2]),
                (token.score[1] + ways.skip[1], token.trace[1]),
            );
            let stays = self.next(token.node);
            (stays.score, stays.trace) = (token.score, token.trace);
            match node.after {
                After::Nodes(from, to) if out.0 >= least => {
                    for next in domain.network.links((from, to)) {
                        self.enter(*next, out.0, out.1);
                    }
                }
                After::Word(..) | After::Filler if out.0 >= least_word => {
                    self.exits.push(Exit { score: out.0, node: token.node, trace: out.1 });
                }
                _ => {}
            }
        }
    }

    /// Writes down the words that end now, and enters the words that may follow.
    fn end_words(&mut self, domain: &Domain, least: f32) {
        if self.exits.len() > EXITS {
            self.exits.select_nth_unstable_by(EXITS, |a, b| b.score.total_cmp(&a.score));
            self.exits.truncate(EXITS);
        }
        for index in 0..self.exits.len() {
            let exit = self.exits[index];
            let (left, rights) = match domain.network.nodes()[exit.node as usize].after {
                After::Word(pronunciation, rights) => {
                    let last = domain.network.pronunciations()[pronunciation as usize].last;
                    (last, rights)
                }
                _ => (self.silence, PhoneSet::ALL),
            };
            let (trace, state) = self.write(domain, exit);
            let from = (exit.score, trace);
            if rights.has(self.silence) {
                for filler in domain.network.fillers() {
                    let score = exit.score + self.filler_cost(*filler);
                    if score >= least {
                        self.enter(*filler, score, trace);
                    }
                }
            }
            self.follow(from, state, left, rights, least);
        }
        self.follow_roots(least);
    }

    /// Writes a word or a filler into the trace; gives the entry and the language's state after.
    fn write(&mut self, domain: &Domain, exit: Exit) -> (TraceId, StateId) {
        let before = self.trace.get(exit.trace);
        let state = before.map_or(domain.language.start(), |entry| entry.state);
        let paid = before.map_or(0.0, |entry| entry.paid);
        let (word, log, cost, state, quiet) = match domain.network.nodes()[exit.node as usize].after
        {
            After::Word(pronunciation, rights) => {
                let word = domain.network.pronunciations()[pronunciation as usize].word;
                let (log, state) = domain.language.say(state, word);
                let cost = log * LANGUAGE_WEIGHT + WORD_COST;
                (Some(word), log, cost, state, rights.has(self.silence))
            }
            _ => (None, 0.0, self.filler_cost(exit.node), state, true),
        };
        let entry = trace::Entry {
            before: exit.trace,
            frame: self.frame,
            word,
            quiet,
            state,
            score: exit.score,
            paid: paid + cost,
            log,
        };
        (self.trace.push(entry), state)
    }

    /// Enters the words that the language expects, and keeps the way for the unexpected ones.
    fn follow(
        &mut self,
        from: (f32, TraceId),
        mut state: StateId,
        left: Phone,
        rights: PhoneSet,
        least: f32,
    ) {
        let domain = Arc::clone(&self.domain);
        let (mut score, trace) = from;
        while state != ROOT {
            let (arcs, back) = domain.language.state(state);
            for arc in arcs {
                let score = score + arc.log * LANGUAGE_WEIGHT + WORD_COST;
                if score < least {
                    continue;
                }
                for spoken in domain.network.of_word(arc.word) {
                    if rights.has(spoken.first) {
                        for node in domain.network.entry(spoken, left) {
                            self.enter(*node, score, trace);
                        }
                    }
                }
            }
            let Some((cost, less)) = back else { return };
            score += cost * LANGUAGE_WEIGHT;
            state = less;
        }
        if score < least {
            return;
        }
        for right in 0..self.phones {
            if rights.has(right as Phone) {
                let place = usize::from(left) * self.phones + right;
                let root = &mut self.roots[place];
                if root.0 == NOWHERE {
                    self.rooted.push(place);
                }
                *root = better(*root, (score, trace));
            }
        }
    }

    /// Enters every word from the ways that came to the root.
    fn follow_roots(&mut self, least: f32) {
        let domain = Arc::clone(&self.domain);
        let (arcs, _) = domain.language.state(ROOT);
        let mut lefts: Vec<usize> = self.rooted.iter().map(|place| place / self.phones).collect();
        lefts.sort_unstable();
        lefts.dedup();
        for arc in arcs {
            let cost = arc.log * LANGUAGE_WEIGHT + WORD_COST;
            for spoken in domain.network.of_word(arc.word) {
                for left in &lefts {
                    let (score, trace) = self.roots[left * self.phones + usize::from(spoken.first)];
                    let score = score + cost;
                    if score > NOWHERE && score >= least {
                        for node in domain.network.entry(spoken, *left as Phone) {
                            self.enter(*node, score, trace);
                        }
                    }
                }
            }
        }
        for place in self.rooted.drain(..) {
            self.roots[place] = (NOWHERE, NONE);
        }
    }

    fn filler_cost(&self, node: NodeId) -> f32 {
        match self.domain.network.nodes().get(node as usize) {
            Some(node) if node.phone == self.silence => SILENCE_COST,
            _ => NOISE_COST,
        }
    }

    fn enter(&mut self, node: NodeId, score: f32, trace: TraceId) {
        let enter = &mut self.next(node).enter;
        *enter = better(*enter, (score, trace));
    }

    /// The token of a node in the next frame.
    fn next(&mut self, node: NodeId) -> &mut Token {
        let mut place = self.places[node as usize];
        if place == ABSENT {
            place = self.next.len() as u32;
            self.places[node as usize] = place;
            self.next.push(Token::new(node));
        }
        &mut self.next[place as usize]
    }

    /// Drops the ended words to which no way leads any more.
    fn forget(&mut self) {
        let links =
            self.active.iter().flat_map(|token| token.trace.into_iter().chain([token.enter.1]));
        let moved = self.trace.forget(links.chain([self.best.1]));
        for token in &mut self.active {
            token.trace = token.trace.map(|link| moved.to(link));
            token.enter.1 = moved.to(token.enter.1);
        }
        self.best.1 = moved.to(self.best.1);
    }

    /// What was said so far, if the turn goes on.
    pub(crate) fn so_far(&self) -> Vec<Said> {
        self.trace.words(self.best.1)
    }

    /// What was said, if the turn is over now.
    pub(crate) fn result(&self) -> Vec<Said> {
        // A word that sounds as before another phone has not ended in silence.
        let ended = self.trace.ended_at(self.frame).filter(|(_, entry)| entry.quiet);
        let scored = ended.map(|(id, entry)| {
            let (log, _) = self.domain.language.say(entry.state, END);
            (entry.score + log * LANGUAGE_WEIGHT, id)
        });
        let last = scored.fold((NOWHERE, NONE), better);
        match last {
            (score, id) if score > NOWHERE => self.trace.words(id),
            _ => self.so_far(),
        }
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Bytes of memory that this turn holds.
    pub(crate) fn memory(&self) -> usize {
        (self.active.capacity() + self.next.capacity()) * size_of::<Token>()
            + self.places.capacity() * size_of::<u32>()
            + self.exits.capacity() * size_of::<Exit>()
            + self.roots.capacity() * size_of::<(f32, TraceId)>()
            + self.trace.memory()
    }
}

fn better(one: (f32, TraceId), other: (f32, TraceId)) -> (f32, TraceId) {
    if other.0 > one.0 { other } else { one }
}
