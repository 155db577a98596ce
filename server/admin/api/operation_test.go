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
		method, path, query, body := target(o.route, &want)
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
	if _, _, _, body := target(ListAgents.route, new(Filter)); body {
		t.Error("a list of agents has a body")
	}
}

// TestLooseParametersAreRefused: a parameter that could be read in two ways, or that
// would be ignored, is an error that says what is wanted.
func TestLooseParametersAreRefused(t *testing.T) {
	type request struct {
		Owner  string            `query:"owner" json:"-"`
		Yes    bool              `query:"yes" json:"-"`
		Number int64             `query:"number" json:"-"`
		For    time.Duration     `query:"for" json:"-"`
		Labels map[string]string `query:"label" json:"-"`
	}
	for raw, want := range map[string]string{
		"label=x":                 `label "x": want KEY=VALUE`,
		"label=%3Dv":              `label "=v": want KEY=VALUE`,
		"label=":                  `label "": want KEY=VALUE`,
		"label=a%3D1&label=":      `label "": want KEY=VALUE`,
		"label=&label=a%3D1":      `label "": want KEY=VALUE`,
		"label=a%3D1&label=a%3D2": `label "a=2": want each key once`,
		"owner=":                  `owner "": want a value, or no such parameter`,
		"yes=":                    `yes "": want true or false`,
		"yes=1":                   `yes "1": want true or false`,
		"for=":                    `for "": want a duration such as 720h`,
		"number=%2B7":             `number "+7": want its number`,
		"number=007":              `number "007": want its number`,
		"owner=a&owner=b":         `owner "b": want one value`,
		"for=1h&for=1h":           `for "1h": want one value`,
		"nobody=1":                `parameter "nobody": want one of ["owner" "yes" "number" "for" "label"]`,
	} {
		query, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := Bind(new(request), nil, query); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
	var got request
	if err := Bind(&got, nil, url.Values{"label": {"a=", "b=c=d"}}); err != nil || !reflect.DeepEqual(got.Labels, map[string]string{"a": "", "b": "c=d"}) {
		t.Errorf("got %v, %v", got.Labels, err)
	}
}
