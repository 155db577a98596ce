package ca

// CensusSize is how many keys the census knows.
func (ca *CA) CensusSize() int {
	return ca.census.Size()
}

// TBSCertificate is tbsCertificate.
type TBSCertificate = tbsCertificate

// SignCertificate is signCertificate.
func (s Signer) SignCertificate(t *TBSCertificate) ([]byte, error) { return s.signCertificate(t) }
