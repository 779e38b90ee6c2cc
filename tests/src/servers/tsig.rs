//! The key of signed transactions (RFC 8945), for the servers that know it.

/// Its name.
pub const KEY: &str = "key.example.test";
/// Its secret, for HMAC-SHA256.
pub const SECRET: &str = "bm90IGEgc2VjcmV0LCBidXQgYSB0ZXN0J3Mga2V5IDE=";
