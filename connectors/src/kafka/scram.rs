//! SASL SCRAM: proves that we know a password without sending it, and that the server knows it too (RFC 5802, RFC 7677).

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};

use super::json::base64;

/// The two hashes that Kafka knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    /// The first message without its header.
    bare: String,
}

/// The server's answer is not one of SCRAM, or does not prove that it knows the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unproven;

/// Servers ask for 4096 rounds; one that asks for far more keeps us busy.
const MOST_ROUNDS: u32 = 10_000_000;

impl Scram {
    /// Begins an exchange with a random nonce, which holds no comma.
    pub(super) fn new(hash: Hash, user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { hash, bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The last message, and what the server has to answer.
    pub(super) fn last(&self, password: &str, server_first: &[u8]) -> Result<(String, String), Unproven> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| Unproven)?;
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).ok_or(Unproven);
        let (nonce, salt, rounds) = (field("r=")?, field("s=")?, field("i=")?);
        let mut salt_bytes = Vec::new();
        base64::decode(salt.as_bytes(), &mut salt_bytes).map_err(|_| Unproven)?;
        let rounds: NonZeroU32 = rounds.parse().map_err(|_| Unproven)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() || rounds.get() > MOST_ROUNDS {
            return Err(Unproven);
        }
        let salted = self.salted(password, &salt_bytes, rounds);
        let client_key = self.sign(&salted, b"Client Key");
        // `biws` is the header of the first message: no channel is bound.
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let stored_key = digest::digest(self.digest(), &client_key);
        let signature = self.sign(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        let server_key = self.sign(&salted, b"Server Key");
        let expected = self.sign(&server_key, signed.as_bytes());
        Ok((format!("{without_proof},p={}", base64::encode(&proof)), format!("v={}", base64::encode(&expected))))
    }

    fn salted(&self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self.hash {
            Hash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN),
            Hash::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, digest::SHA512_OUTPUT_LEN),
        };
        let mut salted = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
        salted
    }

    fn sign(&self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self.hash {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }

    fn digest(&self) -> &'static digest::Algorithm {
        match self.hash {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    /// The example of RFC 7677.
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn the_example_of_the_standard_is_proved() {
        let scram = Scram::new(Hash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, expected) = scram.last("pencil", SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(expected, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_server_that_does_not_take_up_the_nonce_is_refused() {
        let scram = Scram::new(Hash::Sha512, "a,b=c", "x".to_owned());
        assert_eq!(scram.first(), "n,,n=a=2Cb=3Dc,r=x");
        for wrong in [SERVER_FIRST, "r=x,s=W22Z,i=1", "r=xy,s=!,i=1", "r=xy,s=W22Z,i=0", "r=xy,s=W22Z,i=4000000000", ""]
        {
            assert_eq!(scram.last("pencil", wrong.as_bytes()), Err(Unproven), "{wrong}");
        }
    }
}
