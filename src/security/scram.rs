//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, with PostgreSQL's form of verifiers and channel binding to the
//! server's certificate (RFC 5929).

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config;
use crate::error::{Result, UserError, sqlstate};

/// The mechanism without channel binding.
pub const PLAIN: &str = "SCRAM-SHA-256";

/// The mechanism with channel binding.
pub const PLUS: &str = "SCRAM-SHA-256-PLUS";

const KEY: usize = digest::SHA256_OUTPUT_LEN;
const SALT: usize = 16;

/// Bytes that nobody can guess.
///
/// # Errors
/// When the operating system has none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| UserError::new(sqlstate::INTERNAL, "no random bytes are to be had"))?;
    Ok(bytes)
}

/// What is kept of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: [u8; KEY],
    server_key: [u8; KEY],
}

/// A password as it is compared: RFC 4013 where that has something to say, else the bytes as they are.
fn prepared(password: &str) -> std::borrow::Cow<'_, str> {
    stringprep::saslprep(password).unwrap_or(std::borrow::Cow::Borrowed(password))
}

fn hmac_of(key: &[u8], data: &[u8]) -> [u8; KEY] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut bytes = [0; KEY];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

fn sha256(data: &[u8]) -> [u8; KEY] {
    let found = digest::digest(&digest::SHA256, data);
    let mut bytes = [0; KEY];
    bytes.iter_mut().zip(found.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

fn least_iterations() -> NonZeroU32 {
    NonZeroU32::new(config::SCRAM_ITERATIONS).unwrap_or(NonZeroU32::MIN)
}

impl Verifier {
    /// The verifier of a password, with a salt of its own.
    ///
    /// # Errors
    /// When the password is empty, or there are no random bytes.
    pub fn of_password(password: &str) -> Result<Self> {
        if password.is_empty() {
            return Err(UserError::invalid("an empty password is no password").into());
        }
        Ok(Self::with(password, &random::<SALT>()?, least_iterations()))
    }

    fn with(password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = [0; KEY];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared(password).as_bytes(), &mut salted);
        let client_key = hmac_of(&salted, b"Client Key");
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: sha256(&client_key),
            server_key: hmac_of(&salted, b"Server Key"),
        }
    }

    /// One that no password meets, always the same for a name: who is not there is not told from who is.
    #[must_use]
    pub fn mock(secret: &str, user: &str) -> Self {
        let salt = hmac_of(secret.as_bytes(), format!("salt {user}").as_bytes());
        let key = hmac_of(secret.as_bytes(), format!("key {user}").as_bytes());
        Self {
            iterations: least_iterations(),
            salt: salt.get(..SALT).unwrap_or_default().to_vec(),
            stored_key: key,
            server_key: key,
        }
    }

    /// A verifier in PostgreSQL's form; none if the text has another.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (iterations, rest) = text.strip_prefix(PLAIN)?.strip_prefix('$')?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| <[u8; KEY]>::try_from(STANDARD.decode(text).ok()?).ok();
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        let iterations: NonZeroU32 = iterations.parse().ok()?;
        Some(Self { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }

    /// The same for one that is to be kept: it has to cost as much to guess as one of ours.
    ///
    /// # Errors
    /// When a text that looks like a verifier has another form or too few iterations.
    pub fn of_text(text: &str) -> Result<Option<Self>> {
        if text.starts_with("md5") && text.len() == 35 {
            return Err(UserError::new(sqlstate::NOT_SUPPORTED, "passwords hashed by MD5 are not supported").into());
        }
        if !text.starts_with("SCRAM-SHA-256$") {
            return Ok(None);
        }
        let verifier = Self::parse(text).filter(|verifier| verifier.iterations >= least_iterations());
        let message = format!("the SCRAM verifier has another form, or less than {} iterations", least_iterations());
        verifier.map(Some).ok_or_else(|| UserError::invalid(message).into())
    }

    /// PostgreSQL's form.
    #[must_use]
    pub fn text(&self) -> String {
        let shown = |bytes: &[u8]| STANDARD.encode(bytes);
        let (salt, stored, server) = (shown(&self.salt), shown(&self.stored_key), shown(&self.server_key));
        format!("{PLAIN}${}:{salt}${stored}:{server}", self.iterations)
    }
}

/// An exchange after its first message.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    nonce: String,
    header: String,
    binding: Vec<u8>,
    first_bare: String,
    server_first: String,
}

