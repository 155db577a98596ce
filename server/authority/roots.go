package authority

import (
	"fmt"
	"time"
)

// rootNotice is how long before the last list of a root ends that the status warns.
const rootNotice = 30 * 24 * time.Hour

// Warnings lists what will keep relying parties from doing their work, although the
// authority does its own.
func (a *Authority) Warnings() (found []string) {
	const mend = "put its key file back into the directory and run brevet crl publish"
	now := a.Clock.Now()
	for _, r := range a.CRL.Roots() {
		switch until := r.Until(); {
		case r.Number == 0:
			found = append(found, fmt.Sprintf("the root %s has signed no CRL: %s", r.Root, mend))
		case until.Sub(now) < rootNotice:
			found = append(found, fmt.Sprintf("the last CRL that the root %s has signed ends at %s: %s", r.Root, until.Format(time.RFC3339), mend))
		case r.Late && !r.Online:
			found = append(found, fmt.Sprintf("the CRL of the root %s does not know its issuers as they are now: %s", r.Root, mend))
		}
	}
	return found
}

// RootCRLEnds returns when the first of the roots' CRLs ends, the ones signed ahead
// included. It is the zero time if a root has signed none.
func (a *Authority) RootCRLEnds() (end time.Time) {
	for n, r := range a.CRL.Roots() {
		if until := r.Until(); n == 0 || until.Before(end) {
			end = until
		}
	}
	return end
}
