//! Who asks, and what that one may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What one may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Hold calls.
    Caller,
    /// Watch and end other people's calls, read what was said, drain the task.
    Operator,
    /// See and change tools, workflows and prompts.
    Editor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Caller, Self::Operator, Self::Editor];

    /// The word for it in settings and tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Operator => "operator",
            Self::Editor => "editor",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Caller => 1,
            Self::Operator => 2,
            Self::Editor => 4,
        }
    }
}

/// There is no such role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; expected caller, operator or editor")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);
    /// Every role.
    pub const ALL: Self = Self(7);

    /// Whether `role` is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether one of `roles` is among them.
    pub fn has_any(self, roles: Self) -> bool {
        self.0 & roles.0 != 0
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(role.bit())
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |all, role| all | role.bit()))
    }
}

impl FromStr for Roles {
    type Err = UnknownRole;

    /// Roles with `+` between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split('+').map(str::parse::<Role>).collect()
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Role::as_str).collect();
        f.write_str(&names.join("+"))
    }
}

/// Somebody whose credential was good, or anybody where none is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose calls these are: the name of a key, the subject of a token, or the customer for whom
    /// a ticket was issued. Absent where nobody is asked.
    pub user: Option<String>,
    /// The API key behind it.
    pub key: Option<String>,
    /// What it may do.
    pub roles: Roles,
}

impl Principal {
    /// Anybody, where no credential is asked for.
    pub fn anybody() -> Self {
        Self { user: None, key: None, roles: Roles::ALL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_written_as_words() {
        let roles: Roles = "editor+caller".parse().expect("roles");
        assert_eq!(roles.to_string(), "caller+editor");
        assert!(roles.has(Role::Caller) && roles.has(Role::Editor) && !roles.has(Role::Operator));
        assert_eq!("admin".parse::<Roles>(), Err(UnknownRole("admin".into())));
        assert_eq!("".parse::<Roles>(), Err(UnknownRole(String::new())));
        assert_eq!(Roles::ALL.iter().count(), Role::ALL.len());
    }
}
