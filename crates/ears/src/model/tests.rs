//! A small model in the real formats, and what happens when its bytes are wrong.

use proptest::prelude::*;

use super::bytes::Bytes;
use super::codebooks::{GAUSSIANS, STREAMS, WIDTH};
use super::phones::{Place, STATES};
use super::*;

const NAMES: [&str; 3] = ["AA", "B", "SIL"];
const SENONES: usize = 12;

fn ints(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// An `s3` file around these words.
fn s3(body: &[u8]) -> Vec<u8> {
    let sum = body
        .as_chunks::<4>()
        .0
        .iter()
        .fold(0_u32, |sum, word| sum.rotate_left(20).wrapping_add(u32::from_le_bytes(*word)));
    let head = b"s3\nversion 1.0\nchksum0 yes\n      endhdr\n".as_slice();
    [head, &0x1122_3344_u32.to_le_bytes(), body, &sum.to_le_bytes()].concat()
}

fn mdef() -> Vec<u8> {
    let head = b"a head\n\0";
    let mut file = [b"BMDF".as_slice(), &ints(&[1, head.len() as i32]), head].concat();
    file.extend(ints(&[3, 5, 3, 9, SENONES as i32, 3, 4, 3, 1, 2]));
    for name in NAMES {
        file.extend(name.bytes().chain([0]));
    }
    file.resize(file.len().next_multiple_of(4), 0);
    file.extend([0; 8]);
    for phone in 0..3 {
        file.extend(ints(&[phone, phone]));
        file.extend([u8::from(phone == 2), 0, 0, 0]);
    }
    // AA between B and silence: inside a word, and at its end.
    for place in [0, 2] {
        file.extend(ints(&[3, 0]));
        file.extend([place, 0, 1, 2]);
    }
    file.extend(ints(&[12]));
    file.extend((0..12_u16).flat_map(u16::to_le_bytes));
    file
}

fn book(value: impl Fn(usize) -> f32) -> Vec<u8> {
    let count = 3 * STREAMS * GAUSSIANS * WIDTH;
    let head = ints(&[3, 3, 128, 13, 13, 13, count as i32]);
    s3(&[head, floats((0..count).map(value))].concat())
}

fn sendump() -> Vec<u8> {
    let mut file = Vec::new();
    for line in ["a head\0", "cluster_count 0\0", "feature_count 3\0"] {
        file.extend(ints(&[line.len() as i32]));
        file.extend(line.bytes());
    }
    file.extend(ints(&[0, 128, SENONES as i32]));
    file.extend((0..STREAMS * GAUSSIANS * SENONES).map(|index| index as u8));
    file
}

fn matrices() -> Vec<u8> {
    let rows = [3.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    s3(&[ints(&[3, 3, 4, 36]), floats([rows; 3].concat())].concat())
}

const PARAMETERS: &str = "-lowerf 130\n-upperf 6800\n-nfilt 25\n-transform dct\n-lifter 22\n\
                          -cmninit 41.00,-5.29,-0.12\n";

/// Writes the small model into a folder.
fn write(folder: &Path) {
    let acoustic = folder.join("en-us");
    std::fs::create_dir(&acoustic).unwrap();
    let write = |name: &str, data: &[u8]| std::fs::write(acoustic.join(name), data).unwrap();
    write("mdef", &mdef());
    write("means", &book(|index| (index % 7) as f32));
    write("variances", &book(|_| 2.0));
    write("sendump", &sendump());
    write("transition_matrices", &matrices());
    write("feat.params", PARAMETERS.as_bytes());
    let words = "ab AA B\nab(2) B AA\naba AA B AA\n";
    std::fs::write(folder.join("cmudict-en-us.dict"), words).unwrap();
}

#[test]
fn a_model_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!Model::is_in(folder.path()));
    write(folder.path());
    assert!(Model::is_in(folder.path()));
    let model = Model::load(folder.path()).unwrap();
    assert_eq!(model.phones.named("B"), Some(1));
    assert_eq!(model.phones.silence(), 2);
    assert_eq!(model.phones.fillers(), [2]);
    assert_eq!(model.phones.between(Place::Last, 1, 0, 2), [9, 10, 11]);
    // Not trained here, so it is taken from elsewhere in a word; and nowhere, so it is alone.
    assert_eq!(model.phones.between(Place::First, 1, 0, 2), [9, 10, 11]);
    assert_eq!(model.phones.between(Place::First, 0, 1, 0), [3, 4, 5]);
    assert_eq!(model.mixtures.of(5).unwrap()[1][2], ((GAUSSIANS + 2) * SENONES + 5) as u8);
    assert_eq!(model.transitions[0].stay[0], 0.75_f32.ln());
    assert_eq!(model.transitions[2].step[STATES - 1], 0.5_f32.ln());
    assert_eq!(model.transitions[0].skip[0], f32::NEG_INFINITY);
    assert_eq!(model.parameters.bands, 25);
    assert_eq!(model.parameters.mean[..3], [41.0, -5.29, -0.12]);
    let known = |word| model.dictionary.pronunciations(word, &model.phones).unwrap();
    assert_eq!(known("ab"), [vec![0, 1], vec![1, 0]]);
    assert_eq!(known("aba"), [vec![0, 1, 0]]);
    assert!(known("abc").is_empty() && !model.knows("abc") && model.knows("ab"));
}

