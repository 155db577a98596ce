// Package pqc signs and verifies with ML-DSA (FIPS 204) and with the composites
// of ML-DSA and a traditional algorithm, and reads and writes their keys.
//
// It follows RFC 9881 for ML-DSA in X.509, RFC 9964 for ML-DSA in JOSE,
// draft-ietf-lamps-pq-composite-sigs-19 for the composites and
// draft-ietf-jose-pq-composite-sigs-04 for those of them that have a JOSE name
// here. RFC numbers for the two drafts are awaited; object identifiers of the
// composites are early allocations by IANA.
//
// A composite signature holds as long as one of its halves does. Both halves are
// always made and always checked, and this package gives no way to use a component
// key alone (the draft, sections 5.3 and 9.3, forbids it). A composite signature is
// not unique for its message (section 9.2.2): with ECDSA, anyone who has seen one can
// make another. So never use the hash of something signed as its identity.
//
// Callers pass a message as a whole, not hashed and not as a stream. All sizes are in
// octets.
// Every format has one encoding, and all others are refused: BER, compressed points,
// base64 with loose bits. Errors say what was wrong and show nothing
// of a private key; where the algorithm was none of ours they wrap ErrUnknownAlgorithm.
//
// Left out: the two composites with brainpool curves (no implementation of the
// curves in the modules used), HashML-DSA (not to be used in PKIX, RFC 9881,
// section 8.3), and private keys in expanded form alone: only seeds are written, and what
// is read must have one.
//
// Trusted: github.com/cloudflare/circl for ML-DSA and Ed448, the standard library
// for RSA, ECDSA, Ed25519, the hashes and randomness; how long they take with a
// private key, too. Private keys are not wiped from memory. The package does no I/O
// and holds no state; keys may be used by many goroutines at once.
//
// Package pkix has certificates, CRLs and requests with these keys, package jose JWS.
package pqc
