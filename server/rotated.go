package server

import (
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Rotated returns the purposes of the keys that can be rotated, for help and completion.
func Rotated() (names []string) {
	for _, s := range authority.Purposes() {
		if s.Rotation != keys.Never {
			names = append(names, string(s.Purpose))
		}
	}
	return names
}
