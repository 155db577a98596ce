package ca

import (
	"time"

	"github.com/brevet-ca/brevet/storage/keys"
)

// KeptFor is how long a retired issuer's certificates may live.
const KeptFor = maxProfile

// listed is how long the CRL of an issuer is published before the issuer signs: a list for
// files may be used for a day, unless the operator chose another time.
const listed = 24 * time.Hour

// Purposes returns what the keys of CAs are for.
func Purposes() keys.Purposes {
	return keys.Purposes{
		{Purpose: keys.Root, Rotation: keys.Overlap, Publishes: keys.Certificate, Offline: true},
		{Purpose: keys.Issuer, Rotation: keys.ByRoot, Publishes: keys.Certificate, Listed: listed},
		{
			Purpose: keys.ProfileIssuer, Rotation: keys.ByRoot, Publishes: keys.Certificate, Listed: listed,
			PerAlgorithm: true, First: "give with --algorithm what the profile in brevet.yaml has",
		},
		{
			Purpose: keys.HTTPSRoot, Rotation: keys.Overlap, Publishes: keys.Certificate, Offline: true,
			Algorithms: keys.Algorithms(), Because: "it is there for stock TLS clients, so its key is classical",
		},
		{
			Purpose: keys.HTTPSIssuer, Rotation: keys.ByRoot, Publishes: keys.Certificate, Listed: listed,
			Algorithms: keys.Algorithms(), Because: "it is there for stock TLS clients, so its key is classical",
		},
	}
}
