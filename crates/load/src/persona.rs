//! A caller in a conversation: speaks, listens, interrupts, asks what needs a tool.
//!
//! A machine: rounds of 32 ms go in, what to send comes out. Used by `worker`.

/// Rounds from one question to the next: 9.6 s.
const TURN: u32 = 300;
/// Rounds of the assistant's answer that are heard before a barge-in.
const PATIENCE: u32 = 20;

/// What to send in this round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// The frame of the sentence with this number.
    Speech(u32),
    /// Silence.
    Silence,
    /// A typed question that needs a tool, and silence.
    Question,
}

/// One caller.
#[derive(Debug)]
pub struct Persona {
    /// Rounds of the sentence that all callers speak.
    sentence: u32,
    /// Rounds since the call began.
    round: u32,
    /// Where in the sentence it is.
    speaking: Option<u32>,
    /// Rounds in which the answer was heard.
    heard: u32,
    interrupted: bool,
}

impl Persona {
    /// A caller whose sentence lasts so many rounds.
    pub fn new(sentence: u32) -> Self {
        Self { sentence, round: 0, speaking: None, heard: 0, interrupted: false }
    }

    /// The next round.
    pub fn round(&mut self) -> Say {
        let (turn, place) = (self.round / TURN, self.round % TURN);
        self.round += 1;
        if place == 0 {
            (self.heard, self.interrupted) = (0, false);
            if turn % 5 == 4 {
                return Say::Question;
            }
            self.speaking = Some(0);
        } else if turn % 3 == 2 && self.heard >= PATIENCE && !self.interrupted {
            self.interrupted = true;
            self.speaking = Some(0);
        }
        let Some(at) = self.speaking else { return Say::Silence };
        self.speaking = Some(at + 1).filter(|next| *next < self.sentence);
        Say::Speech(at)
    }

    /// The assistant was heard.
    pub fn hear(&mut self) {
        if self.speaking.is_none() {
            self.heard += 1;
        }
    }

    /// Whether the sentence is over, and an answer is to be expected.
    pub fn is_listening(&self) -> bool {
        self.speaking.is_none() && self.heard == 0 && self.round > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(persona: &mut Persona, answered: bool) -> Vec<Say> {
        (0..TURN)
            .map(|_| {
                let say = persona.round();
                if answered {
                    persona.hear();
                }
                say
            })
            .collect()
    }

    fn speech(says: &[Say]) -> usize {
        says.iter().filter(|say| matches!(say, Say::Speech(_))).count()
    }

    #[test]
    fn it_speaks_then_listens() {
        let mut persona = Persona::new(40);
        let says = turn(&mut persona, false);
        assert_eq!(says[..2], [Say::Speech(0), Say::Speech(1)]);
        assert_eq!(speech(&says), 40);
        assert!(persona.is_listening());
    }

    #[test]
    fn the_third_answer_is_interrupted_once_and_the_fifth_question_is_typed() {
        let mut persona = Persona::new(40);
        let turns: Vec<_> = (0..5).map(|_| turn(&mut persona, true)).collect();
        let spoken: Vec<_> = turns.iter().map(|says| speech(says)).collect();
        assert_eq!(spoken, [40, 40, 80, 40, 0]);
        assert_eq!(turns[4][0], Say::Question);
    }
}
