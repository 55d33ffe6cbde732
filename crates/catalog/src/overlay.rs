//! Prompts from elsewhere over the local ones, and the way back when they are faulty. Pure.
//!
//! Whoever edits prompts in Langfuse must not be able to keep a server from starting: a faulty
//! prompt of theirs leaves the local file in its place and becomes a warning. Used by the
//! catalog when it judges, and by whoever brings the prompts.

use crate::{
    problem::{Problem, Severity},
    prompt::split_tail,
    source::{Origin, SourceFile, Sources},
};

const REMEDY: &str = "Correct it there; until then the local prompts are used.";

impl Sources {
    /// Puts a prompt from elsewhere in the place of the local one of that name. One that has no
    /// settings keeps those of the local file.
    pub fn put_prompt(&mut self, mut prompt: SourceFile) {
        match self.prompts.binary_search_by(|file| file.name.cmp(&prompt.name)) {
            Ok(at) => {
                if let Some(settings) = settings_of(&self.prompts[at])
                    && settings_of(&prompt).is_none()
                {
                    prompt.bytes.extend_from_slice(b"\n---\n");
                    prompt.bytes.extend_from_slice(settings);
                }
                self.prompts[at] = prompt;
            }
            Err(at) => self.prompts.insert(at, prompt),
        }
    }

    /// Takes back the prompts from elsewhere that have errors among `problems`; all of them when
    /// none is to blame by itself. `None` when there is nothing to take back.
    pub(crate) fn without_faulty(&self, local: &Self, problems: &[Problem]) -> Option<Self> {
        let is_remote = |file: &&SourceFile| file.origin != Origin::Local;
        let mut blamed: Vec<&SourceFile> = self.prompts.iter().filter(is_remote).collect();
        if blamed.is_empty() {
            return None;
        }
        let has_error = |file: &&SourceFile| {
            let label = file.label("prompts");
            problems.iter().any(|problem| problem.is_error() && problem.file == label)
        };
        if blamed.iter().any(has_error) {
            blamed.retain(has_error);
        }
        let of_local = |name: &str| local.prompts.iter().find(|file| file.name == name).cloned();
        let stays = |file: &SourceFile| !blamed.iter().any(|blamed| blamed.name == file.name);
        let prompts = self
            .prompts
            .iter()
            .filter_map(|file| if stays(file) { Some(file.clone()) } else { of_local(&file.name) })
            .collect();
        Some(Self { prompts, ..self.clone() })
    }
}

/// The errors of files that were taken back, as warnings.
pub(crate) fn as_warnings(problems: Vec<Problem>, taken: &Sources) -> Vec<Problem> {
    let is_local = |problem: &Problem| {
        taken.prompts.iter().any(|file| file.label("prompts") == problem.file)
            || !problem.file.starts_with("langfuse/")
    };
    problems
        .into_iter()
        .filter(|problem| problem.is_error() && !is_local(problem))
        .map(|problem| {
            let remedy = format!("{} {REMEDY}", problem.remedy);
            Problem { severity: Severity::Warning, remedy, ..problem }
        })
        .collect()
}

fn settings_of(file: &SourceFile) -> Option<&[u8]> {
    let text = std::str::from_utf8(&file.bytes).ok()?;
    split_tail(text).map(|(_, at)| &file.bytes[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(prompts: &[SourceFile]) -> Sources {
        Sources { prompts: prompts.to_vec(), ..Sources::default() }
    }

    fn texts(sources: &Sources) -> Vec<(&str, &str)> {
        sources
            .prompts
            .iter()
            .map(|file| (file.name.as_str(), std::str::from_utf8(&file.bytes).expect("UTF-8")))
            .collect()
    }

    #[test]
    fn a_prompt_without_settings_keeps_those_of_the_local_file() {
        let mut all = sources(&[SourceFile::new("b.txt", "old\n---\n{\"voiceId\":\"amy\"}")]);
        all.put_prompt(SourceFile::langfuse("b.txt", "new", 7));
        all.put_prompt(SourceFile::langfuse("a.txt", "more", 1));
        assert_eq!(texts(&all), [("a.txt", "more"), ("b.txt", "new\n---\n{\"voiceId\":\"amy\"}")]);
        all.put_prompt(SourceFile::langfuse("b.txt", "newer\n---\n{\"voiceId\":\"tiffany\"}", 8));
        assert_eq!(texts(&all)[1].1, "newer\n---\n{\"voiceId\":\"tiffany\"}");
    }

    #[test]
    fn what_is_faulty_goes_and_the_rest_stays() {
        let local = sources(&[SourceFile::new("a.txt", "old")]);
        let mut all = local.clone();
        all.put_prompt(SourceFile::langfuse("a.txt", "{{nobody}}", 2));
        all.put_prompt(SourceFile::langfuse("b.txt", "fine", 3));
        all.put_prompt(SourceFile::langfuse("c.txt", "{{nobody}}", 4));
        let fault = |file: &str| Problem::of_file(Severity::Error, file, "wrong", "Mend it.");
        let problems =
            [fault("langfuse/a (version 2)"), fault("langfuse/c (version 4)"), fault("tools/x")];
        let kept = all.without_faulty(&local, &problems).expect("something was remote");
        assert_eq!(texts(&kept), [("a.txt", "old"), ("b.txt", "fine")]);
        let warnings = as_warnings(problems.to_vec(), &kept);
        assert_eq!(warnings.len(), 2, "the tool's error stays the tool's");

        let kept = all.without_faulty(&local, &[fault("tools/x")]).expect("remote");
        assert_eq!(kept, local, "nobody to blame: all of them go");
        assert_eq!(local.without_faulty(&local, &[fault("tools/x")]), None);
    }
}
