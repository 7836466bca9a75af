//! Client assertions: what an application signs with the key of a certificate that its registration knows.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

/// How far clocks may be apart, in seconds.
const SKEW_S: i64 = 300;

/// What an assertion is measured against.
pub(crate) struct Expected<'a> {
    /// The registered certificate, PEM.
    pub certificate: &'a str,
    pub client_id: &'a str,
    /// The path of the token endpoint; the origin may be a proxy's.
    pub audience_path: &'a str,
    pub now_ms: i64,
}

/// Checks signature, certificate, audience, issuer and times. Answers its id, which counts once.
pub(crate) fn verify(assertion: &str, expected: &Expected<'_>) -> Result<String, &'static str> {
    let mut parts = assertion.split('.');
    let (Some(head), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("The client assertion is not a signed JWT.");
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let object = |part: &str| decode(part).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (Some(head_value), Some(claim_values)) = (object(head), object(claims)) else {
        return Err("The client assertion cannot be read.");
    };
    let member = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let certificate = CertificateDer::from_pem_slice(expected.certificate.as_bytes())
        .map_err(|_| "The registered certificate cannot be read.")?;
    let thumbprint = |algorithm| {
        let digest = ring::digest::digest(algorithm, &certificate);
        Some(URL_SAFE_NO_PAD.encode(digest))
    };
    let is_named = (member(&head_value, "x5t#S256").is_some()
        && member(&head_value, "x5t#S256") == thumbprint(&ring::digest::SHA256))
        || (member(&head_value, "x5t").is_some()
            && member(&head_value, "x5t") == thumbprint(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY));
    if !is_named {
        return Err("The certificate with identifier used to sign the client assertion is not registered.");
    }
    let algorithm = match member(&head_value, "alg").as_deref() {
        Some("PS256") => webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        Some("RS256") => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
        _ => return Err("The algorithm of the client assertion is not supported."),
    };
    let signed_bytes = head.len() + 1 + claims.len();
    let signed = assertion.as_bytes().get(..signed_bytes).unwrap_or_default();
    let key = webpki::EndEntityCert::try_from(&certificate)
        .map_err(|_| "The registered certificate cannot be read.")?;
    let signature = decode(signature).ok_or("The client assertion cannot be read.")?;
    key.verify_signature(algorithm, signed, &signature)
        .map_err(|_| "The signature of the client assertion is not valid.")?;
    let audience = member(&claim_values, "aud").and_then(|aud| url::Url::parse(&aud).ok());
    if audience.is_none_or(|audience| audience.path() != expected.audience_path) {
        return Err("The audience of the client assertion is wrong.");
    }
    let is_own = |name: &str| member(&claim_values, name).as_deref() == Some(expected.client_id);
    if !is_own("iss") || !is_own("sub") {
        return Err("The issuer or subject of the client assertion is not the client.");
    }
    let time = |name: &str| claim_values.get(name).and_then(Value::as_i64);
    let now_s = expected.now_ms.div_euclid(1_000);
    if time("exp").is_none_or(|exp| exp + SKEW_S < now_s || exp > now_s + 86_400)
        || time("nbf").is_some_and(|nbf| nbf - SKEW_S > now_s)
    {
        return Err("The client assertion is not within its valid time range.");
    }
    member(&claim_values, "jti").ok_or("The client assertion has no id.")
}
