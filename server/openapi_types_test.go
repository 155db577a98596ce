package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/operator"
)

// types are the types of an operation's request and answer.
type types struct {
	route      string
	in, answer reflect.Type
}

func typesOf[Q, A any](o api.Operation[Q, A]) types {
	return types{o.Route(), reflect.TypeFor[Q](), reflect.TypeFor[A]()}
}

var operatorTypes = []types{
	typesOf(api.AddAgent), typesOf(api.ListAgents), typesOf(api.ShowAgent), typesOf(api.SetAgent), typesOf(api.Suspend), typesOf(api.Resume), typesOf(api.Decommission), typesOf(api.Reenroll),
	typesOf(api.AddRole), typesOf(api.ListRoles), typesOf(api.ShowRole), typesOf(api.SetRole), typesOf(api.RemoveRole),
	typesOf(api.IssueCertificate), typesOf(api.ListCertificates), typesOf(api.ShowCertificate), typesOf(api.RevokeCertificate), typesOf(api.ListTokens), typesOf(api.MintOperatorToken), typesOf(api.RevokeToken), typesOf(api.Introspect), typesOf(api.Revoke),
	typesOf(api.ShowCRL), typesOf(api.PublishCRL), typesOf(api.ShowStatus), typesOf(api.Diagnose), typesOf(api.Backup), typesOf(api.Metrics), typesOf(api.Reload), typesOf(api.Readdress), typesOf(api.PlanReaddress), typesOf(api.ConfirmRestore), typesOf(api.ConfirmBackup),
	typesOf(api.ListEvents), typesOf(api.ExportEvents), typesOf(api.MissingEvents), typesOf(api.VerifyLog), typesOf(api.Prove), typesOf(api.ListSegments), typesOf(api.GetSegment),
	typesOf(api.ListKeys), typesOf(api.RotateKey), typesOf(api.WithdrawKey), typesOf(api.DestroyKey), typesOf(api.CancelKey), typesOf(api.DryRunKey), typesOf(api.DryRunAll), typesOf(api.RequestKey), typesOf(api.InstallKey),
	typesOf(api.ListPolicies), typesOf(api.ShowPolicies), typesOf(api.ApplyPolicies), typesOf(api.RemovePolicies),
	typesOf(api.ListOperators), typesOf(api.ShowOperator), typesOf(api.SuspendOperator), typesOf(api.ResumeOperator),
	typesOf(api.AddOperator), typesOf(api.EnrollOperator), typesOf(api.SetOperator), typesOf(api.RemoveOperator), typesOf(api.LinkOperator), typesOf(api.RemovePasskey),
}

// TestDescriptionHasEveryMember: openapi.json has the parameters and the members of the
// operators' requests and answers, and no others.
func TestDescriptionHasEveryMember(t *testing.T) {
	for _, o := range new(operator.Service).Operations() {
		if !slices.ContainsFunc(operatorTypes, func(ts types) bool { return ts.route == o.Route }) {
			t.Errorf("operatorTypes lacks %s", o.Route)
		}
	}
	d := readDescription(t)
	for _, ts := range operatorTypes {
		method, path, _ := strings.Cut(ts.route, " ")
		op := d.object(d.doc, "paths", path, strings.ToLower(method))
		d.sameParameters(ts, op)
		if body := d.at(op, "requestBody", "content", "application/json", "schema"); body != nil || hasMembers(ts.in) {
			d.same(ts.route+": request", body, ts.in)
		}
		if ts.answer != reflect.TypeFor[api.Stream]() {
			d.same(ts.route+": answer", d.at(op, "responses", "200", "content", "application/json", "schema"), ts.answer)
		}
	}
}

func (d *description) sameParameters(ts types, op map[string]any) {
	d.t.Helper()
	want := map[string]string{}
	for i := range ts.in.NumField() {
		for _, where := range []string{"path", "query"} {
			if name := ts.in.Field(i).Tag.Get(where); name != "" {
				want[name] = where
			}
		}
	}
	got := map[string]string{}
	list, _ := op["parameters"].([]any)
	for _, p := range list {
		p := d.object(p)
		got[p["name"].(string)] = p["in"].(string)
	}
	if !maps.Equal(got, want) {
		d.t.Errorf("%s: the parameters are %v, want %v", ts.route, got, want)
	}
}

func hasMembers(t reflect.Type) bool { return len(members(t)) > 0 }

// members are the fields of a struct that travel as JSON.
func members(t reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			maps.Copy(all, members(f.Type))
		case name != "-" && name != "":
			all[name] = f.Type
		}
	}
	return all
}

// same compares a schema with a type.
func (d *description) same(what string, schema any, t reflect.Type) {
	d.t.Helper()
	s := d.object(schema)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return
	case t == reflect.TypeFor[time.Time]():
		d.is(what, s, "string", "date-time")
	case t.Kind() == reflect.Struct:
		d.is(what, s, "object", "")
		d.sameMembers(what, s, members(t))
	case t.Kind() == reflect.Slice:
		d.is(what, s, "array", "")
		d.same(what+"[]", s["items"], t.Elem())
	case t.Kind() == reflect.Map:
		d.is(what, s, "object", "")
		d.same(what+"{}", s["additionalProperties"], t.Elem())
	default:
		d.is(what, s, map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean"}[t.Kind()], "")
	}
}

// is compares the type in a schema; none means that of an integer.
func (d *description) is(what string, schema map[string]any, kind, format string) {
	d.t.Helper()
	if kind == "" {
		kind = "integer"
	}
	got := fmt.Sprint(schema["type"])
	if schema["type"] == nil && schema["allOf"] != nil {
		got = "object"
	}
	if got != kind || format != "" && schema["format"] != format {
		d.t.Errorf("%s is %v %v in openapi.json, want %s %s", what, got, schema["format"], kind, format)
	}
}

func (d *description) sameMembers(what string, schema map[string]any, want map[string]reflect.Type) {
	d.t.Helper()
	got := d.properties(schema)
	for name, t := range want {
		if got[name] == nil {
			d.t.Errorf("%s: openapi.json lacks %s", what, name)
			continue
		}
		d.same(what+"."+name, got[name], t)
	}
	for name := range got {
		if want[name] == nil {
			d.t.Errorf("%s: openapi.json has %s, and the type has not", what, name)
		}
	}
}

// properties are the members in a schema and in those that it joins.
func (d *description) properties(schema map[string]any) map[string]any {
	all := maps.Clone(d.object(schema, "properties"))
	if all == nil {
		all = map[string]any{}
	}
	joined, _ := schema["allOf"].([]any)
	for _, s := range joined {
		maps.Copy(all, d.properties(d.object(s)))
	}
	return all
}
