//! The settings of access: who may come in, from where, how often, and for how much a day.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use voice_access::{AllowedOrigins, ApiKeys, Rate, Roles, TicketKey, TokenRules, TrustedProxies};
use voice_actors::PartyLimits;

use super::{BadSetting, store::read_key};

/// What of [`super::ServeArgs`] is about access.
#[derive(Debug, Clone, Args)]
pub struct AccessArgs {
    /// Whether clients have to say who they are. `auto`: they have to, unless HOST is a loopback
    /// address and neither API_KEYS nor JWT_ISSUER is set. `off` is refused elsewhere.
    #[arg(long, env, value_enum, default_value = "auto")]
    pub auth: Auth,
    /// API keys, as `voice-s2s key` prints their entries, separated by commas or line ends:
    /// `NAME:ROLE[+ROLE]:SHA256[:CALLS]`. Roles are caller, operator and editor.
    #[arg(long, env, hide_env_values = true)]
    pub api_keys: Option<String>,
    /// File with such entries, besides those of API_KEYS.
    #[arg(long, env)]
    pub api_keys_file: Option<PathBuf>,
    /// Issuer of tokens (JWT) that are accepted besides keys: the claim `iss`, such as
    /// `https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI`.
    #[arg(long, env, requires = "jwt_audience")]
    pub jwt_issuer: Option<String>,
    /// Audiences that a token may be for, separated by commas: `aud`, or the `client_id` of
    /// Cognito's access tokens.
    #[arg(long, env, value_delimiter = ',')]
    pub jwt_audience: Vec<String>,
    /// Where the issuer publishes its keys; absent = JWT_ISSUER with /.well-known/jwks.json.
    #[arg(long, env)]
    pub jwt_jwks_url: Option<String>,
    /// The claim that lists the roles; for Cognito `cognito:groups`.
    #[arg(long, env, default_value = "roles")]
    pub jwt_roles_claim: String,
    /// The role of a token without that claim: caller, operator, editor or none.
    #[arg(long, env, default_value = "caller")]
    pub jwt_default_role: String,
    /// Key that seals one-time tickets: 64 hexadecimal digits, the same for all tasks. Absent =
    /// made of SESSION_STORE_KEY; without that too, tickets are good at this process only.
    #[arg(long, env, hide_env_values = true)]
    pub ticket_secret: Option<String>,
    /// Origins of pages that may come besides the server's own, separated by commas, such as
    /// `https://bank.example`.
    #[arg(long, env, default_value = "", hide_default_value = true)]
    pub allowed_origins: String,
    /// Addresses and blocks of the proxies whose X-Forwarded-For and X-Forwarded-Proto are
    /// believed, separated by commas, such as `10.0.0.0/16`.
    #[arg(long, env, default_value = "", hide_default_value = true)]
    pub trusted_proxies: String,
    /// Requests a minute from one address; 0 = no limit. This and the next three hold where
    /// clients have to say who they are.
    #[arg(long, env, default_value_t = 600)]
    pub rate_requests: u32,
    /// Upgrades to a WebSocket a minute from one address; 0 = no limit.
    #[arg(long, env, default_value_t = 60)]
    pub rate_upgrades: u32,
    /// Refused credentials a minute from one address; 0 = no limit.
    #[arg(long, env, default_value_t = 30)]
    pub rate_refusals: u32,
    /// Calls that one user may begin a minute, and as many tickets; 0 = no limit.
    #[arg(long, env, default_value_t = 60)]
    pub rate_calls: u32,
    /// Most calls at a time of one user; 0 = no limit. Keys have limits of their own.
    #[arg(long, env, default_value_t = 0)]
    pub max_calls_per_user: usize,
    /// Most calls at a time from one address; 0 = no limit.
    #[arg(long, env, default_value_t = 0)]
    pub max_calls_per_address: usize,
    /// Minutes of calls that one user has a day (UTC) at this task, or `off`.
    #[arg(long, env, default_value = "off")]
    pub budget_minutes: Budget,
    /// What the calls of one user may cost a day (UTC) at this task, in the currency of the
    /// prices, or `off`.
    #[arg(long, env, default_value = "off")]
    pub budget_cost: Budget,
}

/// Whether clients have to say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Unless nobody else can come.
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// A number above zero, or `off`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget(pub Option<f64>);

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            _ if text == "off" => Ok(Self(None)),
            Ok(number) if number.is_finite() && number > 0.0 => Ok(Self(Some(number))),
            _ => Err("expected a number above 0, or `off`".into()),
        }
    }
}

