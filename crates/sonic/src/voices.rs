//! The voices of each model family, as AWS documents them (`nova-sonic.md` §4.4).
//!
//! For lists and checks at the edge. A session does not insist on them: an operator may know of
//! a voice that is newer than this table.

use crate::ModelFamily;

/// A voice of the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Voice {
    /// What `promptStart` carries.
    pub id: &'static str,
    /// What people are shown.
    pub name: &'static str,
    /// Its main language, as a BCP 47 tag.
    pub locale: &'static str,
}

const fn voice(id: &'static str, name: &'static str, locale: &'static str) -> Voice {
    Voice { id, name, locale }
}

const SONIC_1: &[Voice] = &[
    voice("tiffany", "Tiffany", "en-US"),
    voice("matthew", "Matthew", "en-US"),
    voice("amy", "Amy", "en-GB"),
    voice("lupe", "Lupe", "es-US"),
    voice("carlos", "Carlos", "es-US"),
    voice("ambre", "Ambre", "fr-FR"),
    voice("florian", "Florian", "fr-FR"),
    voice("beatrice", "Beatrice", "it-IT"),
    voice("lorenzo", "Lorenzo", "it-IT"),
    voice("greta", "Greta", "de-DE"),
    voice("lennart", "Lennart", "de-DE"),
];

const SONIC_2: &[Voice] = &[
    voice("tiffany", "Tiffany", "en-US"),
    voice("matthew", "Matthew", "en-US"),
    voice("amy", "Amy", "en-GB"),
    voice("olivia", "Olivia", "en-AU"),
    // Both speak Hindi (hi-IN) as well.
    voice("kiara", "Kiara", "en-IN"),
    voice("arjun", "Arjun", "en-IN"),
    voice("lupe", "Lupe", "es-US"),
    voice("carlos", "Carlos", "es-US"),
    voice("ambre", "Ambre", "fr-FR"),
    voice("florian", "Florian", "fr-FR"),
    voice("beatrice", "Beatrice", "it-IT"),
    voice("lorenzo", "Lorenzo", "it-IT"),
    voice("tina", "Tina", "de-DE"),
    voice("lennart", "Lennart", "de-DE"),
    voice("carolina", "Carolina", "pt-BR"),
    voice("leo", "Leo", "pt-BR"),
];

/// All voices of a family; the first is a good default. Nova 2.5 has those of Nova 2.
pub fn voices(family: ModelFamily) -> &'static [Voice] {
    match family {
        ModelFamily::Sonic1 => SONIC_1,
        ModelFamily::Sonic2 | ModelFamily::Sonic2_5 => SONIC_2,
    }
}

/// Finds a voice by its id.
pub fn find_voice(family: ModelFamily, id: &str) -> Option<&'static Voice> {
    voices(family).iter().find(|voice| voice.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_the_default_voice_and_no_id_twice() {
        for family in [ModelFamily::Sonic1, ModelFamily::Sonic2, ModelFamily::Sonic2_5] {
            assert!(find_voice(family, crate::settings::DEFAULT_VOICE).is_some());
            let mut ids: Vec<_> = voices(family).iter().map(|v| v.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), voices(family).len());
        }
    }

    #[test]
    fn german_has_another_voice_since_the_second_generation() {
        assert!(find_voice(ModelFamily::Sonic1, "tina").is_none());
        assert!(find_voice(ModelFamily::Sonic2_5, "tina").is_some());
    }
}
