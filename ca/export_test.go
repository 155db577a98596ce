package ca

// CensusSize is how many keys the census knows.
func (ca *CA) CensusSize() int {
	ca.census.mu.Lock()
	defer ca.census.mu.Unlock()
	return len(ca.census.keys)
}
