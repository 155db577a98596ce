package api

import "slices"

// A Level says how urgent a [Reason] is, and so how an authority is doing.
type Level string

const (
	OK       Level = "ok"
	Warning  Level = "warning"  // somebody must do something, but not at once
	Critical Level = "critical" // something does not work, or soon will not
)

// Rank returns how bad l is: 0 for ok, 1 for warning and 2 for critical, which are also the
// exit statuses of a Nagios plugin.
func (l Level) Rank() int { return max(slices.Index([]Level{OK, Warning, Critical}, l), 0) }

// A Reason is something about an authority that an operator must mend.
type Reason struct {
	ID    string `json:"id"` // what kind of reason it is, such as "issuer-ends"; it does not change between versions
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Mend  string `json:"mend"` // the command, or what else to do

	// Stops says that the server cannot issue or cannot answer.
	Stops bool `json:"stops,omitempty"`
}

func (r Reason) String() string { return r.Text + ": " + r.Mend }

// Worst returns the level of the worst of the reasons.
func Worst(reasons []Reason) Level {
	worst := OK
	for _, r := range reasons {
		if r.Level.Rank() > worst.Rank() {
			worst = r.Level
		}
	}
	return worst
}

// SetReasons fills in the members that say how the authority is doing.
func (s *Status) SetReasons(reasons []Reason) {
	s.Reasons, s.Level = reasons, Worst(reasons)
	s.Healthy = s.Level != Critical
	for _, r := range reasons {
		if r.Level == Critical {
			s.Problems = append(s.Problems, r.String())
		} else {
			s.Warnings = append(s.Warnings, r.String())
		}
	}
}
