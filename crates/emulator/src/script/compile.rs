//! From the file to a scenario that can be followed without failing. Finds every problem at once.
//! Called by `Scenario::parse` and `Scenario::load`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use voice_ears::{Phrase, Slot};

use super::file::{ActionFile, File, SlotFile, SlotKindFile, StateFile, TurnFile, WhenFile};
use super::pattern::{Pattern, SlotKind, words};
use super::problem::{Problems, ScenarioError};
use super::step::{BargeIn, FaultStep, Finals};
use super::template::{Source, Template};

/// Words a slot of words takes unless the file says otherwise.
const DEFAULT_MAX_WORDS: usize = 4;

/// A scenario, checked and compiled.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) name: String,
    pub(super) start: String,
    pub(super) barge_in: Option<BargeIn>,
    pub(super) finals: Option<Finals>,
    /// What callers say anywhere.
    pub(super) phrases: Vec<Phrase>,
    /// Words that no dictionary has, and words that sound like them.
    pub(super) sounds: BTreeMap<String, String>,
    pub(super) unheard: Vec<Action>,
    pub(super) unclear: Vec<Action>,
    pub(super) otherwise: Vec<Action>,
    pub(super) anywhere: Vec<Turn>,
    pub(super) states: BTreeMap<String, State>,
    /// The kinds of the slots, for telephone keys.
    pub(super) slots: BTreeMap<String, SlotKind>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) turns: Vec<Turn>,
    /// What callers say here.
    pub(super) phrases: Vec<Phrase>,
    pub(super) otherwise: Vec<Action>,
    pub(super) end: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) when: When,
    pub(super) guards: Vec<(Source, Value)>,
    pub(super) actions: Vec<Action>,
    pub(super) goto: Option<String>,
    /// May be taken by speech that nobody understood.
    pub(super) unheard: bool,
}

#[derive(Debug, Clone)]
pub(super) struct When {
    pub(super) greeting: bool,
    pub(super) any: bool,
    pub(super) turn: Option<u64>,
    pub(super) text: Vec<Pattern>,
    /// Lower case.
    pub(super) cue: Vec<String>,
    pub(super) dtmf: Vec<Keys>,
    pub(super) results: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Keys {
    Exactly(String),
    Slot(String),
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Alternatives: the first whose values are all there.
    Say(Vec<Template>),
    Call {
        tool: String,
        input: Input,
        double_encoded: bool,
    },
    Set(Vec<(String, Template)>),
    Pause(u64),
    BargeIn(BargeIn),
    Finals(Finals),
    Fault(FaultStep),
}

/// A tool's input with templates in its texts.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Text(Template),
    List(Vec<Input>),
    Object(BTreeMap<String, Input>),
    Plain(Value),
}

/// Reads, checks and compiles a scenario; `name` is the file's, for the report.
pub(super) fn compile(text: &str, name: &str) -> Result<Compiled, ScenarioError> {
    let mut problems = Problems::new(text);
    let mut json = serde_json::Deserializer::from_str(text);
    let file = serde_path_to_error::deserialize::<_, File>(&mut json);
    let compiled = match file {
        Err(error) => {
            problems.add_shape(error);
            None
        }
        Ok(file) => {
            if let Err(error) = json.end() {
                problems.add("", format!("after the scenario: {error}"));
            }
            Some(Compiler::new(&file, &mut problems).compile(file))
        }
    };
    match (problems.into_error(name), compiled) {
        (None, Some(compiled)) => Ok(compiled),
        (Some(error), _) => Err(error),
        // A file without shape always has a problem.
        (None, None) => Err(ScenarioError::Invalid { name: name.to_owned(), problems: Vec::new() }),
    }
}

struct Compiler<'a, 't> {
    problems: &'a mut Problems<'t>,
    slots: BTreeMap<String, (SlotKind, Option<String>)>,
    states: BTreeSet<String>,
    /// Tools that some action calls.
    called: BTreeSet<String>,
}

