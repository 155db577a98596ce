package cedar

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/brevet-ca/brevet/storage/audit"
)

// Schema returns what policies may say, in Cedar's schema language. It is made from the
// lists of attributes.
func Schema() string {
	var b strings.Builder
	b.WriteString("// The schema of brevet's policies. All attributes of an agent come from the registry.\n")
	b.WriteString("// brevet policy schema prints this.\n\n")
	b.WriteString("// Somebody who answers for agents.\nentity Owner;\n\n")
	b.WriteString("// A role of agents.\nentity Role;\n\n")
	b.WriteString("// A label of agents, written KEY=VALUE.\nentity Label;\n\n")
	b.WriteString("// A registered agent. It is in its owner, its roles and its labels. Each label is a tag, too:\n")
	b.WriteString("// principal.hasTag(\"env\") && principal.getTag(\"env\") == \"prod\".\n")
	fmt.Fprintf(&b, "entity Agent in [Owner, Role, Label] = {\n%s} tags String;\n\n", declare(agentAttributes, "", "\t"))
	b.WriteString("// A resource that tokens are for, by its URL as the registry has it.\nentity Audience;\n\n")
	b.WriteString("// A profile of certificates, by its name in brevet.yaml.\nentity Profile;\n\n")
	b.WriteString("// A DNS name or an IP address that a certificate is to have. It is in the profile asked for.\n")
	fmt.Fprintf(&b, "entity Name in [Profile] = {\n%s};\n", declare(nameAttributes, "", "\t"))
	for _, a := range decided {
		resources, meaning := "[Audience]", "An access token: asked about each scope for each audience."
		if a == audit.CertificateIssue {
			resources, meaning = "[Profile, Name]", "A certificate, also one that is renewed: asked about its profile, and about each name."
		}
		fmt.Fprintf(&b, "\n// %s\naction %q appliesTo {\n\tprincipal: [Agent],\n\tresource: %s,\n\tcontext: {\n%s\t}\n};\n",
			meaning, string(a), resources, declare(contextAttributes, a, "\t\t"))
	}
	return b.String()
}

// declare writes attributes as the schema has them.
func declare[T any](all []attribute[T], a audit.Action, indent string) string {
	var b strings.Builder
	for _, one := range all {
		if one.only != "" && one.only != a {
			continue
		}
		mark := ""
		if one.optional {
			mark = "?"
		}
		fmt.Fprintf(&b, "%s// %s\n%s%q%s: %s,\n", indent, one.meaning, indent, string(one.name), mark, one.kind)
	}
	return b.String()
}

// validator checks policies against the schema.
var validator = sync.OnceValue(func() *validate.Validator {
	var s schema.Schema
	s.SetFilename("brevet")
	if err := s.UnmarshalCedar([]byte(Schema())); err != nil {
		panic("the schema of policies: " + err.Error()) // a test reads it
	}
	r, err := s.Resolve()
	if err != nil {
		panic("the schema of policies: " + err.Error())
	}
	return validate.New(r)
})
