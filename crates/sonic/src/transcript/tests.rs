//! What the transcript makes of texts in every order the service was seen to use.

use super::*;

fn text(line: Option<Line>) -> String {
    line.expect("a line to show").text
}

/// A turn of two sentences, not yet over.
fn two_sentences() -> Transcript {
    let mut t = Transcript::default();
    t.begin_turn();
    t.add_speculative("a", "It is sunny in Rome.");
    t.add_speculative("b", "  Take a hat.");
    t
}

#[test]
fn sentences_grow_one_line_with_the_blanks_of_the_service() {
    let mut t = Transcript::default();
    t.begin_turn();
    let first = t.add_speculative("a", " It is sunny.").unwrap();
    assert_eq!((first.text.as_str(), first.state), ("It is sunny.", LineState::Streaming));
    let second = t.add_speculative("b", "  Take a hat.").unwrap();
    assert_eq!((second.id, second.text.as_str()), (first.id, "It is sunny.  Take a hat."));
    assert_eq!(text(t.add_speculative("c", "Bye")), "It is sunny.  Take a hat. Bye");
    assert_eq!(text(t.add_speculative("c", "-bye")), "It is sunny.  Take a hat. Bye-bye");
    assert_eq!(t.end_turn().unwrap().state, LineState::Final);
    assert_eq!(t.end_turn(), None);
}

#[test]
fn late_final_texts_change_nothing_in_any_order() {
    let mut t = two_sentences();
    t.end_turn();
    assert_eq!(t.add_spoken("  Take a hat."), None);
    assert_eq!(t.add_spoken("It is sunny in Rome."), None);
    assert_eq!(t.add_spoken("It is sunny in Rome."), None, "told once more");
}

#[test]
fn a_final_text_of_the_whole_turn_or_of_half_a_sentence_changes_nothing() {
    let mut t = two_sentences();
    t.end_turn();
    assert_eq!(t.add_spoken("It is sunny in Rome. Take a hat."), None);
    let mut t = two_sentences();
    t.end_turn();
    assert_eq!(t.add_spoken("It is sunny"), None);
    assert_eq!(t.add_spoken("in Rome. Take a hat."), None);
}

#[test]
fn final_texts_of_an_older_turn_leave_the_newer_one_alone() {
    let mut t = two_sentences();
    t.end_turn();
    t.add_user("u", "and tomorrow");
    t.begin_turn();
    let newer = t.add_speculative("c", "Tomorrow it rains.").unwrap();
    assert_eq!(t.add_spoken("It is sunny in Rome."), None);
    assert_eq!(t.add_spoken("Take a hat."), None);
    let line = t.end_turn().unwrap();
    assert_eq!((line.id, line.text.as_str()), (newer.id, "Tomorrow it rains."));
}

#[test]
fn a_final_text_that_differs_corrects_the_line() {
    let mut t = two_sentences();
    let before = t.end_turn().unwrap();
    let after = t.add_spoken("It was sunny in Rome.").unwrap();
    assert_eq!(after.id, before.id);
    assert_eq!(after.text, "It was sunny in Rome.  Take a hat.");
    assert_eq!(text(t.add_spoken("Take a hat!")), "It was sunny in Rome. Take a hat!");
}

#[test]
fn a_turn_with_final_texts_only_makes_one_line() {
    let mut t = Transcript::default();
    t.add_user("u", "hello");
    let first = t.add_spoken("Good morning.").unwrap();
    assert_eq!(first.state, LineState::Final);
    t.begin_turn();
    let second = t.add_spoken(" How are you?").unwrap();
    assert_eq!((second.id, second.text.as_str()), (first.id, "Good morning. How are you?"));
    assert_eq!(t.end_turn(), None);
    t.add_user("v", "fine");
    let next = t.add_spoken("Good morning.").unwrap();
    assert_ne!(next.id, first.id);
}

#[test]
fn an_interrupted_line_shrinks_to_what_was_spoken() {
    let mut t = two_sentences();
    let cut = t.interrupt().unwrap();
    assert!(cut.interrupted);
    assert_eq!(cut.text, "It is sunny in Rome.  Take a hat.");
    let spoken = t.add_spoken("It is sunny in Ro").unwrap();
    assert_eq!((spoken.id, spoken.text.as_str()), (cut.id, "It is sunny in Ro"));
    assert!(spoken.interrupted);
    assert_eq!(spoken.state, LineState::Final);
    assert_eq!(text(t.add_spoken("  Take")), "It is sunny in Ro  Take");
}

#[test]
fn what_was_confirmed_before_the_interruption_counts() {
    let mut t = two_sentences();
    t.end_turn();
    assert_eq!(t.add_spoken("It is sunny in Rome."), None);
    assert_eq!(text(t.interrupt()), "It is sunny in Rome.");
    assert_eq!(t.interrupt(), None);
}

#[test]
fn a_sentence_said_again_after_an_interruption_stays_out_of_the_old_line() {
    let mut t = two_sentences();
    t.interrupt();
    t.add_spoken("It is sunny in Rome.");
    t.add_user("u", "sorry go on");
    t.begin_turn();
    t.add_speculative("c", "Take a hat.");
    t.end_turn();
    assert_eq!(t.add_spoken("Take a hat."), None);
}

#[test]
fn an_interrupted_turn_without_any_text_gets_its_line_from_the_final_text() {
    let mut t = Transcript::default();
    t.begin_turn();
    assert_eq!(t.interrupt(), None);
    let line = t.add_spoken("It is").unwrap();
    assert!(line.interrupted);
}

#[test]
fn blocks_of_one_utterance_are_one_line() {
    let mut t = Transcript::default();
    let first = t.add_user("u", "what is").unwrap();
    let second = t.add_user("v", "the weather").unwrap();
    assert_eq!((second.id, second.text.as_str()), (first.id, "what is the weather"));
    assert_eq!(text(t.add_user("v", "man")), "what is the weatherman");
    assert_eq!(t.add_user("w", "  "), None);
    t.end_utterance();
    assert_ne!(t.add_user("x", "in rome").unwrap().id, first.id);
}

#[test]
fn only_the_latest_lines_are_remembered() {
    let mut t = Transcript::default();
    for turn in 0..50 {
        t.begin_turn();
        t.add_speculative("a", &format!("Sentence number {turn}."));
        t.end_turn();
    }
    assert_eq!(t.lines.len(), REMEMBERED_LINES);
}
