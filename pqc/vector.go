package pqc

import "bytes"

// clearVectors clears the upper halves of the vector registers of amd64. circl's code for
// ML-DSA leaves them in use (it has no VZEROUPPER). Then other code that uses the lower
// halves, such as SHA-256 of the standard library, takes up to ten times as long on
// this thread. bytes.IndexByte clears them when it has searched more than 32 bytes.
func clearVectors() { _ = bytes.IndexByte(searched[:], 1) }

var searched [64]byte
