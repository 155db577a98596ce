package agents

// A refusal is an error that says no: a decision about a request, not a failure
// to decide. Package policy finds it by its RefusalCode.
type refusal struct {
	code, text string
	is         error // what else it is, if anything
}

// NewRefusal returns an error that says no. code tells programs why and is
// stored in the audit log: lower case with underscores, and never changed. is
// may be nil, or an error that the refusal is as well.
func NewRefusal(code, text string, is error) error { return &refusal{code, text, is} }

func (r *refusal) Error() string       { return r.text }
func (r *refusal) RefusalCode() string { return r.code }
func (r *refusal) Unwrap() error       { return r.is }