/// Who may come in.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// Who is asked what.
    pub door: Door,
    /// What seals tickets; absent: a key of this process.
    pub ticket_key: Option<TicketKey>,
    /// Which pages may come.
    pub origins: AllowedOrigins,
    /// Which proxies are believed.
    pub proxies: TrustedProxies,
    /// How often one may ask.
    pub rates: RateSettings,
    /// How much each may have.
    pub limits: PartyLimits,
}

/// Who is asked what.
#[derive(Debug, Clone)]
pub enum Door {
    /// Nobody is asked, since nobody but this machine can come. Requests that a page elsewhere
    /// has led here by a name of its own (DNS rebinding) are refused.
    Open,
    /// Everybody has to say who it is.
    Guarded {
        /// With a key.
        keys: ApiKeys,
        /// Or with a token of this issuer, which publishes its keys here.
        issuer: Option<(TokenRules, String)>,
    },
}

/// How often one may ask, a minute.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateSettings {
    /// Requests by address.
    pub requests: Rate,
    /// Upgrades by address.
    pub upgrades: Rate,
    /// Refused credentials by address.
    pub refusals: Rate,
    /// Calls and tickets by user.
    pub calls: Rate,
}

impl Default for AccessSettings {
    /// What holds on a loopback address.
    fn default() -> Self {
        Self {
            door: Door::Open,
            ticket_key: None,
            origins: AllowedOrigins::default(),
            proxies: TrustedProxies::default(),
            rates: RateSettings::default(),
            limits: PartyLimits::default(),
        }
    }
}

impl AccessArgs {
    /// The settings of a server that listens on `host`.
    pub(super) fn settings(
        &self,
        host: &str,
        store_key: Option<&str>,
    ) -> Result<AccessSettings, BadSetting> {
        let door = self.door(host)?;
        let per_minute = |number| match door {
            Door::Open => None,
            Door::Guarded { .. } => NonZeroU32::new(number),
        };
        let rates = RateSettings {
            requests: per_minute(self.rate_requests),
            upgrades: per_minute(self.rate_upgrades),
            refusals: per_minute(self.rate_refusals),
            calls: per_minute(self.rate_calls),
        };
        let bad = |variable| move |error: &dyn std::fmt::Display| BadSetting::new(variable, error);
        Ok(AccessSettings {
            door,
            ticket_key: self.ticket_key(store_key)?,
            origins: self.allowed_origins.parse().map_err(|e| bad("ALLOWED_ORIGINS")(&e))?,
            proxies: self.trusted_proxies.parse().map_err(|e| bad("TRUSTED_PROXIES")(&e))?,
            rates,
            limits: PartyLimits {
                calls_per_user: self.max_calls_per_user,
                calls_per_address: self.max_calls_per_address,
                minutes_per_day: self.budget_minutes.0,
                cost_per_day: self.budget_cost.0,
            },
        })
    }

    fn door(&self, host: &str) -> Result<Door, BadSetting> {
        let keys = self.keys()?;
        let issuer = self.issuer()?;
        let asked = !keys.is_empty() || issuer.is_some();
        let private = is_loopback(host);
        match self.auth {
            Auth::Off if !private => Err(BadSetting::new(
                "AUTH",
                format!(
                    "`off` holds on a loopback address only, and HOST is {host}; set API_KEYS or JWT_ISSUER"
                ),
            )),
            Auth::Off => Ok(Door::Open),
            Auth::Auto if private && !asked => Ok(Door::Open),
            Auth::Auto | Auth::On if asked => Ok(Door::Guarded { keys, issuer }),
            Auth::Auto | Auth::On => Err(BadSetting::new(
                "API_KEYS",
                format!(
                    "nobody could come in: HOST {host} asks everybody who it is, and neither API_KEYS nor \
                     JWT_ISSUER is set; `voice-s2s key --name NAME` makes a key"
                ),
            )),
        }
    }

    fn keys(&self) -> Result<ApiKeys, BadSetting> {
        let bad = |error: &dyn std::fmt::Display| BadSetting::new("API_KEYS", error);
        let mut text = self.api_keys.clone().unwrap_or_default();
        if let Some(file) = &self.api_keys_file {
            let more = std::fs::read_to_string(file).map_err(|error| {
                BadSetting::new("API_KEYS_FILE", format!("{}: {error}", file.display()))
            })?;
            text = format!("{text}\n{more}");
        }
        text.parse().map_err(|error| bad(&error))
    }

