package api

import (
	"net/url"
	"reflect"
	"testing"
	"time"
)

// TestParametersArriveAsTheyWereSent: what target writes, Bind reads.
func TestParametersArriveAsTheyWereSent(t *testing.T) {
	type request struct {
		Name   string            `path:"name" json:"-"`
		Number int64             `path:"number" json:"-"`
		Owner  string            `query:"owner" json:"-"`
		Yes    bool              `query:"yes" json:"-"`
		Since  time.Time         `query:"since" json:"-"`
		For    time.Duration     `query:"for" json:"-"`
		Labels map[string]string `query:"label" json:"-"`
		Body   string            `json:"body"`
	}
	o := Operation[request, struct{}]{"POST /things/{name}/{number}"}
	for _, want := range []request{
		{Name: "a", Number: 7, Owner: "me & you", Yes: true, Since: time.Unix(1, 5).UTC(), For: time.Minute, Labels: map[string]string{"k": "v=w", "l": ""}},
		{Name: "b"},
	} {
		method, path, query, body := o.target(want)
		if method != "POST" || path != "/things/"+want.Name+"/"+map[int64]string{7: "7", 0: "0"}[want.Number] || !body {
			t.Errorf("%s %s, body %v", method, path, body)
		}
		sent, err := url.ParseQuery(query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		var got request
		err = Bind(&got, func(name string) string {
			return map[string]string{"name": want.Name, "number": map[int64]string{7: "7", 0: "0"}[want.Number]}[name]
		}, sent)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if _, _, _, body := ListAgents.target(Filter{}); body {
		t.Error("a list of agents has a body")
	}
}
