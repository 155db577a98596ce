package ca

import "github.com/brevet-ca/brevet/storage/keys"

// Owner is this package's name in the table of purposes.
const Owner = "ca"

// Purposes returns what the keys of CAs are for.
func Purposes() keys.Purposes {
	return keys.Purposes{
		{Purpose: keys.Root, Owner: Owner, Rotation: keys.Never, Publishes: keys.Certificate, Offline: true},
		{Purpose: keys.Issuer, Owner: Owner, Rotation: keys.ByRoot, Publishes: keys.Certificate},
		{
			Purpose: keys.ProfileIssuer, Owner: Owner, Rotation: keys.ByRoot, Publishes: keys.Certificate,
			PerAlgorithm: true, First: "give with --algorithm what the profile in brevet.yaml has",
		},
		{Purpose: keys.HTTPSRoot, Owner: Owner, Rotation: keys.Never, Publishes: keys.Certificate, Offline: true},
		{
			Purpose: keys.HTTPSIssuer, Owner: Owner, Rotation: keys.ByRoot, Publishes: keys.Certificate,
			Algorithms: keys.Algorithms(), Because: "it is there for stock TLS clients, so its key is classical",
		},
	}
}
