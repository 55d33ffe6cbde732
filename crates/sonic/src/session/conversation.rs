//! Whose turn it is: what is known of the two speakers, as a few flags with rules.
//!
//! Only facts of the conversation; texts, audio and ids are elsewhere. The session tells it what
//! happened and asks it what follows.

/// Whose turn it is.
///
/// ```text
///            userSpeechStart               userSpeechEnd, USER text
///   Idle ---------------------> UserSpeaking --------------+
///    |  ^                            ^                     v
///    |  |        userSpeechStart     +------------- AwaitingAssistant <---+
///    |  |                                                  |              | text or tool
///    |  +--- AUDIO END_TURN --- AssistantSpeaking <--------+              | result sent
///    |                            ^      |      first text or audio       |
///    +----------------------------+      +--- barge-in ---> UserSpeaking  +--- (any)
/// ```
/// While the assistant's turn is open it stays `AssistantSpeaking` even if the user makes sound:
/// noise does that too, and only the service decides that it was a barge-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Nobody's: both are silent, or the assistant's audio is still being played.
    Idle,
    /// The user is making sound.
    UserSpeaking,
    /// The assistant has been asked and has not begun.
    AwaitingAssistant,
    /// The assistant's turn is being received.
    AssistantSpeaking,
}

#[derive(Debug, Default)]
pub(super) struct Conversation {
    assistant_is_speaking: bool,
    user_is_speaking: bool,
    awaiting: bool,
    /// A turn has begun since the last interruption.
    can_be_interrupted: bool,
    /// The user has made sound during the open turn.
    spoken_over: bool,
    /// The user's words during the open turn are known: what begins from now on is an answer.
    superseded: bool,
}

impl Conversation {
    pub(super) fn turn(&self) -> Turn {
        if self.assistant_is_speaking && !self.superseded {
            Turn::AssistantSpeaking
        } else if self.user_is_speaking {
            Turn::UserSpeaking
        } else if self.awaiting {
            Turn::AwaitingAssistant
        } else {
            Turn::Idle
        }
    }

    pub(super) fn user_is_speaking(&self) -> bool {
        self.user_is_speaking
    }

    pub(super) fn assistant_is_speaking(&self) -> bool {
        self.assistant_is_speaking
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.superseded
    }

    pub(super) fn user_speech_started(&mut self) {
        self.user_is_speaking = true;
        self.spoken_over = self.assistant_is_speaking;
    }

    pub(super) fn user_speech_ended(&mut self) {
        self.user_is_speaking = false;
        // During the assistant's turn it may have been noise, which nobody answers.
        self.awaiting |= !self.assistant_is_speaking;
    }

    /// Words of the user are known.
    pub(super) fn user_said_something(&mut self) {
        if !self.assistant_is_speaking {
            self.awaiting = true;
        } else if self.spoken_over {
            self.awaiting = true;
            self.superseded = true;
        }
    }

    /// A typed text was sent: it is answered always (§2.7), after the open turn if there is one.
    pub(super) fn text_sent(&mut self) {
        self.awaiting = true;
    }

    /// The text was taken back.
    pub(super) fn withdraw_question(&mut self) {
        self.awaiting = false;
    }

    /// A tool is called or was answered: the assistant will go on, in the open turn or a new one.
    pub(super) fn tool_progressed(&mut self) {
        self.awaiting |= !self.assistant_is_speaking;
    }

    pub(super) fn assistant_began(&mut self) {
        self.assistant_is_speaking = true;
        self.can_be_interrupted = true;
        self.awaiting = false;
        self.spoken_over = false;
        self.superseded = false;
    }

    pub(super) fn assistant_ended(&mut self) {
        self.assistant_is_speaking = false;
        self.spoken_over = false;
        self.superseded = false;
    }

    /// A barge-in was reported, in one of several ways. `None`: it is the one already known.
    /// Otherwise whether it cut off an open turn; else the turn was over, and only its playback
    /// was not.
    pub(super) fn interrupted(&mut self) -> Option<bool> {
        if !self.can_be_interrupted {
            return None;
        }
        self.can_be_interrupted = false;
        let was_open = self.assistant_is_speaking;
        self.assistant_ended();
        Some(was_open)
    }
}
