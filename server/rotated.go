package server

import (
	"github.com/brevet-ca/brevet/server/authority"
)

// Rotated returns the purposes of the keys that can be rotated, for help and completion.
func Rotated() (names []string) {
	for _, s := range authority.Purposes() {
		names = append(names, string(s.Purpose))
	}
	return names
}
