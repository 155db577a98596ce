package ca

// CensusSize is how many keys the census knows.
func (ca *CA) CensusSize() int {
	return ca.census.Size()
}