    fn issuer(&self) -> Result<Option<(TokenRules, String)>, BadSetting> {
        let Some(issuer) = self.jwt_issuer.clone() else { return Ok(None) };
        let default_roles = match self.jwt_default_role.as_str() {
            "none" => Roles::NONE,
            role => role.parse().map_err(|e| BadSetting::new("JWT_DEFAULT_ROLE", e))?,
        };
        let published = || format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
        let url = self.jwt_jwks_url.clone().unwrap_or_else(published);
        let local = |url: &str| url.starts_with("http://") && is_loopback(host_of(url));
        if !url.starts_with("https://") && !local(&url) {
            let what = format!("{url:?} is not https://; whoever can change the keys can come in");
            return Err(BadSetting::new("JWT_JWKS_URL", what));
        }
        let rules = TokenRules {
            issuer,
            audiences: self.jwt_audience.clone(),
            roles_claim: self.jwt_roles_claim.clone(),
            default_roles,
        };
        Ok(Some((rules, url)))
    }

    fn ticket_key(&self, store_key: Option<&str>) -> Result<Option<TicketKey>, BadSetting> {
        if let Some(secret) = &self.ticket_secret {
            let key = read_key("TICKET_SECRET", secret)?;
            return Ok(Some(TicketKey::new(key)));
        }
        let Some(secret) = store_key else { return Ok(None) };
        let key = read_key("SESSION_STORE_KEY", secret)?;
        Ok(Some(TicketKey::derived(&key)))
    }
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Whether only this machine can reach what listens on `host`.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    fn access(flags: &[&str]) -> Result<AccessSettings, BadSetting> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let serve = Cli::try_parse_from(args).expect("well-formed").serve;
        serve.access.settings(&serve.host, serve.store.session_store_key.as_deref())
    }

    fn entry() -> String {
        format!("--api-keys=ops:operator:{}", "ab".repeat(32))
    }

    #[test]
    fn only_a_loopback_address_may_be_open() {
        let keys = entry();
        let open: [&[&str]; 4] =
            [&[], &["--host=::1"], &["--host=localhost"], &["--auth=off", &keys]];
        for flags in open {
            assert!(matches!(access(flags).expect("valid").door, Door::Open), "{flags:?}");
        }
        let guarded: [&[&str]; 3] =
            [&[&keys], &["--host=0.0.0.0", &keys], &["--host=10.0.0.1", "--auth=on", &keys]];
        for flags in guarded {
            let door = access(flags).expect("valid").door;
            assert!(matches!(door, Door::Guarded { .. }), "{flags:?}");
        }
        let refused: [(&[&str], _); 4] = [
            (&["--host=0.0.0.0"], "API_KEYS"),
            (&["--host=::"], "API_KEYS"),
            (&["--auth=on"], "API_KEYS"),
            (&["--host=0.0.0.0", "--auth=off", &keys], "AUTH"),
        ];
        for (flags, variable) in refused {
            assert_eq!(access(flags).expect_err("refused").variable, variable, "{flags:?}");
        }
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        let jwt = ["--jwt-issuer=https://id.example", "--jwt-audience=voice"];
        let with = |flag: &'static str| [jwt[0], jwt[1], flag];
        let cases: [(&[&str], _); 8] = [
            (&["--api-keys=ops"], "API_KEYS"),
            (&["--api-keys-file=/nonexistent"], "API_KEYS_FILE"),
            (&["--allowed-origins=bank.example"], "ALLOWED_ORIGINS"),
            (&["--trusted-proxies=alb"], "TRUSTED_PROXIES"),
            (&["--ticket-secret=00"], "TICKET_SECRET"),
            (&with("--jwt-default-role=boss"), "JWT_DEFAULT_ROLE"),
            (&with("--jwt-jwks-url=http://id.example/keys"), "JWT_JWKS_URL"),
            (&["--jwt-issuer=http://id.example", "--jwt-audience=a"], "JWT_JWKS_URL"),
        ];
        for (flags, variable) in cases {
            assert_eq!(access(flags).expect_err("wrong").variable, variable, "{flags:?}");
        }
        assert!(access(&with("--jwt-jwks-url=http://127.0.0.1:4000/keys")).is_ok());
        let alone = Cli::try_parse_from(["voice-s2s", jwt[0]]);
        assert!(alone.expect_err("no audience").to_string().contains("--jwt-audience"));
        for bad in ["--budget-minutes=0", "--budget-cost=-1", "--budget-cost=inf"] {
            assert!(Cli::try_parse_from(["voice-s2s", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_hold_where_clients_are_asked() {
        assert_eq!(access(&[]).expect("valid").rates.requests, None);
        let rates = access(&[&entry(), "--rate-upgrades=0"]).expect("valid").rates;
        assert_eq!((rates.requests, rates.upgrades), (NonZeroU32::new(600), None));
    }
}
