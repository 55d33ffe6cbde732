//! What the emulated model hears and does: a scenario file, and the machine that follows it.
//!
//! No tokio, no clock, no audio. The session asks [`Script::hear`] with what came in and carries
//! out the [`Step`]s in order. The format is documented in `scenarios/README.md`.

mod compile;
mod file;
mod pattern;
mod problem;
mod recall;
mod step;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use voice_ears::Phrase;

use self::compile::{Action, Compiled, Input, Keys, State, Turn};
use self::pattern::{Captures, words};
pub use self::problem::{Problem, ScenarioError};
use self::recall::Past;
pub(crate) use self::recall::{NOT_RECOGNISED, typed};
pub use self::step::{BargeIn, FaultKind, FaultStep, Finals, Heard, Step};
use self::template::Memory;
use crate::ear::MIN_TURN_MS;

/// The scenario that is played unless another is given.
const BANKING: &str = include_str!("../scenarios/banking.json");

/// Said when a scenario has no answer of its own to words it does not understand.
const HELPLESS: &str = "I am sorry, I did not understand that.";

/// Said to speech that was not clear when a scenario says nothing else. No words are invented.
const UNCLEAR: &str = "Sorry, I did not catch that. You can say it again, or type it.";

/// A scenario: checked, so that a script can follow it without failing. Cheap to clone.
#[derive(Clone)]
pub struct Scenario {
    compiled: Arc<Compiled>,
}

impl Scenario {
    /// Reads and checks a scenario.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        Self::parse_named(text, "scenario")
    }

    /// Reads and checks a scenario file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScenarioError> {
        let name = path.as_ref().display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse_named(&text, &name),
            Err(source) => Err(ScenarioError::Read { path: name, source }),
        }
    }

    fn parse_named(text: &str, name: &str) -> Result<Self, ScenarioError> {
        Ok(Self { compiled: Arc::new(compile::compile(text, name)?) })
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.compiled.name
    }

    /// What callers may say in each state: its own phrases and those of everywhere.
    pub(crate) fn phrases(&self) -> BTreeMap<&str, Vec<Phrase>> {
        let talking = self.compiled.states.iter().filter(|(_, state)| !state.end);
        let with_everywhere = |(name, state): (_, &State)| {
            let all = state.phrases.iter().chain(&self.compiled.phrases);
            (name, all.cloned().collect())
        };
        talking.map(|(name, state)| with_everywhere((name.as_str(), state))).collect()
    }

    /// How words sound that no dictionary has.
    pub(crate) fn sounds(&self) -> &BTreeMap<String, String> {
        &self.compiled.sounds
    }
}

impl Default for Scenario {
    /// The embedded bank. Should it not parse, which a test rules out, an agent without a word.
    fn default() -> Self {
        Self::parse(BANKING).unwrap_or_else(|_| Self {
            compiled: Arc::new(Compiled {
                name: "empty".to_owned(),
                start: String::new(),
                barge_in: None,
                finals: None,
                unheard: Vec::new(),
                unclear: Vec::new(),
                phrases: Vec::new(),
                sounds: BTreeMap::new(),
                otherwise: Vec::new(),
                anywhere: Vec::new(),
                states: BTreeMap::new(),
                slots: BTreeMap::new(),
            }),
        })
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.compiled.name).finish_non_exhaustive()
    }
}

/// The machine that follows a scenario for one session.
///
/// ```text
///            heard            first turn that fits           goto
///   state A ------> A's turns, then `anywhere`  -> steps  ---------> state B
///                   nothing fits: A's `otherwise`, or the scenario's
///
///   speech without words: the next turn of A in the order of the file, round and round
///   a state with `end` and no turns: End, and silence from then on
/// ```
#[derive(Debug, Clone)]
pub struct Script {
    scenario: Arc<Compiled>,
    state: String,
    memory: Memory,
    /// Turns of the caller so far.
    turns: u64,
    /// For each state, the turn at which speech without words goes on.
    next_unheard: BTreeMap<String, usize>,
    /// Tools that answered, and whose answers no turn has taken yet.
    answered: BTreeSet<String>,
    /// For each tool, the state in which its answer was expected when it was called last: it may
    /// come when the caller is elsewhere already (nova-sonic.md §3.7).
    expected_in: BTreeMap<String, String>,
    /// The scenario's own settings have been announced.
    announced: bool,
    /// The caller has been told that nobody understands speech here.
    excused: bool,
    /// How often in a row speech was not clear.
    unclear: u32,
    /// The latest answers, and what a history says of them.
    past: Past,
}

