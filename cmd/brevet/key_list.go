package main

import (
	"github.com/urfave/cli/v2"
)

func keyList(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	keys, err := server.Keys(c.Context)
	if err != nil {
		return err
	}
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return answer(c, list(keys), ids, func(p *page) {
		var t table
		t.styled(bold, "PURPOSE", "STATE", "ALGORITHM", "ID", "ACTIVE SINCE", "CERTIFICATE UNTIL")
		for _, k := range keys {
			state := k.State
			switch {
			case k.Compromised:
				state = "compromised"
			case !k.Withdrawn.IsZero():
				state = "withdrawn"
			case !k.Destroyed.IsZero():
				state = "destroyed"
			}
			since := orDash(at(k.Activated))
			if !k.SignsFrom.IsZero() {
				since = "from " + at(k.SignsFrom)
			}
			t.styled(stateStyle(k.State), k.Purpose, state, k.Algorithm, k.ID, since, orDash(p.end(k.Expires)))
		}
		p.tableOr("No keys.", t)
	})
}
