package main

import "slices"

// synonyms are what other programs call our commands.
var synonyms = map[string][]string{
	"certificate": {"cert"}, "certificates": {"cert"}, "log": {"audit", "tail"}, "logs": {"audit", "tail"},
	"create": {"add", "issue"}, "register": {"add"}, "new": {"add", "init"}, "ls": {"list"}, "get": {"list", "show"},
	"describe": {"show"}, "inspect": {"show", "introspect", "verify"}, "edit": {"set"}, "update": {"set"}, "modify": {"set"},
	"delete": {"decommission", "revoke", "destroy"}, "remove": {"decommission", "revoke", "destroy"}, "rm": {"decommission", "revoke", "destroy"},
	"disable": {"suspend"}, "enable": {"resume"}, "sign": {"issue"}, "start": {"serve"}, "run": {"serve"},
	"info": {"status"}, "health": {"status"}, "ping": {"status"}, "snapshot": {"backup"}, "validate": {"verify"}, "check": {"verify"},
	"follow": {"tail"}, "watch": {"tail"}, "bootstrap": {"enroll"},
}

// synonym returns the command that a word of another program stands for, or "".
func synonym(word string, names []string) string {
	for _, name := range synonyms[word] {
		if slices.Contains(names, name) {
			return name
		}
	}
	return ""
}
