// Package jose signs and verifies JSON Web Signatures (RFC 7515) with the keys
// of package pqc and with ECDSA, Ed25519 and RSA, and reads and writes public
// JSON Web Keys (RFC 7517).
//
// Every key is used with its own algorithm, never with the one that a header
// asks for: see [Algorithm] and [Fits] (RFC 8725, section 3.1). Every text has
// one encoding, and every JSON object is read strictly: see package strict.
//
// Left out: extensions that a header declares critical, unencoded payloads
// (RFC 7797), keys that come in a header (jwk, x5c, x5u), several signatures on
// one payload, symmetric algorithms, "none", and encryption. This package
// refuses the first two. It ignores the third, since the caller brings the key.
//
// The package trusts the standard library for the classical algorithms and does
// no I/O. It does not tell whether a key is weak: see package keycheck.
package jose
