package ca

import "github.com/brevet-ca/brevet/storage/keys"

// KeptFor is how long a retired issuer's certificates may live.
const KeptFor = maxProfile

// Purposes returns what the keys of CAs are for.
func Purposes() keys.Purposes {
	return keys.Purposes{
		{Purpose: keys.Root, Rotation: keys.Overlap, Publishes: keys.Certificate, Offline: true},
		{Purpose: keys.Issuer, Rotation: keys.ByRoot, Publishes: keys.Certificate},
		{
			Purpose: keys.ProfileIssuer, Rotation: keys.ByRoot, Publishes: keys.Certificate,
			PerAlgorithm: true, First: "give with --algorithm what the profile in brevet.yaml has",
		},
		{
			Purpose: keys.HTTPSRoot, Rotation: keys.Overlap, Publishes: keys.Certificate, Offline: true,
			Algorithms: keys.Algorithms(), Because: "it is there for stock TLS clients, so its key is classical",
		},
		{
			Purpose: keys.HTTPSIssuer, Rotation: keys.ByRoot, Publishes: keys.Certificate,
			Algorithms: keys.Algorithms(), Because: "it is there for stock TLS clients, so its key is classical",
		},
	}
}
