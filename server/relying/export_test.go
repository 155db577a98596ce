package relying

// JWKSOf is jwksOf, for tests.
var JWKSOf = jwksOf

// TLSSignatures is tlsSignatures, for tests.
var TLSSignatures = tlsSignatures