fn malformed(detail: &str) -> UserError {
    UserError::new("08P01", "malformed SCRAM message").detail(detail)
}

impl Exchange {
    /// Answer the client's first message. `binding` is the channel that the client can be bound to, `plus` whether it
    /// chose to be.
    ///
    /// # Errors
    /// 08P01 when the message is not one of the protocol, 28000 when somebody in between has removed the offer of binding.
    pub fn begin(verifier: Verifier, plus: bool, binding: Option<&[u8]>, message: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(message).map_err(|_| malformed("it is not text"))?;
        let (flag, rest) = text.split_once(',').ok_or_else(|| malformed("it has no header"))?;
        let (identity, bare) = rest.split_once(',').ok_or_else(|| malformed("it has no header"))?;
        match (flag, plus) {
            ("n", false) => {}
            ("y", false) if binding.is_none() => {}
            ("y", false) => {
                let error = UserError::new("28000", "the client was not told that the server supports channel binding");
                return Err(error.detail("somebody may be in between").into());
            }
            ("p=tls-server-end-point", true) => {}
            _ => return Err(malformed("its kind of channel binding is not the one chosen").into()),
        }
        if !identity.is_empty() {
            return Err(
                UserError::new(sqlstate::NOT_SUPPORTED, "SCRAM authorization identities are not supported").into()
            );
        }
        // The name comes with the connection; what stands here is not looked at, as in PostgreSQL.
        let mut parts = bare.split(',');
        let named = parts.next().is_some_and(|part| part.starts_with("n="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).filter(|nonce| !nonce.is_empty());
        let (true, Some(nonce)) = (named, nonce) else { return Err(malformed("it has no nonce").into()) };
        if !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("its nonce has letters that cannot be printed").into());
        }
        let nonce = format!("{nonce}{}", STANDARD.encode(random::<18>()?));
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        Ok(Self {
            verifier,
            nonce,
            header: format!("{flag},,"),
            binding: if plus { binding.unwrap_or_default().to_vec() } else { Vec::new() },
            first_bare: bare.to_owned(),
            server_first,
        })
    }

    /// What the server says first.
    #[must_use]
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Check the client's proof; gives back the server's own, none if the password was another.
    ///
    /// # Errors
    /// 08P01 when the message is not one of the protocol.
    pub fn finish(&self, message: &[u8]) -> Result<Option<String>> {
        let text = std::str::from_utf8(message).map_err(|_| malformed("it is not text"))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(|| malformed("it has no proof"))?;
        let mut parts = without_proof.split(',');
        let channel = parts.next().and_then(|part| part.strip_prefix("c="));
        let channel = channel.ok_or_else(|| malformed("it has no channel binding"))?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) {
            return Err(malformed("its nonce is another").into());
        }
        let mut expected = self.header.as_bytes().to_vec();
        expected.extend_from_slice(&self.binding);
        if constant_time::verify_slices_are_equal(STANDARD.encode(expected).as_bytes(), channel.as_bytes()).is_err() {
            return Err(UserError::new("28000", "SCRAM channel binding check failed").into());
        }
        let proof = STANDARD.decode(proof).ok().and_then(|proof| <[u8; KEY]>::try_from(proof).ok());
        let proof = proof.ok_or_else(|| malformed("its proof has another length"))?;
        let signed = format!("{},{},{without_proof}", self.first_bare, self.server_first);
        let signature = hmac_of(&self.verifier.stored_key, signed.as_bytes());
        let mut client_key = [0; KEY];
        for ((to, signed), proved) in client_key.iter_mut().zip(signature).zip(proof) {
            *to = signed ^ proved;
        }
        if constant_time::verify_slices_are_equal(&sha256(&client_key), &self.verifier.stored_key).is_err() {
            return Ok(None);
        }
        let own = hmac_of(&self.verifier.server_key, signed.as_bytes());
        Ok(Some(format!("v={}", STANDARD.encode(own))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client's side, as RFC 5802 section 3 has it.
    fn client(password: &str, server_first: &str, first_bare: &str, channel: &str) -> String {
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        let verifier = Verifier::with(password, &STANDARD.decode(field("s=")).unwrap(), field("i=").parse().unwrap());
        let mut salted = [0; KEY];
        let iterations = verifier.iterations;
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            &verifier.salt,
            prepared(password).as_bytes(),
            &mut salted,
        );
        let without_proof = format!("c={channel},r={}", field("r="));
        let signed = format!("{first_bare},{server_first},{without_proof}");
        let signature = hmac_of(&verifier.stored_key, signed.as_bytes());
        let key = hmac_of(&salted, b"Client Key");
        let proof: Vec<u8> = key.iter().zip(signature).map(|(key, signed)| key ^ signed).collect();
        format!("{without_proof},p={}", STANDARD.encode(proof))
    }

    /// The example of RFC 7677, section 3, from the server's side.
    #[test]
    fn the_published_exchange() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::with("pencil", &salt, least_iterations());
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange = Exchange {
            verifier,
            nonce: nonce.to_owned(),
            header: "n,,".to_owned(),
            binding: Vec::new(),
            first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
            server_first: format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
        };
        let message = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let proof = exchange.finish(message.as_bytes()).unwrap();
        assert_eq!(proof.as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn only_the_password_opens() {
        let verifier = Verifier::parse(&Verifier::of_password("p\u{a0}ss\u{2168}").unwrap().text()).unwrap();
        let bare = "n=,r=abc";
        // SASLprep makes a space of the no-break space and IX of the Roman number.
        for (password, opens) in [("p ssIX", true), ("p\u{a0}ss\u{2168}", true), ("pssIX", false), ("", false)] {
            let exchange = Exchange::begin(verifier.clone(), false, None, b"n,,n=,r=abc").unwrap();
            let answer = client(password, exchange.server_first(), bare, "biws");
            assert_eq!(exchange.finish(answer.as_bytes()).unwrap().is_some(), opens, "{password}");
        }
        let mock = Verifier::mock("secret", "nobody");
        assert_eq!(mock, Verifier::mock("secret", "nobody"));
        let exchange = Exchange::begin(mock, false, None, b"n,,n=,r=abc").unwrap();
        let answer = client("anything", exchange.server_first(), bare, "biws");
        assert_eq!(exchange.finish(answer.as_bytes()).unwrap(), None);
    }

    #[test]
    fn the_channel_is_bound() {
        let verifier = Verifier::of_password("x").unwrap();
        let first = b"p=tls-server-end-point,,n=,r=abc";
        let exchange = Exchange::begin(verifier.clone(), true, Some(b"certificate"), first).unwrap();
        let channel = |certificate: &str| STANDARD.encode(format!("p=tls-server-end-point,,{certificate}"));
        let good = client("x", exchange.server_first(), "n=,r=abc", &channel("certificate"));
        assert!(exchange.finish(good.as_bytes()).unwrap().is_some());
        let other = client("x", exchange.server_first(), "n=,r=abc", &channel("another"));
        assert_eq!(exchange.finish(other.as_bytes()).unwrap_err().sqlstate(), "28000");
        let removed = Exchange::begin(verifier, false, Some(b"certificate"), b"y,,n=,r=abc").unwrap_err();
        assert_eq!(removed.sqlstate(), "28000");
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        let verifier = Verifier::of_password("x").unwrap();
        for message in
            ["", "n", "n,,", "n,,n=,r=", "n,,n=", "n,,r=a", "q,,n=,r=a", "p=tls-unique,,n=,r=a", "n,,n=,r=\u{7}"]
        {
            let refused = Exchange::begin(verifier.clone(), false, None, message.as_bytes());
            assert_eq!(refused.unwrap_err().sqlstate(), "08P01", "{message}");
        }
        let exchange = Exchange::begin(verifier, false, None, b"n,,n=,r=a").unwrap();
        for message in ["", "c=biws", "c=biws,r=a,p=", "c=biws,r=a,p=AAAA"] {
            assert_eq!(exchange.finish(message.as_bytes()).unwrap_err().sqlstate(), "08P01", "{message}");
        }
        assert!(Verifier::of_text("SCRAM-SHA-256$1:AAAA$AAAA:AAAA").is_err());
        assert!(Verifier::of_text("md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").is_err());
        assert_eq!(Verifier::of_text("plain").unwrap(), None);
    }
}
