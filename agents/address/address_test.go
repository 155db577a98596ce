package address

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

const (
	first  = "https://ca.example"
	second = "https://pki.example:8443"
	third  = "https://third.example"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func hours(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }

// moved returns a list after moves to some URLs.
func moved(t *testing.T, at List, now time.Time, to string, until time.Time) List {
	t.Helper()
	next, err := at.Move(Move{To: to, Until: until, Base: "http://old", Moved: now.Add(time.Minute), Covers: now.Add(10 * time.Hour), Last: now.Add(10 * time.Hour), Grace: 2 * time.Hour}, now)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestIssuerChangesAtTheDate(t *testing.T) {
	l := moved(t, List{{URL: first}}, start, second, hours(5))
	for at, want := range map[time.Time]string{start.Add(-time.Hour): first, start: first, hours(5).Add(-time.Second): first, hours(5): second, hours(100): second} {
		if got := l.Issuer(at); got != want {
			t.Errorf("at %s: %s, want %s", at, got, want)
		}
	}
	if l.Current() != second || !slices.Equal(l.InUse(start), []string{second, first}) || !slices.Equal(l.InUse(hours(12)), []string{second}) {
		t.Errorf("current is %s, in use %v, later %v", l.Current(), l.InUse(start), l.InUse(hours(12)))
	}
	if f := l.Former(start); len(f) != 1 || f[0].URL != first || !f[0].Ends.Equal(hours(12)) {
		t.Errorf("former are %+v", f)
	}
	later := moved(t, l, hours(1), second, hours(50))
	if got := later.Issuer(hours(6)); got != first || !later[0].Ends.Equal(hours(51)) {
		t.Errorf("with another date: issuer %s, the old one ends at %s", got, later[0].Ends)
	}
	if _, err := later.Move(Move{To: second, Until: hours(60)}, hours(51)); !errors.Is(err, agents.ErrTransition) {
		t.Errorf("another date afterwards: got %v", err)
	}
	if _, err := l.Move(Move{To: third, Until: start}, start); !errors.Is(err, agents.ErrInvalid) {
		t.Errorf("a date that is over: got %v", err)
	}
}

func TestMoveIsTakenBack(t *testing.T) {
	l := moved(t, List{{URL: first}}, start, second, hours(5))
	l = moved(t, l, hours(1), first, hours(2))
	for at := range 20 {
		if got := l.Issuer(hours(at)); got != first {
			t.Errorf("hour %d: issuer %s", at, got)
		}
	}
	if f := l.Former(hours(3)); l.Current() != first || len(f) != 1 || f[0].URL != second {
		t.Errorf("%+v", l)
	}
}

func TestFormerAddressesEnd(t *testing.T) {
	l := List{{URL: first}}
	for i := range 30 {
		to := []string{second, third}[i%2]
		l = moved(t, l, hours(100*i), to, hours(100*i+1))
		if len(l) != 2 {
			t.Fatalf("after move %d there are %+v", i, l)
		}
	}
	for i := 0; ; i++ {
		next, err := l.Move(Move{To: third + ":" + string(rune('1'+i)), Until: hours(4000), Last: hours(5000)}, hours(3000).Add(time.Duration(i)*time.Second))
		if err != nil {
			if !errors.Is(err, errFull) || len(l) != maxAddresses {
				t.Errorf("with %d: %v", len(l), err)
			}
			break
		}
		l = next
	}
}

// TestFormerAddressOutlivesALongerWindow, but an address that has ended does not come back.
func TestFormerAddressOutlivesALongerWindow(t *testing.T) {
	l := moved(t, List{{URL: first}}, start, second, hours(5))
	for _, x := range []struct {
		now   int
		grace time.Duration
		ends  int
	}{{1, time.Hour, 12}, {1, 2 * time.Hour, 12}, {1, 30 * time.Hour, 40}, {11, 30 * time.Hour, 40}, {12, 30 * time.Hour, 12}} {
		got, changed := l.Lengthened(x.grace, hours(x.now))
		if !got[0].Ends.Equal(hours(x.ends)) || changed != (x.ends != 12) || !got[1].Ends.IsZero() || !l[0].Ends.Equal(hours(12)) {
			t.Errorf("at hour %d, with a window of %s: %+v, changed: %v", x.now, x.grace, got, changed)
		}
	}
	for _, l := range []List{nil, {{URL: first}}} {
		if _, changed := l.Lengthened(time.Hour, start); changed {
			t.Error(l)
		}
	}
}

func TestListOfAnotherPlaceMeansNothing(t *testing.T) {
	l := moved(t, List{{URL: first}}, start, second, hours(5))
	for written, want := range map[string]string{first: second, second: second, third: third} {
		if got := l.Of(written).Current(); got != want {
			t.Errorf("brevet.yaml says %s: at %s, want %s", written, got, want)
		}
	}
}

func TestHostChoosesTheURL(t *testing.T) {
	l := moved(t, List{{URL: first}}, start, second, hours(5))
	for host, want := range map[string]string{
		"ca.example": first, "CA.example:443": first, "pki.example:8443": second, "pki.example": second, "127.0.0.1": second, "": second, "ca.example.evil": second,
	} {
		if got := l.At(host, start); got != want {
			t.Errorf("%q: got %s, want %s", host, got, want)
		}
	}
	if got := l.At("ca.example", hours(12)); got != second {
		t.Errorf("a host that has ended: got %s", got)
	}
	for aud, want := range map[string]string{first + "/": first, second: second, third: "", first + ":443": first} {
		if got := l.Find(aud, start); got != want {
			t.Errorf("audience %s: got %q, want %q", aud, got, want)
		}
	}
	if !l.Has(first, start) || l.Has(first, hours(12)) || !l.Has(second, hours(1000)) || l.Has(third, start) {
		t.Error("Has")
	}
}