/// Which turn was chosen, and what it captured.
struct Chosen {
    turn: Turn,
    captures: Captures,
    /// The turn belongs to a state that was left: it is played, but leads nowhere.
    stale: bool,
}

impl Chosen {
    fn new(turn: &Turn, captures: Captures) -> Self {
        Self { turn: turn.clone(), captures, stale: false }
    }
}

impl Script {
    /// A script at the scenario's start.
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let scenario = Arc::clone(&scenario.compiled);
        Self {
            state: scenario.start.clone(),
            scenario,
            memory: Memory::default(),
            turns: 0,
            next_unheard: BTreeMap::new(),
            answered: BTreeSet::new(),
            expected_in: BTreeMap::new(),
            announced: false,
            excused: false,
            unclear: 0,
            past: Past::default(),
        }
    }

    /// The state in which the conversation is.
    pub(crate) fn place(&self) -> &str {
        &self.state
    }

    /// What the model does about what it heard. Empty if it does nothing.
    ///
    /// The scenario's own `barge_in` and `finals` come before the first steps.
    pub fn hear(&mut self, heard: Heard<'_>) -> Vec<Step> {
        let mut steps = self.answer(heard);
        self.past.answered(&steps);
        if !steps.is_empty() && !std::mem::replace(&mut self.announced, true) {
            let settings =
                [self.scenario.barge_in.map(Step::BargeIn), self.scenario.finals.map(Step::Finals)];
            steps.splice(0..0, settings.into_iter().flatten());
        }
        steps
    }

    fn answer(&mut self, heard: Heard<'_>) -> Vec<Step> {
        let chosen = match heard {
            Heard::Greeting => self.choose(|turn| turn.when.greeting.then(Vec::new)),
            Heard::Text(text) => match self.choose_cue(text) {
                Some(chosen) => Some(chosen),
                None => return self.answer_words(text),
            },
            Heard::Speech { ms, .. } if ms < MIN_TURN_MS => None,
            Heard::Unclear { ms } if ms < MIN_TURN_MS => None,
            Heard::Unclear { .. } => return self.ask_again(),
            Heard::Speech { words: Some(text), .. } => return self.answer_words(text),
            Heard::Speech { words: None, .. } => return self.answer_unheard(),
            Heard::Dtmf(keys) => return self.answer_keys(keys),
            Heard::ToolResult { tool_use_name, result } => {
                self.choose_result(tool_use_name, result)
            }
        };
        let mut steps = Vec::new();
        if let Some(chosen) = chosen {
            self.play(chosen, &mut steps);
        }
        steps
    }

    fn answer_words(&mut self, text: &str) -> Vec<Step> {
        self.turns += 1;
        self.unclear = 0;
        self.memory.heard = text.trim().to_owned();
        let (number, words) = (self.turns, words(text));
        let chosen = self.choose(|turn| {
            if turn.when.any || turn.when.turn == Some(number) {
                return Some(Vec::new());
            }
            turn.when.text.iter().find_map(|pattern| pattern.find(&words))
        });
        self.play_or_apologise(chosen)
    }

    fn answer_keys(&mut self, keys: &str) -> Vec<Step> {
        self.turns += 1;
        keys.clone_into(&mut self.memory.heard);
        let number = self.turns;
        let entered = keys.strip_suffix('#').filter(|rest| !rest.is_empty()).unwrap_or(keys);
        let chosen = self.choose(|turn| {
            if turn.when.any || turn.when.turn == Some(number) {
                return Some(Vec::new());
            }
            turn.when.dtmf.iter().find_map(|wanted| match wanted {
                Keys::Exactly(wanted) => (wanted == keys || wanted == entered).then(Vec::new),
                Keys::Slot(name) => {
                    let value = self.scenario.slots.get(name)?.read_keys(entered)?;
                    Some(vec![(name.clone(), value)])
                }
            })
        });
        self.play_or_apologise(chosen)
    }

    /// Speech that nobody understood takes the next turn of the state (local-voice.md §7c).
    fn answer_unheard(&mut self) -> Vec<Step> {
        self.turns += 1;
        self.memory.heard.clear();
        let number = self.turns;
        let fixed =
            self.choose(|turn| (turn.when.any || turn.when.turn == Some(number)).then(Vec::new));
        if fixed.is_some() {
            return self.play_or_apologise(fixed);
        }
        let chosen = self.choose_next_unheard();
        let mut steps = Vec::new();
        if chosen.is_some() && !std::mem::replace(&mut self.excused, true) {
            let scenario = Arc::clone(&self.scenario);
            self.act(&scenario.unheard, &mut steps);
        }
        steps.extend(self.play_or_apologise(chosen));
        steps
    }

    /// Speech that was not clear is no reason to do anything but ask. After the second time in a row
    /// the caller hears what can be said, too.
    fn ask_again(&mut self) -> Vec<Step> {
        self.unclear += 1;
        let mut steps = Vec::new();
        let scenario = Arc::clone(&self.scenario);
        if scenario.states.get(&self.state).is_some_and(|state| state.end) {
            return steps;
        }
        match scenario.unclear.is_empty() {
            true => steps.extend(sentences(UNCLEAR).map(|text| Step::Say(text.to_owned()))),
            false => drop(self.act(&scenario.unclear, &mut steps)),
        }
        if self.unclear >= 2 {
            self.apologise(&mut steps);
        }
        steps
    }

    /// The next turn in the order of the file that a caller's words could trigger.
    fn choose_next_unheard(&mut self) -> Option<Chosen> {
        let scenario = Arc::clone(&self.scenario);
        let turns = &scenario.states.get(&self.state)?.turns;
        let next = self.next_unheard.get(&self.state).copied().unwrap_or(0).min(turns.len());
        let chosen = (next..turns.len()).chain(0..next).find(|&index| {
            turns.get(index).is_some_and(|turn| {
                let wants_words = !turn.when.text.is_empty() || !turn.when.dtmf.is_empty();
                turn.unheard && wants_words && is_allowed(turn, &self.memory)
            })
        })?;
        self.next_unheard.insert(self.state.clone(), chosen + 1);
        turns.get(chosen).map(|turn| Chosen::new(turn, Vec::new()))
    }

    /// A cue is a message of the client's, not a turn of the caller's.
    fn choose_cue(&self, text: &str) -> Option<Chosen> {
        let text = text.trim().to_lowercase();
        self.choose(|turn| {
            turn.when.cue.iter().any(|cue| text.starts_with(cue.as_str())).then(Vec::new)
        })
    }

    fn choose_result(&mut self, tool: &str, result: &Value) -> Option<Chosen> {
        self.memory.results.insert(tool.to_owned(), result.clone());
        tool.clone_into(&mut self.memory.answered);
        self.answered.insert(tool.to_owned());
        let fits = |turn: &Turn| {
            let wanted = &turn.when.results;
            (wanted.contains(tool) && wanted.is_subset(&self.answered)).then(Vec::new)
        };
        let chosen = self.choose(fits).or_else(|| {
            // The caller went on to something else while the tool was at work.
            let origin = self.scenario.states.get(self.expected_in.get(tool)?)?;
            let mut turns = origin.turns.iter();
            let turn = turns.find(|t| fits(t).is_some() && is_allowed(t, &self.memory))?;
            Some(Chosen { stale: true, ..Chosen::new(turn, Vec::new()) })
        })?;
        for taken in &chosen.turn.when.results {
            self.answered.remove(taken);
        }
        Some(chosen)
    }

    /// The first turn of the state, then of `anywhere`, that fits and whose guards hold.
    fn choose(&self, fits: impl Fn(&Turn) -> Option<Captures>) -> Option<Chosen> {
        let state = self.state()?;
        let anywhere = if state.end { &[][..] } else { &self.scenario.anywhere };
        state.turns.iter().chain(anywhere).find_map(|turn| {
            let captures = fits(turn)?;
            is_allowed(turn, &self.memory).then(|| Chosen::new(turn, captures))
        })
    }

    fn state(&self) -> Option<&State> {
        self.scenario.states.get(&self.state)
    }

    fn play_or_apologise(&mut self, chosen: Option<Chosen>) -> Vec<Step> {
        let mut steps = Vec::new();
        match chosen {
            Some(chosen) => self.play(chosen, &mut steps),
            None => self.apologise(&mut steps),
        }
        steps
    }

    fn play(&mut self, chosen: Chosen, steps: &mut Vec<Step>) {
        self.memory.slots.extend(chosen.captures);
        let goto = chosen.turn.goto.filter(|_| !chosen.stale);
        let calls = self.act(&chosen.turn.actions, steps);
        if let Some(goto) = goto {
            self.state = goto;
        }
        for tool in calls {
            self.expected_in.insert(tool, self.state.clone());
        }
        if self.state().is_some_and(|state| state.end && state.turns.is_empty()) {
            steps.push(Step::End);
        }
    }

    /// The answer to what nothing fits.
    fn apologise(&mut self, steps: &mut Vec<Step>) {
        let scenario = Arc::clone(&self.scenario);
        let Some(state) = scenario.states.get(&self.state) else { return };
        if state.end && state.otherwise.is_empty() {
            return;
        }
        let own = [&state.otherwise, &scenario.otherwise].into_iter().find(|own| !own.is_empty());
        match own {
            Some(own) => {
                self.act(own, steps);
            }
            None => steps.push(Step::Say(HELPLESS.to_owned())),
        }
    }

    /// Turns actions into steps; gives the tools called.
    fn act(&mut self, actions: &[Action], steps: &mut Vec<Step>) -> Vec<String> {
        let mut calls = Vec::new();
        for action in actions {
            match action {
                Action::Say(texts) => {
                    // The last alternative is taken in any case, holes and all.
                    let mut text = String::new();
                    for alternative in texts {
                        let (filled, complete) = alternative.fill(&self.memory);
                        text = filled;
                        if complete {
                            break;
                        }
                    }
                    steps.extend(sentences(&text).map(|text| Step::Say(text.to_owned())));
                }
                Action::Call { tool, input, double_encoded } => {
                    self.answered.remove(tool);
                    calls.push(tool.clone());
                    steps.push(Step::Call {
                        tool: tool.clone(),
                        input: input.fill(&self.memory),
                        double_encoded: *double_encoded,
                    });
                }
                Action::Set(values) => {
                    for (slot, value) in values {
                        let (value, _) = value.fill(&self.memory);
                        self.memory.slots.insert(slot.clone(), value);
                    }
                }
                Action::Pause(ms) => steps.push(Step::Pause { ms: *ms }),
                Action::BargeIn(variant) => steps.push(Step::BargeIn(*variant)),
                Action::Finals(finals) => steps.push(Step::Finals(*finals)),
                Action::Fault(fault) => steps.push(Step::Fault(fault.clone())),
            }
        }
        calls
    }
}