impl<'a, 't> Compiler<'a, 't> {
    fn new(file: &File, problems: &'a mut Problems<'t>) -> Self {
        let of_states = file.states.values();
        let turns = of_states.clone().flat_map(|state| &state.turns).chain(&file.anywhere);
        let lists = [&file.unheard, &file.unclear, &file.otherwise]
            .into_iter()
            .chain(of_states.map(|state| &state.otherwise))
            .chain(turns.map(|turn| &turn.actions));
        let called = lists.flatten().filter_map(|action| match action {
            ActionFile::Call(call) => Some(call.tool.clone()),
            _ => None,
        });
        Self {
            problems,
            slots: BTreeMap::new(),
            called: called.collect(),
            states: file.states.keys().cloned().collect(),
        }
    }

    fn compile(mut self, file: File) -> Compiled {
        for (name, slot) in file.slots {
            let pointer = format!("/slots/{name}");
            self.name(&pointer, &name);
            if matches!(name.as_str(), "heard" | "result") {
                self.problems.add(&pointer, format!("`{name}` is a name of the templates' own"));
            }
            let compiled = self.slot(&pointer, slot);
            self.slots.insert(name, compiled);
        }
        self.state_exists("/start", &file.start);
        if file.name.trim().is_empty() {
            self.problems.add("/name", "a scenario needs a name");
        }
        let unheard = self.actions("/unheard", file.unheard);
        let unclear = self.actions("/unclear", file.unclear);
        self.check_sounds(&file.sounds);
        let otherwise = self.actions("/otherwise", file.otherwise);
        let anywhere = self.turns("/anywhere", file.anywhere);
        let mut states = BTreeMap::new();
        for (name, state) in file.states {
            let pointer = format!("/states/{name}");
            self.name(&pointer, &name);
            let state = self.state(&pointer, state, &name, &anywhere);
            states.insert(name, state);
        }
        let all: Vec<&Turn> = anywhere.iter().chain(states.values().flat_map(turns_of)).collect();
        let phrases = self.phrases("/phrases", file.phrases, &all);
        self.reach(&file.start, &anywhere, &states);
        Compiled {
            name: file.name,
            start: file.start,
            barge_in: file.barge_in,
            finals: file.finals,
            phrases,
            sounds: file.sounds,
            unheard,
            unclear,
            otherwise,
            anywhere,
            states,
            slots: self.slots.into_iter().map(|(name, (kind, _))| (name, kind)).collect(),
        }
    }

