//! Names for cities that exist on no map.

use crate::random::Random;

const ONSETS: [&str; 20] = [
    "b", "br", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "z", "ch", "sh",
];
const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "a", "e", "o", "ai", "ou"];
const CODAS: [&str; 10] = ["", "", "", "n", "r", "l", "s", "m", "nd", "th"];

/// Two or three syllables with a capital letter.
pub(crate) fn city_name(random: &mut Random) -> String {
    let mut name = String::new();
    for _ in 0..2 + random.below(2) {
        name.push_str(ONSETS[random.below(ONSETS.len())]);
        name.push_str(VOWELS[random.below(VOWELS.len())]);
        name.push_str(CODAS[random.below(CODAS.len())]);
    }
    let first = name.remove(0).to_ascii_uppercase();
    name.insert(0, first);
    name
}
