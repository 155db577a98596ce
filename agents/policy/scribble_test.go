package policy_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"reflect"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// fill puts a value that is not zero wherever v reaches, so that no field that is
// added later is left out of the test. It leaves out what no other package can write.
func fill(v reflect.Value, text string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(now))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem(), text)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, text)
		v.SetMapIndex(reflect.ValueOf(text), value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), text)
			}
		}
	default:
		panic("fill does not know " + v.Type().String())
	}
}

// A scribbler writes to all that it can reach.
type scribbler struct{ seen []agents.Scope }

func (s *scribbler) Decide(_ context.Context, q *policy.Query, f *agents.Facts) (policy.Decision, error) {
	s.seen = append(append([]agents.Scope{}, q.Scopes...), f.Agent.Scopes...)
	fill(reflect.ValueOf(q), "scribble")
	fill(reflect.ValueOf(f), "scribble")
	return policy.Decision{Effect: audit.Allow}, nil
}

// TestEnginesCannotWrite: what an engine writes reaches neither the registry, nor
// the query, nor the next engine.
func TestEnginesCannotWrite(t *testing.T) {
	db := openDB(t)
	facts := func() (f agents.Facts) {
		err := db.View(t.Context(), func(tx storage.Tx) (err error) { f, err = agents.ReadFacts(tx, "bot"); return err })
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	key, err := x509.MarshalPKIXPublicKey(ed25519.NewKeyFromSeed(make([]byte, 32)).Public())
	if err != nil {
		t.Fatal(err)
	}
	e, err := agents.NewEnrollment(now)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx storage.Tx) error {
		_, err := agents.Add(tx, "example.internal", "bot", agents.Change{
			Owner: new("o"), Scopes: []string{"a"}, Audiences: []string{"https://api.example"}, Labels: map[string]string{"k": "v"}, DNS: []string{"bot.example"}, Keys: []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))},
		}, e, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	query := func() (q policy.Query) {
		fill(reflect.ValueOf(&q), "asked")
		q.Principal, q.Action, q.Agent, q.Subject = policy.Agent("spiffe://example.internal/agent/bot"), audit.TokenMint, "bot", "bot"
		q.Names, q.Scopes, q.Audiences, q.Limits = dns("bot.example"), scopes{"a"}, []string{"https://api.example"}, policy.Limits{}
		return q
	}
	q, before, one, two := query(), facts().Clone(), &scribbler{}, &scribbler{}
	p := policy.Point{DB: db, External: []policy.Engine{one, two}}
	d, err := p.Decide(t.Context(), q)
	if err != nil || d.Effect != audit.Allow || !reflect.DeepEqual(d.Granted.Scopes, scopes{"a"}) {
		t.Errorf("got %+v, %v", d, err)
	}
	if got := facts(); !reflect.DeepEqual(got, before) {
		t.Errorf("the registry has %+v, want %+v", got, before)
	}
	if !reflect.DeepEqual(q, query()) {
		t.Errorf("the query is %+v", q)
	}
	if !reflect.DeepEqual(two.seen, scopes{"a", "a"}) || !reflect.DeepEqual(one.seen, two.seen) {
		t.Errorf("the engines saw %v and %v", one.seen, two.seen)
	}
}