    /// Names are plain, so that they fit into templates and pointers.
    fn name(&mut self, pointer: &str, name: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            let message = format!("`{name}` is no name: expected letters, digits, `_` and `-`");
            self.problems.add(pointer, message);
        }
    }

    fn state_exists(&mut self, pointer: &str, state: &str) {
        if !self.states.contains(state) {
            let known = self.states.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.problems.add(pointer, format!("there is no state `{state}`, only {known}"));
        }
    }

    fn slot(&mut self, pointer: &str, slot: SlotFile) -> (SlotKind, Option<String>) {
        let SlotFile { kind, length, max_words, values, default } = slot;
        let mut foreign = |present: bool, key: &str, owner: &str| {
            if present {
                let message = format!("`{key}` belongs to slots of kind `{owner}`");
                self.problems.add(&format!("{pointer}/{key}"), message);
            }
        };
        foreign(length.is_some() && kind != SlotKindFile::Digits, "length", "digits");
        foreign(max_words.is_some() && kind != SlotKindFile::Words, "max_words", "words");
        foreign(!values.is_empty() && kind != SlotKindFile::Choice, "values", "choice");
        let kind = match kind {
            SlotKindFile::Digits => SlotKind::Spoken(Slot::Digits { length }),
            SlotKindFile::SortCode => SlotKind::Spoken(Slot::SortCode),
            SlotKindFile::AccountNumber => SlotKind::Spoken(Slot::AccountNumber),
            SlotKindFile::Number => SlotKind::Spoken(Slot::Number),
            SlotKindFile::Amount => SlotKind::Spoken(Slot::Amount),
            SlotKindFile::Date => SlotKind::Spoken(Slot::Date),
            SlotKindFile::YesNo => SlotKind::Spoken(Slot::YesNo),
            SlotKindFile::Words => SlotKind::Words { max: max_words.unwrap_or(DEFAULT_MAX_WORDS) },
            SlotKindFile::Choice => {
                let mut values: Vec<_> =
                    values.into_iter().map(|value| (value.clone(), words(&value))).collect();
                if values.is_empty() || values.iter().any(|(_, words)| words.is_empty()) {
                    self.problems.add(pointer, "a choice needs `values`, each with a word in it");
                }
                values.sort_by_key(|(_, words)| std::cmp::Reverse(words.len()));
                SlotKind::Choice { values }
            }
        };
        (kind, default)
    }

    fn state(&mut self, pointer: &str, state: StateFile, name: &str, anywhere: &[Turn]) -> State {
        let turns = self.turns(&format!("{pointer}/turns"), state.turns);
        let otherwise = self.actions(&format!("{pointer}/otherwise"), state.otherwise);
        let heard: Vec<&Turn> = turns.iter().chain(anywhere).collect();
        let phrases = self.phrases(&format!("{pointer}/phrases"), state.phrases, &heard);
        let leaves = |turn: &Turn| turn.goto.as_ref().is_some_and(|goto| goto != name);
        if !state.end && !turns.iter().chain(anywhere).any(leaves) {
            self.problems.add(
                pointer,
                "no turn leads out of this state; add a turn with `goto`, or `\"end\": true`",
            );
        }
        State { turns, phrases, otherwise, end: state.end }
    }

    /// Phrases, each of which must trigger a turn however it is said.
    fn phrases(&mut self, pointer: &str, texts: Vec<String>, turns: &[&Turn]) -> Vec<Phrase> {
        let mut phrases = Vec::new();
        for (pointer, text) in places(pointer, texts) {
            let slots = &self.slots;
            let slot = |name: &str| slots.get(name).and_then(|(kind, _)| kind.phrase());
            let words = slots.iter().find(|(name, (kind, _))| {
                kind.phrase().is_none() && text.contains(&format!("{{{name}}}"))
            });
            if let Some((name, _)) = words {
                let message =
                    format!("`{name}` takes any words: write out what is to be understood");
                self.problems.add(&pointer, message);
                continue;
            }
            match Phrase::parse(&text, slot) {
                Ok(phrase) => {
                    // Slots are tried with a value that fits; a language model cannot count digits.
                    let slot = |name: &str| slots.get(name).and_then(|(kind, _)| kind.example());
                    let tried = Phrase::parse(&text, slot).unwrap_or_else(|_| phrase.clone());
                    if let Some(said) = unanswered(&tried, turns) {
                        let message =
                            format!("no pattern fits this phrase when it is said `{said}`");
                        self.problems.add(&pointer, message);
                    }
                    phrases.push(phrase);
                }
                Err(error) => self.problems.add(&pointer, format!("the phrase `{text}`, {error}")),
            }
        }
        phrases
    }

    fn check_sounds(&mut self, sounds: &BTreeMap<String, String>) {
        for (word, like) in sounds {
            let plain = |word: &str| !word.is_empty() && word.chars().all(char::is_alphabetic);
            if !plain(word) || like.is_empty() || !like.split_whitespace().all(plain) {
                let message =
                    "expected a word, and words that sound like it: \"cloudgate\": \"cloud gate\"";
                self.problems.add(&format!("/sounds/{word}"), message.to_owned());
            }
        }
    }

    /// Every state must be reached from the start.
    fn reach(&mut self, start: &str, anywhere: &[Turn], states: &BTreeMap<String, State>) {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(name) = open.pop() {
            if !reached.insert(name) {
                continue;
            }
            let Some(state) = states.get(name) else { continue };
            let everywhere = if state.end { &[] } else { anywhere };
            open.extend(
                state.turns.iter().chain(everywhere).filter_map(|turn| turn.goto.as_deref()),
            );
        }
        // With a wrong start nothing is reached, which says nothing new.
        for name in states.keys().filter(|_| states.contains_key(start)) {
            if !reached.contains(name.as_str()) {
                let pointer = format!("/states/{name}");
                self.problems.add(&pointer, "no turn leads to this state from the start");
            }
        }
    }

    fn turns(&mut self, pointer: &str, turns: Vec<TurnFile>) -> Vec<Turn> {
        let turns = turns.into_iter().enumerate();
        turns.map(|(index, turn)| self.turn(&format!("{pointer}/{index}"), turn)).collect()
    }

    fn turn(&mut self, pointer: &str, turn: TurnFile) -> Turn {
        let when = self.when(&format!("{pointer}/when"), turn.when);
        let mut guards = Vec::new();
        for (reference, expected) in turn.guards {
            let pointer = format!("{pointer}/if/{reference}");
            let source = Source::parse(&reference, |name| self.slot_default(name));
            if matches!(expected, Value::Array(_) | Value::Object(_)) {
                self.problems.add(&pointer, "expected a text, a number, true, false or null");
            }
            match source {
                Ok(source) => {
                    if let Source::Tool(tool, _) = &source {
                        self.tool_is_called(&pointer, tool);
                    }
                    guards.push((source, expected));
                }
                Err(message) => self.problems.add(&pointer, message),
            }
        }
        if let Some(goto) = &turn.goto {
            self.state_exists(&format!("{pointer}/goto"), goto);
        }
        if turn.actions.is_empty() && turn.goto.is_none() {
            self.problems.add(pointer, "the turn does nothing: expected `do`, `goto` or both");
        }
        let actions = self.actions(&format!("{pointer}/do"), turn.actions);
        Turn { when, guards, actions, goto: turn.goto, unheard: turn.unheard }
    }

    fn when(&mut self, pointer: &str, when: WhenFile) -> When {
        let WhenFile { greeting, any, turn, text, cue, dtmf, results } = when;
        let is_empty = !greeting
            && !any
            && turn.is_none()
            && [&text, &cue, &dtmf, &results].iter().all(|list| list.0.is_empty());
        if is_empty {
            self.problems.add(
                pointer,
                "nothing triggers this turn: expected greeting, text, dtmf, any, turn, cue or \
                 results",
            );
        }
        if turn == Some(0) {
            self.problems.add(&format!("{pointer}/turn"), "turns are counted from 1");
        }
        let mut patterns = Vec::new();
        for (at, source) in places(&format!("{pointer}/text"), text.0) {
            let slot = |name: &str| self.slots.get(name).map(|(kind, _)| kind.clone());
            match Pattern::compile(&source, slot) {
                Ok(pattern) => patterns.push(pattern),
                Err(message) => self.problems.add(&at, message),
            }
        }
        for (at, cue) in places(&format!("{pointer}/cue"), cue.0.clone()) {
            if cue.trim().is_empty() {
                self.problems.add(&at, "a cue needs its first words");
            }
        }
        let mut keys = Vec::new();
        for (at, source) in places(&format!("{pointer}/dtmf"), dtmf.0) {
            keys.extend(self.keys(&at, source));
        }
        for (at, tool) in places(&format!("{pointer}/results"), results.0.clone()) {
            self.tool_is_called(&at, &tool);
        }
        When {
            greeting,
            any,
            turn,
            text: patterns,
            cue: cue.0.iter().map(|cue| cue.trim().to_lowercase()).collect(),
            dtmf: keys,
            results: results.0.into_iter().collect(),
        }
    }

    fn keys(&mut self, pointer: &str, source: String) -> Option<Keys> {
        if let Some(name) = source.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            match self.slots.get(name) {
                Some((kind, _)) if kind.has_keys() => {
                    return Some(Keys::Slot(name.to_owned()));
                }
                Some(_) => {
                    let message = "keys fill only slots of kind `digits` or `number`";
                    self.problems.add(pointer, message);
                }
                None => self.problems.add(pointer, format!("there is no slot `{name}`")),
            }
            return None;
        }
        if source.is_empty() || !source.chars().all(|key| matches!(key, '0'..='9' | '*' | '#')) {
            let message = format!("`{source}` are no keys: expected 0-9, * and #, or a {{slot}}");
            self.problems.add(pointer, message);
            return None;
        }
        Some(Keys::Exactly(source))
    }

    fn actions(&mut self, pointer: &str, actions: Vec<ActionFile>) -> Vec<Action> {
        let actions = actions.into_iter().enumerate();
        actions.map(|(index, action)| self.action(&format!("{pointer}/{index}"), action)).collect()
    }

    fn action(&mut self, pointer: &str, action: ActionFile) -> Action {
        match action {
            ActionFile::Say(texts) => {
                let pointer = format!("{pointer}/say");
                if texts.0.iter().all(|text| text.trim().is_empty()) {
                    self.problems.add(&pointer, "there is nothing to say");
                }
                let texts = places(&pointer, texts.0);
                Action::Say(texts.filter_map(|(at, text)| self.template(&at, &text)).collect())
            }
            ActionFile::Call(call) => {
                if call.tool.trim().is_empty() {
                    self.problems.add(&format!("{pointer}/call/tool"), "no tool is named");
                }
                let input = match call.input {
                    Value::Null => Value::Object(Map::new()),
                    input => input,
                };
                let input = self.input(&format!("{pointer}/call/input"), input);
                Action::Call { tool: call.tool, input, double_encoded: call.double_encoded }
            }
            ActionFile::Set(values) => {
                let mut set = Vec::new();
                for (slot, value) in values {
                    let pointer = format!("{pointer}/set/{slot}");
                    if !self.slots.contains_key(&slot) {
                        self.problems.add(&pointer, format!("there is no slot `{slot}`"));
                    }
                    set.extend(self.template(&pointer, &value).map(|value| (slot, value)));
                }
                Action::Set(set)
            }
            ActionFile::PauseMs(ms) => Action::Pause(ms),
            ActionFile::BargeIn(variant) => Action::BargeIn(variant),
            ActionFile::Finals(finals) => Action::Finals(finals),
            ActionFile::Fault(fault) => {
                Action::Fault(FaultStep { kind: fault.kind, message: fault.message })
            }
        }
    }

    fn input(&mut self, pointer: &str, input: Value) -> Input {
        match input {
            Value::String(text) => match self.template(pointer, &text) {
                Some(template) => Input::Text(template),
                None => Input::Plain(Value::Null),
            },
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                Input::List(
                    items
                        .map(|(index, item)| self.input(&format!("{pointer}/{index}"), item))
                        .collect(),
                )
            }
            Value::Object(members) => Input::Object(
                members
                    .into_iter()
                    .map(|(key, member)| {
                        let input = self.input(&format!("{pointer}/{key}"), member);
                        (key, input)
                    })
                    .collect(),
            ),
            plain => Input::Plain(plain),
        }
    }

    fn template(&mut self, pointer: &str, text: &str) -> Option<Template> {
        match Template::compile(text, |name| self.slot_default(name)) {
            Ok(template) => {
                for tool in template.tools() {
                    self.tool_is_called(pointer, tool);
                }
                Some(template)
            }
            Err(message) => {
                self.problems.add(pointer, message);
                None
            }
        }
    }

    fn slot_default(&self, name: &str) -> Option<Option<String>> {
        self.slots.get(name).map(|(_, default)| default.clone())
    }

    fn tool_is_called(&mut self, pointer: &str, tool: &str) {
        if !self.called.contains(tool) {
            self.problems.add(pointer, format!("nothing in this scenario calls `{tool}`"));
        }
    }
}

/// The entries of a list that may be written as one text, with a pointer to each.
fn places(pointer: &str, list: Vec<String>) -> impl Iterator<Item = (String, String)> + use<> {
    let pointer = pointer.to_owned();
    // In a file with one text instead of a list the index does not exist, and the problem is
    // placed at what is around it, which is the text.
    list.into_iter().enumerate().map(move |(index, text)| (format!("{pointer}/{index}"), text))
}

/// How many ways to say a phrase are tried.
const TRIED: usize = 64;

fn turns_of(state: &State) -> &[Turn] {
    &state.turns
}

/// A way to say the phrase that fits no pattern of these turns, if one is found.
fn unanswered(phrase: &Phrase, turns: &[&Turn]) -> Option<String> {
    let mut state = 1_u64;
    let mut pick = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below.max(1)
    };
    (0..TRIED).find_map(|_| {
        let mut said = Vec::new();
        phrase.sample(&mut pick, &mut said);
        let said = said.join(" ");
        let words = words(&said);
        let fits =
            |turn: &&Turn| turn.when.any || turn.when.text.iter().any(|p| p.find(&words).is_some());
        (!turns.iter().any(fits)).then_some(said)
    })
}
