package authority

import (
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// moveNotice is how long before a move of the authority operators are warned.
const moveNotice = 7 * 24 * time.Hour

// addressReasons are about a move to another URL.
func (a *Authority) addressReasons(now time.Time) (found []api.Reason) {
	at, written := a.Address.List(), a.written.Load().Advertise
	if written != at.Current() {
		found = append(found, warning(advertiseDiffers, "write advertise: "+at.Current()+" in brevet.yaml, then run brevet reload", "brevet.yaml says %s, and an operator moved the authority to %s", written, at.Current()))
	}
	if date, waiting := at.Switch(now); waiting && date.Sub(now) < moveNotice && at.Issuer(now) != at.Current() {
		found = append(found, warning(issuerChanges, "have resource servers accept both issuers, or give them more time: brevet readdress "+at.Current()+" --until DATE",
			"tokens are issued by %s until %s, and by %s from then on", at.Issuer(now), date.UTC().Format(time.RFC3339), at.Current()))
	}
	return found
}
