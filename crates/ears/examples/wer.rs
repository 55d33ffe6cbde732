//! Word error rate: how many words of a hundred are wrong.
//!
//! `wer PHRASES CLIPS` recognises the recordings of a list, one after the other as turns of one
//! caller, and compares. PHRASES has one phrase a line, `#` begins a comment, slots are those of
//! the library. CLIPS has a path and a text a line, with a tab between them; WAV or raw, 16 kHz
//! mono. `tests/accuracy` makes such lists and calls this. Options: `--closed` adds the texts to
//! the phrases; `--arpa` writes the language model to
//! `CLIPS.arpa` and recognises nothing; `--fresh` makes every recording a first turn; `--quiet` prints the sum alone.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use voice_ears::{DEBIAN, Domain, Model, Phrase, RATE_HZ, Recogniser, Slot};

/// What is pushed at a time: 20 ms, as a client sends it.
const PIECE: usize = RATE_HZ as usize / 50;

fn main() -> Result<(), Box<dyn Error>> {
    let (options, files): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let [phrases, list] = &files[..] else {
        return Err("usage: wer [--arpa] [--closed] [--fresh] [--quiet] PHRASES CLIPS".into());
    };
    let has = |name: &str| options.iter().any(|option| option == name);
    let folder = std::env::var("EARS_MODEL_DIR").unwrap_or_else(|_| DEBIAN.to_owned());
    let started = Instant::now();
    let model = Arc::new(Model::load(folder)?);
    let loaded = started.elapsed();

    let mut phrases = read_phrases(Path::new(phrases))?;
    let clips = read_clips(Path::new(list))?;
    let derivable = clips.iter().filter(|(_, text)| phrases.iter().any(|p| says(p, text))).count();
    if has("--closed") {
        phrases.extend(clips.iter().map(|(_, text)| Phrase::plain(text)));
    }
    let started = Instant::now();
    let domain = Arc::new(Domain::compile(&model, &phrases, &BTreeMap::new())?);
    let compiled = started.elapsed();
    for word in domain.missing() {
        println!("no pronunciation: {word}");
    }

    if has("--arpa") {
        return Ok(std::fs::write(format!("{list}.arpa"), domain.to_arpa())?);
    }
    let mut recogniser = Recogniser::new(Arc::clone(&model));
    let (mut errors, mut words, mut audio) = (0, 0, Duration::ZERO);
    let busy = busy();
    let (mut finals, mut memory) = (Vec::new(), 0);
    for (path, text) in &clips {
        let samples = read_audio(Path::new(path))?;
        if has("--fresh") {
            recogniser = Recogniser::new(Arc::clone(&model));
        }
        recogniser.begin(Arc::clone(&domain));
        for piece in samples.chunks(PIECE) {
            recogniser.push(piece);
        }
        memory = memory.max(recogniser.memory());
        let ended = Instant::now();
        let heard = recogniser.finish();
        finals.push(ended.elapsed());
        audio += Duration::from_secs_f64(samples.len() as f64 / f64::from(RATE_HZ));
        let wanted: Vec<&str> = text.split_whitespace().collect();
        let found = heard.text();
        let wrong = distance(&wanted, &found.split_whitespace().collect::<Vec<_>>());
        errors += wrong;
        words += wanted.len();
        if !has("--quiet") {
            println!("{wrong} {:6.2} {:6.2}  {text}", heard.gap, heard.language);
            if wrong > 0 {
                println!("          {found}");
            }
        }
    }
    let work = self::busy().saturating_sub(busy);
    finals.sort();
    let last = finals.len().saturating_sub(1);
    println!(
        "WER {:.1} % ({errors} of {words} words; {derivable} of {} sentences can be made of the \
         phrases), {} words, real-time factor {:.3} of a core, final text p95 {:.1} ms, {} KiB a session, \
         model in {} ms, domain in {} ms",
        100.0 * errors as f64 / words as f64,
        clips.len(),
        domain.words(),
        work.as_secs_f64() / audio.as_secs_f64(),
        finals[last * 95 / 100].as_secs_f64() * 1e3,
        memory / 1024,
        loaded.as_millis(),
        compiled.as_millis(),
    );
    Ok(())
}

/// What the processor has done for this program: on a busy machine the clock on the wall says more
/// about the others.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

fn read_phrases(path: &Path) -> Result<Vec<Phrase>, Box<dyn Error>> {
    let slot = |name: &str| Slot::named(name).map(Slot::phrase);
    let text = std::fs::read_to_string(path)?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            Phrase::parse(line, slot)
                .map_err(|error| format!("{}:{}: {error}", path.display(), number + 1).into())
        })
        .collect()
}

fn read_clips(path: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let clips = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(clips.map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
}

fn read_audio(path: &Path) -> Result<Vec<i16>, Box<dyn Error>> {
    if path.extension().is_some_and(|extension| extension == "raw") {
        let bytes = std::fs::read(path)?;
        return Ok(bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect());
    }
    let mut wav = hound::WavReader::open(path)?;
    if wav.spec().sample_rate != RATE_HZ || wav.spec().channels != 1 {
        return Err(format!("{}: expected 16 kHz mono", path.display()).into());
    }
    Ok(wav.samples().collect::<Result<_, _>>()?)
}

/// Whether a phrase can be said like this.
fn says(phrase: &Phrase, text: &str) -> bool {
    /// Where the phrase can end if it begins here.
    fn ends(phrase: &Phrase, words: &[&str], at: usize) -> Vec<usize> {
        let mut found = match phrase {
            Phrase::Word(word) if words.get(at) == Some(&word.as_str()) => vec![at + 1],
            Phrase::Word(_) => vec![],
            Phrase::Sequence(parts) => parts.iter().fold(vec![at], |starts, part| {
                starts.into_iter().flat_map(|at| ends(part, words, at)).collect()
            }),
            Phrase::Choice(parts) => {
                parts.iter().flat_map(|(_, part)| ends(part, words, at)).collect()
            }
            Phrase::Optional(_, part) => [vec![at], ends(part, words, at)].concat(),
        };
        found.sort_unstable();
        found.dedup();
        found
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    ends(phrase, &words, 0).contains(&words.len())
}

/// Words to change, drop or add to make the one of the other.
fn distance(wanted: &[&str], found: &[&str]) -> usize {
    let mut row: Vec<usize> = (0..=found.len()).collect();
    for (index, word) in wanted.iter().enumerate() {
        let mut before = std::mem::replace(&mut row[0], index + 1);
        for (place, other) in found.iter().enumerate() {
            let change = before + usize::from(word != other);
            before = row[place + 1];
            row[place + 1] = change.min(before + 1).min(row[place] + 1);
        }
    }
    row[found.len()]
}
