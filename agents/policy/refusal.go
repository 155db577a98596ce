package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// A Refusal is an error that says no. Other errors say that nothing could be
// decided. [agents.NewRefusal] makes one; any error with the method is one.
// errors.As finds it.
type Refusal interface {
	error
	RefusalCode() string // why, for programs
}

var (
	// ErrDenied says that the request was decided against. The error around it
	// gives the reason, which is for the audit log and for operators.
	ErrDenied = agents.NewRefusal("denied", "denied", nil)
	// ErrApproval says that somebody must approve the request first.
	ErrApproval = agents.NewRefusalOf(agents.Approval, "approval_needed", "this needs an approval first", nil)
	// errObligation says that a decision has an obligation that the server cannot fulfil.
	errObligation = agents.NewRefusalOf(agents.NotNow, "obligation_unknown", ErrDenied.Error()+": a policy engine obliges to what this server cannot do", ErrDenied)
	// errOutdated says that the facts changed after the decision, twice.
	errOutdated = agents.NewRefusalOf(agents.NotNow, "outdated", ErrDenied.Error()+": the registry changed meanwhile; ask again", ErrDenied)
)

// IsDenial reports whether err is a [Refusal].
func IsDenial(err error) bool {
	_, ok := errors.AsType[Refusal](err)
	return ok
}

// FaultOf returns what a refusal is about. One that does not say is for want of
// rights: nothing but a want of proof is answered as one.
func FaultOf(err error) agents.Fault {
	if r, ok := errors.AsType[Refusal](err); ok {
		if f, ok := r.(interface{ Fault() agents.Fault }); ok {
			return f.Fault()
		}
	}
	return agents.Rights
}

// RetryAfter returns how long the client should wait before it asks again, if err is
// not its own fault; otherwise 0. No such error counts against the client.
func RetryAfter(err error) time.Duration {
	if errors.Is(err, admission.ErrLimited) {
		return admission.RetryAfter
	}
	if errors.Is(err, agents.ErrQuota) {
		return time.Minute
	}
	switch FaultOf(err) {
	case agents.NotNow:
		return maxAnswer
	case agents.Approval:
		return time.Minute
	}
	if IsUnavailable(err) {
		return time.Minute
	}
	return 0
}

// codes returns the code of a refusal, for the audit log, and that of an error of one
// protocol, such as a problem of ACME, which has a code without being a [Refusal].
func codes(err error) (all []string) {
	if r, ok := errors.AsType[Refusal](err); ok {
		all = append(all, r.RefusalCode())
	}
	if p, ok := errors.AsType[interface {
		error
		ProtocolCode() string
	}](err); ok {
		all = append(all, p.ProtocolCode())
	}
	return all
}

// IsUnavailable reports whether err says that the authority can issue nothing
// now: its clock is wrong, or it could record nothing.
func IsUnavailable(err error) bool {
	return errors.Is(err, clock.ErrUnavailable) || errors.Is(err, storage.ErrFull)
}

// An Unrecorded refusal could not be written to the audit log. The client sees a
// refusal like any other; see [Told].
type Unrecorded struct{ Reason, Err error }

func (u *Unrecorded) Error() string {
	return fmt.Sprintf("%v (and the refusal could not be recorded: %v)", u.Reason, u.Err)
}

// Unwrap returns the reason.
func (u *Unrecorded) Unwrap() error { return u.Reason }

// recorded returns the text of a refusal for the audit log. It may say more than outsiders
// are told.
func recorded(err error) string {
	if r, ok := errors.AsType[interface {
		error
		Recorded() string
	}](err); ok {
		return r.Recorded()
	}
	return err.Error()
}

// Told returns what outsiders may be told of a refusal.
func Told(err error) string {
	if u, ok := errors.AsType[*Unrecorded](err); ok {
		err = u.Reason
	}
	return err.Error()
}