#[test]
fn a_gaussian_is_most_likely_at_its_mean() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let model = Model::load(folder.path()).unwrap();
    let [first, ..] = model.codebooks.iter().next().unwrap();
    let mut point: [f32; WIDTH] = std::array::from_fn(|index| (index % 7) as f32);
    let expected = -0.5 * WIDTH as f32 * (std::f32::consts::TAU * 2.0).ln();
    assert!((first.densities(&point)[0] - expected).abs() < 1e-4);
    point[3] += 2.0;
    assert!((first.densities(&point)[0] - expected + 1.0).abs() < 1e-4);
}

#[test]
fn an_error_names_the_file_and_the_place() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let error = |name: &str, data: &[u8]| {
        let path = folder.path().join(name);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, data).unwrap();
        let error = Model::load(folder.path()).unwrap_err().to_string();
        std::fs::write(&path, before).unwrap();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(
        error("en-us/mdef", b"text"),
        "en-us/mdef, byte 4: expected a binary model definition in little-endian order: `BMDF`"
    );
    let mut cut = sendump();
    cut.truncate(300);
    assert_eq!(
        error("en-us/sendump", &cut),
        "en-us/sendump, byte 291: expected the weights of a Gaussian: 12 bytes, and 9 are left"
    );
    let mut other = matrices();
    let last = other.len() - 8;
    other[last] ^= 1;
    let found = error("en-us/transition_matrices", &other);
    assert!(found.contains("byte 204: expected the checksum"), "{found}");
    assert_eq!(
        error("en-us/feat.params", b"-lowerf 130\n-feat s2_4x\n"),
        "en-us/feat.params:2: expected -feat 1s_c_d_dd, and it is `s2_4x`"
    );
}

#[test]
fn a_pronunciation_of_unknown_phones_names_its_line() {
    let phones = Phones::parse(Bytes::new(Path::new("mdef"), mdef())).unwrap();
    let dictionary = Dictionary::parse(Path::new("d"), "ab AA B\nbc B CC\nsil SIL\n".to_owned());
    let dictionary = dictionary.unwrap();
    let error = |word| dictionary.pronunciations(word, &phones).unwrap_err().to_string();
    assert_eq!(error("bc"), "d:2: expected phones, and `CC` is none");
    assert_eq!(error("sil"), "d:3: expected phones, and `SIL` is none");
}

/// What can happen to a file: bytes change, it ends too early, or too late.
fn damaged(file: &[u8], changes: &[(usize, u8)], cut: usize, more: usize) -> Bytes {
    let mut data = file.to_vec();
    for (place, value) in changes {
        // The heads are where it hurts: half of the changes go there.
        let place = if value % 2 == 0 { place % 160 } else { *place };
        let length = data.len();
        data[place % length] = *value;
    }
    data.truncate(data.len() - cut.min(data.len()));
    data.extend(vec![7; more]);
    Bytes::new(Path::new("file"), data)
}

proptest! {
    #[test]
    fn damaged_files_are_errors_and_never_panics(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        cut in prop_oneof![Just(0_usize), 0..400_usize, any::<usize>()],
        more in 0..9_usize,
    ) {
        let phones = Phones::parse(damaged(&mdef(), &changes, cut, more));
        if let Ok(phones) = phones {
            for phone in 0..=u8::MAX {
                for senone in phones.between(Place::Inside, phone, 0, phone) {
                    prop_assert!(usize::from(senone) < phones.senones());
                }
            }
        }
        let _ = Mixtures::parse(damaged(&sendump(), &changes, cut, more), SENONES);
        let _ = transitions::parse(damaged(&matrices(), &changes, cut, more), 3);
        let _ = Codebooks::parse(
            damaged(&book(|_| 1.0), &changes, cut, more),
            Bytes::new(Path::new("file"), book(|_| 1.0)),
            3,
        );
    }

    #[test]
    fn texts_are_errors_and_never_panics(
        options in "(-(lowerf|upperf|nfilt|cmninit|feat|lifter) [-0-9.,e]{0,8}\n|.{0,9}\n){0,5}",
        words in "([ab]{1,2}(\\([0-9]\\))?( AA| B| SIL| X){0,3}\n|.{0,9}\n){0,6}",
    ) {
        let _ = parameters::parse(Path::new("feat.params"), &options);
        let phones = Phones::parse(Bytes::new(Path::new("mdef"), mdef())).unwrap();
        let dictionary = Dictionary::parse(Path::new("dict"), words).unwrap();
        for word in ["a", "b", "ab", ""] {
            let _ = dictionary.pronunciations(word, &phones);
        }
    }
}