/// Whether a turn's guards hold, by what was known before the turn.
fn is_allowed(turn: &Turn, memory: &Memory) -> bool {
    turn.guards.iter().all(|(source, expected)| match (source.value(memory, false), expected) {
        (None, Value::Null) => true,
        (None, _) | (Some(_), Value::Null) => false,
        (Some(Value::String(value)), Value::String(expected)) => {
            value.to_lowercase() == expected.to_lowercase()
        }
        (Some(value), expected) => value == *expected,
    })
}

impl Input {
    fn fill(&self, memory: &Memory) -> Value {
        match self {
            Self::Text(template) => template.value(memory),
            Self::List(items) => items.iter().map(|item| item.fill(memory)).collect(),
            Self::Object(members) => {
                members.iter().map(|(key, member)| (key.clone(), member.fill(memory))).collect()
            }
            Self::Plain(value) => value.clone(),
        }
    }
}

/// The sentences of a text: Nova Sonic sends one block for each (nova-sonic.md §3.3).
///
/// A sentence ends with `.`, `?` or `!` before a blank and a capital letter, a figure or a quote.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = rest.char_indices().filter(|(_, c)| matches!(c, '.' | '?' | '!'));
        let starts = |c: char| c.is_uppercase() || c.is_ascii_digit() || matches!(c, '"' | '“');
        let end = ends.map(|(at, _)| at + 1).find(|&end| {
            let after = rest.get(end..).unwrap_or_default();
            after.starts_with(char::is_whitespace) && after.trim_start().starts_with(starts)
        });
        let (sentence, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.trim_start();
        Some(sentence)
    })
}

#[cfg(test)]
mod tests;
