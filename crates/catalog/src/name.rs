//! Names of tools, workflows and personas, and how a slightly wrong one is still found.

/// Whether Nova Sonic accepts it as a tool name: `^[a-zA-Z0-9_-]+$` (`nova-sonic.md` §2.2).
pub fn is_tool_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A name without what models get wrong: case, `-`, `_` and blanks.
///
/// `Find-Branch`, `findBranch` and `find_branch` fold to the same text.
pub fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_') && !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Finds an item by its exact name, else by its folded one; an ambiguous fold finds nothing.
pub(crate) fn find<'a, T>(items: &'a [T], name: &str, of: impl Fn(&T) -> &str) -> Option<&'a T> {
    if let Some(exact) = items.iter().find(|item| of(item) == name) {
        return Some(exact);
    }
    let folded = fold(name);
    if folded.is_empty() {
        return None;
    }
    let mut alike = items.iter().filter(|item| fold(of(item)) == folded);
    match (alike.next(), alike.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_prevails_over_a_folded_one() {
        let names = ["find_branch", "findBranch"];
        assert_eq!(find(&names, "findBranch", |n| n), Some(&"findBranch"));
        assert_eq!(find(&names, "FIND BRANCH", |n| n), None, "ambiguous");
        assert_eq!(find(&names[..1], "Find-Branch", |n| n), Some(&"find_branch"));
        assert_eq!(find(&names, "__", |n| n), None);
    }

    #[test]
    fn only_the_services_alphabet_makes_a_tool_name() {
        assert!(is_tool_name("get_time-2"));
        for wrong in ["", "get time", "zeit_für", "a.b"] {
            assert!(!is_tool_name(wrong), "{wrong}");
        }
    }
}
