package agents

// A Fault says what a refusal is about, and so what the client can do about it.
// Each protocol translates it once, into a status and a code.
type Fault uint8

const (
	Rights   Fault = iota // the client may not have this
	Proof                 // the client did not prove to be an agent that may ask for anything
	Approval              // somebody must approve this first; then the client may ask again
	NotNow                // the authority cannot say yes now, through no fault of the client, which may ask again
)

// A refusal is an error that says no: a decision about a request, not a failure
// to decide. Package policy finds it by its RefusalCode.
type refusal struct {
	fault      Fault
	code, text string
	is         error // what else it is, if anything
}

// NewRefusal returns an error that says no, for want of rights. code tells programs
// why and is stored in the audit log: lower case with underscores, and never changed.
// is may be nil, or an error that the refusal is as well.
func NewRefusal(code, text string, is error) error { return &refusal{Rights, code, text, is} }

// NewRefusalOf returns a refusal that is about something else than rights.
func NewRefusalOf(f Fault, code, text string, is error) error { return &refusal{f, code, text, is} }

func (r *refusal) Error() string       { return r.text }
func (r *refusal) RefusalCode() string { return r.code }
func (r *refusal) Fault() Fault        { return r.fault }
func (r *refusal) Unwrap() error       { return r.is }
